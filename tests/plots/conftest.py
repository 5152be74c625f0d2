"""Made-up arrays and tables to draw; nothing here is a result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox


def disc(shape: tuple[int, int], row: float, column: float, radius: float) -> np.ndarray:
    rows, columns = np.indices(shape)
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


@pytest.fixture
def case() -> Callable[..., dict[str, Any]]:
    """Make one case: a speckled image with a disc as the truth and a shifted one as the prediction."""

    def make(number: int = 0, shape: tuple[int, int] = (60, 80), *, empty: bool = False) -> dict[str, Any]:
        rng = np.random.default_rng(number)
        true = disc(shape, 30, 35, 0 if empty else 9 + number)
        true &= not empty
        processed = np.roll(true, 3, axis=1)
        predicted = processed.copy()
        predicted[:2, :2] = True  # a speck that post-processing takes away
        pixels = rng.integers(20, 140, shape, dtype=np.uint8)
        return {
            "name": f"made-up/{number}",
            "pixels": pixels,
            "true": true,
            "predicted": predicted,
            "probability": (0.1 + 0.8 * predicted).astype(np.float32),
            "processed": processed,
            "dice": float("nan") if empty else 0.5 + number / 100,
            "note": "normal" if empty else "benign",
        }

    return make


@pytest.fixture
def evaluated() -> pd.DataFrame:
    """One row per image: 60 images, some normal, with a score that is nan where there is no lesion."""
    rng = np.random.default_rng(3)
    n = 60
    label = np.array((["benign"] * 3 + ["malignant"] * 2 + ["normal"]) * (n // 6))
    share = np.exp(rng.normal(-3, 0.8, n)).clip(0.001, 0.7)
    share[label == "normal"] = 0.0
    dice = rng.uniform(0.1, 0.95, n)
    dice[label == "normal"] = np.nan
    return pd.DataFrame(
        {
            "id": [f"made-up/{number}" for number in range(n)],
            "set": np.where(np.arange(n) % 2, "one", "two"),
            "label": label,
            "lesion_share": share,
            "height": rng.integers(300, 600, n),
            "width": rng.integers(400, 800, n),
            "marks": rng.choice(["", "text", "measurement text"], n),
            "size_stratum": pd.Categorical.from_codes(
                np.arange(n) % 4, ["smallest", "small", "large", "largest"], ordered=True
            ),
            "dice": dice,
        }
    )


@pytest.fixture
def legible() -> Callable[[Figure], None]:
    """Check that every written word lies inside the figure and that no letter is tiny."""

    def check(figure: Figure) -> None:
        figure.draw_without_rendering()
        for axes in figure.axes:
            if axes.axison:
                for axis in (axes.xaxis, axes.yaxis):
                    _inside(figure, axis.get_tightbbox(), f"the ticks or label {axis.get_label_text()!r}")
        ticks = {id(text) for axes in figure.axes for text in _tick_labels(axes)}
        for text in figure.findobj(Text):
            if text.get_visible() and text.get_text().strip():
                assert text.get_fontsize() >= 8, text
                if id(text) not in ticks:
                    _inside(figure, text.get_window_extent(), repr(text.get_text()))

    return check


def _inside(figure: Figure, box: Bbox | None, what: str) -> None:
    if box is None:
        return
    width, height = figure.bbox.size
    assert box.x0 >= -1, what
    assert box.y0 >= -1, what
    assert box.x1 <= width + 1, what
    assert box.y1 <= height + 1, what


def _tick_labels(axes: Axes) -> list[Text]:
    """Labels of all ticks; matplotlib keeps some outside the axis' limits, which it does not draw."""
    ticks = [t for axis in (axes.xaxis, axes.yaxis) for t in (*axis.majorTicks, *axis.minorTicks)]
    return [label for tick in ticks for label in (tick.label1, tick.label2)]
