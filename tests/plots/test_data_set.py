"""The grids of images, and a set's composition."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from matplotlib.contour import QuadContourSet

from sonoseg.errors import FigureError
from sonoseg.plots.data_set import composition, image_grid, labels_of, mark_counts, share_text
from sonoseg.plots.style import CLASSES, YELLOW, save


@pytest.fixture
def items(case):
    made = [case(number, (60, 80) if number % 2 else (80, 60), empty=number == 4) for number in range(15)]
    return [
        {"id": m["name"], "pixels": m["pixels"], "mask": m["true"], "label": "normal" if i == 4 else "benign"}
        for i, m in enumerate(made)
    ]


@pytest.mark.process
@pytest.mark.parametrize("style", ["filled", "outlined"])
def test_fifteen_images_make_three_rows_of_five(items, style, legible) -> None:
    figure = image_grid(items, style, title="A made-up set")
    assert len(figure.axes) == 15
    assert figure.axes[0].get_gridspec().get_geometry() == (3, 5)
    for axes, item in zip(figure.axes, items, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), item["pixels"])
        assert axes.get_title(loc="center").startswith(f"{item['id']}\n{item['label']}")
    legible(figure)


def test_a_filled_mask_is_painted_where_the_mask_is(items) -> None:
    axes = image_grid(items, "filled").axes[2]
    paint = np.asarray(axes.images[1].get_array())
    np.testing.assert_array_equal(paint[..., 3] > 0, items[2]["mask"])
    np.testing.assert_allclose(paint[items[2]["mask"]][0], to_rgba(YELLOW, 0.45), atol=1e-6)


@pytest.mark.process
def test_an_outline_runs_around_the_mask(items) -> None:
    axes = image_grid(items, "outlined").axes[2]
    (drawn,) = axes.findobj(QuadContourSet)
    points = np.concatenate([path.vertices for path in drawn.get_paths()])
    rows, columns = np.nonzero(items[2]["mask"])
    assert points[:, 0].min() == pytest.approx(columns.min() - 0.5)
    assert points[:, 0].max() == pytest.approx(columns.max() + 0.5)
    assert points[:, 1].min() == pytest.approx(rows.min() - 0.5)
    assert points[:, 1].max() == pytest.approx(rows.max() + 0.5)


def test_an_outline_at_the_edge_is_closed_and_keeps_the_view(case) -> None:
    item = {"id": "edge", "pixels": case()["pixels"], "mask": np.zeros((60, 80), bool)}
    item["mask"][:10] = True
    axes = image_grid([item], "outlined").axes[0]
    (drawn,) = axes.findobj(QuadContourSet)
    (path,) = drawn.get_paths()
    np.testing.assert_allclose(path.vertices[0], path.vertices[-1])
    assert axes.get_xlim() == (-0.5, 79.5)
    assert axes.get_ylim() == (59.5, -0.5)


@pytest.mark.process
def test_a_image_without_mask_says_so(items) -> None:
    figure = image_grid(items, "outlined")
    assert figure.axes[4].get_title(loc="center").endswith("no mask")
    assert not figure.axes[4].findobj(QuadContourSet)


def test_few_images_leave_cells_empty(items) -> None:
    figure = image_grid(items[:7])
    assert [axes.axison for axes in figure.axes] == [True] * 7 + [False] * 3
    assert len(image_grid(items[:2]).axes) == 2


def test_what_does_not_fit_is_refused(items) -> None:
    with pytest.raises(FigureError, match=r"image grid: nothing to draw.*image"):
        image_grid([])
    with pytest.raises(FigureError, match="style 'dotted'"):
        image_grid(items, "dotted")
    with pytest.raises(FigureError, match=r"made-up/0: a mask of \(3, 3\)"):
        image_grid([{**items[0], "mask": np.ones((3, 3), bool)}])
    with pytest.raises(FigureError, match=r"pixels of shape"):
        image_grid([{**items[0], "pixels": np.zeros((0, 4), np.uint8), "mask": np.zeros((0, 4), bool)}])


@pytest.mark.process
def test_the_same_images_give_the_same_bytes(items, tmp_path) -> None:
    one, two = (save(image_grid(items[:3], "outlined"), tmp_path / f"{n}.png", dpi=60) for n in "ab")
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.process
def test_composition_draws_the_counts(evaluated, legible) -> None:
    figure = composition(evaluated.drop(columns="set"))
    classes, areas, sizes, marks = figure.axes
    widths = {
        label.get_text(): bar.get_width()
        for label, bar in zip(classes.get_yticklabels(), classes.patches, strict=True)
    }
    assert widths == {"benign": 30, "malignant": 20, "normal": 10}
    assert "n = 60" in classes.get_title(loc="left")
    counts = dict(
        zip(
            [t.get_text() for t in marks.get_yticklabels()],
            [b.get_width() for b in marks.patches],
            strict=True,
        )
    )
    assert counts == mark_counts(evaluated)
    drawn = np.concatenate([np.asarray(points.get_offsets()) for points in sizes.collections])
    expected = evaluated.sort_values(["width", "height"])
    order = np.lexsort((drawn[:, 1], drawn[:, 0]))
    np.testing.assert_array_equal(drawn[order], expected[["width", "height"]].to_numpy())
    colours = np.asarray(sizes.collections[0].get_facecolors())[order]
    for colour, label in zip(colours, expected["label"], strict=True):
        np.testing.assert_allclose(colour, to_rgba(CLASSES[label], 0.55))
    assert "px" in sizes.get_xlabel()
    assert "px" in sizes.get_ylabel()
    assert "%" in areas.get_xlabel()
    assert "count" in areas.get_ylabel()
    assert areas.get_xscale() == "log"
    legible(figure)


def test_composition_marks_each_class_median(evaluated) -> None:
    areas = composition(evaluated).axes[1]
    for label in ("benign", "malignant"):
        (line,) = [line for line in areas.lines if line.get_label().startswith(label)]
        median = 100 * evaluated.loc[evaluated["label"] == label, "lesion_share"].median()
        assert line.get_xdata()[0] == pytest.approx(median)
        assert line.get_color() == CLASSES[label]


def test_every_lesion_is_counted_once_in_the_histogram(evaluated) -> None:
    areas = composition(evaluated).axes[1]
    filled = [patch for patch in areas.patches if patch.get_alpha() == 0.18]
    for patch, label in zip(filled, ("benign", "malignant"), strict=True):
        corners = np.asarray(patch.get_xy())
        steps = corners[1 : 2 * 24 + 1 : 2]  # the left upper corner of each bin
        assert steps[:, 1].sum() == (evaluated["label"] == label).sum()


def test_several_sets_are_stacked(evaluated) -> None:
    classes = composition(evaluated).axes[0]
    assert [text.get_text() for text in classes.get_legend().get_texts()] == ["one", "two"]
    ends = max(bar.get_x() + bar.get_width() for bar in classes.patches)
    assert ends == 30


def test_composition_without_lesions_or_marks_says_so(evaluated) -> None:
    bare = evaluated.assign(lesion_share=0.0).drop(columns="marks")
    _, areas, _, marks = composition(bare).axes
    assert areas.texts[0].get_text() == "no image has a lesion"
    assert "no list of marks" in marks.texts[0].get_text()


def test_composition_refuses_what_it_cannot_draw(evaluated) -> None:
    with pytest.raises(FigureError, match="set composition: nothing to draw"):
        composition(evaluated.iloc[:0])
    with pytest.raises(FigureError, match="no column 'label', 'width'"):
        composition(evaluated.drop(columns=["label", "width"]))


def test_small_helpers() -> None:
    marks = pd.DataFrame({"marks": ["", "text", "text doppler", None, "text", ""], "set": [*("a" * 5), "b"]})
    assert mark_counts(marks) == {"text": 3, "none": 2, "doppler": 1, "not listed": 1}
    assert mark_counts(marks[["marks"]]) == {"none": 3, "text": 3, "doppler": 1}
    assert labels_of(pd.DataFrame({"label": ["odd", "normal", "benign"]})) == ["benign", "normal", "odd"]
    assert share_text(0.0034) == "0.34 %"
    assert share_text(0.5) == "50 %"
    assert share_text(0.0996) == "10 %"
