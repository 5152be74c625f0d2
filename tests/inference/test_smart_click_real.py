"""Smart click on real images, with the scripted clicks of the benchmark smart_click.py."""

from __future__ import annotations

import statistics
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from sonoseg.data.mask_reading import join_masks
from sonoseg.data.readers import read_sources
from sonoseg.inputs.reading import read_frame

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clicker(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script."""
    monkeypatch.syspath_prepend(str(ROOT / "research" / "benchmarks"))
    import smart_click

    return smart_click


def test_scripted_clicks_are_in_the_middle_of_the_largest_error(clicker: ModuleType) -> None:
    truth = np.zeros((60, 80), dtype=bool)
    truth[10:31, 10:31] = True
    mask = np.zeros_like(truth)
    assert clicker.next_click(mask, truth) == (20, 20, True)
    mask[40:55, 30:79] = True  # larger than what is missing
    row, column, inside = clicker.next_click(mask, truth)
    assert (row, inside) == (47, False)
    assert 37 <= column <= 71
    assert clicker.overlap(truth, truth) == 1


def test_a_few_clicks_without_a_prediction_segment_real_lesions(clicker: ModuleType, real_busi: Path) -> None:
    (source,) = read_sources([f"busi={real_busi}"], None)
    # Any images of the set, not only the 60 on which the constants were chosen and evaluated.
    records = list(clicker.chosen(source.records, None, 0, 11))[:8]
    needed = []
    for record in records:
        frame = read_frame(record.image)
        truth = join_masks(record.masks, frame.shape)
        empty = np.zeros(frame.shape, dtype=bool)
        done = clicker.click_through(frame.pixels, None, empty, truth, 12)
        needed.append(done.clicks(0.9, 12))
    assert statistics.fmean(needed) <= 5
    assert max(needed) <= 12
