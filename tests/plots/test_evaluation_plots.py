"""A evaluated's figures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sonoseg.errors import FigureError
from sonoseg.plots import evaluation_plots as figures
from sonoseg.plots.style import save


@pytest.fixture
def bins() -> pd.DataFrame:
    low = np.arange(10) / 10
    count = np.array([5000, 900, 300, 0, 100, 90, 80, 200, 400, 800])
    with np.errstate(invalid="ignore"):
        confidence = np.where(count > 0, low + 0.05, np.nan)
    return pd.DataFrame(
        {
            "low": low,
            "high": low + 0.1,
            "confidence": confidence,
            "frequency": confidence**1.5,
            "count": count,
        }
    )


@pytest.fixture
def curve() -> pd.DataFrame:
    threshold = np.arange(1, 10) / 10
    return pd.DataFrame(
        {"threshold": threshold, "fp_per_image": (1 - threshold) ** 2, "sensitivity": 0.95 - threshold**2 / 2}
    )


@pytest.fixture
def referred() -> pd.DataFrame:
    share = np.arange(0, 0.96, 0.05)
    dice = 0.8 + 0.1 * share
    return pd.DataFrame(
        {"share_referred": share, "dice": dice, "low": dice - 0.03, "high": dice + 0.03}
        | {"oracle": 0.8 + 0.2 * share, "random": 0.8}
    )


def test_risk_coverage_draws_the_curve_between_chance_and_the_best_order(referred, legible) -> None:
    figure = figures.risk_coverage(referred.sample(frac=1, random_state=0))
    (axes,) = figure.axes
    drawn = {line.get_label(): line for line in axes.lines}
    np.testing.assert_allclose(drawn["most uncertain first"].get_xdata(), 100 * referred["share_referred"])
    np.testing.assert_allclose(drawn["most uncertain first"].get_ydata(), referred["dice"])
    np.testing.assert_allclose(drawn["ideal order"].get_ydata(), referred["oracle"])
    np.testing.assert_allclose(drawn["random order"].get_ydata(), 0.8)
    assert [text.get_text() for text in axes.texts] == ["0.810", "0.820", "0.850"]
    assert "%" in axes.get_xlabel()
    legible(figure)


def test_risk_coverage_without_an_interval(referred, legible) -> None:
    legible(figures.risk_coverage(referred.assign(low=np.nan, high=np.nan)))
    with pytest.raises(FigureError, match="risk-coverage"):
        figures.risk_coverage(referred.iloc[:0])


@pytest.mark.process
def test_reliability_draws_the_bins_that_hold_pixels(bins, legible) -> None:
    figure = figures.reliability(bins)
    diagram, counts = figure.axes
    line = diagram.lines[1]
    full = bins[bins["count"] > 0]
    np.testing.assert_array_equal(line.get_xdata(), full["confidence"])
    np.testing.assert_array_equal(line.get_ydata(), full["frequency"])
    steps = counts.patches[0].get_data()
    np.testing.assert_array_equal(steps.values, bins["count"])
    np.testing.assert_allclose(steps.edges, np.arange(11) / 10)
    assert "probability" in diagram.get_xlabel()
    assert "share" in diagram.get_ylabel()
    assert "count, log" in counts.get_ylabel()
    legible(figure)


def test_reliability_draws_a_line_a_region(bins) -> None:
    both = pd.concat([bins.assign(region="foreground"), bins.assign(region="band", frequency=0.5)])
    diagram, counts = figures.reliability(both).axes
    assert [line.get_label() for line in diagram.lines] == [
        "perfectly calibrated",
        "foreground",
        "boundary band",
    ]
    assert len(counts.patches) == 2


def test_froc_draws_the_curve_in_the_order_of_thresholds(curve, legible) -> None:
    figure = figures.froc(curve.sample(frac=1, random_state=0), operating=(0.25, 0.8))
    (axes,) = figure.axes
    line, point = axes.lines
    np.testing.assert_array_equal(line.get_xdata(), curve["fp_per_image"])
    np.testing.assert_array_equal(line.get_ydata(), curve["sensitivity"])
    assert (point.get_xdata()[0], point.get_ydata()[0]) == (0.25, 0.8)
    assert point.get_label() == "operating point: 80 % sensitivity, 0.25 false positives per image"
    assert axes.get_xlabel() == "false positives per image (count)"
    legible(figure)


def test_froc_without_any_false_positive_has_an_axis(curve) -> None:
    (axes,) = figures.froc(curve.assign(fp_per_image=0.0)).axes
    assert axes.get_xlim()[0] < 0 < axes.get_xlim()[1]
    assert len(axes.lines) == 1


def test_strata_hold_their_images(evaluated, legible) -> None:
    known = evaluated[evaluated["dice"].notna()]
    means = known.groupby("size_stratum", observed=True)["dice"].mean()
    intervals = {str(k): (m, m - 0.1, m + 0.1) for k, m in means.items()}
    figure = figures.strata_boxes(evaluated, intervals=intervals)
    (axes,) = figure.axes
    names = [text.get_text() for text in axes.get_xticklabels()]
    for place, stratum in enumerate(("smallest", "small", "large", "largest")):
        part = known.loc[known["size_stratum"] == stratum, "dice"]
        assert names[place] == f"{stratum}\nn = {len(part)}"
        points = [np.asarray(c.get_offsets()) for c in axes.collections if c.get_label() == "_image"][place]
        np.testing.assert_array_equal(np.sort(points[:, 1]), np.sort(part))
        assert (abs(points[:, 0] - place) < 0.5).all()
        median = part.median()
        assert any(np.allclose(line.get_ydata(), median) for line in axes.lines)
        mean = axes.containers[-4 + place].lines[0]
        assert mean.get_ydata()[0] == pytest.approx(part.mean())
    assert axes.get_ylabel() == "Dice (0–1)"
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["mean with 95 % interval"]
    legible(figure)


def test_strata_of_plain_words_keep_the_order_asked_for(evaluated) -> None:
    (axes,) = figures.strata_boxes(evaluated, by="label", order=["malignant", "normal", "benign"]).axes
    assert [t.get_text().split("\n")[0] for t in axes.get_xticklabels()] == ["malignant", "benign"]
    (axes,) = figures.strata_boxes(evaluated, by="label").axes
    assert [t.get_text().split("\n")[0] for t in axes.get_xticklabels()] == ["benign", "malignant"]


def test_a_metric_in_millimetres_is_not_squeezed_into_a_share(evaluated) -> None:
    (axes,) = figures.strata_boxes(evaluated.assign(hd95_mm=evaluated["dice"] * 40), metric="hd95_mm").axes
    assert axes.get_ylabel() == "HD95 (mm)"
    assert axes.get_ylim()[1] > 30


def test_threshold_curve_draws_every_metric(curve, legible) -> None:
    table = curve.rename(columns={"fp_per_image": "false_positive"})
    figure = figures.threshold_curve(table, chosen=0.4)
    (axes,) = figure.axes
    drawn = {line.get_label(): line.get_ydata() for line in axes.lines[:2]}
    np.testing.assert_array_equal(drawn["sensitivity per lesion (0–1)"], curve["sensitivity"])
    np.testing.assert_array_equal(drawn["false-positive rate, normal images (0–1)"], curve["fp_per_image"])
    assert axes.lines[2].get_xdata()[0] == 0.4
    assert axes.texts[0].get_text() == "chosen: 0.4"
    legible(figure)


@pytest.mark.process
def test_scores_stand_at_their_lesion_size(evaluated, legible) -> None:
    figure = figures.score_scatter(evaluated)
    (axes,) = figure.axes
    for points, label in zip(axes.collections, ("benign", "malignant"), strict=True):
        part = evaluated[evaluated["label"] == label]
        np.testing.assert_allclose(points.get_offsets()[:, 0], 100 * part["lesion_share"])
        np.testing.assert_allclose(points.get_offsets()[:, 1], part["dice"])
        assert points.get_label() == f"{label} (n = {len(part)})"
    known = evaluated[evaluated["dice"].notna()].sort_values("lesion_share")
    first = known.iloc[: len(known) // 10]
    (line,) = axes.lines
    assert line.get_xdata()[0] == pytest.approx(100 * first["lesion_share"].median())
    assert line.get_ydata()[0] == pytest.approx(first["dice"].median())
    assert axes.get_xlabel() == "lesion area (% of the image, log scale)"
    legible(figure)


def test_few_scores_have_no_median_line(evaluated) -> None:
    (axes,) = figures.score_scatter(evaluated.head(12).assign(lesion_area_px=900), size="lesion_area_px").axes
    assert not axes.lines
    assert "px" in axes.get_xlabel()


@pytest.mark.process
def test_paired_difference_draws_both_and_their_difference(evaluated, legible) -> None:
    rows = evaluated.assign(first=evaluated["dice"], second=(evaluated["dice"] + 0.03).clip(upper=1))
    figure = figures.paired_difference(rows, ("unet", "seed"), interval=(0.03, 0.01, 0.05))
    left, right = figure.axes
    known = rows[rows["dice"].notna()]
    drawn = np.concatenate([np.asarray(c.get_offsets()) for c in left.collections])
    assert len(drawn) == len(known)
    np.testing.assert_allclose(np.sort(drawn[:, 1] - drawn[:, 0]), np.sort(known["second"] - known["first"]))
    bars = right.patches[:41]
    assert sum(bar.get_height() for bar in bars) == len(known)
    gained = sum(bar.get_height() for bar in bars if bar.get_x() + bar.get_width() / 2 > 0.01)
    assert gained == ((known["second"] - known["first"]) > 0.0).sum()
    assert right.lines[1].get_xdata()[0] == 0.03
    assert left.get_xlabel() == "unet: Dice (0–1)"
    assert right.get_xlabel() == "difference in Dice\nseed − unet"
    legible(figure)


def test_paired_difference_needs_no_class_nor_interval() -> None:
    rows = pd.DataFrame({"first": [0.1, 0.2, np.nan], "second": [0.1, 0.3, 0.4]})
    left, right = figures.paired_difference(rows).axes
    assert "n = 2" in left.get_title(loc="left")
    assert right.get_legend() is None


@pytest.mark.parametrize(
    ("draw", "columns"),
    [
        (figures.reliability, ["low", "high", "confidence", "frequency", "count"]),
        (figures.froc, ["fp_per_image", "sensitivity", "threshold"]),
        (figures.strata_boxes, ["dice", "size_stratum"]),
        (figures.threshold_curve, ["threshold", "dice"]),
        (figures.score_scatter, ["dice", "lesion_share", "label"]),
        (figures.paired_difference, ["first", "second"]),
    ],
)
def test_empty_or_wrong_tables_are_refused(draw, columns) -> None:
    with pytest.raises(FigureError, match="nothing to draw"):
        draw(pd.DataFrame({column: [] for column in columns}))
    with pytest.raises(FigureError, match=f"no column .*'{columns[-1]}'"):
        draw(pd.DataFrame({column: [0.5] for column in columns[:-1]}))


def test_a_table_without_one_score_is_refused(evaluated) -> None:
    with pytest.raises(FigureError, match="nothing to draw"):
        figures.score_scatter(evaluated.assign(dice=np.nan))
    with pytest.raises(FigureError, match="nothing to draw"):
        figures.strata_boxes(evaluated.assign(dice=np.nan))


@pytest.mark.process
def test_the_same_tables_give_the_same_bytes(evaluated, bins, tmp_path) -> None:
    for name, draw in {
        "strata": lambda: figures.strata_boxes(evaluated),
        "scatter": lambda: figures.score_scatter(evaluated),
        "reliability": lambda: figures.reliability(bins),
    }.items():
        one, two = (save(draw(), tmp_path / f"{name}-{n}.png", dpi=60).read_bytes() for n in "ab")
        assert one == two, name
