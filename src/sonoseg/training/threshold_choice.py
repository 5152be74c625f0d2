"""The probability threshold of a trained network, chosen on validation images."""

from __future__ import annotations

import numpy as np
import torch

from sonoseg.metrics.overlap import THRESHOLDS, best_threshold
from sonoseg.training.trainer import Trainer


def choose_threshold(trainer: Trainer) -> tuple[float, float]:
    """Return the threshold of the best mean lesion Dice on the network's grid, and that Dice.

    A threshold in the recipe is used as it is. Of equal thresholds the one nearest to 0.5 is chosen.
    """
    fixed = trainer.recipe.threshold
    thresholds = THRESHOLDS if fixed is None else np.array([fixed])
    sums = torch.zeros(len(thresholds) + 1, dtype=torch.float64)  # of Dice, and last the number of lesions
    cuts = torch.tensor(np.log(thresholds / (1 - thresholds)), dtype=torch.float32, device=trainer.device)
    for logit, target in trainer.predict(trainer.validation_images):
        true = target >= 0.5
        has = true.any(dim=3).any(dim=2).any(dim=1)
        sums[-1] += has.sum().cpu()
        for k, cut in enumerate(cuts):
            found = logit[has] >= cut
            both = (found & true[has]).sum((1, 2, 3)).double()
            total = found.sum((1, 2, 3)).double() + true[has].sum((1, 2, 3)).double()
            sums[k] += (2 * both / total).sum().cpu()
    sums = trainer.summed(sums)
    dice = np.round(sums[:-1].numpy() / float(sums[-1]), 6)
    return best_threshold(thresholds, dice), float(dice.max())
