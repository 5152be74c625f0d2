"""The steps of batch workers without Ray: the rows agree with `sonoseg predict`, errors are rows."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from pycocotools import mask as coco

from sonoseg._util.files import sha256_file
from sonoseg.batch.row_reading import ListedFile
from sonoseg.batch.row_steps import finish, read_tables, segment
from sonoseg.batch.rows import FINISHED, LESION, counts
from sonoseg.errors import ModelError
from sonoseg.image.calibration import Spacing
from sonoseg.inference.predictor import Predictor
from sonoseg.inputs.reading import read_frame
from sonoseg.inputs.reading_options import ReadingOptions
from sonoseg.inputs.spacing_table import Spacings
from sonoseg.lesions.measurement import measure
from sonoseg.results.tables import lesion_object
from sonoseg.samples import paths as samples


@pytest.fixture(scope="module")
def predictor(dark_model: Path) -> Predictor:
    """A network that finds what is dark."""
    return Predictor(dark_model, runtime="onnx", precision="fp32", threads=1)


def run_steps(
    predictor: Predictor,
    names: list[str],
    reading: ReadingOptions | None = None,
    base: Path = Path(),
    batch: int = 3,
) -> list[dict[str, Any]]:
    """Run all steps, one after the other."""
    files = [ListedFile(number, name) for number, name in enumerate(names)]
    found = []
    for rows in read_tables(files, reading or ReadingOptions(), base, predictor.steps):
        done = finish(segment(predictor, rows, batch), predictor.steps)
        assert done.schema == FINISHED
        found += done.to_pylist()
    return found


@pytest.mark.process
def test_rows_agree_with_predict(predictor: Predictor) -> None:
    names = [str(path) for path in samples()[:4]]
    spacing = Spacing(0.1, 0.2)
    rows = run_steps(predictor, names, ReadingOptions(spacing=spacing))
    assert [row["file"] for row in rows] == names
    for row, name in zip(rows, names, strict=True):
        plain = predictor.predict(read_frame(name, spacing=spacing))
        assert np.array_equal(coco.decode(row["mask"]), plain.mask)
        assert row["sha256"] == sha256_file(name)
        assert (row["height"], row["width"]) == plain.frame.shape
        assert row["uncertainty"] == float(f"{plain.uncertainty:.6g}")
        assert row["lesions"] == [lesion_object(lesion) for lesion in measure(plain).lesions]
        assert (row["spacing"], row["spacing_origin"], row["unit"]) == ([0.1, 0.2], "given", "mm")
        assert row["error"] is None
        assert row["assessable"] is True
        assert (row["position"], row["count"], row["frame"]) == (0, 1, None)
    assert sum(len(row["lesions"]) for row in rows)


def test_a_lesion_has_the_columns_of_results_json(predictor: Predictor) -> None:
    (lesion, *_) = measure(predictor.predict(samples()[0])).lesions
    fields = lesion_object(lesion)
    assert {field.name for field in LESION} == set(fields)
    assert {field.name for field in LESION.field("box").type} == set(fields["box"])


def test_patient_and_examination(
    predictor: Predictor, tmp_path: Path, make_dicom: Callable[..., Path]
) -> None:
    grey = np.random.default_rng(1).integers(0, 255, (60, 80), np.uint8)
    make_dicom(tmp_path / "a.dcm", grey, Laterality="L", StudyDate="20240131")
    make_dicom(tmp_path / "photo.dcm", grey, regions=[])  # an error, and yet of this patient
    shutil.copy(samples()[0], tmp_path / "b.png")
    names = ["a.dcm", "photo.dcm", "b.png"]
    one, refused, raster = run_steps(predictor, names, base=tmp_path)
    assert one["acquisition"] == {
        "patient_id": "4711",
        "study_instance_uid": None,
        "accession_number": None,
        "laterality": "left",
        "view": None,
        "acquisition_date": "2024-01-31",
    }
    assert (one["error"], refused["error"] is None) == (None, False)
    assert refused["acquisition"]["patient_id"] == "4711"
    assert raster["acquisition"] is None
    files = [ListedFile(0, "a.dcm")]
    (rows,) = read_tables(files, ReadingOptions(), tmp_path, predictor.steps, anonymise=True)
    assert rows.column("acquisition").to_pylist() == [None]
    assert b"4711" not in rows.column("image")[0].as_py()


def test_a_bad_file_costs_one_row(predictor: Predictor, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "cut.png").write_bytes(samples()[0].read_bytes()[:3000])
    (tmp_path / "folder.png").mkdir()
    shutil.copy(samples()[1], tmp_path / "good.png")
    names = ["text.png", "empty.png", "good.png", "cut.png", "absent.png", "folder.png"]
    rows = run_steps(predictor, names, base=tmp_path)
    assert [row["file"] for row in rows] == names
    assert [row["error"] is None for row in rows] == [name == "good.png" for name in names]
    for name, row in zip(names, rows, strict=True):
        if name != "good.png":
            assert row["mask"] is None
            assert row["lesions"] is None
            assert str(tmp_path) not in row["error"]
    assert rows[0]["sha256"] == sha256_file(tmp_path / "text.png")
    assert rows[1]["sha256"] is None
    done = finish(
        segment(
            predictor,
            next(read_tables([ListedFile(0, "text.png")], ReadingOptions(), tmp_path, predictor.steps)),
            2,
        ),
        predictor.steps,
    )
    assert counts(done) == {"frames": 0, "errors": 1, "lesions": 0}


def test_files_of_a_store_and_a_table_of_spacings(predictor: Predictor) -> None:
    system = fsspec.filesystem("memory")
    system.pipe("/clinic/a.png", samples()[0].read_bytes())
    system.pipe("/clinic/b.png", b"nothing")
    table = Spacings(Path("t.csv"), {"clinic/a.png": Spacing(0.3, 0.3)})
    names = [f"memory:///clinic/{name}.png" for name in "abc"]
    good, bad, absent = run_steps(predictor, names, ReadingOptions(spacing=Spacing(1, 1), spacings=table))
    assert (good["spacing_origin"], good["spacing"], good["file"]) == ("table", [0.3, 0.3], names[0])
    assert np.array_equal(coco.decode(good["mask"]), predictor.predict(samples()[0]).mask)
    assert "not an image" in bad["error"]
    assert "no such file" in absent["error"]


@pytest.mark.process
def test_a_frame_that_the_network_fails_on_does_not_affect_others(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [str(path) for path in samples()[:5]]
    plain = run_steps(predictor, names)
    steps = predictor.steps
    bad = steps.prepare(read_frame(names[1])).pixels
    run_pixels = predictor.run_pixels

    def fails(pixels: Any, grids: Any, attention: bool = False) -> Any:
        if any(np.array_equal(one, bad) for one in pixels):
            raise ModelError("the network gave numbers that are not finite")
        return run_pixels(pixels, grids, attention)

    monkeypatch.setattr(predictor, "run_pixels", fails)
    rows = run_steps(predictor, names)
    assert [row["error"] for row in rows] == [
        None,
        "the network gave numbers that are not finite.",
        None,
        None,
        None,
    ]
    assert [row["mask"] for row in rows if row["error"] is None] == [
        row["mask"] for number, row in enumerate(plain) if number != 1
    ]


def write_clip(path: Path, frames: int) -> Path:
    """Write an ultrasound clip with a moving dark square, without regions."""
    pydicom = pytest.importorskip("pydicom")
    image = pydicom.dataset.Dataset()
    image.SOPClassUID, image.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.3.1", "1.2.3"
    image.Modality, image.Rows, image.Columns, image.NumberOfFrames = "US", 64, 80, frames
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 8
    image.HighBit, image.PixelRepresentation = 7, 0
    pixels = np.full((frames, 64, 80), 150, np.uint8)
    for number in range(frames):
        pixels[number, 20:40, 20 + number : 45 + number] = 5
    image.PixelData = pixels.tobytes()
    image.file_meta = pydicom.dataset.FileMetaDataset()
    image.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    image.save_as(path, enforce_file_format=True)
    return path


def test_the_frames_of_a_clip_are_rows(predictor: Predictor, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.dcm", 7)
    fsspec.filesystem("memory").pipe("/clips/clip", clip.read_bytes())
    reading = ReadingOptions(frames="1:6:2", keep_burned_in=True)
    for name in (str(clip), "memory:///clips/clip"):
        rows = run_steps(predictor, [name], reading)
        assert [(row["frame"], row["position"], row["count"]) for row in rows] == [
            (1, 0, 3),
            (3, 1, 3),
            (5, 2, 3),
        ]
        left = [int(np.flatnonzero(coco.decode(row["mask"]).any(axis=0))[0]) for row in rows]
        assert np.diff(left).min() > 0  # each is of its own frame
        assert {row["sha256"] for row in rows} == {sha256_file(clip)}
    (refused,) = run_steps(predictor, [str(clip)], ReadingOptions(frames="99", keep_burned_in=True))
    assert "none of its 7 frames" in refused["error"]
    (refused,) = run_steps(predictor, [str(clip)])
    assert "--keep-burned-in" in refused["error"]
