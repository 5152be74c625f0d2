"""Metrics of an epoch for log.jsonl: loss, pixel accuracy, IoU, Dice, missed lesions, false positives."""

from __future__ import annotations

import torch
from torch import Tensor

from sonoseg.metrics.constants import FALSE_POSITIVE_SHARE, MISSED_DICE

FIELDS = (
    "images", "loss", "pixel_accuracy", "lesions", "iou", "dice", "missed", "normals", "false_positive_rate",
)  # fmt: skip


class EpochMetrics:
    """Sums of per-image metrics at a threshold of 0.5, on the network's grid.

    IoU and Dice are means over images with a lesion; an image without one counts in the loss, the pixel
    accuracy and the false positives. Defined as in sonoseg.metrics; here batched on the training device.
    """

    def __init__(self, sums: Tensor | None = None) -> None:
        self.sums = torch.zeros(len(FIELDS), dtype=torch.float64) if sums is None else sums

    def add(self, losses: Tensor, logit: Tensor, target: Tensor) -> None:
        """Add a batch: losses (N,), logits and targets (N, 1, H, W)."""
        found, true = logit.detach() >= 0, target >= 0.5
        area = found[0].numel()
        both = (found & true).sum((1, 2, 3)).double()
        n_found, n_true = found.sum((1, 2, 3)).double(), true.sum((1, 2, 3)).double()
        lesion = n_true > 0
        dice = torch.where(lesion, 2 * both / (n_found + n_true).clamp_min(1), 0.0)
        iou = torch.where(lesion, both / (n_found + n_true - both).clamp_min(1), 0.0)
        columns = (
            torch.ones_like(both),
            losses.detach().double(),
            1 - (n_found + n_true - 2 * both) / area,
            lesion.double(),
            iou,
            dice,
            (lesion & (dice < MISSED_DICE)).double(),
            (~lesion).double(),
            (~lesion & (n_found > FALSE_POSITIVE_SHARE * area)).double(),
        )
        self.sums += torch.stack(columns, dim=1).sum(0).cpu()

    def means(self) -> dict[str, float | None]:
        """Return the values of a log entry; None for a mean over no image."""
        sums = dict(zip(FIELDS, self.sums.tolist(), strict=True))
        denominators = {
            "loss": "images", "pixel_accuracy": "images", "iou": "lesions", "dice": "lesions",
            "missed": "lesions", "false_positive_rate": "normals",
        }  # fmt: skip
        return {name: sums[name] / sums[over] if sums[over] else None for name, over in denominators.items()}
