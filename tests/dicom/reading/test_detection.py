"""Detection of DICOM by content."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sonoseg.dicom.reading.detection import is_dicom, looks_like_dicom

GREY = np.zeros((20, 20), dtype=np.uint8)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"])
@pytest.mark.parametrize("preamble", [True, False])
def test_dicom_with_and_without_preamble(
    tmp_path: Path, make_dicom: Callable[..., Path], syntax: str, preamble: bool
) -> None:
    assert is_dicom(make_dicom(tmp_path / "IM0001", GREY, syntax=syntax, preamble=preamble))


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "bmp", "gif", "webp", "jp2", "pgm"])
def test_other_image_formats(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"scan.{ending}"
    Image.fromarray(GREY).save(path)
    assert not is_dicom(path)


def test_other_content(tmp_path: Path) -> None:
    (tmp_path / "text.dcm").write_text("Patient: nobody\n" * 40)
    for path in (tmp_path / "text.dcm", tmp_path, tmp_path / "missing", Path("a\0b")):
        assert not is_dicom(path)
    assert not looks_like_dicom(b"")
    assert not looks_like_dicom(bytes(600))
    assert not looks_like_dicom(b"\x08\x00\x08\x00")


@given(st.binary(max_size=40))
def test_any_bytes(head: bytes) -> None:
    assert looks_like_dicom(bytes(128) + b"DICM" + head)
    looks_like_dicom(b"\x08\x00" + head)
