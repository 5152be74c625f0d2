"""NRRD label maps as pynrrd writes them, in the dialects of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nrrd
import numpy as np
import pytest

from sonoseg.data.mask_reading import read_mask_file
from sonoseg.errors import DatasetError
from sonoseg.image.calibration import Spacing

LABELS = np.zeros((30, 50), np.uint8)
LABELS[3:13, 5:25] = 1
LABELS[13:15, 5:25] = 17
LABELS[20, 40] = 2

SLICER = {
    "space": "left-posterior-superior",
    "space directions": [[0.1, 0, 0], [0, 0.08, 0], [0, 0, 1]],
    "space origin": [0, 0, 0],
}


def written(path: Path, labels: Any = LABELS, flat: bool = False, **header: Any) -> Path:
    """A file with axes columns, rows and the slice, or without the slice."""
    pixels = labels.T if flat else labels.T[..., None]
    nrrd.write(str(path), pixels, header, index_order="F")
    return path


@pytest.mark.parametrize("kind", ["u1", "i1", "<u2", ">u2", "<i2", "<i4", ">i4", "<u4", "<f4", ">f8"])
@pytest.mark.parametrize("encoding", ["raw", "gzip"])
def test_types_and_encodings(tmp_path: Path, kind: str, encoding: str) -> None:
    path = written(tmp_path / "a.nrrd", LABELS.astype(kind), encoding=encoding, **SLICER)
    file = read_mask_file(path)
    assert np.array_equal(file.values, LABELS)
    assert file.spacing == Spacing(0.08, 0.1)
    if "f" not in kind:
        assert np.bincount(file.instances.ravel())[1:].tolist() == [200, 1, 40]


@pytest.mark.parametrize(
    ("header", "spacing"),
    [
        ({"spacings": [0.1, 0.08]}, Spacing(0.08, 0.1)),
        ({"spacings": [0.1, 0.08], "units": ["mm", "mm"]}, Spacing(0.08, 0.1)),
        ({"spacings": [0.1, 0.08], "units": ["cm", "cm"]}, None),
        ({"spacings": [np.nan, np.nan]}, None),
        ({"space": "left-posterior", "space directions": [[-0.06, 0.08], [0.08, 0.06]]}, Spacing(0.1, 0.1)),
        ({}, None),
    ],
)
def test_spacings_in_two_dimensions(tmp_path: Path, header: Any, spacing: Spacing | None) -> None:
    file = read_mask_file(written(tmp_path / "a.nrrd", flat=True, **header))
    assert (file.spacing is None) == (spacing is None)
    if spacing is not None:
        assert file.spacing == pytest.approx(spacing)


def test_several_slices_other_types_and_negative_values_are_refused(tmp_path: Path) -> None:
    nrrd.write(str(tmp_path / "a.nrrd"), np.zeros((5, 6, 3), np.uint8))
    with pytest.raises(DatasetError, match="sizes 5 6 3, not of one slice"):
        read_mask_file(tmp_path / "a.nrrd")
    with pytest.raises(DatasetError, match="unsupported NRRD file: type int64"):
        read_mask_file(written(tmp_path / "b.nrrd", LABELS.astype(np.int64)))
    with pytest.raises(DatasetError, match="encoding bzip2"):
        read_mask_file(written(tmp_path / "c.nrrd", encoding="bzip2"))
    with pytest.raises(DatasetError, match="negative values"):
        read_mask_file(written(tmp_path / "d.nrrd", -LABELS.astype(np.int16)))


def test_data_in_another_file_is_refused(tmp_path: Path) -> None:
    nrrd.write(str(tmp_path / "a.nhdr"), LABELS.T)
    with pytest.raises(DatasetError, match="data in another file"):
        read_mask_file(tmp_path / "a.nhdr")


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
def test_damage_is_named(tmp_path: Path, encoding: str) -> None:
    """Cut anywhere, a file is refused and never read as a part of itself."""
    whole = written(tmp_path / "a.nrrd", encoding=encoding).read_bytes()
    for cut in range(4, len(whole) - 9, 23):
        (tmp_path / "b.nrrd").write_bytes(whole[:cut])
        with pytest.raises(DatasetError, match="NRRD file"):
            read_mask_file(tmp_path / "b.nrrd")


def test_giant_sizes_are_not_allocated(tmp_path: Path) -> None:
    (tmp_path / "a.nrrd").write_bytes(
        b"NRRD0005\ntype: uint8\ndimension: 2\nsizes: 90000 90000\nencoding: raw\n\n"
    )
    with pytest.raises(DatasetError, match="damaged"):
        read_mask_file(tmp_path / "a.nrrd")
