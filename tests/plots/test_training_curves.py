"""A run's curves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sonoseg.errors import FigureError
from sonoseg.plots.style import save
from sonoseg.plots.training_curves import best, curves


@pytest.fixture
def log() -> pd.DataFrame:
    rows = []
    for epoch in range(1, 11):
        for split in ("train", "validation"):
            shift = 0.0 if split == "train" else 0.05
            rows.append(
                {
                    "epoch": epoch,
                    "split": split,
                    "loss": 1 / epoch + shift,
                    "pixel_accuracy": 0.9 + epoch / 200 - shift,
                    "iou": epoch / 20 - shift,
                    "dice": 0.1 + epoch / 15 - (epoch - 8) ** 2 / 100 - shift,
                }
            )
    return pd.DataFrame(rows)


@pytest.mark.process
def test_four_panels_draw_the_log(log, legible) -> None:
    figure = curves(log)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Loss", "Pixel accuracy", "IoU", "Dice"]
    for axes, column in zip(figure.axes, ("loss", "pixel_accuracy", "iou", "dice"), strict=True):
        for line, split in zip(axes.lines, ("train", "validation"), strict=False):
            rows = log[log["split"] == split]
            np.testing.assert_array_equal(line.get_xdata(), rows["epoch"])
            np.testing.assert_array_equal(line.get_ydata(), rows[column])
        assert axes.get_xlabel() == "epoch"
        assert "(" in axes.get_ylabel()  # the unit
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["training", "validation"]
    legible(figure)


def test_an_epoch_without_a_measurement_is_a_gap(log) -> None:
    holed = log[~((log["split"] == "validation") & log["epoch"].isin([4, 5]))]
    validation = curves(holed).axes[3].lines[1]
    drawn = dict(zip(validation.get_xdata(), validation.get_ydata(), strict=True))
    assert np.isnan(drawn[4])
    assert np.isnan(drawn[5])
    assert not np.isnan(drawn[6])
    assert validation.get_marker() == "o"  # a point between two gaps is still seen


def test_a_nan_stays_a_gap_and_does_not_fall_to_zero(log) -> None:
    log.loc[log["epoch"] == 10, "iou"] = np.nan
    line = curves(log).axes[2].lines[0]
    assert np.isnan(line.get_ydata()[-1])
    assert curves(log).axes[2].get_ylim()[0] > -0.1


def test_the_best_epoch_is_marked(log) -> None:
    top = log[log["split"] == "validation"].set_index("epoch")["dice"]
    assert best(log) == top.idxmax()
    for axes in curves(log).axes:
        assert axes.lines[-1].get_xdata()[0] == best(log)
    assert f"best epoch {best(log)}: {top.max():.3f}" == curves(log).axes[3].get_title(loc="right")
    assert curves(log, best_epoch=3).axes[0].lines[-1].get_xdata()[0] == 3


def test_the_first_of_equally_good_epochs_is_best(log) -> None:
    assert best(log.assign(dice=0.5)) == 1


@pytest.mark.process
def test_without_dice_there_are_three_panels_and_no_best(log, legible) -> None:
    figure = curves(log.drop(columns="dice"))
    assert len(figure.axes) == 3
    assert len(figure.axes[0].lines) == 2
    assert best(log[log["split"] == "train"]) is None
    legible(figure)
    legible(curves(log.drop(columns="dice"), best_epoch=10))


def test_a_repeated_epoch_counts_once_the_later_wins(log) -> None:
    again = pd.concat([log, log[log["epoch"] == 10].assign(loss=7.0)])
    assert curves(again).axes[0].lines[0].get_ydata()[-1] == 7.0


def test_what_cannot_be_drawn_is_refused(log) -> None:
    with pytest.raises(FigureError, match="training curves: nothing to draw"):
        curves(log.iloc[:0])
    with pytest.raises(FigureError, match="no column 'loss'"):
        curves(log.drop(columns="loss"))


@pytest.mark.process
def test_the_same_log_gives_the_same_bytes(log, tmp_path) -> None:
    one, two = (save(curves(log), tmp_path / f"{n}.png", dpi=60).read_bytes() for n in "ab")
    assert one == two
