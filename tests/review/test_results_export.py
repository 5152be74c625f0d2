"""What was read, given out: the files that were asked for and no others, and whose each mask is."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage, generate_uid

from sonoseg import RESEARCH_ONLY
from sonoseg.errors import OutputError, UsageError
from sonoseg.image.calibration import Spacing
from sonoseg.image.frame import Frame
from sonoseg.inputs.frame_list import FrameRef, read
from sonoseg.results.schema import results_schema
from sonoseg.review.reading import Assessment, LesionShape, Review
from sonoseg.review.results_export import Reviewed, export_results

MODEL = "compact (0123456789ab)"
SHAPE = (60, 80)


def box(top: int, left: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[top : top + height, left : left + width] = True
    return mask


def reviewed(name: str = "one", source: Any = "edited", **values: Any) -> Reviewed:
    mask = values.pop("mask", box(10, 20, 15, 30))
    frame = Frame(np.where(mask, 20, 110).astype(np.uint8), Spacing(0.1, 0.2), name=name)
    given: dict[str, Any] = {
        "frame": frame,
        "mask": mask,
        "probability": np.where(box(10, 20, 15, 28), 0.75, 0.02).astype(np.float32),
        "source": source,
        "reader": "AB",
        "signed_at": "2026-01-02T03:04:05+00:00",
        "review": Review(
            reader="AB", shape=LesionShape.OVAL, assessment=Assessment.LOW_SUSPICION, comment="new, ü"
        ),
        "threshold": 0.4,
        "revision": 3,
    }
    return Reviewed(**(given | values))


def give(*those: Reviewed, folder: Path, what: set[str], anonymise: bool = False) -> set[str]:
    """Deliver, and list what is there."""
    export_results(those, what, folder, model_name=MODEL, anonymise=anonymise)
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def clip(tmp_path: Path) -> Callable[..., list[Reviewed]]:
    """A clip of three frames, as it was read: `clip("edited", "manual", "model")`."""

    def make(*sources: str) -> list[Reviewed]:
        path = tmp_path / "clip.dcm"
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = UltrasoundMultiFrameImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        image = Dataset()
        image.file_meta = meta
        image.SOPClassUID, image.SOPInstanceUID = (
            meta.MediaStorageSOPClassUID,
            meta.MediaStorageSOPInstanceUID,
        )
        image.StudyInstanceUID, image.SeriesInstanceUID = generate_uid(), generate_uid()
        image.Modality, image.SeriesNumber, image.InstanceNumber = "US", 1, 1
        image.PatientName, image.PatientID = "Musterfrau^Erika", "MF-1234"
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.Rows, image.Columns = SHAPE
        image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 8, 8, 7, 0
        image.NumberOfFrames, image.FrameTime, image.FrameIncrementPointer = 3, "40", 0x00181063
        image.PixelData = np.random.default_rng(5).integers(0, 255, (3, *SHAPE), np.uint8).tobytes()
        image.save_as(path, enforce_file_format=True)
        return [
            reviewed(
                source=source,
                frame=read(FrameRef(path, number), keep_burned_in=True),
                mask=box(5 * number + 5, 20, 15, 30),
            )
            for number, source in enumerate(sources)
        ]

    return make


WANTED = {
    "masks": {"masks/one.png"},
    "report": {"overlays/one.png", "report.html", "results.csv", "results.json"},
    "coco": {"coco.json", "images/one.png"},
    "labelme": {"labelme/one.json", "labelme/one.png"},
    "nrrd": {"nrrd/one.seg.nrrd"},
    "seg": set(),  # of a raster image there is none
    "sr": set(),
    "capture": set(),
}


@pytest.mark.parametrize("what", WANTED)
def test_only_what_was_asked_for_is_written(what: str, tmp_path: Path) -> None:
    assert give(reviewed(), folder=tmp_path / "out", what={what}) == WANTED[what] | {"reviews.csv"}


def test_the_mask_is_the_readers_and_the_tables_are_true(tmp_path: Path) -> None:
    out = tmp_path / "out"
    own = reviewed("own", "model", mask=box(10, 20, 15, 28), signed_at=None, reader=None, review=None)
    none = reviewed("none", "manual", mask=box(0, 0, 0, 0))
    give(reviewed(), own, none, folder=out, what={"masks", "report"})
    with Image.open(out / "masks" / "one.png") as image:
        assert np.array_equal(np.asarray(image) == 255, box(10, 20, 15, 30))
    results = json.loads((out / "results.json").read_text("utf-8"))
    jsonschema.validate(results, results_schema())
    assert results["notice"] == RESEARCH_ONLY
    assert results["model"] == {"name": "compact", "hash": "0123456789ab"}
    assert results["threshold"] == 0.4
    edited, models, empty = results["images"]
    assert edited["lesions"][0]["width"] == 6.0
    assert edited["lesions"][0]["mean_probability"] is None  # no network made it
    assert edited["uncertainty"] is None
    assert models["lesions"][0]["mean_probability"] == 0.75
    assert models["uncertainty"] is not None
    assert empty["lesions"] == []
    page = (out / "report.html").read_text("utf-8")
    assert "not a medical device" in page
    table = rows(out / "reviews.csv")
    assert [row["source"] for row in table] == ["edited", "model", "manual"]
    assert [row["status"] for row in table] == ["signed", "not signed", "signed"]
    first = table[0]
    assert (first["reader"], first["revision"], first["model"]) == ("AB", "3", MODEL)
    assert (first["shape"], first["assessment"], first["comment"]) == ("oval", "4A", "new, ü")
    assert table[1]["shape"] == ""
    assert table[0]["notice"] == RESEARCH_ONLY


def test_a_reader_writes_no_formula(tmp_path: Path) -> None:
    review = Review(reader="=1+1", comment="@SUM(A1)")
    give(reviewed(reader="=1+1", review=review), folder=tmp_path / "out", what={"masks"})
    (row,) = rows(tmp_path / "out" / "reviews.csv")
    assert (row["reader"], row["comment"]) == ("'=1+1", "'@SUM(A1)")


def test_two_images_of_one_name_are_both_there(tmp_path: Path) -> None:
    odd = reviewed("../up")
    there = give(reviewed("a"), reviewed("A"), odd, folder=tmp_path / "out", what={"masks"})
    assert there == {"masks/a.png", "masks/A-2.png", "masks/up.png", "reviews.csv"}


def test_what_results_refer_to_is_beside_them(tmp_path: Path) -> None:
    out = tmp_path / "out"
    image = reviewed()
    pixels = image.frame.pixels
    give(
        reviewed(frame=Frame(pixels, source=tmp_path / "originals" / "0123.png", name="one")),
        folder=out,
        what={"coco", "labelme", "report"},
    )
    polygons = json.loads((out / "labelme" / "one.json").read_text("utf-8"))
    coco = json.loads((out / "coco.json").read_text("utf-8"))
    for path in (out / "labelme" / polygons["imagePath"], out / coco["images"][0]["file_name"]):
        with Image.open(path) as written:
            assert np.array_equal(np.asarray(written), pixels)
    for path in out.rglob("*.*"):
        assert b"originals" not in path.read_bytes(), path  # the server's folders are its own


@pytest.mark.process
@pytest.mark.parametrize(
    ("source", "algorithm"), [("model", "AUTOMATIC"), ("edited", "SEMIAUTOMATIC"), ("manual", "MANUAL")]
)
def test_dicom_says_who_drew(
    clip: Callable[..., list[Reviewed]], tmp_path: Path, source: str, algorithm: str
) -> None:
    out = tmp_path / "out"
    frames = clip(source, source)
    there = give(*frames, folder=out, what={"seg", "sr", "capture"})
    assert len(there) == 5
    (seg,) = out.glob("dicom/*_seg.dcm")
    found = pydicom.dcmread(seg)
    assert {one.SegmentAlgorithmType for one in found.SegmentSequence} == {algorithm}
    assert len(found.SegmentSequence) == 2
    masks = found.pixel_array.astype(bool)
    for mask, one in zip(masks, frames, strict=True):
        assert np.array_equal(mask, one.mask)
    (report,) = out.glob("dicom/*_sr.dcm")
    assert found.SOPInstanceUID in str(pydicom.dcmread(report))
    assert len(list(out.glob("dicom/*_capture.dcm"))) == 2


def test_a_clip_with_masks_of_several_kinds_has_an_object_for_each(
    clip: Callable[..., list[Reviewed]], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    give(*clip("edited", "manual", "edited"), folder=out, what={"seg", "report"})
    kinds = {
        pydicom.dcmread(path).SegmentSequence[0].SegmentAlgorithmType: path.name
        for path in out.glob("dicom/*.dcm")
    }
    assert set(kinds) == {"SEMIAUTOMATIC", "MANUAL"}
    for kind, name in kinds.items():
        assert kind.lower() in name
    images = json.loads((out / "results.json").read_text("utf-8"))["images"]
    assert [one["files"]["seg"].split("/")[1] for one in images] == [
        kinds["SEMIAUTOMATIC"],
        kinds["MANUAL"],
        kinds["SEMIAUTOMATIC"],
    ]


def test_settings_of_the_models_masks(tmp_path: Path) -> None:
    same = [reviewed(name, "model", settings_hash="0123456789ab") for name in ("a", "b")]
    give(*same, folder=tmp_path / "same", what={"report"})
    assert {row["settings_hash"] for row in rows(tmp_path / "same" / "results.csv")} == {"0123456789ab"}
    value = json.loads((tmp_path / "same" / "results.json").read_text("utf-8"))
    assert value["settings_hash"] == "0123456789ab"
    give(*same, reviewed("c"), folder=tmp_path / "mixed", what={"report"})
    found = [row["settings_hash"] for row in rows(tmp_path / "mixed" / "reviews.csv")]
    assert found == ["0123456789ab", "0123456789ab", ""]
    assert {row["settings_hash"] for row in rows(tmp_path / "mixed" / "results.csv")} == {""}


def test_patients_of_a_clip(clip: Callable[..., list[Reviewed]], tmp_path: Path) -> None:
    for anonymise, patient in ((False, "MF-1234"), (True, "")):
        out = tmp_path / str(anonymise)
        give(*clip("model", "model", "model"), folder=out, what={"report"}, anonymise=anonymise)
        for name in ("results.csv", "reviews.csv"):
            assert {row["patient_id"] for row in rows(out / name)} == {patient}


def test_anonymised_nothing_names_the_patient(clip: Callable[..., list[Reviewed]], tmp_path: Path) -> None:
    out = tmp_path / "out"
    named = reviewed("Musterfrau", file="Musterfrau Erika.png", identity="00ff00ff00ff00ff")
    give(
        named,
        *clip("edited"),
        folder=out,
        what={"seg", "sr", "capture", "report", "masks", "coco", "labelme", "nrrd"},
        anonymise=True,
    )
    assert (out / "masks" / "00ff00ff00ff00ff.png").exists()
    for path in out.rglob("*"):
        assert "muster" not in path.name.lower()
        if path.is_file():
            content = path.read_bytes().lower()
            assert b"muster" not in content, path
            assert b"mf-1234" not in content, path


def test_what_cannot_be_written_is_told_and_the_rest_is_there(
    clip: Callable[..., list[Reviewed]], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    (frame,) = clip("edited")
    assert frame.frame.source is not None
    frame.frame.source.unlink()
    there = give(frame, reviewed(), folder=out, what={"seg", "report"})
    assert not any(path.endswith(".dcm") for path in there)
    results = json.loads((out / "results.json").read_text("utf-8"))
    assert len(results["images"]) == 2
    (refused,) = results["refused"]
    assert "seg was not written" in refused["reason"]


def test_a_folder_in_use_and_odd_wishes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="not empty"):
        give(reviewed(), folder=tmp_path / "full", what={"masks"})
    with pytest.raises(UsageError, match="unknown kind of file 'jpeg'"):
        give(reviewed(), folder=tmp_path / "out", what={"jpeg", "masks"})
    with pytest.raises(UsageError, match="no kind of file was chosen"):
        give(reviewed(), folder=tmp_path / "out", what=set())
    with pytest.raises(UsageError, match="no image"):
        give(folder=tmp_path / "out", what={"masks"})
