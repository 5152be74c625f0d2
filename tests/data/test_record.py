"""Natural order, images in a folder, folders nearby, table cells."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonoseg.data.record import (
    files_below,
    folders_near,
    image_files_in,
    natural_key,
    parse_label,
    parse_spacing,
)
from sonoseg.errors import DatasetError


def test_numbers_count_as_numbers() -> None:
    assert sorted(["b (10)", "b (2)", "a", "b (2) x", "²"], key=natural_key) == [
        "a",
        "b (2)",
        "b (2) x",
        "b (10)",
        "²",
    ]


@pytest.mark.process
@settings(max_examples=40)
@given(st.lists(st.text(max_size=8), max_size=8))
def test_any_names_can_be_ordered(names: list[str]) -> None:
    assert sorted(sorted(names), key=natural_key) == sorted(sorted(names, reverse=True), key=natural_key)


def test_images_only(tmp_path: Path) -> None:
    for name in (
        "b10.png",
        "b2.JPG",
        ".hidden.png",
        "notes.txt",
        "deep/c.tif",
        ".git/d.png",
        "dir.png/e.bmp",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert [p.name for p in image_files_in(tmp_path)] == ["b2.JPG", "b10.png"]
    below = ["b2.JPG", "b10.png", "c.tif", "e.bmp", "notes.txt"]
    assert [p.name for p in files_below(tmp_path)] == below


def test_nearest_folders_first(tmp_path: Path) -> None:
    for name in ("a/x/far", "b", ".hidden", "__MACOSX/a"):
        (tmp_path / name).mkdir(parents=True)
    assert [p.relative_to(tmp_path).as_posix() for p in folders_near(tmp_path)] == [".", "a", "b", "a/x"]


def test_labels() -> None:
    assert [parse_label(text, "t") for text in ("Benign ", "NORMAL", "")] == ["benign", "normal", "unknown"]
    with pytest.raises(DatasetError, match="unknown class 'cancer'"):
        parse_label("cancer", "t")


@pytest.mark.parametrize(
    "cells", [("0", "1"), ("1", ""), ("-1", "1"), ("nan", "1"), ("12", "12"), ("x", "y")]
)
def test_spacings_that_are_none(cells: tuple[str, str]) -> None:
    with pytest.raises(DatasetError, match="is not a pixel spacing"):
        parse_spacing(*cells, "t")
