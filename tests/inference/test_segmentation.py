"""The representation of a Segmentation in a notebook."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from sonoseg.image.frame import Frame
from sonoseg.image.overlay import AMBER, overlay
from sonoseg.inference.segmentation import Segmentation


def test_a_notebook_gets_the_overlay_as_png() -> None:
    pixels = np.full((30, 40), 80, dtype=np.uint8)
    mask = np.zeros((30, 40), dtype=bool)
    mask[10:20, 10:30] = True
    found = Segmentation(Frame(pixels), mask.astype(np.float32), mask, mask, 0.5, None, "m", "r")
    with Image.open(io.BytesIO(found._repr_png_())) as shown:
        assert shown.format == "PNG"
        seen = np.asarray(shown)
    assert np.array_equal(seen, overlay(pixels, mask))
    assert tuple(seen[10, 10]) == AMBER
    assert tuple(seen[0, 0]) == (80, 80, 80)
