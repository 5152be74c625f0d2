"""What the tests of the writers share: made-up segmentations, and their entries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sonoseg.image.calibration import Calibration, LocalSpacing, Spacing
from sonoseg.image.frame import Frame
from sonoseg.inference.predictor import Predictor
from sonoseg.inference.segmentation import Segmentation
from sonoseg.lesions.measurement import measure
from sonoseg.results.entries import ImageEntry, OutputFile, RefusedFile, Results, RunInfo, SourceFile
from sonoseg.results.preview import make_preview

Box = tuple[int, int, int, int]


def segmentation(
    name: str, *boxes: Box, spacing: Spacing | None = None, shape: tuple[int, int] = (60, 80)
) -> Segmentation:
    """An image with lesions at top, left, height, width; its spacing one that a person gave."""
    mask = np.zeros(shape, dtype=bool)
    for top, left, height, width in boxes:
        mask[top : top + height, left : left + width] = True
    pixels = np.where(mask, 20, 110).astype(np.uint8)
    pixels[-3:] = 200  # an image of one grey is not assessed
    frame = Frame(pixels, source=Path(f"{name}.png"), calibration=Calibration.of(spacing))
    probability = np.where(mask, 0.75, 0.02).astype(np.float32)
    return Segmentation(frame, probability, mask, mask, 0.5, None, "m", "r")


def entry(name: str, *boxes: Box, spacing: Spacing | None = None, **more: Any) -> ImageEntry:
    """The entry that a results folder makes of such a segmentation."""
    found = segmentation(name, *boxes, spacing=spacing)
    calibration = found.frame.calibration
    kinds = {"overlay": f"overlays/{name}.png", "mask": f"masks/{name}.png"}
    values: dict[str, Any] = {
        "name": name,
        "file": f"in/{name}.png",
        "shape": found.frame.shape,
        "local_spacing": LocalSpacing(calibration.spacing, calibration.origin, calibration.reason),
        "findings": measure(found),
        "uncertainty": found.uncertainty,
        "files": {kind: OutputFile(path, "0" * 64, 100) for kind, path in kinds.items()},
        "preview": make_preview(found),
        "source": SourceFile("1" * 64, 1000, 5),
    }
    return ImageEntry(**(values | more))


def results(
    about: RunInfo,
    entries: Sequence[ImageEntry],
    refused: Sequence[RefusedFile] = (),
    referred: frozenset[str] | None = None,
) -> Results:
    """Results that hold these entries."""
    return Results(about, lambda: iter(entries), refused, referred)


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """make.segmentation, make.entry, make.results: the functions above."""
    return SimpleNamespace(segmentation=segmentation, entry=entry, results=results)


@pytest.fixture
def about(dark_model: Path) -> RunInfo:
    """What a run with the small model is."""
    return RunInfo.of(Predictor(dark_model, threshold=0.4), "sonoseg predict")
