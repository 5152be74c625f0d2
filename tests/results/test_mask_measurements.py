"""Measuring masks from Python: what the command does, without its output."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sonoseg.errors import OutputError, UsageError
from sonoseg.image.calibration import Spacing
from sonoseg.results.mask_measurements import (
    COLUMNS,
    find_masks,
    measure_masks,
    overlay_names,
    require_free,
)


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    folder = tmp_path / "masks"
    folder.mkdir()
    for name, width in (("a_mask", 40), ("b_mask", 0)):
        mask = np.zeros((60, 80), dtype=np.uint8)
        mask[10:30, 20 : 20 + width] = 255
        Image.fromarray(mask).save(folder / f"{name}.png")
    scan = np.full((60, 80), 90, dtype=np.uint8)
    scan[:, :10] = 120
    Image.fromarray(scan).save(folder / "a.png")
    return folder


def test_folder_is_measured_and_written(masks: Path, tmp_path: Path) -> None:
    paths = find_masks([str(masks)])
    assert [path.stem for path in paths] == ["a_mask", "b_mask"]  # those named as masks
    found = measure_masks(paths, image=masks, spacing=Spacing(0.1, 0.2))
    assert [len(one.findings.lesions) for one in found.measured] == [1, 0]
    assert [one.image for one in found.measured] == [masks / "a.png", None]
    assert found.measured[0].findings.lesions[0].width == pytest.approx(8)
    assert found.to_csv().splitlines()[0] == ",".join(COLUMNS)
    out, names = tmp_path / "out", overlay_names(paths)
    require_free(out, names)
    found.write(out, names)
    assert json.loads((out / "measures.json").read_text("utf-8")) == found.to_object()
    with pytest.raises(OutputError):
        require_free(out, names)


def test_no_mask_is_a_usage_error() -> None:
    with pytest.raises(UsageError):
        find_masks([])
