"""A whole evaluation: rows, summary, files, and what it refuses."""

from __future__ import annotations

import json
import math
import tracemalloc
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sonoseg.errors import DatasetError
from sonoseg.evaluation.evaluation import Evaluation, evaluate
from sonoseg.evaluation.policy import Policy
from sonoseg.evaluation.threshold_sweep import ThresholdSweep
from sonoseg.metrics.overlap import confusion, pooled
from sonoseg.metrics.probability_calibration import ece
from sonoseg.results.codebook import EVALUATION, names

QUICK = Policy(resamples=200)


@pytest.fixture
def evaluated(mixed: Any, shifted: Any) -> Evaluation:
    return evaluate(shifted, mixed, mixed.ids, about={"model": {"name": "toy (0)"}}, policy=QUICK)


def test_a_row_per_image_in_the_order_given(evaluated: Evaluation, mixed: Any) -> None:
    assert evaluated.rows["id"].tolist() == mixed.ids
    first = evaluated.rows.iloc[1]
    assert first["group"] == "toy:g0"
    assert first["height"] == 60
    assert first["width"] == 80
    assert first["lesion_area_px"] == mixed.mask("toy/lesion01").sum()
    assert first["lesion_share"] == pytest.approx(first["lesion_area_px"] / 4800)
    assert first["spacing_row"] == 0.1
    assert evaluated.name == "toy (0)"
    assert tuple(evaluated.rows.columns) == names(EVALUATION)  # the codebook's


def test_every_mean_has_its_interval_and_its_n(evaluated: Evaluation) -> None:
    lesions = evaluated.rows[evaluated.rows["kind"] == "lesion"]
    for name, one in evaluated.summary["per_image"].items():
        known = lesions[name].dropna()
        assert one["n"] == len(known)
        assert one["mean"] == pytest.approx(known.mean())
        assert one["low"] <= one["mean"] <= one["high"]
    assert evaluated.summary["per_image"]["dice"]["groups"] == 6
    assert evaluated.summary["per_image"]["hd95_mm"]["n"] == 6


def test_normals_are_apart(evaluated: Evaluation) -> None:
    normals = evaluated.rows[evaluated.rows["kind"] == "normal"]
    assert normals[["dice", "iou", "hd95_px", "nsd", "missed"]].isna().all().all()
    assert evaluated.summary["normals"]["false_positive"]["mean"] == pytest.approx(1 / 4)
    assert evaluated.summary["normals"]["false_positive"]["n"] == 4
    assert evaluated.summary["counts"] == {
        "images": 16,
        "groups": 10,
        "with_lesion": 12,
        "normal": 4,
        "unannotated": 0,
        "lesions": 12,
        "with_spacing": 6,
    }


@pytest.mark.process
def test_adding_normals_changes_no_lesion_score(mixed: Any, shifted: Any) -> None:
    lesions = [name for name in mixed.ids if "lesion" in name]
    alone = evaluate(shifted, mixed, lesions, policy=QUICK).summary
    together = evaluate(shifted, mixed, mixed.ids, policy=QUICK).summary
    assert alone["per_image"] == together["per_image"]
    assert alone["pooled"] == together["pooled"]
    assert alone["normals"]["false_positive"] == {
        "mean": None,
        "low": None,
        "high": None,
        "n": 0,
        "groups": 0,
    }


def test_the_missed_lesion_counts(evaluated: Evaluation) -> None:
    row = evaluated.rows.set_index("id").loc["toy/lesion00"]
    assert (row["dice"], row["missed"], row["hd95_percent_diagonal"]) == (0.0, 1.0, 100.0)
    assert evaluated.summary["per_image"]["missed"]["mean"] == pytest.approx(1 / 12)
    assert evaluated.summary["lesions"]["sensitivity"]["mean"] == pytest.approx(11 / 12)
    assert evaluated.summary["lesions"]["sensitivity"]["n"] == 12


def test_pooled_is_pooled(evaluated: Evaluation, mixed: Any, shifted: Any) -> None:
    found = {s.frame.name: s.mask for s in shifted.predict_many(mixed.frame(name) for name in mixed.ids)}
    counts = pooled(confusion(mixed.mask(n), found[n]) for n in mixed.ids if mixed.mask(n).any())
    assert evaluated.summary["pooled"]["dice"]["mean"] == pytest.approx(counts.dice)
    assert evaluated.summary["pooled"]["iou"]["mean"] == pytest.approx(counts.iou)
    assert counts.dice > evaluated.summary["per_image"]["dice"]["mean"]  # large lesions rule the pool


def test_calibration_is_of_the_pooled_pixels(evaluated: Evaluation, mixed: Any, shifted: Any) -> None:
    names = [name for name in mixed.ids if mixed.mask(name).any()]
    true = np.concatenate([mixed.mask(name) for name in names])
    probability = np.concatenate([shifted.answer(name) for name in names]).astype(np.float32)
    one = evaluated.summary["calibration"]["whole"]["ece"]
    assert one["mean"] == pytest.approx(ece(true, probability))
    assert one["low"] <= one["mean"] <= one["high"]
    assert evaluated.summary["calibration"]["whole"]["pixels"] == true.size
    regions = evaluated.reliability["region"].unique().tolist()
    assert regions == ["whole", "foreground", "band", "normals"]


def test_strata_partition_the_lesions(evaluated: Evaluation) -> None:
    assert evaluated.summary["strata"].pop("set") == {}  # there is one set
    for name, levels in evaluated.summary["strata"].items():
        assert sum(one["dice"]["n"] for one in levels.values()) == 12, name
        for level, one in levels.items():
            column = {"size": "size_stratum", "class": "label", "marks": "marks_stratum"}.get(name, name)
            own = evaluated.rows[evaluated.rows[column] == level]
            assert one["dice"]["mean"] == pytest.approx(own["dice"].mean())
    assert list(evaluated.summary["strata"]["size"]) == ["Q1 smallest", "Q2", "Q3", "Q4 largest"]
    assert [one["dice"]["n"] for one in evaluated.summary["strata"]["size"].values()] == [3, 3, 3, 3]
    assert evaluated.summary["strata"]["size"]["Q1 smallest"]["missed"]["mean"] == pytest.approx(1 / 3)


def test_size_quarters_are_of_the_whole_set_not_of_the_part(mixed: Any, shifted: Any) -> None:
    part = evaluate(shifted, mixed, ["toy/lesion10", "toy/lesion11", "toy/lesion01"], policy=QUICK)
    assert part.rows["size_stratum"].tolist() == ["Q4 largest", "Q4 largest", "Q1 smallest"]


def test_the_froc_ends_where_all_candidates_count(evaluated: Evaluation) -> None:
    assert evaluated.froc["sensitivity"].iloc[-1] == pytest.approx(11 / 12)
    assert evaluated.froc["fp_per_image"].iloc[-1] == pytest.approx(1 / 16)
    at = evaluated.summary["lesions"]["sensitivity_at_fp_per_image"]
    # One false positive on 16 images is 0.0625: up to 0.05 nothing is found, at 0.1 the curve has ended.
    assert list(at) == ["0.02", "0.05", "0.1"]
    assert [at[rate]["mean"] for rate in at] == pytest.approx([0.0, 0.0, 11 / 12])
    # The false positive scores highest, so a threshold above it finds nothing.
    assert evaluated.froc["sensitivity"].iloc[1] == 0.0


@pytest.mark.process
def test_saved_and_loaded_it_is_the_same(evaluated: Evaluation, tmp_path: Path) -> None:
    evaluated.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("froc.csv", "images.csv", "reliability.csv", "risk_coverage.csv", "summary.json")
    ]
    again = Evaluation.load(tmp_path)
    pd.testing.assert_frame_equal(again.risk_coverage, evaluated.risk_coverage, rtol=1e-6)
    pd.testing.assert_frame_equal(again.rows, evaluated.rows, check_dtype=False, rtol=1e-6)
    assert again.summary == json.loads(json.dumps(evaluated.summary))
    pd.testing.assert_frame_equal(again.reliability, evaluated.reliability, rtol=1e-6)
    assert again.rows["marks"].tolist() == evaluated.rows["marks"].tolist()


def test_text_is_escaped_in_the_table_and_comes_back(evaluated: Evaluation, tmp_path: Path) -> None:
    rows = evaluated.rows.assign(marks="=1+1")
    replace(evaluated, rows=rows).save(tmp_path)
    assert ",'=1+1," in (tmp_path / "images.csv").read_text("utf-8")
    pd.testing.assert_frame_equal(Evaluation.load(tmp_path).rows, rows, check_dtype=False, rtol=1e-6)


def test_uncertainty_is_a_column_and_a_part_of_the_summary(evaluated: Evaluation) -> None:
    assert evaluated.rows["uncertainty"].between(0, 1).all()
    own = evaluated.summary["uncertainty"]
    assert own["dice_after_referral"]["0"]["mean"] == pytest.approx(evaluated.rows["dice"].mean())
    assert own["aurc"]["n"] == 12
    assert own["false_positive_auroc"]["n"] == 4


def test_an_evaluation_of_an_earlier_format_is_refused(evaluated: Evaluation, tmp_path: Path) -> None:
    evaluated.save(tmp_path)
    old = evaluated.summary | {"format": "sonoseg-study/1"}
    (tmp_path / "summary.json").write_text(json.dumps(old))
    with pytest.raises(DatasetError, match=r"'sonoseg-study/1'.*run it again"):
        Evaluation.load(tmp_path)


@pytest.mark.process
def test_the_same_evaluation_twice_gives_the_same_files(mixed: Any, shifted: Any, tmp_path: Path) -> None:
    for name in ("a", "b"):
        evaluate(shifted, mixed, mixed.ids, policy=QUICK).save(tmp_path / name)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


@pytest.mark.parametrize("damage", ["missing", "torn", "foreign", "column"])
def test_a_folder_without_an_evaluation_is_an_error(
    evaluated: Evaluation, tmp_path: Path, damage: str
) -> None:
    evaluated.save(tmp_path)
    if damage == "missing":
        (tmp_path / "images.csv").unlink()
    elif damage == "column":
        evaluated.rows.drop(columns="nsd").to_csv(tmp_path / "images.csv", index=False)
    elif damage == "torn":
        (tmp_path / "summary.json").write_text('{"format": ')
    else:
        (tmp_path / "summary.json").write_text("[]")
    with pytest.raises(DatasetError, match="sonoseg evaluate"):
        Evaluation.load(tmp_path)


def test_ids_must_be_known_once_and_some(mixed: Any, shifted: Any) -> None:
    with pytest.raises(DatasetError, match="no image has that id"):
        evaluate(shifted, mixed, ["toy/lesion01", "toy/other"])
    with pytest.raises(DatasetError, match="'toy/lesion01' is given twice"):
        evaluate(shifted, mixed, ["toy/lesion01", "toy/lesion02", "toy/lesion01"])
    with pytest.raises(DatasetError, match="no image to measure"):
        evaluate(shifted, mixed, [])


def test_a_study_of_normals_alone_has_no_dice(mixed: Any, shifted: Any) -> None:
    evaluated = evaluate(shifted, mixed, [f"toy/normal{n}" for n in range(4)], policy=QUICK)
    assert evaluated.summary["per_image"]["dice"]["mean"] is None
    assert evaluated.summary["strata"]["size"] == {}
    assert evaluated.summary["lesions"]["sensitivity"]["mean"] is None
    assert evaluated.froc["sensitivity"].isna().all()
    assert evaluated.summary["normals"]["false_positive"]["mean"] == 0.25
    json.dumps(evaluated.summary, allow_nan=False)


def test_an_unannotated_lesion_is_counted_and_left_out(make_set: Any, scripted: Any, make_disc: Any) -> None:
    prepared = make_set(
        [
            {"id": "a", "mask": make_disc(30, 40, 9)},
            {"id": "b", "mask": np.zeros((60, 80), bool), "label": "malignant"},
        ]
    )
    evaluated = evaluate(scripted(lambda name: np.full((60, 80), 0.9)), prepared, ["a", "b"], policy=QUICK)
    assert evaluated.summary["counts"]["unannotated"] == 1
    assert evaluated.summary["counts"]["normal"] == 0
    assert evaluated.summary["normals"]["false_positive"]["n"] == 0
    assert evaluated.summary["lesions"]["false_positives_per_image"]["n"] == 1


def test_images_are_read_as_they_are_needed(mixed: Any, shifted: Any) -> None:
    read: list[str] = []

    class Watching:
        def predict_many(self, images: Iterable[Any], batch: int) -> Iterator[Any]:
            for frame in images:
                read.append(frame.name)
                yield from shifted.predict_many([frame])
                assert len(read) - len(done) <= 1

    done: list[str] = []

    def track(ids: Iterable[str], description: str, total: int | None) -> Iterator[str]:
        assert total == 16
        for name in ids:
            yield name
            done.append(name)

    evaluate(Watching(), mixed, mixed.ids, policy=QUICK, track=track)
    assert read == done == mixed.ids


@pytest.mark.process
def test_memory_stays_flat(make_set: Any, scripted: Any, make_disc: Any) -> None:
    shape = (200, 300)
    one = make_disc(100, 150, 40, shape)
    probability = np.where(one, 0.9, 0.1).astype(np.float32)

    def peak(n: int) -> int:
        prepared = make_set([{"id": f"i{k}", "mask": one} for k in range(n)])
        tracemalloc.start()
        evaluate(scripted(lambda name: probability), prepared, prepared.ids, policy=Policy(resamples=10))
        high = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return high

    few, many = peak(5), peak(60)
    # 55 more images hold 55 * 60,000 pixels: 13 MB of probability if they were kept. A row takes a few kB.
    assert many - few < 2_000_000


def test_a_sweep_on_validation_is_in_the_summary(mixed: Any, shifted: Any) -> None:
    sweep = ThresholdSweep.over()
    evaluated = evaluate(shifted, mixed, mixed.ids, policy=QUICK, sweep=sweep)
    sweep_summary = evaluated.summary["threshold_sweep"]
    assert sweep_summary["n"] == 12
    assert sweep_summary["best"] == 0.5
    assert len(sweep_summary["dice"]) == len(sweep_summary["thresholds"]) == 17
    assert sweep_summary["dice"][8] == pytest.approx(
        evaluated.summary["per_image"]["raw_dice"]["mean"], abs=1e-6
    )


def test_spacing_of_some_images_makes_millimetres_of_some(evaluated: Evaluation) -> None:
    rows = evaluated.rows.set_index("id")
    assert rows["hd95_mm"].notna().sum() == 6
    assert rows.loc["toy/lesion01", "hd95_mm"] == pytest.approx(rows.loc["toy/lesion01", "hd95_px"] * 0.1)
    assert rows.loc["toy/lesion04", "hd95_mm"] > rows.loc["toy/lesion04", "hd95_px"] * 0.1
    assert math.isnan(rows.loc["toy/lesion07", "hd95_mm"])
