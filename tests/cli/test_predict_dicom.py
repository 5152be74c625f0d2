"""`sonoseg predict` on DICOM: stills and clips, their calibration, the objects for the archive."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sonoseg.image.calibration import UNKNOWN

pydicom = pytest.importorskip("pydicom")
pytest.importorskip("highdicom")

Run = Callable[..., tuple[int, str, str]]
NAME = "Secretname^Anna"
SHAPE = (120, 160)


def scan(path: Path, *, frames: int | None = None, region: bool = True, **values: Any) -> Path:
    """Ultrasound with a dark square (in a clip it wanders), calibrated from column 2 on: 0.1 by 0.2 mm.

    Outside of the region it is white, as letters would be; the strip is too narrow to be found dark when
    it is blanked. values: attributes; None leaves one out.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    image = Dataset()
    image.SOPClassUID = f"1.2.840.10008.5.1.4.1.1.{'6.1' if frames is None else '3.1'}"
    image.SOPInstanceUID = generate_uid(entropy_srcs=[path.name])
    image.StudyInstanceUID, image.SeriesInstanceUID = "1.2.826.1", "1.2.826.2"
    image.Modality, image.PatientName, image.PatientID = "US", NAME, "4711"
    image.Rows, image.Columns = SHAPE
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 8
    image.HighBit, image.PixelRepresentation = 7, 0
    if region:
        item = Dataset()
        item.RegionSpatialFormat = item.RegionDataType = 1
        item.RegionFlags = 0
        item.RegionLocationMinX0, item.RegionLocationMinY0 = 2, 0
        item.RegionLocationMaxX1, item.RegionLocationMaxY1 = 159, 119
        item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3
        item.PhysicalDeltaX, item.PhysicalDeltaY = 0.02, 0.01
        image.SequenceOfUltrasoundRegions = [item]
    pixels = np.full((frames or 1, *SHAPE), 150, dtype=np.uint8)
    pixels[:, :, :2] = 255
    for number in range(frames or 1):
        pixels[number, 40:80, 60 + number : 100 + number] = 5
    if frames is not None:
        image.NumberOfFrames = frames
    image.PixelData = pixels.tobytes()
    for keyword, value in values.items():
        if value is None:
            del image[keyword]
        else:
            setattr(image, keyword, value)
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save_as(path, enforce_file_format=True)
    return path


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "results.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def mask(out: Path, name: str) -> np.ndarray:
    with Image.open(out / "masks" / f"{name}.png") as image:
        return np.asarray(image) > 0


def files(out: Path, folder: str) -> set[str]:
    return {path.name for path in (out / folder).rglob("*") if path.is_file()}


def test_sizes_come_from_the_files_region(run: Run, tmp_path: Path) -> None:
    code, told, warned = run(scan(tmp_path / "still.dcm"), "--out", tmp_path / "out")
    assert (code, warned) == (0, "")
    (row,) = rows(tmp_path / "out")
    assert (row["unit"], row["spacing_origin"]) == ("mm", "file")
    assert (float(row["spacing_row"]), float(row["spacing_column"])) == (0.1, 0.2)
    assert float(row["width"]) == pytest.approx(8.0, abs=0.6)
    assert float(row["height"]) == pytest.approx(4.0, abs=0.3)
    assert "in pixels" not in told


def test_every_output_has_the_caution_of_a_clipped_region(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    path = scan(tmp_path / "still.dcm")
    image = pydicom.dcmread(path)
    image.SequenceOfUltrasoundRegions[0].RegionLocationMaxX1 = image.Columns
    image.save_as(path)
    code, told, warned = run(path, "--out", out, "--dicom")
    assert code == 0
    (row,) = rows(out)
    origin = "region, clipped by one pixel"
    assert (row["unit"], row["spacing_origin"]) == ("mm", origin)
    caution = "the region ends one pixel beyond the frame and was clipped"
    page = (out / "report.html").read_text(encoding="utf-8")
    (sr,) = (path for path in (out / "dicom").rglob("*.dcm") if pydicom.dcmread(path).Modality == "SR")
    for text in (warned, told, page, sr.read_bytes().decode("latin-1")):
        assert caution in " ".join(text.split())
    assert origin in page


def test_rows_of_a_table_of_spacings_that_match_no_file_are_listed(run: Run, tmp_path: Path) -> None:
    table = tmp_path / "spacings.csv"
    table.write_text("file,spacing\nstill.dcm,0.3\nother.dcm,0.4\n")
    code, _, warned = run(scan(tmp_path / "still.dcm"), "--out", tmp_path / "out", "--spacings", table)
    assert code == 0
    assert "1 of 2 rows match no file: 'other.dcm'" in " ".join(warned.split())


def test_without_a_region_every_output_has_the_reason(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    scan(tmp_path / "still.dcm", region=False)
    code, _, warned = run(tmp_path / "still.dcm", "--out", tmp_path / "refused")
    assert code == 3
    assert "--keep-burned-in" in warned  # nobody says where letters may stand
    code, told, _ = run(tmp_path / "still.dcm", "--out", out, "--keep-burned-in")
    assert code == 0
    (row,) = rows(out)
    assert (row["unit"], row["spacing_origin"]) == ("px", "none")
    reason = row["spacing_reason"]
    assert reason
    assert f"Sizes are in pixels: {reason} (1 lesion). Give the pixel spacing with --spacing 0.105" in told
    assert reason in (out / "report.html").read_text(encoding="utf-8")
    (image,) = json.loads((out / "results.json").read_text(encoding="utf-8"))["images"]
    assert image["lesions"][0]["spacing_reason"] == reason


def test_given_and_tabled_spacings_override_the_files(run: Run, tmp_path: Path) -> None:
    for name in ("a", "b"):
        scan(tmp_path / "in" / f"{name}.dcm")
    table = tmp_path / "spacings.csv"
    table.write_text("file,row,column\nb.dcm,0.3,0.3\n")
    out = tmp_path / "out"
    code, told, _ = run(tmp_path / "in", "--out", out, "--spacing", "0.05", "--spacings", table)
    assert code == 0
    assert [(row["spacing_origin"], row["spacing_row"]) for row in rows(out)] == [
        ("given", "0.05"),
        ("table", "0.3"),
    ]
    assert "1 lesion measured with the spacing of --spacing." in told
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "0.05, from --spacing" in page
    assert "0.3, from a table" in page
    table.write_text("file,row,column\nb.dcm,0.4,0.4\n")
    code, _, warned = run(tmp_path / "in", "--out", out, "--spacing", "0.05", "--spacings", table, "--resume")
    assert code == 1
    assert "options.spacings was" in warned


def test_a_clip_has_one_result_per_frame(run: Run, tmp_path: Path) -> None:
    clip, out = scan(tmp_path / "clip.dcm", frames=7), tmp_path / "out"
    code, told, _ = run(clip, "--out", out, "--frames", "1:6:2")
    assert code == 0
    assert [(row["image"], row["frame"]) for row in rows(out)] == [
        ("clip_f0001", "1"),
        ("clip_f0003", "3"),
        ("clip_f0005", "5"),
    ]
    assert "in 3 images" in told
    left = [int(np.flatnonzero(mask(out, f"clip_f000{number}").any(axis=0))[0]) for number in (1, 3, 5)]
    assert np.diff(left).min() > 0  # each is of its own frame
    code, _, warned = run(clip, "--out", tmp_path / "x", "--frames", "99")
    assert code == 3
    assert "none of its 7 frames" in warned
    code, _, warned = run(clip, "--out", tmp_path / "y", "--frames", "some")
    assert code == 2
    assert not (tmp_path / "y").exists()


@pytest.mark.process
def test_dicom_objects_hold_the_masks(run: Run, tmp_path: Path) -> None:
    import highdicom

    scan(tmp_path / "in" / "still.dcm")
    scan(tmp_path / "in" / "clip.dcm", frames=3)
    out = tmp_path / "out"
    code, _, warned = run(tmp_path / "in", "--out", out, "--dicom", "-q")
    assert (code, warned) == (0, "")
    stills = {f"clip_f000{number}_capture.dcm" for number in range(3)} | {"still_capture.dcm"}
    assert files(out, "dicom") == stills | {
        f"{n}_{kind}.dcm" for n in ("still", "clip") for kind in ("seg", "sr")
    }
    seg = highdicom.seg.segread(out / "dicom" / "clip_seg.dcm")
    by_frame = {
        int(group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber): pixels
        for group, pixels in zip(seg.PerFrameFunctionalGroupsSequence, seg.pixel_array, strict=True)
    }
    for number in range(3):
        assert np.array_equal(by_frame[number + 1] > 0, mask(out, f"clip_f000{number}"))
    assert np.array_equal(
        pydicom.dcmread(out / "dicom" / "still_seg.dcm").pixel_array > 0, mask(out, "still")
    )
    report = pydicom.dcmread(out / "dicom" / "clip_sr.dcm")
    assert seg.SOPInstanceUID in str(report.CurrentRequestedProcedureEvidenceSequence)
    value = json.loads((out / "results.json").read_text(encoding="utf-8"))
    for image in value["images"]:
        assert set(image["files"]) == {"overlay", "mask", "capture", "seg", "sr"}
        assert all((out / path).is_file() for path in image["files"].values())
    listed = [one["path"] for one in json.loads((out / "report.json").read_text())["outputs"]]
    assert len(listed) == len(set(listed))
    assert "dicom/clip_seg.dcm" in listed


@pytest.mark.process
def test_the_patient_is_in_dicom_objects_only_and_can_be_left_out(run: Run, tmp_path: Path) -> None:
    image = scan(tmp_path / "still.dcm")
    shown, hidden = tmp_path / "shown", tmp_path / "hidden"
    _, *told = run(image, "--out", shown, "--dicom", "--labelme", "--nrrd", "--coco")
    assert NAME not in "".join(told)
    for path in shown.rglob("*"):
        if path.is_file():
            assert (NAME.encode() in path.read_bytes()) == (path.parent.name == "dicom"), path
    assert run(image, "--out", hidden, "--dicom", "--anonymise", "-q")[0] == 0
    for path in hidden.rglob("*"):
        assert path.is_dir() or NAME.encode() not in path.read_bytes(), path
    tables = {"results.csv", "results.json", "journal.sqlite"}
    identity = {NAME: set(), "4711": tables}  # the name is in no table, the ID is
    assert run(image, "--out", tmp_path / "tables", "--anonymise", "-q")[0] == 0
    for text, files in identity.items():
        for folder, expected in ((shown, files), (hidden, set()), (tmp_path / "tables", set())):
            there = {path.name for path in folder.iterdir() if path.is_file()}
            assert {n for n in there if text.encode() in (folder / n).read_bytes()} == expected, (
                folder,
                text,
            )


def test_pixels_outside_the_region_are_blank_unless_kept(run: Run, tmp_path: Path) -> None:
    image = scan(tmp_path / "still.dcm")
    for words, grey in (((), 0), (("--keep-burned-in",), 255)):
        out = tmp_path / f"out{grey}"
        run(image, "--out", out, "-q", *words)
        with Image.open(out / "overlays" / "still.png") as overlay:
            assert np.asarray(overlay)[10, 1].tolist() == [grey] * 3


def test_objects_without_a_dicom_source_are_a_warning(run: Run, tmp_path: Path) -> None:
    Image.fromarray(np.full((60, 60), 150, dtype=np.uint8)).save(tmp_path / "plain.png")
    code, _, warned = run(tmp_path / "plain.png", "--out", tmp_path / "out", "--seg")
    assert code == 0
    assert "1 of 1 files are not DICOM" in warned
    assert not (tmp_path / "out" / "dicom").exists()


def test_probabilities_as_a_fractional_segmentation(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    clip = scan(tmp_path / "clip.dcm", frames=2)
    assert run(clip, "--out", out, "--fractional", "-q")[0] == 0
    seg = pydicom.dcmread(out / "dicom" / "clip_seg.dcm")
    assert seg.SegmentationType == "FRACTIONAL"
    with Image.open(out / "probability" / "clip_f0001.png") as image:
        probability = np.asarray(image) / 65535
    assert np.abs(seg.pixel_array[1] / 255 - probability).max() <= 0.5 / 255 + 1e-4


def test_a_file_without_a_study_uid_is_segmented_and_reported(run: Run, tmp_path: Path) -> None:
    scan(tmp_path / "in" / "good.dcm")
    scan(tmp_path / "in" / "nameless.dcm", StudyInstanceUID=None)
    out = tmp_path / "out"
    code, _, warned = run(tmp_path / "in", "--out", out, "--seg")
    assert code == 3
    assert "seg was not written: StudyInstanceUID is missing" in warned
    assert "1 of 2 files were refused" in warned
    assert files(out, "masks") == {"good.png", "nameless.png"}
    assert files(out, "dicom") == {"good_seg.dcm"}
    assert "StudyInstanceUID is missing" in (out / "report.html").read_text(encoding="utf-8")
    assert run(tmp_path / "in", "--out", out, "--seg", "--resume")[0] == 3  # and is not forgotten


def test_damaged_files_are_refused(run: Run, tmp_path: Path) -> None:
    good = scan(tmp_path / "in" / "good.dcm")
    data = good.read_bytes()
    (tmp_path / "in" / "cut.dcm").write_bytes(data[: len(data) // 2])
    (tmp_path / "in" / "head.dcm").write_bytes(data[:200])
    (tmp_path / "in" / "empty.dcm").touch()
    (tmp_path / "in" / "text.dcm").write_text("no image")
    scan(tmp_path / "in" / "zero.dcm", Rows=0)
    code, _, warned = run(tmp_path / "in", "--out", tmp_path / "out", "--dicom")
    assert code == 3
    assert "5 of 6 files were refused" in warned
    assert "Traceback" not in warned
    assert NAME not in warned
    assert files(tmp_path / "out", "masks") == {"good.png"}


def test_an_unforeseen_exception_refuses_one_file(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sonoseg.inputs import reading_options as frames

    real = frames.read

    def broken(ref: frames.FrameRef, **options: Any) -> object:
        if ref.path.name == "b.dcm":
            raise RuntimeError("decoder failed")
        return real(ref, **options)

    monkeypatch.setattr(frames, "read", broken)
    for name in "abc":
        scan(tmp_path / "in" / f"{name}.dcm")
    code, _, warned = run(tmp_path / "in", "--out", tmp_path / "out")
    assert code == 3
    assert "b.dcm: cannot be read (decoder failed)" in warned
    assert files(tmp_path / "out", "masks") == {"a.png", "c.png"}


@pytest.mark.process
def test_an_interrupted_clip_gets_its_objects_on_resume(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, out = scan(tmp_path / "clip.dcm", frames=4), tmp_path / "out"

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:  # after the last frame, before the objects
        patched.setattr("sonoseg.results.journal.Journal.add_objects", stop)
        assert run(clip, "--out", out, "--seg", "-q")[0] == 130
    (out / "dicom" / "clip_seg.dcm").unlink()
    code, _, warned = run(clip, "--out", out, "--seg", "--resume")
    assert code == 0
    assert "4 of 4 images are done already" in warned
    assert files(out, "dicom") == {"clip_seg.dcm"}
    assert len(pydicom.dcmread(out / "dicom" / "clip_seg.dcm").pixel_array) == 4
    (out / "masks" / "clip_f0002.png").unlink()
    code, _, warned = run(clip, "--out", out, "--seg", "--resume")
    assert (code, "3 of 4 images are done already" in warned) == (0, True)


def test_annotations_and_masks_for_other_tools(run: Run, tmp_path: Path) -> None:
    scan(tmp_path / "in" / "a.dcm")
    pixels = np.full(SHAPE, 150, dtype=np.uint8)
    pixels[40:80, 60:100] = 5
    Image.fromarray(pixels).save(tmp_path / "in" / "b.png")
    out = tmp_path / "out"
    assert run(tmp_path / "in", "--out", out, "--coco", "--labelme", "--nrrd", "-q")[0] == 0
    assert files(out, "labelme") == {"a.json", "a.png", "b.json"}
    assert files(out, "nrrd") == {"a.seg.nrrd", "b.seg.nrrd"}
    for name in ("a", "b"):
        value = json.loads((out / "labelme" / f"{name}.json").read_text(encoding="utf-8"))
        with Image.open(out / "labelme" / value["imagePath"]) as shown:
            assert shown.size == (160, 120)
    coco = json.loads((out / "coco.json").read_text(encoding="utf-8"))
    assert [image["id"] for image in coco["images"]] == [1, 2]
    for image in coco["images"]:
        assert (out / image["file_name"]).resolve() in {tmp_path / "in" / "a.dcm", tmp_path / "in" / "b.png"}
    assert len(coco["annotations"]) == 2


def test_published_dicom_is_read_or_refused(run: Run, real_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, _, warned = run(real_data / "dicom", "--out", out, "--frames", "key", "--dicom")
    assert code == 0, warned
    found = rows(out)
    assert len({row["file"] for row in found}) == 5
    for row in found:
        assert (row["unit"] == "mm") == (row["spacing_reason"] == "")
        assert row["spacing_reason"] != UNKNOWN
