"""The curves' scores are those of the metrics room."""

import numpy as np
import pytest
import torch

from sonoseg.metrics import overlap
from sonoseg.training.epoch_metrics import EpochMetrics


def test_agrees_with_sonoseg_metrics() -> None:
    generator = torch.Generator().manual_seed(4)
    logit = torch.randn(9, 1, 20, 20, generator=generator)
    target = (torch.rand(9, 1, 20, 20, generator=generator) > 0.7).float()
    target[6:] = 0
    logit[7:] = -5
    metrics = EpochMetrics()
    metrics.add(torch.arange(9).float(), logit, target)
    means = metrics.means()
    counts = [
        overlap.confusion(t[0].numpy() > 0.5, x[0].numpy() >= 0) for t, x in zip(target, logit, strict=True)
    ]
    lesions = [c for c in counts if c.has_lesion]
    assert means["dice"] == pytest.approx(np.mean([c.dice for c in lesions]))
    assert means["iou"] == pytest.approx(np.mean([c.iou for c in lesions]))
    assert means["pixel_accuracy"] == pytest.approx(np.mean([c.pixel_accuracy for c in counts]))
    assert means["loss"] == 4
    assert means["false_positive_rate"] == pytest.approx(1 / 3)
    assert means["missed"] == 0


def test_nothing_measured_is_none_not_zero() -> None:
    assert set(EpochMetrics().means().values()) == {None}
    metrics = EpochMetrics()
    metrics.add(torch.ones(2), torch.full((2, 1, 4, 4), -1.0), torch.zeros(2, 1, 4, 4))
    means = metrics.means()
    assert means["dice"] is None
    assert means["iou"] is None
    assert means["false_positive_rate"] == 0


def test_iou_is_thresholded() -> None:
    """The seed's own curve was flat at 0.47: unthresholded, two classes. Here a right answer scores one."""
    target = torch.zeros(1, 1, 10, 10)
    target[..., 2:5, 2:5] = 1
    metrics = EpochMetrics()
    metrics.add(torch.zeros(1), (target - 0.5) * 0.2, target)
    assert metrics.means()["iou"] == 1
