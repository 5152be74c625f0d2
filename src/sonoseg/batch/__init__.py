"""Batch inference over millions of images: a listing in partitions, Ray workers, results in Parquet."""
