"""Measuring masks from Python: what the command does, without its output."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sonoseg._util.csv_text import read_csv
from sonoseg.errors import OutputError, SonosegWarning, UsageError
from sonoseg.image.calibration import Spacing
from sonoseg.inputs.file_search import SkippedFiles
from sonoseg.results.mask_measurements import (
    COLUMNS,
    find_masks,
    measure_masks,
    overlay_names,
    require_free,
)


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    folder = tmp_path / "masks"
    folder.mkdir()
    for name, width in (("a_mask", 40), ("b_mask", 0)):
        mask = np.zeros((60, 80), dtype=np.uint8)
        mask[10:30, 20 : 20 + width] = 255
        Image.fromarray(mask).save(folder / f"{name}.png")
    scan = np.full((60, 80), 90, dtype=np.uint8)
    scan[:, :10] = 120
    Image.fromarray(scan).save(folder / "a.png")
    return folder


def test_folder_is_measured_and_written(masks: Path, tmp_path: Path) -> None:
    with pytest.warns(SkippedFiles, match="1 file skipped: 1 image of a mask"):
        paths = find_masks([str(masks)])
    assert [path.stem for path in paths] == ["a_mask", "b_mask"]  # those named as masks
    found = measure_masks(paths, image=masks, spacing=Spacing(0.1, 0.2))
    assert [len(one.findings.lesions) for one in found.measured] == [1, 0]
    assert [one.image for one in found.measured] == [masks / "a.png", None]
    assert found.measured[0].findings.lesions[0].width == pytest.approx(8)
    assert found.to_csv().splitlines()[0] == ",".join(COLUMNS)
    out, names = tmp_path / "out", overlay_names(paths)
    require_free(out, names)
    found.write(out, names)
    assert json.loads((out / "measures.json").read_text("utf-8")) == found.to_object()
    with pytest.raises(OutputError):
        require_free(out, names)


def test_touching_labels_and_issues(tmp_path: Path) -> None:
    """Each label is measured by itself; what is uncertain is in the terminal, the CSV and the JSON."""
    labels = np.zeros((60, 80), np.uint8)
    labels[10:30, 10:30], labels[10:30, 30:60] = 1, 40
    Image.fromarray(labels).save(tmp_path / "a.png")
    Image.fromarray(255 - labels // 40 * 255).save(tmp_path / "b.png")
    with pytest.warns(SonosegWarning) as caught:
        found = measure_masks([tmp_path / "a.png", tmp_path / "b.png"])
    touching, inverted = (str(warning.message) for warning in caught)
    assert "a.png: labels touch" in touching
    assert "b.png: 100% of the image's border is lesion: the mask may be inverted" in inverted
    assert [lesion.area for lesion in found.measured[0].findings.lesions] == [600, 400]
    assert [one["warnings"] for one in found.to_object()["masks"]] == [[touching], [inverted]]
    rows = list(csv.DictReader(found.to_csv().splitlines()))
    assert [row["warnings"] for row in rows] == [touching, touching, inverted]


def test_an_image_that_exif_turns(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    scan, mask = np.full((60, 60), 90, np.uint8), np.zeros((60, 60), np.uint8)
    scan[:, :9], mask[10:30, 10:30] = 180, 255
    Image.fromarray(scan).save(tmp_path / "scan.jpg", exif=exif)
    Image.fromarray(mask).save(tmp_path / "mask.png")
    with pytest.warns(SonosegWarning, match=r"mask\.png: EXIF has .*scan\.jpg turned by 90 degrees"):
        measure_masks([tmp_path / "mask.png"], image=tmp_path / "scan.jpg")


def test_patient_and_workbook(masks: Path, tmp_path: Path, make_dicom: Callable[..., Path]) -> None:
    grey = np.asarray(Image.open(masks / "a.png"))
    image = make_dicom(tmp_path / "a.dcm", grey, PatientID="=7", Laterality="L")
    paths = [masks / "a_mask.png"]
    found = measure_masks(paths, image=image)
    (row,) = read_csv(io.StringIO(found.to_csv()))
    assert (row["patient_id"], row["laterality"]) == ("=7", "left")
    assert "'=7" in found.to_csv()
    assert found.to_object()["masks"][0]["acquisition"]["patient_id"] == "=7"
    hidden = measure_masks(paths, image=image, anonymise=True)
    assert "=7" not in hidden.to_csv() + json.dumps(hidden.to_object())
    openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is not installed")
    pytest.importorskip("xlsxwriter", reason="XlsxWriter is not installed: pip install 'sonoseg[xlsx]'")
    found.write(tmp_path / "out", overlay_names(paths), xlsx=True)
    book = openpyxl.load_workbook(tmp_path / "out" / "measures.xlsx")
    assert book.sheetnames == ["lesions", "images", "codebook", "settings"]
    for name in ("lesions", "images"):
        header, row = book[name].values
        assert dict(zip(header, row, strict=True))["patient_id"] == "=7"
        assert dict(zip(header, row, strict=True))["mask"] == str(paths[0])
    found.write(tmp_path / "out", overlay_names(paths))
    assert not (tmp_path / "out" / "measures.xlsx").exists()


def test_no_mask_is_a_usage_error() -> None:
    with pytest.raises(UsageError):
        find_masks([])
