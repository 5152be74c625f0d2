"""The small views of the page."""

from __future__ import annotations

import io
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
from PIL import Image

from sonoseg.results.preview import SIDE


def test_a_large_image_becomes_small_and_its_outline_with_it(make: SimpleNamespace) -> None:
    found = make.segmentation("big", (200, 300, 400, 500), shape=(1000, 1200))
    view = make_preview(found)
    with Image.open(io.BytesIO(view.jpeg)) as image:
        assert image.format == "JPEG"
        assert image.mode == "L"
        assert image.size == (view.width, view.height) == (SIDE, round(SIDE / 1.2))
        assert np.asarray(image)[view.height * 4 // 10, view.width * 45 // 100] < 40  # in the lesion
    assert view.scale == (view.height / 1000, view.width / 1200)
    assert view.outline.startswith("M")
    assert len(view.jpeg) < 20_000


def test_a_small_image_keeps_its_size(make: SimpleNamespace) -> None:
    view = make_preview(make.segmentation("small", (10, 10, 20, 20)))
    assert (view.width, view.height, view.scale) == (80, 60, (1.0, 1.0))


def test_the_band_is_where_the_border_may_lie(make: SimpleNamespace) -> None:
    found = make.segmentation("sure", (10, 10, 20, 20))
    sure = replace(found, probability=np.where(found.mask, 0.99, 0.01).astype(np.float32))
    assert make_preview(sure).band == ""
    assert make_preview(sure).outline == make_preview(found).outline
    assert make_preview(found).band == make_preview(found).outline  # 0.75 all over: in doubt as a whole


def test_without_a_lesion_nothing_is_drawn(make: SimpleNamespace) -> None:
    view = make_preview(make.segmentation("none"))
    assert (view.outline, view.band) == ("", "")
