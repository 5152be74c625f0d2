"""Prediction over millions of pictures: a listing in partitions, a stream of workers, results in Parquet."""
