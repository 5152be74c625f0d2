"""Plumbing that every room may import: atomic files, locks."""
