"""Measurement of lesions."""
