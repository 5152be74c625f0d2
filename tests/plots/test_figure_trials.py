"""The figure of a search."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sonoseg.errors import FigureError
from sonoseg.plots.trials import trials


@pytest.fixture
def rows() -> pd.DataFrame:
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


def test_a_panel_a_key_and_the_best_so_far(rows, legible) -> None:
    figure = trials(rows, "dice", "maximize", ["optimiser.rate"])
    legible(figure)
    history, rate, loss, batch = (axes for axes in figure.axes if axes.axison)
    so_far = history.get_lines()[0].get_ydata()
    assert list(so_far) == [0.5, 0.7, 0.7]
    assert rate.get_xscale() == "log"
    assert batch.get_xscale() == "linear"
    assert [text.get_text() for text in loss.get_xticklabels()] == ["bce", "dice-bce"]
    assert list(rate.get_lines()[1].get_xdata()) == [1e-3]  # the best is ringed


def test_lower_may_be_better(rows) -> None:
    figure = trials(rows, "loss", "minimize")
    assert list(figure.axes[0].get_lines()[0].get_ydata()) == [0.5, 0.5, 0.5]


def test_nothing_to_draw(rows) -> None:
    with pytest.raises(FigureError, match="no trial has a value"):
        trials(rows[rows["state"] != "done"], "dice", "maximize")
    with pytest.raises(FigureError, match="no column 'state'"):
        trials(rows.drop(columns="state"), "dice", "maximize")
