"""Metrics: arrays in, numbers out, each with its policy for empty masks in its docstring.

One rule holds for all of them: a question about a lesion has no answer on an image without one. There the
answer is NaN, never a perfect or a zero score, so that empty masks cannot be averaged into a Dice by
accident. A lesion that was missed has an answer, and it is the worst one: Dice 0, and the image's diagonal
as distance.
"""
