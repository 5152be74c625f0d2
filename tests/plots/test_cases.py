"""The table of images, and the best, median and worst cases."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.contour import QuadContourSet

from sonoseg.errors import FigureError
from sonoseg.plots.cases import best_median_worst, dice_text, image_table
from sonoseg.plots.style import save


@pytest.mark.process
def test_a_row_holds_the_images_of_a_case(case, legible) -> None:
    cases = [case(1), case(2, (90, 60)), case(3, empty=True)]
    figure = image_table(cases, title="Three cases")
    heads = [axes.get_title(loc="center") for axes in figure.axes[:5]]
    assert heads == ["Image", "True mask", "Probability", "Predicted mask", "Post-processed mask"]
    for number, made in enumerate(cases):
        image, true, probability, predicted, processed = figure.axes[5 * number : 5 * number + 5]
        np.testing.assert_array_equal(image.images[0].get_array(), made["pixels"])
        np.testing.assert_array_equal(np.asarray(true.images[0].get_array()) > 0, made["true"])
        np.testing.assert_array_equal(probability.images[0].get_array(), made["probability"])
        np.testing.assert_array_equal(np.asarray(predicted.images[0].get_array()) > 0, made["predicted"])
        np.testing.assert_array_equal(np.asarray(processed.images[0].get_array()) > 0, made["processed"])
        assert image.get_xlabel() == f"{made['name']}\n{made['note']}"
        assert len(predicted.findobj(QuadContourSet)) == (1 if made["true"].any() else 0)
    assert figure.axes[4].get_xlabel().startswith("Dice 0.51\n")
    assert figure.axes[14].get_xlabel() == "no true lesion\nempty"
    assert "probability" in figure.axes[-1].get_xlabel()
    legible(figure)


def test_without_probabilities_the_table_is_the_seeds(case, legible) -> None:
    made, other = case(1), case(2)
    del made["probability"], made["dice"], made["note"]
    figure = image_table([made, other])
    heads = [axes.get_title(loc="center") for axes in figure.axes[:4]]
    assert heads == ["Image", "True mask", "Predicted mask", "Post-processed mask"]
    assert len(figure.axes) == 8  # and no scale of probabilities
    assert "Dice" not in figure.axes[3].get_xlabel()
    legible(figure)


@pytest.mark.process
def test_best_median_and_worst_have_a_row_each(case, legible) -> None:
    rows = {"best": [case(3), case(4)], "median": [case(2, (90, 60))], "worst": [case(0), case(1)]}
    figure = best_median_worst(rows, title="Cases")
    assert [axes.get_ylabel() for axes in figure.axes[::2]] == ["best", "median", "worst"]
    assert figure.axes[1].get_title(loc="center") == "made-up/4\nDice 0.54, benign"
    assert len(figure.axes[0].findobj(QuadContourSet)) == 2
    assert not figure.axes[3].images
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "true",
        "predicted (post-processed)",
    ]
    legible(figure)


def test_what_cannot_be_drawn_is_refused(case) -> None:
    with pytest.raises(FigureError, match="image table: nothing to draw"):
        image_table([])
    with pytest.raises(FigureError, match="best, median and worst: nothing to draw"):
        best_median_worst({"best": []})
    with pytest.raises(FigureError, match=r"made-up/0: arrays of 3 × 3, 60 × 80 pixels"):
        image_table([{**case(), "probability": np.ones((3, 3), np.float32)}])


@pytest.mark.process
def test_the_same_cases_give_the_same_bytes(case, tmp_path) -> None:
    one, two = (save(image_table([case(1)]), tmp_path / f"{n}.png", dpi=60).read_bytes() for n in "ab")
    assert one == two


def test_dice_in_words() -> None:
    assert dice_text(0.831) == "Dice 0.83"
    assert dice_text(float("nan")) == "no true lesion"
    assert dice_text(None) == ""
