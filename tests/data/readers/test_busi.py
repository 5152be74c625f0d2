"""BUSI: published layout, groups, objections, marks."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from sonoseg.data.readers import read_source
from sonoseg.data.readers.busi import known_problems


def test_classes_masks_and_order(busi: Path) -> None:
    source = read_source(busi)
    assert [r.id for r in source.records] == [
        "busi/benign (1)",
        "busi/benign (4)",
        "busi/benign (10)",
        "busi/benign (100)",
        "busi/malignant (1)",
        "busi/normal (1)",
    ]
    by_id = {r.id: r for r in source.records}
    assert [m.name for m in by_id["busi/benign (4)"].masks] == [
        "benign (4)_mask.png",
        "benign (4)_mask_1.png",
    ]
    assert by_id["busi/normal (1)"].label == "normal"
    assert source.kind == "busi"
    assert not source.unmatched_masks


def test_the_outer_folder_does_as_well(busi: Path) -> None:
    assert read_source(busi.parent).folder == busi


def test_facts_reach_the_records(busi: Path) -> None:
    record = read_source(busi).records[0]
    assert (record.group, record.duplicates, record.marks) == ("busi:G001", "busi:G001", "text")
    assert record.patient == ""


def test_another_image_ending(busi: Path) -> None:
    old = busi / "benign" / "benign (1).png"
    old.rename(old.with_suffix(".PNG"))
    assert len(read_source(busi).records) == 6


def test_a_mask_without_its_image_is_a_stray(busi: Path) -> None:
    (busi / "malignant" / "malignant (1).png").unlink()
    source = read_source(busi)
    assert [path.name for path in source.unmatched_masks] == ["malignant (1)_mask.png"]
    assert len(source.records) == 5


def test_an_image_the_facts_do_not_know(busi: Path) -> None:
    shutil.copy(busi / "benign" / "benign (1).png", busi / "benign" / "benign (999).png")
    record = next(r for r in read_source(busi).records if r.id.endswith("(999)"))
    assert (record.group, record.duplicates) == ("busi:benign (999)", "")


def test_the_published_facts() -> None:
    facts = known_problems()
    assert len(facts) == 780
    sizes = Counter(row["group_id"] for row in facts.values())
    assert all(sizes[row["group_id"]] == int(row["group_size"]) for row in facts.values())
    several = [size for size in sizes.values() if size > 1]
    assert (len(several), sum(several)) == (153, 346)
    assert Counter(row["objection"] for row in facts.values()) == {
        "": 684,
        "axilla": 70,
        "multiclass": 19,
        "needle": 7,
    }
    assert facts["benign (433)"]["group_id"] == facts["malignant (145)"]["group_id"]


@pytest.mark.real
def test_published_counts(real_busi: Path) -> None:
    source = read_source(real_busi)
    assert Counter(r.label for r in source.records) == {"benign": 437, "malignant": 210, "normal": 133}
    assert sum(len(r.masks) for r in source.records) == 798
    assert sum(len(r.masks) > 1 for r in source.records) == 17
    assert {r.id.split("/")[1] for r in source.records} == set(known_problems())
    assert not source.unmatched_masks
