"""Opening a prepared set, whole or damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sonoseg.data.preparation import prepare
from sonoseg.data.prepared_set import PreparedSet
from sonoseg.data.readers import read_source
from sonoseg.errors import DatasetError


@pytest.fixture
def folder(busi: Path, tmp_path: Path) -> Path:
    prepare([read_source(busi)], tmp_path / "p", size=32)
    return tmp_path / "p"


def test_what_the_table_holds(folder: Path) -> None:
    prepared = PreparedSet.open(folder)
    assert len(prepared) == 6
    assert repr(prepared) == f"PreparedSet(busi: 6 images, {prepared.fingerprint[:12]})"
    assert prepared.table["patient"].tolist() == [""] * 6
    assert prepared.table["spacing_row"].isna().all()
    assert prepared.table["lesion_area_px"].dtype.kind == "i"


def test_rows_follow_the_arrays(folder: Path) -> None:
    prepared = PreparedSet.open(folder)
    assert prepared.rows(reversed(prepared.ids)).tolist() == [5, 4, 3, 2, 1, 0]
    with pytest.raises(DatasetError, match=r"no image has the id 'busi/x' \(1 of 2 are unknown\)"):
        prepared.rows([prepared.ids[0], "busi/x"])
    with pytest.raises(DatasetError, match="no image has the id"):
        prepared.frame("busi/x")


def test_arrays_of_another_size_are_built_once(folder: Path) -> None:
    prepared = PreparedSet.open(folder)
    pixels, masks = prepared.arrays(24, "letterbox")
    assert pixels.shape == masks.shape == (6, 24, 24)
    assert isinstance(pixels, np.memmap)
    assert not pixels.flags.writeable
    assert set(np.unique(masks)) <= {0, 1}
    stamp = (folder / "grid" / "24-letterbox" / "pixels.npy").stat().st_mtime_ns
    prepared.arrays(24, "letterbox")
    assert (folder / "grid" / "24-letterbox" / "pixels.npy").stat().st_mtime_ns == stamp


def test_half_built_arrays_are_built_anew(folder: Path) -> None:
    """Killed after the pixels and before the masks."""
    prepared = PreparedSet.open(folder)
    (folder / "grid" / "32-stretch" / "masks.npy").unlink()
    assert prepared.arrays(32)[1].shape == (6, 32, 32)


def test_a_missing_image_stops_the_building(folder: Path) -> None:
    (folder / "images" / "busi" / "benign (4).png").unlink()
    with pytest.raises(DatasetError, match=r"benign \(4\)\.png: a file of the prepared set is missing"):
        PreparedSet.open(folder).arrays(16)
    assert not list((folder / "grid" / "16-stretch").iterdir())


def test_no_prepared_set(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"not a prepared set.* sonoseg data prepare"):
        PreparedSet.open(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda p: (p / "prepared.json").write_text("{"),
        lambda p: (p / "prepared.json").write_text("[]"),
        lambda p: (p / "images.csv").write_text("id\nx\n"),
        lambda p: (p / "images.csv").write_bytes(b"\xff\xfe"),
        lambda p: (p / "prepared.json").write_text(
            json.dumps(json.loads((p / "prepared.json").read_text()) | {"format": "other/1"})
        ),
    ],
)
def test_damage(folder: Path, damage: object) -> None:
    damage(folder)  # type: ignore[operator]
    with pytest.raises(DatasetError, match="the prepared set is damaged"):
        PreparedSet.open(folder)


def test_ids_that_start_a_formula_come_back(tmp_path: Path, make: Any) -> None:
    for part in ("images", "masks"):
        make.save(make.blob().convert("L"), tmp_path / "own" / part / "=1+1.png")
    source = read_source(tmp_path / "own", name="-set")
    prepare([source], tmp_path / "p", size=32)
    assert "\n'-set/=1+1," in (tmp_path / "p" / "images.csv").read_text("utf-8")
    prepared = PreparedSet.open(tmp_path / "p")
    assert prepared.ids == ["-set/=1+1"]
    assert prepared.arrays(24)[0].shape == (1, 24, 24)
    (record,) = read_source(tmp_path / "p").records  # a prepared set is a user's set, too
    assert record.patient == ""


@pytest.mark.parametrize("name", ["../busi", "/etc/x", "busi/../../x", "C:/x", "..\\x", "busi/a\rb"])
def test_an_id_outside_the_set_is_refused(folder: Path, name: str) -> None:
    table = folder / "images.csv"
    lines = table.read_text("utf-8").splitlines()
    lines[1] = f'"{name}",' + lines[1].split(",", 1)[1]
    table.write_text("\n".join(lines) + "\n", "utf-8", newline="")
    with pytest.raises(DatasetError, match="is not usable as a file name"):
        PreparedSet.open(folder)


def test_a_file_name_with_a_line_end_is_refused(tmp_path: Path, make: Any) -> None:
    for part in ("images", "masks"):
        make.save(make.blob(), tmp_path / "own" / part / "a\rb.png")
    with pytest.raises(DatasetError, match=r"own: the id .*Rename the image's file"):
        prepare([read_source(tmp_path / "own")], tmp_path / "p", size=32)
