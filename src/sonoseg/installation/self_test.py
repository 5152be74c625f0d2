"""Self-test of an installation: one phantom through every installed engine, writer and codec."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from sonoseg._util.packages import is_installed
from sonoseg._util.text import first_line
from sonoseg.errors import MissingExtra, ModelError, SonosegError, UsageError
from sonoseg.inference.runtimes.base import Engine, Precision

if TYPE_CHECKING:
    from sonoseg.image.frame import Frame
    from sonoseg.inference.predictor import Predictor
    from sonoseg.inference.segmentation import Segmentation
    from sonoseg.model.model import Model

State = Literal["works", "absent", "broken"]

PARITY = 1e-4
"""Largest accepted difference of probabilities between two engines in float32."""

AGREEMENT = 0.95
"""Smallest accepted Dice between the masks of a lower precision and of float32."""

TRUTH = 0.05
"""Largest accepted relative error of the phantom's longest axis."""


@dataclass(frozen=True)
class Check:
    """The result of one check. "absent": not installed, which is not an error."""

    group: str
    name: str
    state: State
    detail: str
    seconds: float = 0.0


def self_test(model: Path | None) -> Iterator[Check]:
    """Run all checks in order. model: a model folder or run; None for the shipped model."""
    yield from _packages()
    loaded, check = _model(model)
    yield check
    if loaded is None:
        return
    frame, axis = _phantom()
    reference, checks = _runtimes(loaded, frame)
    yield from checks
    if reference is None:
        return
    predictor, found = reference
    yield _try("results", "sizes", lambda: _sizes(found, axis))
    yield _try("results", "folder", lambda: _folder(predictor, frame))
    if not (is_installed("pydicom") and is_installed("highdicom")):
        yield Check("dicom", "read and write", "absent", "pip install 'sonoseg[dicom]'")
        return
    yield _try("dicom", "read and write", lambda: _dicom(predictor, frame))
    yield from _codecs()


def _packages() -> Iterator[Check]:
    from sonoseg.installation.extras import CORE, packages

    for extra, wanted in packages().items():
        old = [
            f"{one.name} {one.version}, needs {one.floor}" for one in wanted if one.version and not one.recent
        ]
        absent = [one.name for one in wanted if one.version is None]
        there = ", ".join(f"{one.name} {one.version}" for one in wanted if one.version)
        if old or (absent and extra == CORE):
            yield Check("packages", extra, "broken", "; ".join([*old, *(f"no {name}" for name in absent)]))
        elif absent:
            yield Check(
                "packages", extra, "absent", f"no {', '.join(absent)}: pip install 'sonoseg[{extra}]'"
            )
        else:
            yield Check("packages", extra, "works", there)


def _model(folder: Path | None) -> tuple[Model | None, Check]:
    from sonoseg.model.model import Model

    start = time.perf_counter()
    try:
        model = Model.load(folder)
    except SonosegError as error:
        return None, Check("model", "hash", "broken", str(error))
    files = ", ".join(sorted(model.card.sha256)) or "none on its card"
    detail = f"{model.card.name} ({model.hash}); hashes as on its card: {files}"
    return model, Check("model", "hash", "works", detail, time.perf_counter() - start)


def _phantom() -> tuple[Frame, float]:
    """The first sample scan, and its lesion's true longest axis in mm."""
    from sonoseg import samples

    return samples.frames()[0], float(samples.table()[0]["longest_axis_mm"])


def _runtimes(model: Model, frame: Frame) -> tuple[tuple[Predictor, Segmentation] | None, list[Check]]:
    """Every engine in every precision, compared with the first that works in float32."""
    from sonoseg.inference.runtimes.base import ENGINES, PRECISIONS

    reference: tuple[Predictor, Segmentation] | None = None
    checks = []
    for engine in ENGINES:
        for precision in PRECISIONS:
            found, check = _runtime(model, frame, engine, precision, reference and reference[1])
            checks.append(check)
            if reference is None and precision == "fp32" and check.state == "works":
                reference = found
    return reference, checks


def _runtime(
    model: Model, frame: Frame, engine: Engine, precision: Precision, reference: Segmentation | None
) -> tuple[tuple[Predictor, Segmentation] | None, Check]:
    from sonoseg.inference.predictor import Predictor
    from sonoseg.model.model import INT8

    name, start = f"{engine} {precision}", time.perf_counter()
    if precision == "int8" and not (model.folder / INT8).is_file():
        return None, Check("runtimes", name, "absent", "the model has no int8 network")
    try:
        predictor = Predictor(model, runtime=engine, precision=precision)
    except MissingExtra as error:
        return None, Check("runtimes", name, "absent", error.remedy or error.found)
    except UsageError as error:
        return None, Check("runtimes", name, "absent", error.found)
    except ModelError as error:
        return None, Check("runtimes", name, "broken", error.found)
    except Exception as error:  # a broken installation fails in its own way
        return None, Check("runtimes", name, "broken", first_line(error))
    loaded = time.perf_counter()
    try:
        found = predictor.predict(frame)
    except Exception as error:
        return None, Check("runtimes", name, "broken", first_line(error), loaded - start)
    spent = time.perf_counter()
    detail = f"{predictor.runtime}; {1000 * (spent - loaded):.0f} ms a phantom"
    state: State = "works"
    if reference is not None:
        worst = float(np.abs(found.probability - reference.probability).max())
        dice = _dice(found.mask, reference.mask)
        detail += f"; Dice {dice:.4f} with the first, probabilities within {worst:.1g}"
        if dice < AGREEMENT or (precision == "fp32" and worst > PARITY):
            state = "broken"
    return (predictor, found), Check("runtimes", name, state, detail, spent - start)


def _sizes(found: Segmentation, axis: float) -> str:
    from sonoseg.lesions.measurement import measure

    findings = measure(found)
    _need(bool(findings.lesions), "no lesion was found in the phantom")
    measured = findings.lesions[0].longest_axis
    text = f"longest axis {measured:.1f} {findings.unit}, true {axis:.1f} mm"
    _need(findings.unit == "mm" and abs(measured - axis) <= TRUTH * axis, text)
    return text


def _folder(predictor: Predictor, frame: Frame) -> str:
    """Write all outputs of the core install, and read the mask back."""
    from PIL import Image

    from sonoseg.results.entries import RunInfo
    from sonoseg.results.results_folder import RequestedOutputs, ResultsFolder
    from sonoseg.results.writers import image_writers

    assert frame.source is not None
    with tempfile.TemporaryDirectory() as folder:
        writers = image_writers(probability=True, labelme=True, nrrd=True)
        about = RunInfo.of(predictor, "sonoseg doctor")
        results = ResultsFolder(
            folder, {frame.source: "phantom"}, about, outputs=RequestedOutputs(writers, coco=True)
        )
        results.check()
        found = predictor.predict(frame)
        results.add(found)
        results.finish()
        results.close()
        with Image.open(Path(folder, "masks", "phantom.png")) as image:
            _need(np.array_equal(np.asarray(image) > 0, found.mask), "the mask differs when read back")
        written = sum(path.is_file() for path in Path(folder).rglob("*"))
    return f"{written} files written, the mask read back equal"


def _dicom(predictor: Predictor, frame: Frame) -> str:
    """Read and segment the phantom as a DICOM file; write its objects and read them back."""
    import highdicom
    import pydicom

    from sonoseg.dicom.reading.clip import open_dicom
    from sonoseg.dicom.writing.attributes import write_object
    from sonoseg.dicom.writing.capture import make_capture
    from sonoseg.dicom.writing.seg import make_seg
    from sonoseg.dicom.writing.sr import make_sr
    from sonoseg.lesions.measurement import measure

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "phantom.dcm")
        write_phantom(source, frame)
        with open_dicom(source) as clip:
            read = clip.frame(0)
        _need(np.array_equal(read.pixels, frame.pixels), "the pixels differ when read back")
        _need(read.spacing == frame.spacing, f"the spacing is {read.spacing} when read back")
        found = predictor.predict(read)
        findings = measure(found)
        seg, sr, capture = (Path(folder, f"{name}.dcm") for name in ("seg", "sr", "capture"))
        write_object(seg, make_seg(source, [found], [findings]))
        write_object(sr, make_sr(source, [found], [findings], seg=seg))
        write_object(capture, make_capture(source, found, findings))
        masks = highdicom.seg.segread(seg).pixel_array
        whole = masks.reshape(-1, *found.mask.shape).any(axis=0)
        _need(np.array_equal(whole, found.mask), "the mask of the SEG differs when read back")
        for path in (sr, capture):
            pydicom.dcmread(path)
    versions = f"pydicom {pydicom.__version__}, highdicom {highdicom.__version__}"
    return f"{versions}; a file read, its SEG, SR and capture written and read back"


def write_phantom(path: Path, frame: Frame) -> None:
    """Write a Frame as a DICOM ultrasound image with its spacing as a region. The patient is fictitious."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, UltrasoundImageStorage, generate_uid

    image = Dataset()
    image.SOPClassUID, image.SOPInstanceUID = UltrasoundImageStorage, generate_uid()
    image.StudyInstanceUID, image.SeriesInstanceUID = generate_uid(), generate_uid()
    image.Modality, image.PatientName, image.PatientID = "US", "Phantom", "PHANTOM"
    image.Rows, image.Columns = frame.shape
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 8, 8, 7, 0
    data = frame.pixels.tobytes()
    image.PixelData = data + b"\0" * (len(data) % 2)
    if frame.spacing is not None:
        region = Dataset()
        region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 0
        region.RegionLocationMinX0, region.RegionLocationMinY0 = 0, 0
        region.RegionLocationMaxX1, region.RegionLocationMaxY1 = frame.shape[1] - 1, frame.shape[0] - 1
        region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
        region.PhysicalDeltaX, region.PhysicalDeltaY = frame.spacing.column / 10, frame.spacing.row / 10
        image.SequenceOfUltrasoundRegions = [region]
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.save_as(path, enforce_file_format=True)


def _codecs() -> Iterator[Check]:
    from sonoseg.dicom.reading import codecs

    for name, syntaxes in (
        ("RLE", (codecs.RLE,)),
        ("JPEG", codecs.JPEG),
        ("JPEG lossless, 12 bits", codecs.JPEG_LOSSLESS),
        ("JPEG-LS", codecs.JPEG_LS),
        ("JPEG 2000", codecs.JPEG_2000),
        ("HTJ2K", codecs.HT_JPEG_2000),
    ):
        try:
            for syntax in syntaxes:
                codecs.check_codec(syntax)
        except MissingExtra as error:
            yield Check("dicom", name, "absent", error.remedy or error.found)
        else:
            yield Check("dicom", name, "works", "decoder installed")


def _try(group: str, name: str, work: Callable[[], str]) -> Check:
    start = time.perf_counter()
    try:
        detail = work()
    except SonosegError as error:
        return Check(group, name, "broken", str(error), time.perf_counter() - start)
    except Exception as error:  # a broken installation fails in its own way
        return Check(group, name, "broken", first_line(error), time.perf_counter() - start)
    return Check(group, name, "works", detail, time.perf_counter() - start)


def _need(held: bool, otherwise: str) -> None:
    if not held:
        raise RuntimeError(otherwise)


def _dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    both = int(one.sum() + other.sum())
    return 1.0 if both == 0 else 2 * int((one & other).sum()) / both
