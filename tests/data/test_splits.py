"""Splits: no group crosses, classes balanced, the seed decides, policies drop what they say."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonoseg.data.preparation import prepare
from sonoseg.data.prepared_set import PreparedSet
from sonoseg.data.readers import read_source
from sonoseg.data.splits import (
    NARROW,
    Method,
    Policy,
    Split,
    admit,
    extend_split,
    make_split,
    narrow_split,
    strata,
    summarise,
)
from sonoseg.errors import DatasetError, OutputError, UsageError


def fake(sizes: list[tuple[str, int]], **columns: Any) -> PreparedSet:
    """A prepared set of groups of the given class and size, without any image."""
    rows = [
        {"label": label, "group": f"g{number}", "duplicates": f"g{number}" if size > 1 else ""}
        for number, (label, size) in enumerate(sizes)
        for _ in range(size)
    ]
    table = pd.DataFrame(rows, index=[f"s/{number}" for number in range(len(rows))])
    table = table.assign(set="s", objection="", lesion_area_px=9, fold5=float("nan"), fold10=float("nan"))
    return cast(
        PreparedSet, SimpleNamespace(table=table.assign(**columns), fingerprint="f" * 64, folder=Path("p"))
    )


groups = st.lists(
    st.tuples(st.sampled_from(["benign", "malignant", "normal"]), st.sampled_from([1, 1, 1, 2, 2, 3, 4, 7])),
    min_size=15,
    max_size=120,
)


@pytest.mark.process
@settings(max_examples=30, deadline=None)
@given(groups, st.integers(0, 99), st.integers(3, 6))
def test_no_group_crosses(sizes: list[tuple[str, int]], seed: int, folds: int) -> None:
    prepared = fake(sizes)
    split = make_split(prepared, "grouped", folds=folds, seed=seed)
    assert set(split.folds) == set(prepared.table.index)
    places = pd.Series(split.folds).groupby(prepared.table["group"]).nunique()
    assert (places == 1).all()
    for fold in range(folds):
        train, validation, test = (set(part) for part in split.part(fold))
        assert train | validation | test == set(split.folds)
        own = [set(prepared.table.loc[list(part), "group"]) for part in (train, validation, test)]
        assert sum(len(part) for part in own) == len(set().union(*own))
    assert make_split(prepared, "grouped", folds=folds, seed=seed) == split


def test_sizes_and_classes_are_balanced() -> None:
    sizes = [("benign", 1)] * 150 + [("benign", 2)] * 70 + [("malignant", 1)] * 90 + [("normal", 3)] * 20
    prepared = fake(sizes)
    for method in ("grouped", "random"):
        rows = summarise(make_split(prepared, cast(Method, method), seed=4), prepared)
        for key in ("images", "benign", "malignant", "normal"):
            counts = [row[key] for row in rows]
            assert max(counts) - min(counts) <= 3, (method, key, counts)


def test_random_does_not_care_for_groups() -> None:
    prepared = fake([("benign", 2)] * 60)
    split = make_split(prepared, "random")
    crossing = pd.Series(split.folds).groupby(prepared.table["group"]).nunique() > 1
    assert crossing.mean() > 0.5


def test_the_seed_decides() -> None:
    prepared = fake([("benign", 1)] * 50)
    assert make_split(prepared, seed=1) != make_split(prepared, seed=2)
    assert make_split(prepared, seed=1) == make_split(prepared, seed=1)


def test_test_and_validation_take_turns() -> None:
    split = make_split(fake([("benign", 1)] * 25))
    folds = split.folds
    for k in range(5):
        parts = split.part(k)
        assert {folds[name] for name in parts.test} == {k}
        assert {folds[name] for name in parts.validation} == {(k + 1) % 5}
    with pytest.raises(UsageError, match="no fold 5 in a split of 5"):
        split.part(5)


def test_policies() -> None:
    prepared = fake([("benign", 3), ("benign", 2), *[("malignant", 1)] * 10])
    prepared.table.loc["s/0", "objection"] = "axilla"
    prepared.table.loc["s/6", "objection"] = "needle"
    assert admit(prepared.table, "all") == {}
    assert admit(prepared.table, "first-of-group") == {
        "s/1": "a copy of s/0",
        "s/2": "a copy of s/0",
        "s/4": "a copy of s/3",
    }
    strict = admit(prepared.table, "strict")
    assert strict == {
        "s/0": "objection: axilla",
        "s/2": "a copy of s/1",
        "s/4": "a copy of s/3",
        "s/6": "objection: needle",
    }
    split = make_split(prepared, policy="strict")
    assert split.dropped == strict
    assert not set(split.dropped) & set(split.folds)


def test_images_of_one_patient_are_no_copies(busbra: Path, tmp_path: Path) -> None:
    prepare([read_source(busbra)], tmp_path / "p", size=16)
    prepared = PreparedSet.open(tmp_path / "p")
    assert make_split(prepared, policy="first-of-group", folds=3).dropped == {}
    folds = make_split(prepared, folds=3).folds
    assert folds["bus-bra/bus_0001-l"] == folds["bus-bra/bus_0001-r"]


def test_copies_in_two_classes_stay_together() -> None:
    prepared = fake([("benign", 1)] * 20 + [("malignant", 1)] * 20)
    prepared.table.loc[["s/3", "s/25"], "group"] = "both"
    for seed in range(10):
        folds = make_split(prepared, seed=seed).folds
        assert folds["s/3"] == folds["s/25"]


def test_official(busbra: Path, tmp_path: Path) -> None:
    prepare([read_source(busbra)], tmp_path / "p", size=16)
    split = make_split(PreparedSet.open(tmp_path / "p"), "official")
    assert split.folds["bus-bra/bus_0001-l"] == 1
    assert split.folds["bus-bra/bus_0004-s"] == 4
    with pytest.raises(DatasetError, match="bus-bra has no 10 official folds"):
        make_split(PreparedSet.open(tmp_path / "p"), "official", folds=10)


def test_official_folds_name_the_sets_that_lack_them() -> None:
    some = fake([("benign", 1)] * 4, set=["b", "c", "a", "b"], fold5=[1, 2, float("nan"), float("nan")])
    with pytest.raises(DatasetError, match="a, b has no 5 official folds"):
        make_split(some, "official")
    with pytest.raises(DatasetError, match="a, b, c has no 7 official folds"):
        make_split(some, "official", folds=7)
    whole = fake([("benign", 1)] * 3, fold5=[1.0, 3.0, 2.0])
    assert make_split(whole, "official").folds == {"s/0": 0, "s/1": 2, "s/2": 1}


def test_the_file_of_a_split_is_plain_json(tmp_path: Path) -> None:
    plain = Split("grouped", "all", 0, "f", {"ä": 0, "b": 1})
    plain.save(tmp_path / "s.json")
    text = (tmp_path / "s.json").read_text("utf-8")
    assert "ä" in text
    assert text.endswith("}\n")
    assert '\n "seed": 0,' in text
    assert "train_only" not in text


def test_unknown_classes_are_told_apart_by_their_lesion() -> None:
    prepared = fake([("unknown", 1)] * 2, lesion_area_px=[0, 5])
    assert strata(prepared.table) == ["s/empty", "s/lesion"]


def test_what_cannot_be_split() -> None:
    with pytest.raises(DatasetError, match="2 groups cannot fill 5 folds"):
        make_split(fake([("benign", 9), ("normal", 2)]))
    with pytest.raises(DatasetError, match="no class has 5 images"):
        make_split(fake([("benign", 1)] * 4 + [("normal", 1)] * 4))
    with pytest.raises(UsageError, match="unknown value 'group'"):
        make_split(fake([("benign", 1)] * 9), cast(Method, "group"))
    with pytest.raises(UsageError, match="unknown value 'some'"):
        make_split(fake([("benign", 1)] * 9), policy=cast(Policy, "some"))
    with pytest.raises(UsageError, match="2 folds"):
        make_split(fake([("benign", 1)] * 9), folds=2)


def test_saved_and_loaded(tmp_path: Path) -> None:
    split = make_split(fake([("benign", 2)] * 12), policy="first-of-group", seed=3)
    path = tmp_path / "split.json"
    split.save(path)
    split.save(path)  # the same content may be written again
    assert Split.load(path) == split
    with pytest.raises(OutputError, match="the file exists"):
        make_split(fake([("benign", 2)] * 13)).save(path)
    make_split(fake([("benign", 2)] * 13)).save(path, overwrite=True)
    with pytest.raises(OutputError, match="the file exists"):
        split.save(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"format": "sonoseg-split/9"}', '{"format": "sonoseg-split/1"}'],
)
def test_no_split_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(DatasetError, match="not a split file"):
        Split.load(tmp_path / "s.json")
    with pytest.raises(DatasetError, match="not a split file"):
        Split.load(tmp_path / "gone.json")


@pytest.mark.parametrize("number", ["1e999", "Infinity", "1e18", "99999999999999999999"])
def test_numbers_of_folds_beyond_reason(tmp_path: Path, number: str) -> None:
    """Without a list as long as the number."""
    Split("grouped", "all", 0, "f", {"a": 0, "b": 1}).save(tmp_path / "s.json")
    text = (tmp_path / "s.json").read_text()
    (tmp_path / "s.json").write_text(text.replace('"b": 1', f'"b": {number}'))
    with pytest.raises(DatasetError, match="not a split file"):
        Split.load(tmp_path / "s.json")


def test_folds_with_a_gap(tmp_path: Path) -> None:
    split = Split("grouped", "all", 0, "f", {"a": 0, "b": 2})
    split.save(tmp_path / "s.json")
    with pytest.raises(DatasetError, match="consecutively"):
        Split.load(tmp_path / "s.json")


def test_another_prepared_set() -> None:
    first = fake([("benign", 1)] * 10)
    split = make_split(first)
    split.check(first)
    other = cast(PreparedSet, SimpleNamespace(fingerprint="0" * 64, folder=Path("q")))
    with pytest.raises(DatasetError, match="made for another prepared set"):
        split.check(other)


@pytest.mark.process
@settings(max_examples=30, deadline=None)
@given(groups, groups, st.integers(0, 99), st.sampled_from(["all", "first-of-group", "strict"]))
def test_what_comes_to_a_split_only_trains(
    before: list[tuple[str, int]], after: list[tuple[str, int]], seed: int, policy: Policy
) -> None:
    small = fake(before)
    split = make_split(small, policy=policy, folds=3, seed=seed)
    # The groups g0.. of `after` are other ones, but for the first, of which more images come.
    fresh = fake(after).table.assign(set="t").rename(index=lambda name: name.replace("s/", "t/"))
    fresh["group"] = [name if name == "g0" else f"t{name}" for name in fresh["group"]]
    fresh["duplicates"] = [name and f"t{name}" for name in fresh["duplicates"]]
    table = pd.concat([small.table, fresh])
    large = cast(PreparedSet, SimpleNamespace(table=table, fingerprint="e" * 64, folder=Path("p")))
    made = extend_split(split, large)
    made.check(large)
    kin = set(fresh.index[fresh["group"] == "g0"])
    assert kin <= set(made.dropped)
    assert set(made.train_only) | (set(made.dropped) - set(split.dropped)) == set(fresh.index)
    assert (
        set(made.dropped) - set(split.dropped) - kin == set(admit(table, policy)) - set(split.dropped) - kin
    )
    for fold in range(3):
        old, new = split.part(fold), made.part(fold)
        assert (new.validation, new.test) == (old.validation, old.test)
        assert set(new.train) == set(old.train) | set(made.train_only)
        assert len(new.train) == len(set(new.train))
    assert extend_split(made, large) == made
    assert sum(row["images"] for row in summarise(made, large)) == len(split.folds)


def test_an_extended_split_is_kept_and_needs_all_its_images(tmp_path: Path) -> None:
    small, large = fake([("benign", 1)] * 12), fake([("benign", 1)] * 14)
    split = make_split(small)
    made = extend_split(split, large)
    assert made.train_only == ("s/12", "s/13")
    made.save(tmp_path / "s.json")
    assert Split.load(tmp_path / "s.json") == made
    with pytest.raises(DatasetError, match="2 images of the split are not in this set, such as s/12"):
        extend_split(made, small)


@pytest.mark.real
def test_busi_in_five(real_busi: Path) -> None:
    """The published groups and classes, without decoding an image."""
    records = read_source(real_busi).records
    table = pd.DataFrame(
        [
            {"label": r.label, "group": r.group, "duplicates": r.duplicates, "objection": r.objection}
            for r in records
        ],
        index=[r.id for r in records],
    ).assign(set="busi", lesion_area_px=1)
    prepared = cast(PreparedSet, SimpleNamespace(table=table, fingerprint="f", folder=Path("p")))
    split = make_split(prepared)
    assert (pd.Series(split.folds).groupby(table["group"]).nunique() == 1).all()
    for row in summarise(split, prepared):
        assert (row["images"], row["malignant"]) == (156, 42)
    reasons = Counter(why.split(":")[0].split(" of ")[0] for why in admit(table, "strict").values())
    assert reasons == {"objection": 96, "a copy": 155}
    assert len(admit(table, "first-of-group")) == 346 - 153


@pytest.mark.process
@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99), st.integers(4, 6))
def test_a_narrow_split_tests_the_same_and_teaches_more(seed: int, folds: int) -> None:
    sizes = [("benign", 1)] * 120 + [("benign", 2)] * 40 + [("malignant", 1)] * 80 + [("normal", 3)] * 20
    prepared = fake(sizes)
    split = make_split(prepared, folds=folds, seed=seed)
    narrow = narrow_split(split, prepared)
    before, after = split.part(), narrow.part()
    assert after.test == before.test
    assert set(after.train) == set(before.train) | (set(before.validation) - set(after.validation))
    assert len(after.validation) == pytest.approx(len(before.validation) / NARROW, abs=4)
    groups = [set(prepared.table.loc[part, "group"]) for part in after]
    assert sum(len(part) for part in groups) == len(set.union(*groups))
    labels = prepared.table.loc[after.validation, "label"].value_counts()
    assert set(labels.index) == {"benign", "malignant", "normal"}
    assert narrow_split(split, prepared) == narrow


def test_a_narrow_split_is_kept_extended_and_of_one_set(tmp_path: Path) -> None:
    small = fake([("benign", 1)] * 80)
    larger = fake([("benign", 1)] * 90)
    larger.fingerprint = "e" * 64
    narrow = narrow_split(extend_split(make_split(small), larger), larger)
    narrow.save(tmp_path / "narrow.json")
    assert Split.load(tmp_path / "narrow.json") == narrow
    assert set(narrow.train_only) <= set(narrow.part().train)
    with pytest.raises(DatasetError, match="made for another prepared set"):
        narrow_split(narrow, small)
    with pytest.raises(DatasetError, match="of 3 images is too small"):
        narrow_split(make_split(fake([("benign", 1)] * 9), folds=3), fake([("benign", 1)] * 9))


def test_an_extension_gives_the_reason_of_what_it_drops() -> None:
    small = fake([("benign", 1)] * 12)
    split = make_split(small, policy="first-of-group")
    table = pd.concat([small.table, fake([("benign", 2)]).table.assign(group="new")])
    table.index = pd.Index([f"s/{number}" for number in range(len(table))])
    large = cast(PreparedSet, SimpleNamespace(table=table, fingerprint="e" * 64, folder=Path("p")))
    made = extend_split(split, large)
    assert made.train_only == ("s/12",)
    assert list(made.dropped) == ["s/13"]
    assert made.dropped["s/13"].endswith("of s/12")
    table.loc["s/12", "group"] = "g3"
    assert extend_split(split, large).dropped["s/12"] == "in one group with s/3 of the split"


def centres(sizes: dict[str, list[tuple[str, int]]]) -> PreparedSet:
    """A joined prepared set; `sizes` as for `fake`, by the set's name."""
    tables = []
    for name, groups in sizes.items():
        own = fake(groups, set=name).table.rename(index=lambda one, name=name: one.replace("s/", f"{name}/"))
        own["group"] = [f"{name}/{group}" for group in own["group"]]
        tables.append(own)
    return cast(PreparedSet, SimpleNamespace(table=pd.concat(tables), fingerprint="f" * 64, folder=Path("p")))


@pytest.mark.process
@settings(max_examples=20, deadline=None)
@given(groups, groups, groups, st.integers(0, 99), st.integers(3, 6))
def test_each_set_is_left_out_in_turn(
    a: list[tuple[str, int]], b: list[tuple[str, int]], c: list[tuple[str, int]], seed: int, folds: int
) -> None:
    prepared = centres({"a": a, "b": b, "c": c})
    split = make_split(prepared, "leave-one-set-out", folds=folds, seed=seed)
    table = prepared.table
    assert split.count == 3
    for fold, name in enumerate("abc"):
        parts = split.part(fold)
        assert set(parts.test) == set(table.index[table["set"] == name])
        assert set(parts.train) | set(parts.validation) == set(table.index[table["set"] != name])
        kin = [set(table.loc[list(part), "group"]) for part in parts]
        assert not kin[0] & kin[1]
        assert set(table.loc[parts.validation, "set"]) == set("abc") - {name}
    assert make_split(prepared, "leave-one-set-out", folds=folds, seed=seed) == split
    assert sum(row["images"] for row in summarise(split, prepared)) == len(table)


def test_two_sets_are_enough_and_the_file_keeps_what_validates(tmp_path: Path) -> None:
    prepared = centres({"a": [("benign", 1)] * 20, "b": [("malignant", 2)] * 10})
    split = make_split(prepared, "leave-one-set-out")
    assert [len(part) for part in split.part(0)] == [16, 4, 20]
    split.save(tmp_path / "s.json")
    assert Split.load(tmp_path / "s.json") == split
    with pytest.raises(DatasetError, match="cannot be narrowed"):
        narrow_split(split, prepared)


def test_one_set_cannot_be_left_out_and_no_group_may_cross() -> None:
    with pytest.raises(DatasetError, match="needs two sets or more"):
        make_split(fake([("benign", 1)] * 20), "leave-one-set-out")
    crossing = centres({"a": [("benign", 1)] * 20, "b": [("benign", 1)] * 20})
    crossing.table["group"] = [name.split("/")[1] for name in crossing.table["group"]]
    with pytest.raises(DatasetError, match="20 groups have images in more than one set"):
        make_split(crossing, "leave-one-set-out")
