"""A folder of phantoms: what is in it, that it is a set like any other, that nothing is replaced unasked."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sonoseg.data.phantoms import draw_spec, render, write_phantoms
from sonoseg.errors import OutputError, UsageError

SMALL = {"shape": (96, 112), "spacing": 0.2}


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def test_images_masks_and_table_agree(tmp_path: Path) -> None:
    table = write_phantoms(tmp_path / "set", 6, 20, **SMALL)
    rows = rows_of(table)
    assert [int(row["seed"]) for row in rows] == list(range(20, 26))
    assert len({row["group"] for row in rows}) == 6
    for row in rows:
        phantom = render(draw_spec(int(row["seed"]), **SMALL))
        assert np.array_equal(np.asarray(Image.open(table.parent / row["image"])), phantom.frame.pixels)
        mask = np.asarray(Image.open(table.parent / row["mask"]))
        assert set(np.unique(mask)) <= {0, 255}
        assert np.array_equal(mask > 0, phantom.mask)
        assert (row["kind"], row["label"]) == (phantom.spec.kind, phantom.label)
        assert float(row["longest_axis_mm"]) == pytest.approx(phantom.spec.size_mm, abs=1e-3)
        assert (float(row["spacing_row"]), float(row["spacing_column"])) == (0.2, 0.2)


@pytest.mark.process
def test_processes_write_the_same_bytes(tmp_path: Path) -> None:
    one = write_phantoms(tmp_path / "one", 5, 3, workers=1, **SMALL).parent
    two = write_phantoms(tmp_path / "two", 5, 3, workers=2, **SMALL).parent
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert len(files) == 11
    assert files == sorted(path.relative_to(two) for path in two.rglob("*") if path.is_file())
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in files)


def test_it_is_a_set_like_any_other(tmp_path: Path) -> None:
    from sonoseg.data.readers import read_sources

    folder = write_phantoms(tmp_path / "set", 4, 0, **SMALL).parent
    records = [record for source in read_sources([str(folder)], None) for record in source.records]
    assert len(records) == 4
    assert all(record.spacing == (0.2, 0.2) for record in records)
    assert {record.label for record in records} <= {"benign", "malignant", "normal"}


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write_phantoms(folder, 3, 0, **SMALL)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="--overwrite"):
        write_phantoms(folder, 2, 50, **SMALL)
    assert len(rows_of(folder / "phantoms.csv")) == 3
    write_phantoms(folder, 2, 50, overwrite=True, **SMALL)
    assert len(rows_of(folder / "phantoms.csv")) == 2
    assert len(list((folder / "images").iterdir())) == len(list((folder / "masks").iterdir())) == 2
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_table_that_names_others_files_removes_none_of_them(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    precious = tmp_path / "precious.png"
    precious.write_bytes(b"mine")
    (folder / "phantoms.csv").write_text(f"image,mask\n../precious.png,{precious}\n")
    write_phantoms(folder, 1, 0, overwrite=True, **SMALL)
    assert precious.read_bytes() == b"mine"


def test_an_unreadable_earlier_table_is_named(tmp_path: Path) -> None:
    (tmp_path / "phantoms.csv").write_bytes(b"\xff\xfe\x00image")
    with pytest.raises(OutputError, match="earlier table"):
        write_phantoms(tmp_path, 1, 0, overwrite=True, **SMALL)


def test_wrong_wishes_write_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="1 or more"):
        write_phantoms(tmp_path / "set", 0)
    with pytest.raises(UsageError, match="unknown kind"):
        write_phantoms(tmp_path / "set", 2, kind="cist")
    assert not (tmp_path / "set").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="not a folder"):
        write_phantoms(tmp_path / "file", 1)


def test_progress_sees_every_phantom(tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []

    def track(items, description, total):  # type: ignore[no-untyped-def]
        for item in items:
            seen.append((description, total))
            yield item

    write_phantoms(tmp_path / "set", 3, track=track, **SMALL)
    assert seen == [("phantoms", 3)] * 3
