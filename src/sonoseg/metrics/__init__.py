"""Metrics: arrays in, numbers out. Each docstring states its policy for empty masks.

A score of a lesion is undefined on an image without one: it is NaN, never a perfect or a zero score, so that
empty masks cannot be averaged into a Dice by accident. A missed lesion has the worst score: Dice 0, and the
image's diagonal as distance.
"""
