"""The scope of an evaluation: the right images, and the cautions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sonoseg._util.files import sha256_file
from sonoseg.data.splits import Split
from sonoseg.errors import DatasetError, UsageError
from sonoseg.evaluation.scope import choose_ids, describe, only_sets
from sonoseg.model.card import ModelCard, TrainingSet


@pytest.fixture
def split(mixed: Any) -> Split:
    folds = {name: n % 4 for n, name in enumerate(mixed.ids)}
    return Split("grouped", "all", 7, mixed.fingerprint, folds)


@pytest.fixture
def split_file(split: Split, tmp_path: Path) -> Path:
    split.save(tmp_path / "split.json")
    return tmp_path / "split.json"


def card(**training: Any) -> ModelCard:
    return ModelCard(name="m", threshold=0.4, data=[TrainingSet(name="toy", images=8)], training=training)


def test_parts_are_the_splits(mixed: Any, split: Split) -> None:
    assert choose_ids(mixed, split, 1, "test") == mixed.ids[1::4]
    assert choose_ids(mixed, split, 1, "validation") == mixed.ids[2::4]
    assert set(choose_ids(mixed, split, 1, "train")) == {*mixed.ids[0::4], *mixed.ids[3::4]}
    assert sorted(choose_ids(mixed, split, 1, "all")) == sorted(mixed.ids)
    assert choose_ids(mixed, None, 0, "all") == mixed.ids


def test_a_part_needs_a_split_and_the_split_its_set(mixed: Any, split: Split) -> None:
    with pytest.raises(UsageError, match="--part all"):
        choose_ids(mixed, None, 0, "test")
    with pytest.raises(UsageError, match="no fold 9"):
        choose_ids(mixed, split, 9, "test")
    mixed.fingerprint = "e" * 64
    with pytest.raises(DatasetError, match="another prepared set"):
        choose_ids(mixed, split, 0, "test")


def test_one_set_of_a_joined_one(mixed: Any, split: Split, split_file: Path) -> None:
    first = mixed.ids[0]
    mixed.table.loc[first, "set"] = "other"
    mixed.sources.append({"name": "other"})
    assert only_sets(mixed, mixed.ids, ["other"]) == [first]
    assert only_sets(mixed, mixed.ids, []) == mixed.ids
    assert sorted(only_sets(mixed, mixed.ids, ["toy", "other"])) == sorted(mixed.ids)
    with pytest.raises(UsageError, match=r"no set 'busy'.*Choose from: toy, other"):
        only_sets(mixed, mixed.ids, ["busy"])
    said = describe(mixed, split, split_file, 1, "test", card(), None, ["other"])
    assert said["statement"].endswith("; only other")


def test_the_models_own_test_part_needs_no_caution(mixed: Any, split: Split, split_file: Path) -> None:
    own = card(fingerprint=mixed.fingerprint, split_sha256=sha256_file(split_file), fold=1)
    said = describe(mixed, split, split_file, 1, "test", own)
    assert said["cautions"] == []
    assert said["statement"] == "The test part of fold 1; grouped split of 4 folds, policy 'all', seed 7"
    assert said["split"]["sha256"] == sha256_file(split_file)
    assert said["data"]["fingerprint"] == mixed.fingerprint
    assert said["data"]["sources"][0]["name"] == "toy"


@pytest.mark.parametrize(
    ("part", "fold", "word"),
    [
        *(("validation", 1, "optimistic"), ("train", 1, "Training images")),
        *(("all", 1, "seen none"), ("test", 2, "fold 1")),
    ],
)
def test_other_parts_and_folds_have_a_caution(
    mixed: Any, split: Split, split_file: Path, part: Any, fold: int, word: str
) -> None:
    own = card(fingerprint=mixed.fingerprint, split_sha256=sha256_file(split_file), fold=1)
    said = describe(mixed, split, split_file, fold, part, own)
    assert any(word in caution for caution in said["cautions"])


def test_another_split_of_the_same_set_has_a_caution(mixed: Any, split: Split, split_file: Path) -> None:
    other = card(fingerprint=mixed.fingerprint, split_sha256="0" * 64, fold=1)
    (caution,) = describe(mixed, split, split_file, 1, "test", other)["cautions"]
    assert "another split of this set" in caution


def test_a_set_named_on_the_card_has_a_caution(mixed: Any, split: Split, split_file: Path) -> None:
    (caution,) = describe(mixed, split, split_file, 1, "test", card(fingerprint="other"))["cautions"]
    assert "names toy among its training sets" in caution


def test_a_set_the_model_never_saw(mixed: Any) -> None:
    elsewhere = ModelCard(name="m", data=[TrainingSet(name="busi", images=500)])
    said = describe(mixed, None, None, 0, "all", elsewhere)
    assert said["split"] is None
    assert len(said["cautions"]) == 1  # that all images were taken
    unknown = describe(mixed, None, None, 0, "all", ModelCard(name="m"))
    assert any("does not name" in caution for caution in unknown["cautions"])


def test_a_random_split_and_a_threshold_by_hand_are_said(mixed: Any, split: Split, split_file: Path) -> None:
    random = Split("random", "all", 0, mixed.fingerprint, split.folds)
    own = card(fingerprint=mixed.fingerprint, split_sha256=sha256_file(split_file), fold=1)
    said = describe(mixed, random, split_file, 1, "test", own, threshold=0.3)["cautions"]
    assert any("random" in caution for caution in said)
    assert any("threshold is 0.3" in caution for caution in said)
    assert describe(mixed, split, split_file, 1, "test", own, threshold=0.4)["cautions"] == []
