"""A search for a recipe's values: trials, judged on validation alone, shared by several processes."""
