"""Several models side by side."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sonoseg.errors import FigureError
from sonoseg.plots.model_comparison import accuracy_latency, forest
from sonoseg.plots.style import save


@pytest.fixture
def results() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"model": model, "metric": metric, "value": value, "low": value - 0.04, "high": value + 0.03}
            for model, base in (("seed", 0.6), ("unet", 0.5), ("a long name of a model", 0.7))
            for metric, value in (("dice", base), ("iou", base - 0.1), ("sensitivity", base + 0.1))
        ]
    )


@pytest.mark.process
def test_a_forest_draws_each_interval(results, legible) -> None:
    figure = forest(results)
    assert [axes.get_xlabel() for axes in figure.axes] == [
        "Dice (0–1)",
        "IoU (0–1)",
        "sensitivity per lesion (0–1)",
    ]
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["seed", "unet", "a long name of a model"]
    for place, row in enumerate(results[results["metric"] == "dice"].itertuples()):
        bar, point = axes.lines[2 * place], axes.lines[2 * place + 1]
        np.testing.assert_allclose(bar.get_xdata(), [row.low, row.high])
        assert point.get_xdata()[0] == row.value
        assert point.get_ydata()[0] == place
        assert axes.texts[place].get_text() == f"{row.value:.3f}"
    assert axes.yaxis_inverted()  # the first model stands on top
    legible(figure)


def test_a_model_without_a_metric_leaves_its_line_empty(results) -> None:
    figure = forest(results.drop(index=1), metrics=["iou"])
    assert len(figure.axes) == 1
    assert len(figure.axes[0].lines) == 4


@pytest.mark.process
def test_four_metrics_stand_two_by_two(results, legible) -> None:
    more = pd.concat([results, results[results["metric"] == "dice"].assign(metric="false_positive")])
    figure = forest(more)
    assert figure.axes[0].get_gridspec().get_geometry() == (2, 2)
    legible(figure)


def test_accuracy_stands_against_time(legible) -> None:
    rows = pd.DataFrame(
        {
            "model": ["seed", "compact"],
            "latency_ms": [95.0, 22.0],
            "dice": [0.5, 0.6],
            "low": [0.45, 0.55],
            "high": [0.55, 0.66],
            "parameters": [10_200_000, 3_000_000],
        }
    )
    figure = accuracy_latency(rows)
    (axes,) = figure.axes
    assert [tuple(c.get_offsets()[0]) for c in axes.collections] == [(95.0, 0.5), (22.0, 0.6)]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [0.45, 0.55])
    assert axes.get_xlabel() == "latency per image (ms, log scale)"
    assert axes.get_legend().get_texts()[0].get_text() == "seed, 10.2 M parameters"
    legible(figure)
    plain = accuracy_latency(rows[["model", "latency_ms", "dice"]]).axes[0]
    assert not plain.lines
    assert [t.get_text() for t in plain.get_legend().get_texts()] == ["seed", "compact"]


def test_what_cannot_be_drawn_is_refused(results) -> None:
    with pytest.raises(FigureError, match="forest plot: nothing to draw"):
        forest(results.iloc[:0])
    with pytest.raises(FigureError, match="forest plot: nothing to draw"):
        forest(results, metrics=["unheard"])
    with pytest.raises(FigureError, match="no column 'latency_ms'"):
        accuracy_latency(results.rename(columns={"value": "dice"}))


@pytest.mark.process
def test_the_same_results_give_the_same_bytes(results, tmp_path) -> None:
    one, two = (save(forest(results), tmp_path / f"{n}.png", dpi=60).read_bytes() for n in "ab")
    assert one == two
