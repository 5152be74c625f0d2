"""The writers: what predicting and evaluating leave behind."""
