"""docs/files.md: what must not change of it. That it is up to date is a test of all generated tables."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

PAGE = Path(__file__).resolve().parents[3] / "docs" / "files.md"
ROW = re.compile(r"^\| (?P<name>[^|]+) \| (?P<result>[^|]+) \| (?P<said>.*) \|$", re.MULTILINE)
REFUSED = "**refused**"
TWO = "2 of 2,809, 1,245 pixels"


@pytest.fixture(scope="module")
def rows() -> dict[str, dict[str, tuple[str, str]]]:
    """Result and message by table and kind."""
    found = {}
    for part in PAGE.read_text("utf-8").split("file-kinds ")[1:]:
        group, rest = part.split(maxsplit=1)
        of = rest.split("<!-- end of generated -->")[0]
        found[group] = {one["name"]: (one["result"], one["said"]) for one in ROW.finditer(of)}
    return found


@pytest.fixture(scope="module")
def file_kinds(research_script: Callable[[str], ModuleType]) -> ModuleType:
    return research_script("page_tables.file_kinds")


def test_each_kind_is_on_the_page(
    rows: dict[str, dict[str, tuple[str, str]]], file_kinds: ModuleType
) -> None:
    wanted: dict[str, list[str]] = {}
    for kind in file_kinds.kinds():
        wanted.setdefault(kind.group, []).append(kind.name)
    assert {
        group: [name for name in of if name not in ("Kind", "---")] for group, of in rows.items()
    } == wanted


@pytest.mark.parametrize(
    ("group", "name", "result"),
    [
        ("images", "PNG of 16 bits, of which 12 are used", "read"),
        ("images", "PNG, wholly transparent", "read, **warning**"),
        ("images", "black image", "read, **warning**"),
        ("images", "MP4 video", REFUSED),
        ("tiff", "8-bit signed integers, own writer", "read"),
        ("tiff", "MinIsWhite, 16-bit unsigned integers", "read"),
        ("tiff", "MinIsWhite, 32-bit floats", "read"),
        ("tiff", "64-bit floats, own writer", REFUSED),
        ("dicom", "JPEG labelled RGB, subsampled, no marker", "read, 0.09 mm"),
        ("dicom", "NumberOfFrames 0", "read, 0.09 mm, **warning**"),
        ("dicom", "HighBit 15 of 8 bits", "read, 0.09 mm, **warning**"),
        ("dicom", "region that ends at Columns and Rows", "read, 0.09 mm, **warning**"),
        ("dicom", "negative PhysicalDeltaX", "read, 0.09 mm, **warning**"),
        ("dicom", "negative PhysicalDeltaY", "read, 0.09 mm, **warning**"),
        ("dicom", "colour flow region only", "read, 0.09 mm, **warning**"),
        ("dicom", "M-mode region only", REFUSED),
        ("dicom", "region beyond the frame, confirmed by PixelSpacing", "read, 0.09 mm, **warning**"),
        ("dicom", "region far beyond the frame", "read, sizes in pixels, **warning**"),
        ("masks", "labels 1 and 40", TWO),
        ("masks", "labels 85 and 255", TWO),
        ("masks", "alpha alone", TWO),
        ("masks", "empty", "no lesion"),
        ("spacings", "90 in place of 0.09", REFUSED),
        ("spacings", "semicolons, decimal commas", "0.09 mm"),
        ("sets", "CSV with semicolons", "1 image, no faults"),
        ("sets", "a.png beside a.jpg", "2 images, faults: ids, **warning**"),
        ("folders", "DICOM named `US.1.2.840.1-abc`", "found `US.1.2.840.1-abc`"),
        ("folders", "an earlier result", "found `a.png`, **warning**"),
    ],
)
def test_what_the_cases_of_users_led_to(
    rows: dict[str, dict[str, tuple[str, str]]], group: str, name: str, result: str
) -> None:
    assert rows[group][name][0] == result


def test_nothing_is_refused_or_warned_of_without_a_message(
    rows: dict[str, dict[str, tuple[str, str]]],
) -> None:
    for group, of in rows.items():
        for name, (result, said) in of.items():
            assert said or not result.endswith("**"), (group, name)


def test_no_message_names_the_folder_of_the_test(rows: dict[str, dict[str, tuple[str, str]]]) -> None:
    assert not [said for of in rows.values() for _, said in of.values() if "kinds-" in said]
