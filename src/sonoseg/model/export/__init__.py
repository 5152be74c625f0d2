"""A model in the formats of inference engines."""
