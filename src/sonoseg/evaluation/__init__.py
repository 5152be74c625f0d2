"""Evaluation: a study of a model, a row an image, and what may honestly be said of it.

The policy is written down in docs/evaluation.md; its numbers stand in `sonoseg.evaluation.policy`.
"""
