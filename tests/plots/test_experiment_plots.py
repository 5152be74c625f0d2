"""Figures of experiments: variants and trials."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sonoseg.errors import FigureError
from sonoseg.plots.experiment_plots import trials, variants
from sonoseg.plots.style import SERIES


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
                ("false-positive rate, normals", 1.0),
            )
            for variant in ("gates", "a rather long name of a variant")
        ]
    )


@pytest.mark.process
def test_a_panel_per_metric_and_a_line_per_variant(results, legible) -> None:
    figure = variants(results)
    axes = [one for one in figure.axes if one.axison]
    titles = ("Dice", "missed", "a", "false-positive rate, normals")
    assert [one.get_xlabel() for one in axes[:4]] == [f"{title} (0–1)" for title in titles]
    assert len(axes) == 8
    first = axes[0]
    names = [text.get_text() for text in first.get_yticklabels()]
    assert names == ["gates", "a rather long name of a variant"]
    bar, point, seeds = first.lines[:3]
    np.testing.assert_allclose(bar.get_xdata(), [0.75, 0.82])
    assert (point.get_xdata()[0], point.get_ydata()[0]) == (0.8, 0)
    np.testing.assert_allclose(seeds.get_xdata(), [0.79, 0.81])
    # A variant has its own marker beside its colour.
    other = first.lines[4]
    assert (point.get_color(), other.get_color()) == SERIES[:2]
    assert point.get_marker() != other.get_marker()
    legible(figure)


@pytest.mark.process
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


@pytest.fixture
def found() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "number": [0, 1, 2, 3, 4],
            "state": ["done", "pruned", "done", "failed", "done"],
            "value": [0.5, np.nan, 0.7, np.nan, 0.6],
            "optimiser.rate": [1e-4, 1e-1, 1e-3, 1e-2, 2e-3],
            "loss.kind": ["bce", "bce", "dice-bce", "dice-bce", "bce"],
            "batch": [4, 8, 12, 16, 4],
        }
    )


@pytest.mark.process
def test_a_panel_a_key_and_the_best_so_far(found, legible) -> None:
    figure = trials(found, "dice", "maximize", ["optimiser.rate"])
    legible(figure)
    history, rate, loss, batch = (axes for axes in figure.axes if axes.axison)
    so_far = history.get_lines()[0].get_ydata()
    assert list(so_far) == [0.5, 0.7, 0.7]
    assert rate.get_xscale() == "log"
    assert batch.get_xscale() == "linear"
    assert [text.get_text() for text in loss.get_xticklabels()] == ["bce", "dice-bce"]
    assert list(rate.get_lines()[1].get_xdata()) == [1e-3]  # the best is ringed


def test_lower_may_be_better(found) -> None:
    figure = trials(found, "loss", "minimize")
    assert list(figure.axes[0].get_lines()[0].get_ydata()) == [0.5, 0.5, 0.5]


def test_trials_without_a_value_are_refused(found) -> None:
    with pytest.raises(FigureError, match="no trial has a value"):
        trials(found[found["state"] != "done"], "dice", "maximize")
    with pytest.raises(FigureError, match="no column 'state'"):
        trials(found.drop(columns="state"), "dice", "maximize")
