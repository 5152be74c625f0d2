"""Evaluation: a model measured on images whose masks are known, with intervals and cautions.

docs/evaluation.md describes the policy; its numbers are in `sonoseg.evaluation.policy`.
"""
