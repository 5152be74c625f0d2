"""Attention maps over an image."""

from __future__ import annotations

import numpy as np
import pytest

from sonoseg.errors import FigureError
from sonoseg.plots.attention_maps import maps
from sonoseg.plots.style import save


@pytest.fixture
def attention():
    rng = np.random.default_rng(0)
    return {
        f"attention_{number}": rng.uniform(0, 1, (side, side)).astype(np.float32)
        for number, side in enumerate((4, 8, 16, 32), start=1)
    }


@pytest.mark.process
def test_each_gate_is_drawn_over_the_image(case, attention, legible) -> None:
    made = case()
    figure = maps(made["pixels"], attention, true=made["true"], predicted=made["processed"], name="made-up/0")
    first, *gates, bar = figure.axes
    np.testing.assert_array_equal(first.images[0].get_array(), made["pixels"])
    for axes, (name, values) in zip(gates, attention.items(), strict=True):
        drawn = axes.images[1]
        np.testing.assert_array_equal(drawn.get_array(), values)
        assert drawn.get_clim() == (0, 1)
        assert tuple(drawn.get_extent()) == (-0.5, 79.5, 59.5, -0.5)  # over the whole image
        title = axes.get_title(loc="center")
        assert title.startswith(f"gate {name[-1]}\n{values.shape[0]} × {values.shape[1]}")
        assert f"{values.mean():.2f}" in title
    assert "attention coefficient" in bar.get_xlabel()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["true mask", "predicted mask"]
    legible(figure)


@pytest.mark.process
def test_without_masks_there_is_no_key(case, attention, legible) -> None:
    figure = maps(case()["pixels"], attention)
    assert not figure.legends
    legible(figure)


def test_what_cannot_be_drawn_is_refused(case) -> None:
    with pytest.raises(FigureError, match=r"attention maps: nothing to draw.*attention=True"):
        maps(case()["pixels"], {})
    with pytest.raises(FigureError, match=r"attention_1: attention coefficients of shape \(1, 4, 4\)"):
        maps(case()["pixels"], {"attention_1": np.zeros((1, 4, 4), np.float32)})


@pytest.mark.process
def test_the_same_maps_give_the_same_bytes(case, attention, tmp_path) -> None:
    one, two = (
        save(maps(case()["pixels"], attention, true=case()["true"]), tmp_path / f"{n}.png", dpi=60)
        for n in "ab"
    )
    assert one.read_bytes() == two.read_bytes()
