"""A study of many runs: folds, seeds and variants from one plan, to one table."""
