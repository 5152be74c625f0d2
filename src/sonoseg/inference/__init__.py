"""From a Frame to a Segmentation: load a model once, predict many."""
