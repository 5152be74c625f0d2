"""Prediction over millions of images: a listing in partitions, a stream of workers, results in Parquet."""
