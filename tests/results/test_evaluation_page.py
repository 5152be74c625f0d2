"""The page of an evaluation: complete, true to the summary, and safe with any name."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from sonoseg import RESEARCH_ONLY
from sonoseg.evaluation import comparison
from sonoseg.evaluation.policy import POLICY
from sonoseg.results import evaluation_tables
from sonoseg.results.evaluation_figures import PageFigure
from sonoseg.results.evaluation_page import render_evaluation, write_evaluation_page
from sonoseg.results.evaluation_tables import (
    EvaluationTable,
    comparison_table,
    interval,
    number,
    p_value,
    results_table,
    strata_table,
    uncertainty_table,
)

NONE: dict[str, Any] = {"mean": None, "low": None, "high": None, "n": 0, "groups": 0}


def one(mean: float, low: float | None = None, high: float | None = None, n: int = 40) -> dict[str, Any]:
    return {"mean": mean, "low": low, "high": high, "n": n, "groups": 30}


def cells(table: EvaluationTable | None) -> list[list[str]]:
    """List the rows below the headings: name, cells and numbers."""
    assert table is not None
    return [[row.name, *row.cells, *row.numbers] for row in table.rows if not row.is_heading]


def test_uncertainty_is_reported_where_measured(summary: dict[str, Any]) -> None:
    assert uncertainty_table(summary) is None  # an evaluation of an earlier version
    names = ("spearman", "aurc", "aurc_oracle", "aurc_random", "gain")
    found = {name: one(-0.61 if name == "spearman" else 0.1, -0.7, 0.2) for name in names}
    found["dice_after_referral"] = {"0": one(0.7), "0.2": one(0.812, 0.8, 0.83, n=32)}
    found["false_positive_auroc"] = NONE
    rows = cells(uncertainty_table(summary | {"uncertainty": found}))
    assert rows[0][1] == "-0.610 [-0.700, 0.200]"
    assert [row[1:] for row in rows if "20 %" in row[0]] == [["0.812 [0.800, 0.830]", "32", "30"]]
    assert not any("AUROC" in row[0] for row in rows)  # no normal images
    assert "-0.610 [-0.700, 0.200]" in render_evaluation(summary | {"uncertainty": found}, [])


@pytest.fixture
def summary() -> dict[str, Any]:
    scores = {
        name: one(0.7, 0.6, 0.8)
        for name in (
            *("dice", "iou", "precision", "recall", "pixel_accuracy", "missed", "hd95_px"),
            *("hd95_percent_diagonal", "nsd", "nsd_px", "asd_px", "raw_dice", "raw_iou"),
        )
    } | dict.fromkeys(("hd95_mm", "nsd_mm", "asd_mm"), NONE)
    return {
        "model": {
            "name": "toy (0123)",
            "sha256": "ab" * 32,
            "threshold": 0.4,
            "postprocessing": {"min_area": 0},
        },
        "data": {
            "fingerprint": "cd" * 32,
            "sources": [{"name": "busi", "title": "B.", "licence": "CC BY", "citation": "A. B."}],
        },
        "split": {"file": "split.json", "sha256": "ef" * 32, "dropped": 3},
        "statement": "The test part of fold 0; grouped split of 5 folds",
        "cautions": [],
        "command": "sonoseg evaluate toy",
        "created": "2025-01-01T00:00:00+00:00",
        "sonoseg": "0.1",
        "versions": {"numpy": "2.0"},
        "policy": POLICY.as_dict(),
        "size_edges": [0.02, 0.05, 0.13],
        "counts": {
            "images": 50,
            "groups": 45,
            "with_lesion": 40,
            "normal": 10,
            "unannotated": 0,
            "lesions": 41,
        },
        "per_image": scores,
        "pooled": {name: one(0.9, 0.85, 0.95) for name in ("dice", "iou", "precision", "recall")},
        "lesions": {
            "sensitivity": one(0.875, 0.75, 1.0, n=41),
            "false_positives_per_image": one(0.25, 0.1, 0.4, n=50),
            "false_positives_per_normal": one(0.3, 0.1, 0.5, n=10),
            "sensitivity_at_fp_per_image": {"0.1": {**one(0.5, 0.4, 0.6), "threshold": 0.91}},
        },
        "normals": {
            name: one(0.4, 0.1, 0.7, n=10)
            for name in ("false_positive", "raw_false_positive", "predicted_area_share")
        },
        "calibration": {
            name: {"ece": one(0.05, 0.04, 0.06), "brier": one(0.02, 0.01, 0.03)}
            for name in ("whole", "foreground", "band", "normals")
        },
        "strata": {
            "size": {
                level: {name: one(0.55, 0.4, 0.7, n=10) for name in ("dice", "iou", "nsd", "missed")}
                for level in ("Q1 smallest", "Q4 largest")
            }
        },
    }


class Checker(HTMLParser):
    """Every tag closed in order, and what the page asks the network for."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.outside: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href") and value and not value.startswith("data:"):
                self.outside.append(value)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check(page: str) -> Checker:
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    return checker


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_page_states_data_and_figures(summary: dict[str, Any]) -> None:
    page = render_evaluation(summary, [])
    text = text_of(page)
    assert "Evaluation of toy (0123)" in text
    assert text.count(RESEARCH_ONLY) == 2  # at the head and at the foot
    assert "The test part of fold 0; grouped split of 5 folds" in text
    assert "50 images in 45 groups" in text
    assert "40 with a lesion, 10 normal" in text
    assert "0.700 [0.600, 0.800] 40 30" in text
    assert "87.5 % [75.0 %, 100.0 %] 41" in text
    assert "edges 2 %, 5 %, 13 % of the image" in text
    assert "0.1 % of it is predicted" in text
    for proof in (
        "ab" * 32,
        "cd" * 32,
        "ef" * 32,
        "sonoseg evaluate toy",
        "numpy 2.0",
        "A. B. Licence: CC BY",
    ):
        assert proof in text


def test_page_is_self_contained(summary: dict[str, Any], tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    image.write_bytes(b"\x89PNG not really")
    checker = check(render_evaluation(summary, [PageFigure("froc", image, "A curve.", "Curve")]))
    assert checker.outside == []
    assert "script" not in checker.tags
    assert checker.tags.count("img") == 1
    page = render_evaluation(summary, [])
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


def test_unmeasured_figures_have_no_row(summary: dict[str, Any]) -> None:
    assert not any("mm" in row[0] for row in cells(results_table(summary)))
    summary["per_image"]["hd95_mm"] = one(4.2, 3.0, 5.5, n=7)
    assert ["HD95, mm", "4.2 [3.0, 5.5]", "7", "30"] in cells(results_table(summary))


def test_cautions_and_unannotated_images_are_shown(summary: dict[str, Any]) -> None:
    summary["cautions"] = ["Training images: it remembers."]
    summary["counts"]["unannotated"] = 2
    page = render_evaluation(summary, [])
    assert '<p class="caution">Training images: it remembers.</p>' in page
    assert "2 labelled as lesion have an empty mask" in page


def test_names_are_escaped(summary: dict[str, Any]) -> None:
    nasty = "<script>alert('x')</script>&"
    summary["model"]["name"] = nasty
    summary["statement"] = nasty
    summary["cautions"] = [nasty]
    summary["command"] = nasty
    summary["data"]["sources"][0]["citation"] = nasty
    page = render_evaluation(summary, [])
    assert "<script" not in page
    check(page)


def test_an_evaluation_without_lesions_still_has_a_page(summary: dict[str, Any]) -> None:
    summary["per_image"] = dict.fromkeys(summary["per_image"], NONE)
    summary["pooled"] = dict.fromkeys(summary["pooled"], NONE)
    summary["lesions"]["sensitivity"] = NONE
    summary["lesions"]["sensitivity_at_fp_per_image"] = {"0.1": {**NONE, "threshold": None}}
    summary["strata"] = {"size": {}}
    page = render_evaluation(summary, [])
    check(page)
    assert "False-positive rate, normal images" in page
    assert "Strata" not in page
    assert not strata_table(summary).rows


def compared(summary: dict[str, Any]) -> dict[str, Any]:
    result = {
        "first": one(0.8, 0.7, 0.9),
        "second": one(0.7, 0.6, 0.8),
        "difference": one(0.1, 0.02, 0.18),
        "p_permutation": 0.0123,
        "p_wilcoxon": 0.00001,
        "higher": 20,
        "lower": 10,
        "equal": 10,
    }
    return {
        "first": "toy (0123)",
        "second": "old <model>",
        "images": 48,
        "only_first": 2,
        "only_second": 0,
        "second_cautions": ["It was trained on them."],
        "metrics": {"dice": result, "false_positive": {**result, "difference": NONE}},
        "strata": {"size": {"Q1 smallest": {"dice": result}}},
    }


def test_a_comparison_shows_difference_interval_and_p(summary: dict[str, Any]) -> None:
    page = render_evaluation(summary, [], compared(summary))
    check(page)
    text = text_of(page)
    assert "48 images measured with both models" in text
    assert "2 images of the first evaluation and 0 of the second are not in the other" in text
    assert "Dice 0.800 0.700 0.100 [0.020, 0.180] 0.012 ≤ 0.0001 40" in text
    assert "old &lt;model&gt;: It was trained on them." in text
    assert "Dice by lesion area" in text
    assert [row[0] for row in cells(comparison_table(compared(summary)))] == ["Dice", "Q1 smallest"]


def test_page_is_written(summary: dict[str, Any], tmp_path: Path) -> None:
    page = write_evaluation_page(tmp_path / "new", summary, [])
    assert page.read_text("utf-8") == render_evaluation(summary, [])


@pytest.mark.parametrize(
    ("figure", "kind", "expected"),
    [
        (one(0.74249, 0.7, 0.8), "score", "0.742 [0.700, 0.800]"),
        (one(0.451, 0.4, 0.5), "share", "45.1 % [40.0 %, 50.0 %]"),
        (one(12.345, 10, 15), "distance", "12.3 [10.0, 15.0]"),
        (one(0.256, 0.1, 0.4), "rate", "0.26 [0.10, 0.40]"),
        (one(0.5), "score", "0.500 (no interval)"),
        (NONE, "score", "not measured"),
    ],
)
def test_figure_format(figure: dict[str, Any], kind: Any, expected: str) -> None:
    assert interval(figure, kind) == expected
    if figure["mean"] is not None:
        assert expected.startswith(number(figure["mean"], kind))


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        (None, "none"),
        (0.5, "0.500"),
        (0.0123, "0.012"),
        (0.0031, "0.0031"),
        (1e-4, "≤ 0.0001"),
        (0.0, "≤ 0.0001"),
    ],
)
def test_p_value_format(p: float | None, expected: str) -> None:
    assert p_value(p) == expected


def test_figures_are_in_their_sections(
    summary: dict[str, Any], tmp_path: Path, make_png: Callable[[str], Path]
) -> None:
    sections = ("strata", "froc", "calibration", "threshold", "cases", "comparison")
    figures = [PageFigure(name, make_png(name), f"Caption of {name}.", name) for name in sections]
    page = render_evaluation(summary, figures, compared(summary))
    assert all(f"Caption of {name}." in page for name in sections)
    assert page.count("data:image/png;base64,") == len(sections)


@pytest.fixture
def make_png(tmp_path: Path) -> Callable[[str], Path]:
    def make(name: str) -> Path:
        path = tmp_path / f"{name}.png"
        path.write_bytes(name.encode())
        return path

    return make


def test_every_compared_metric_has_a_row_in_the_report() -> None:
    assert set(evaluation_tables._COMPARED) == set(comparison.METRICS)
