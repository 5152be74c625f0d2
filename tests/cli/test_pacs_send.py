"""`sonoseg pacs send`: the files that it sends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sonoseg.cli.pacs_send import _dicom_files
from sonoseg.errors import InputError
from sonoseg.inputs.file_search import SkippedFiles

PIXELS = np.zeros((40, 50), np.uint8)


def test_results_are_sent_and_other_images_counted(tmp_path: Path, make_dicom: Callable[..., Path]) -> None:
    scan = make_dicom(tmp_path / "scan.dcm", PIXELS)
    (tmp_path / "out" / "dicom").mkdir(parents=True)
    (tmp_path / "out" / "results.json").write_text('{"format": "sonoseg-results/3"}', "utf-8")
    report = make_dicom(
        tmp_path / "out" / "dicom" / "scan_sr.dcm", PIXELS, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33"
    )
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.warns(SkippedFiles, match="^1 file skipped: 1 non-DICOM image$"):
        assert _dicom_files([tmp_path]) == [report, scan]
    assert _dicom_files([tmp_path / "a.png"]) == [tmp_path / "a.png"]


def test_a_folder_without_dicom_is_refused(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InputError, match="no DICOM file found: 2 files skipped: 2 non-DICOM images"):
        _dicom_files([tmp_path])
