"""A user's own set: folders with equal names, CSV files, groups and patients."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonoseg.data.readers import read_source
from sonoseg.data.readers.own_layouts import _together, short_name
from sonoseg.errors import DatasetError
from sonoseg.image.calibration import Spacing


def test_equal_names(pairs: Callable[..., Path]) -> None:
    source = read_source(pairs(["b 2", "b 10", "ward/ä"]))
    assert (source.kind, source.name) == ("folder", "mine")
    assert [r.id for r in source.records] == ["mine/b 2", "mine/b 10", "mine/ward/ä"]
    assert [r.group for r in source.records] == ["mine:b 2", "mine:b 10", "mine:ward/ä"]
    assert {r.label for r in source.records} == {"unknown"}


def test_an_image_without_a_mask_and_a_mask_without_an_image(pairs: Callable[..., Path]) -> None:
    root = pairs(["a", "b"])
    (root / "masks" / "a.png").rename(root / "masks" / "c.png")
    source = read_source(root)
    assert [r.masks for r in source.records] == [(), (root / "masks" / "b.png",)]
    assert [path.name for path in source.unmatched_masks] == ["c.png"]


def test_a_table_beside_the_folders(pairs: Callable[..., Path]) -> None:
    rows = [
        {
            "id": "a",
            "label": "Benign",
            "patient": "7",
            "spacing_row": 0.1,
            "spacing_column": 0.2,
            "marks": "",
        },
        {"id": "b", "label": "", "patient": "7", "spacing_row": "", "spacing_column": "", "marks": "text"},
    ]
    first, second = read_source(pairs(["a", "b"], rows)).records
    assert first.group == second.group == "mine:patient 7"
    assert (first.label, first.spacing) == ("benign", Spacing(0.1, 0.2))
    assert (second.label, second.spacing, second.marks) == ("unknown", None, "text")


def test_csv(tmp_path: Path, make: Any) -> None:
    for name in ("x", "y", "z"):
        make.save(make.speckle(name), tmp_path / "set" / "pics" / f"{name}.png")
        make.save(make.blob(), tmp_path / "set" / f"{name}-m.png")
    table = make.csv(
        tmp_path / "set" / "list.csv",
        [
            {"image": "pics/x.png", "mask": "x-m.png; y-m.png", "label": "malignant", "group": "g"},
            {"image": "pics/y.png", "mask": "y-m.png", "label": "malignant", "group": "g"},
            {"image": "pics/z.png", "mask": "", "label": "normal", "group": ""},
        ],
    )
    for place in (table, table.parent):
        source = read_source(place)
        assert source.kind == "csv"
        x, y, z = source.records
        assert (x.id, len(x.masks), x.group) == ("list/pics/x", 2, "list:g")
        assert x.duplicates == y.duplicates == "list:g"
        assert (z.label, z.masks, z.duplicates) == ("normal", (), "")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"image": "x.png", "mask": "gone.png"}], r"list\.csv, row 2: no file .*gone\.png"),
        ([{"image": "", "mask": "x.png"}], r"row 2: no image"),
        ([{"image": "x.png", "masks": "x.png"}], "no column 'mask'"),
        ([{"image": "x.png", "mask": "x.png", "label": "bad"}], "unknown class 'bad'"),
        ([{"image": "x.png", "mask": "x.png", "spacing_row": "0.1"}], "is not a pixel spacing"),
        (
            [{"image": "x.png", "mask": "x.png", "spacing_row": "a", "spacing_column": "1"}],
            "is not a pixel spacing",
        ),
    ],
)
def test_wrong_tables(tmp_path: Path, make: Any, rows: list[dict[str, object]], words: str) -> None:
    make.save(make.speckle("x"), tmp_path / "x.png")
    with pytest.raises(DatasetError, match=words):
        read_source(make.csv(tmp_path / "list.csv", rows))


def test_images_outside_the_csv_folder_keep_a_safe_id(tmp_path: Path, make: Any) -> None:
    make.save(make.speckle("x"), tmp_path / "far" / "x.png")
    table = make.csv(tmp_path / "here" / "t.csv", [{"image": "../far/x.png", "mask": "../far/x.png"}])
    assert [r.id for r in read_source(table).records] == ["t/x"]


@given(
    st.lists(
        st.tuples(st.sampled_from(["", "a", "b", "c"]), st.sampled_from(["", "p", "q", "r"])), max_size=12
    )
)
def test_whoever_shares_a_group_or_a_patient_stays_together(rows: list[tuple[str, str]]) -> None:
    entries = [
        (str(number), Path(), (), {"group": group, "patient": patient})
        for number, (group, patient) in enumerate(rows)
    ]
    names = _together(entries)
    assert set(names) == {str(number) for number, row in enumerate(rows) if any(row)}
    for i, first in enumerate(rows):
        for j, second in enumerate(rows):
            shares = any(a and a == b for a, b in zip(first, second, strict=True))
            assert not shares or names[str(i)] == names[str(j)]
    # and nobody else is: by brute force, the sets that sharing alone reaches
    for i, first in enumerate(rows):
        if any(first):
            reached, grew = {i}, True
            while grew:
                more = {
                    j
                    for j, other in enumerate(rows)
                    for k in reached
                    if any(a and a == b for a, b in zip(other, rows[k], strict=True))
                }
                grew = not more <= reached
                reached |= more
            assert {int(n) for n in names if names[n] == names[str(i)]} == reached


def test_short_names(tmp_path: Path) -> None:
    assert short_name(tmp_path / "My set (2)") == "My-set--2"
    assert short_name(tmp_path / "...") == "set"
