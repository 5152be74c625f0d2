"""The figure of a study of many runs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sonoseg.errors import FigureError
from sonoseg.plots.style import SERIES
from sonoseg.plots.variants import variants


@pytest.fixture
def results() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "evaluation": evaluation,
                "variant": variant,
                "metric": metric,
                "value": value,
                "low": value - 0.05 if variant == "gates" else np.nan,
                "high": value + 0.02 if variant == "gates" else np.nan,
                "seeds": [value - 0.01, value + 0.01],
            }
            for evaluation in ("test", "elsewhere")
            for metric, value in (
                ("Dice", 0.8),
                ("missed", 0.0),
                ("a", 0.1),
                ("normals with a false alarm", 1.0),
            )
            for variant in ("gates", "a rather long name of a variant")
        ]
    )


def test_a_panel_a_metric_and_a_line_a_variant(results, legible) -> None:
    figure = variants(results)
    axes = [one for one in figure.axes if one.axison]
    assert [one.get_xlabel() for one in axes[:4]] == ["Dice", "missed", "a", "normals with a false alarm"]
    assert len(axes) == 8
    first = axes[0]
    names = [text.get_text() for text in first.get_yticklabels()]
    assert names == ["gates", "a rather long name of a variant"]
    bar, point, seeds = first.lines[:3]
    np.testing.assert_allclose(bar.get_xdata(), [0.75, 0.82])
    assert (point.get_xdata()[0], point.get_ydata()[0]) == (0.8, 0)
    np.testing.assert_allclose(seeds.get_xdata(), [0.79, 0.81])
    # A variant is told by its marker as well as by its colour.
    other = first.lines[4]
    assert (point.get_color(), other.get_color()) == SERIES[:2]
    assert point.get_marker() != other.get_marker()
    legible(figure)


def test_a_variant_that_was_not_measured_leaves_its_line_empty(results, legible) -> None:
    rows = results[(results["evaluation"] == "test") | (results["variant"] == "gates")]
    figure = variants(rows)
    last = [one for one in figure.axes if one.axison][-1]
    assert len(last.lines) == 3
    assert len(last.get_yticks()) == 2
    legible(figure)


def test_what_cannot_be_drawn_is_refused(results) -> None:
    with pytest.raises(FigureError, match="variants: nothing to draw"):
        variants(results.iloc[:0])
    with pytest.raises(FigureError, match="no column 'seeds'"):
        variants(results.drop(columns="seeds"))
