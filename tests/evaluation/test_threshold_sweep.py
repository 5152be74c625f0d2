"""The threshold: the best mean Dice of lesions, chosen on the ids given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sonoseg.errors import DatasetError
from sonoseg.evaluation.threshold_sweep import THRESHOLDS, ThresholdSweep, choose_threshold
from sonoseg.metrics.overlap import dice


def test_it_finds_where_the_dice_peaks(mixed: Any, scripted: Any, make_disc: Any) -> None:
    def answer(name: str) -> np.ndarray:
        halo = mixed.mask(name) | np.roll(mixed.mask(name), 6, axis=1)
        return np.where(mixed.mask(name), 0.62, np.where(halo, 0.41, 0.05))

    sweep = choose_threshold(scripted(answer), mixed, mixed.ids)
    assert sweep.best == 0.5  # 0.45 to 0.6 are equal; the nearest to one half
    assert sweep.n == 12
    expected = np.mean([dice(mixed.mask(n), answer(n) >= 0.3) for n in mixed.ids if mixed.mask(n).any()])
    assert sweep.dice[list(THRESHOLDS).index(0.3)] == pytest.approx(expected)
    assert sweep.dice[-1] == 0.0


def test_normals_have_no_say(mixed: Any, shifted: Any) -> None:
    lesions = [name for name in mixed.ids if "lesion" in name]
    with_normals, without = (choose_threshold(shifted, mixed, ids) for ids in (mixed.ids, lesions))
    assert with_normals.dice.tolist() == without.dice.tolist()


def test_it_needs_a_lesion_and_known_ids(mixed: Any, shifted: Any) -> None:
    with pytest.raises(DatasetError, match="no image has a lesion"):
        choose_threshold(shifted, mixed, ["toy/normal0"])
    with pytest.raises(DatasetError, match="no image has that id"):
        choose_threshold(shifted, mixed, ["toy/elsewhere"])
    with pytest.raises(DatasetError, match="no image has a lesion"):
        _ = ThresholdSweep.over().best


def test_the_grid_runs_from_a_tenth_to_nine() -> None:
    assert THRESHOLDS[0] == 0.1
    assert THRESHOLDS[-1] == 0.9
    assert (np.diff(THRESHOLDS) > 0).all()
