"""The scripted reader draws as the tools of the review page do, and counts its actions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from sonoseg.inference.smart_click import Point

ROWS, COLUMNS = np.mgrid[:160, :200]


def disc(row: float, column: float, radius: float) -> np.ndarray:
    return np.asarray((ROWS - row) ** 2 + (COLUMNS - column) ** 2 < radius**2)


@pytest.fixture
def reader(benchmark_script: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_script("scripted_reader")


@pytest.fixture
def study(benchmark_script: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_script("reading_time")


def scene(reader: ModuleType, truth: np.ndarray, *, known: bool = False) -> object:
    """An image that shows the true mask darkly, and perhaps a probability that knows it."""
    rng = np.random.default_rng(0)
    pixels = np.where(truth, 40, 160).astype(np.uint8) + rng.integers(0, 30, truth.shape, dtype=np.uint8)
    return reader.Scene(pixels, truth, truth.astype(np.float32) * 0.9 + 0.05 if known else None)


@pytest.mark.parametrize("inside", [True, False])
def test_a_stroke_corrects_and_never_passes_the_true_border(reader: ModuleType, inside: bool) -> None:
    truth, mask = disc(80, 100, 40), disc(80, 88, 40)
    aim = next(
        point
        for point in (Point(80, 133, True), Point(80, 54, False))  # both crescents
        if point.inside is inside
    )
    stroke = reader.best_stroke(mask, truth, aim)
    wrong = (truth & ~mask) if inside else (mask & ~truth)
    assert (stroke.covers & wrong).sum() > 0.5 * wrong.sum()
    other_side = ~truth if inside else truth
    depth = distance_transform_edt(other_side)
    assert depth[stroke.covers].max() <= 1.5, "at most the pixels along the border"
    # What it covers is a round brush along its way, without gaps.
    assert np.abs(np.diff(stroke.way, axis=0)).max() == 1
    places = np.ones(truth.shape, dtype=bool)
    places[stroke.way[:, 0], stroke.way[:, 1]] = False
    assert (stroke.covers == (distance_transform_edt(places) <= stroke.brush / 2)).all()
    assert stroke.brush in reader.BRUSHES


def test_the_way_is_the_longest_and_goes_where_it_is_worth_it(reader: ModuleType) -> None:
    part = np.zeros((30, 60), dtype=bool)
    part[5:25, 5:55] = True
    worth = np.exp(-((np.arange(30) - 12.0) ** 2) / 8)[:, None] * np.ones((1, 60), dtype=np.float32)
    way = reader._way(part, worth.astype(np.float32))
    assert abs(way[0, 1] - way[-1, 1]) > 40
    middle = way[(way[:, 1] > 20) & (way[:, 1] < 40)]
    assert np.abs(middle[:, 0] - 12).max() <= 2


def test_key_presses_between_brushes_are_the_pages(reader: ModuleType) -> None:
    assert reader.presses(14, 14) == 0
    assert reader.presses(14, 16) == 1
    assert reader.presses(14, 12) == 1
    assert reader.presses(6, 2) == 4
    assert reader.presses(14, 28) == reader.presses(14, 21) + reader.presses(21, 28)


@pytest.mark.parametrize("tools", ["both", "clicks", "brush", "polygon"])
def test_every_way_reaches_the_goal_and_is_counted(reader: ModuleType, tools: str) -> None:
    truth = disc(60, 80, 30) | disc(120, 160, 14)
    start = disc(60, 70, 26) | disc(30, 170, 16)  # one to be moved, one missing, one that is none
    work = reader.correct(scene(reader, truth), start, tools)
    assert work.reached
    assert work.actions > 0
    assert work.done["delete"] + work.done["clear"] >= 1
    if tools == "brush":
        assert work.done["click"] == work.corners == 0
        assert work.pieces >= work.done["stroke"] > 0
    if tools == "polygon":
        assert work.corners >= 3 * work.done["polygon"] > 0
    else:
        steps = sum(work.done[name] for name in ("click", "stroke", "delete")) - work.done["undo"]
        assert len(work.dice) == 1 + steps


def test_a_right_mask_takes_nothing(reader: ModuleType) -> None:
    truth = disc(60, 80, 30)
    for tools in ("both", "clicks", "brush", "polygon"):
        assert reader.correct(scene(reader, truth), truth, tools).actions == 0


def test_a_better_start_takes_less(reader: ModuleType) -> None:
    truth = disc(60, 80, 30)
    for tools in ("brush", "polygon"):
        near = reader.correct(scene(reader, truth), disc(60, 80, 28), tools)
        far = reader.correct(scene(reader, truth), disc(60, 80, 0), tools)
        assert near.actions <= far.actions


def test_a_polygon_has_few_corners_and_the_wanted_dice(reader: ModuleType) -> None:
    truth = disc(60, 80, 30)
    drawn, corners = reader.polygon(truth, 0.95)
    assert reader.overlap(drawn, truth) >= 0.95
    assert 5 <= corners <= 12
    exact, many = reader.polygon(truth, 0.99)
    assert reader.overlap(exact, truth) >= 0.99
    assert many > corners


def test_the_test_part_is_never_chosen(study: ModuleType, tmp_path: Path) -> None:
    import argparse

    import pandas as pd

    from sonoseg.data.prepared_set import PreparedSet
    from sonoseg.data.splits import Split

    names = [f"own/{n}" for n in range(50)]
    table = pd.DataFrame(
        {"set": "own", "label": ["normal" if n % 7 == 0 else "benign" for n in range(50)]}, names
    )
    prepared = PreparedSet(tmp_path, {"fingerprint": "f", "sources": [{"name": "own"}]}, table)
    folds = {name: number % 5 for number, name in enumerate(names)}
    split = Split(method="grouped", policy="all", seed=0, fingerprint="f", folds=folds, dropped={})
    wish = argparse.Namespace(fold=0, set="own", seed=1, skip=2, images=5)
    ids = study.chosen(prepared, split, wish)
    assert len(ids) == 5
    assert set(ids) <= set(split.part(0).validation)
    assert not set(ids) & set(split.part(0).test)
    assert all(table.loc[name, "label"] == "benign" for name in ids)
    with pytest.raises(SystemExit, match="only"):
        study.chosen(prepared, split, argparse.Namespace(fold=0, set="own", seed=1, skip=0, images=50))


def test_seconds_are_sums_of_the_models_operators(reader: ModuleType, study: ModuleType) -> None:
    times, shape = study.Times(), (694, 721)
    nothing = reader.Work(dice=[1.0])
    assert times.of(nothing, shape, 0.2) == 0
    clicked = reader.Work(dice=[0.5, 0.96])
    clicked.done.update(click=2)
    # Two clicks of M + P + two halves of a press and the answer, and a key for the tool with its M.
    assert times.of(clicked, shape, 0.2) == pytest.approx(2 * (1.35 + 1.1 + 0.2 + 0.2) + 1.35 + 0.2)
    stroked = reader.Work(dice=[0.5, 0.96], drawn=100.0, pieces=3)
    stroked.done.update(stroke=1, size=4)
    shown = 100 * 0.96 * 2.54 / 96
    expected = 1.35 + 1.1 + 0.2 + 3 * 0.9 + 0.16 * shown + 4 * 0.2 + 1.35 + 0.2
    assert times.of(stroked, shape, 0.2) == pytest.approx(expected)


def test_figures_are_paired(study: ModuleType) -> None:
    def row(number: int, model: int, without: int) -> dict[str, object]:
        made: dict[str, object] = {"id": str(number), "group": str(number), "actions": {}}
        for tools in study.TOOLS:
            for start, actions in (("model", model), ("empty", without), ("without", without)):
                if start == "empty" and tools in ("brush", "polygon"):
                    continue
                made["actions"][f"{tools}/{start}"] = actions  # type: ignore[index]
                made[f"{tools}/{start}"] = {
                    "click": actions, "corners": 0, "seconds": 2.0 * actions,
                    "dice": [0.96 if actions == 0 else 0.5, 0.96], "reached": True,
                }  # fmt: skip
        for start in study.STARTS:
            made[f"fastest/{start}"] = study.fastest(made, start)
            made["actions"][f"fastest/{start}"] = made[f"fastest/{start}"]["click"]  # type: ignore[index]
        return made

    told = study.figures([row(0, 0, 5), row(1, 3, 6), row(2, 4, 3)])
    assert told["mean"]["both"]["model"]["actions"]["mean"] == pytest.approx(7 / 3)
    assert told["mean"]["both"]["model"]["nothing_to_do"] == 1
    fewer = told["difference"]["both"]["without"]
    assert fewer["actions"]["mean"] == pytest.approx((5 + 3 - 1) / 3)
    assert (fewer["fewer_with_model"], fewer["more_with_model"]) == (2, 1)
    assert fewer["seconds"]["mean"] == pytest.approx(2 * 7 / 3)


def test_the_fastest_is_of_all_tools_that_may_be_used(study: ModuleType) -> None:
    row = {
        f"{tools}/{start}": {"seconds": seconds}
        for (tools, start), seconds in {
            ("both", "model"): 5.0, ("clicks", "model"): 7.0, ("brush", "model"): 4.0,
            ("polygon", "model"): 9.0,
            ("both", "empty"): 8.0, ("clicks", "empty"): 7.5,
            ("both", "without"): 9.0, ("clicks", "without"): 9.5, ("brush", "without"): 12.0,
            ("polygon", "without"): 7.0,
        }.items()
    }  # fmt: skip
    assert study.fastest(row, "model")["tools"] == "brush/model"
    assert study.fastest(row, "empty")["tools"] == "polygon/without"
    assert study.fastest(row, "without")["tools"] == "polygon/without"
