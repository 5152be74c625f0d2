"""Header values, without any patient attribute."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sonoseg.dicom.reading.header import WANTED, read_header
from sonoseg.errors import SonosegError

GREY = np.zeros((20, 24), dtype=np.uint8)


def test_no_patient_attribute_is_read() -> None:
    from pydicom.datadict import tag_for_keyword

    for keyword in WANTED:
        tag = tag_for_keyword(keyword)
        assert tag is not None
        assert tag >> 16 not in (0x0010, 0x0032, 0x0038, 0x0040), keyword


def test_header_values(tmp_path: Path, make_dicom: Callable[..., Path], patient_name: str) -> None:
    path = make_dicom(
        tmp_path / "a.dcm", GREY, WindowCenter=["5", "7"], WindowWidth=["10", "20"], RescaleSlope="2"
    )
    with path.open("rb") as file:
        header, source = read_header(file, path)
        assert source is file
    assert (header.rows, header.columns, header.frames, header.samples) == (20, 24, 1, 1)
    assert header.windows == ((5.0, 10.0), (7.0, 20.0))
    assert (header.slope, header.intercept) == (2.0, 0.0)
    assert header.kind == "Ultrasound Image Storage"
    assert header.length == GREY.size
    assert path.read_bytes()[header.offset :] == bytes(GREY.size)
    assert patient_name not in repr(header)


@pytest.mark.filterwarnings("ignore:.*hardly any contrast")
def test_damaged_files_raise_our_errors(tmp_path: Path, make_dicom: Callable[..., Path]) -> None:
    """A small sample of research/benchmarks/fuzz_readers.py."""
    from sonoseg.dicom.reading.clip import Clip

    rng = np.random.default_rng(3)
    originals = [
        make_dicom(tmp_path / f"{k}.dcm", np.stack([GREY] * 3), syntax=syntax).read_bytes()
        for k, syntax in enumerate(("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50"))
    ]
    path = tmp_path / "mutated.dcm"
    for _ in range(80):
        data = bytearray(originals[rng.integers(len(originals))])
        for place in rng.integers(0, len(data), rng.integers(1, 8)):
            data[place] = rng.integers(256)
        path.write_bytes(data[: rng.integers(1, len(data) + 1)] if rng.random() < 0.2 else data)
        said = ""
        try:
            with Clip(path) as clip:
                clip.frame(clip.count - 1)
        except SonosegError as error:
            said = str(error)
        assert "Secretname" not in said


@pytest.mark.parametrize("keyword", ["Rows", "SamplesPerPixel"])
def test_invalid_values(tmp_path: Path, make_dicom: Callable[..., Path], keyword: str) -> None:
    from sonoseg.dicom.reading.clip import Clip

    values: Any = [1, 2]
    path = make_dicom(tmp_path / "a.dcm", GREY, **{keyword: values})
    with pytest.raises(SonosegError, match=f"{keyword} is invalid"):
        Clip(path)
