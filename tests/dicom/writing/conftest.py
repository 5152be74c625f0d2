"""Synthetic ultrasound DICOM files and segmentations of them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
    generate_uid,
)

from sonoseg.image.calibration import Spacing
from sonoseg.image.frame import Frame
from sonoseg.inference.segmentation import Segmentation
from sonoseg.lesions.measurement import Findings, measure

MODEL = "compact (0123456789ab)"
SPACING = Spacing(0.08, 0.1)
NAME = "Musterfrau^Erika"

Case = tuple[Path, list[Segmentation], list[Findings]]


def write_ultrasound(
    path: Path,
    *,
    frames: int | None = None,
    shape: tuple[int, int] = (60, 83),
    patient: bool = True,
    **values: Any,
) -> Path:
    """An ultrasound image (or a clip of `frames`) of noise.

    values: attributes by keyword; None removes one.
    Without `patient` it is as anonymised files are: no name, no birth date, no StudyID, no dates.
    """
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = (
        UltrasoundImageStorage if frames is None else UltrasoundMultiFrameImageStorage
    )
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(path)])
    image = Dataset()
    image.file_meta = meta
    image.SOPClassUID = meta.MediaStorageSOPClassUID
    image.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    image.StudyInstanceUID = generate_uid(entropy_srcs=["study"])
    image.SeriesInstanceUID = generate_uid(entropy_srcs=["series"])
    image.Modality = "US"
    image.SeriesNumber, image.InstanceNumber = 3, 7
    if patient:
        image.SpecificCharacterSet = "ISO_IR 192"
        image.PatientName, image.PatientID = NAME, "MF-1234"
        image.PatientBirthDate, image.PatientSex = "19610412", "F"
        image.StudyDate, image.StudyTime = "20240229", "101500"
        image.StudyID, image.AccessionNumber = "S-77", "ACC-9"
        image.ReferringPhysicianName = "Überweis^Ruth"
        image.StudyDescription = "Mammasonographie"
        image.InstitutionName = "Klinik am See"
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.Rows, image.Columns = shape
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 8, 8, 7, 0
    if frames is not None:
        image.NumberOfFrames = frames
        image.FrameTime = "40"
        image.FrameIncrementPointer = 0x00181063
    for keyword, value in values.items():
        if value is None:
            del image[keyword]
        else:
            setattr(image, keyword, value)
    pixels = np.random.default_rng(5).integers(0, 255, (frames or 1, *shape), dtype=np.uint8)
    data = pixels.tobytes()
    image.PixelData = data + b"\0" * (len(data) % 2)
    image.save_as(path, enforce_file_format=True)
    return path


def segment(
    path: Path,
    boxes: Sequence[tuple[int, int, int, int]],
    *,
    index: int | None = None,
    shape: tuple[int, int] = (60, 83),
    spacing: Spacing | None = SPACING,
    model: str = MODEL,
) -> tuple[Segmentation, Findings]:
    """A segmentation whose lesions are ellipses in boxes of top, left, height, width."""
    mask = np.zeros(shape, dtype=bool)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    for top, left, height, width in boxes:
        middle = top + (height - 1) / 2, left + (width - 1) / 2
        mask |= ((rows - middle[0]) / (height / 2)) ** 2 + ((columns - middle[1]) / (width / 2)) ** 2 < 1
    random = np.random.default_rng(index or 0)
    probability = np.where(mask, 0.75, 0.1).astype(np.float32)
    probability += random.uniform(-0.1, 0.1, shape).astype(np.float32)
    pixels = random.integers(0, 255, shape, dtype=np.uint8)
    frame = Frame(pixels, spacing, path, index=index, kind="dicom")
    found = Segmentation(frame, probability, mask, mask, 0.5, None, model, "onnxruntime 1")
    return found, measure(found)


TWO = [(5, 6, 12, 20), (30, 40, 21, 33)]


@pytest.fixture
def still(tmp_path: Path) -> Case:
    """A single-frame file with two lesions."""
    path = write_ultrasound(tmp_path / "still.dcm")
    segmentation, findings = segment(path, TWO)
    return path, [segmentation], [findings]


@pytest.fixture
def clip(tmp_path: Path) -> Case:
    """Frames 1, 3 and 4 (from 0) of a clip of six: two lesions, none, one."""
    path = write_ultrasound(tmp_path / "clip.dcm", frames=6)
    made = [segment(path, boxes, index=k) for k, boxes in ((1, TWO), (3, []), (4, TWO[:1]))]
    return path, [one for one, _ in made], [one for _, one in made]


@pytest.fixture
def make_case() -> Callable[..., Case]:
    """A file with attributes of one's own in a folder, and one lesion."""

    def make(folder: Path, *, shape: tuple[int, int] = (60, 83), **values: Any) -> Case:
        path = write_ultrasound(folder / "own.dcm", shape=shape, **values)
        segmentation, findings = segment(path, TWO[:1], shape=shape)
        return path, [segmentation], [findings]

    return make


@pytest.fixture
def anonymous(tmp_path: Path) -> Case:
    """A file without anything of a patient, one lesion, no spacing."""
    path = write_ultrasound(tmp_path / "anonymous.dcm", patient=False)
    segmentation, findings = segment(path, TWO[:1], spacing=None)
    return path, [segmentation], [findings]


@pytest.fixture
def nothing(tmp_path: Path) -> Case:
    """A file in which no lesion was found."""
    path = write_ultrasound(tmp_path / "nothing.dcm")
    segmentation, findings = segment(path, [])
    return path, [segmentation], [findings]


@pytest.fixture
def dciodvfy() -> Callable[[Path], list[str]]:
    """What dciodvfy (dicom3tools) says of a file: its error lines; skips where it is not installed."""
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("dciodvfy (Debian's dicom3tools) is not installed")

    def errors(path: Path) -> list[str]:
        ran = subprocess.run([program, str(path)], capture_output=True, text=True, timeout=60, check=False)
        lines = (ran.stdout + ran.stderr).splitlines()
        assert len(lines) > 0
        return [line for line in lines if line.startswith("Error")]

    return errors
