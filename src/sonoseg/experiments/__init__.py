"""Experiments: variants over folds and seeds, or a search for the best values, from one plan to one table."""
