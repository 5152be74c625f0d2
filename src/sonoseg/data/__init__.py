"""Public sets and a user's own: catalogue, readers, check, prepare, splits, phantoms."""
