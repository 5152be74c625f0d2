"""DICOM Secondary Capture of the overlay, for a PACS that does not display segmentations (PS3.3 A.8)."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from sonoseg import __version__
from sonoseg.dicom.reading.regions import blank_outside
from sonoseg.dicom.writing.attributes import (
    NOTICE,
    SourceDataset,
    algorithm_parameters,
    equipment_attributes,
    finish,
    frame_number,
    instance_number,
    read_source,
    series_attributes,
)
from sonoseg.dicom.writing.codes import Purpose
from sonoseg.dicom.writing.identity import PRODUCT, Algorithm, model_name
from sonoseg.dicom.writing.segmented_frames import FrameFindings, each_frame, labelled
from sonoseg.image.frame import Frame
from sonoseg.inference.segmentation import Segmentation
from sonoseg.lesions.callipers import draw_callipers
from sonoseg.lesions.measurement import Findings

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def make_capture(
    source: str | Path,
    segmentation: Segmentation,
    findings: Findings,
    *,
    anonymise: bool = False,
    algorithm: Algorithm = "AUTOMATIC",
    when: datetime | None = None,
) -> Dataset:
    """Return one frame with its lesions drawn over it, as a colour image that any viewer displays.

    source, anonymise, algorithm, when: as in `make_seg`; one object per frame.

    A strip of text below the image names the software, its purpose and the model. BurnedInAnnotation (PS3.3
    C.7.6.1) is NO if all pixels outside of the scan regions are black, else YES, whatever the source says;
    only in the first case does `anonymise` set PatientIdentityRemoved to YES. The image has no pixel spacing,
    so that it is not measured.

    Raises as `make_seg`.
    """
    header = read_source(Path(source), anonymise=anonymise)
    (frame,) = each_frame(header, [segmentation], [findings])
    image = capture_pixels(frame)
    dataset = _dataset(header, segmentation, image, algorithm)
    blanked = _is_blanked(segmentation.frame)
    dataset.BurnedInAnnotation = "NO" if blanked else "YES"
    finish(dataset, header, "Lesions, drawn over the image", when)
    if anonymise and not blanked:
        dataset.PatientIdentityRemoved = "NO"
        del dataset.DeidentificationMethod
    return dataset


def capture_pixels(frame: FrameFindings) -> NDArray[np.uint8]:
    """Return overlay and callipers above the strip of text, uint8 (H + strip, W, 3)."""
    found = frame.segmentation
    drawn = draw_callipers(found.overlay(), frame.findings, mask=found.mask)
    model = model_name(found.model)
    maker = f"{PRODUCT} {__version__}, model {model.name}" + (f" ({model.digits})" if model.digits else "")
    return np.concatenate(
        [drawn, _strip([NOTICE, labelled(maker, frame.number)], drawn.shape[1], max(drawn.shape[:2]))]
    )


def _strip(texts: list[str], width: int, side: int) -> NDArray[np.uint8]:
    """Return lines of white text on black, wrapped to the width, uint8 (h, width, 3)."""
    letters = max(11, round(side / 48))
    font = ImageFont.load_default(size=letters)
    measure = ImageDraw.Draw(Image.new("L", (1, 1)))
    room = max(1, width - 2 * letters // 2)
    lines: list[str] = []
    for text in texts:
        line = ""
        for word in text.split():
            longer = f"{line} {word}".strip()
            if line and measure.textlength(longer, font=font) > room:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    step = round(letters * 1.4)
    strip = Image.new("RGB", (width, step * len(lines) + letters // 2))
    draw = ImageDraw.Draw(strip)
    for row, line in enumerate(lines):
        draw.text((letters // 2, letters // 4 + step * row), line, font=font, fill=(255, 255, 255))
    return np.asarray(strip)


def _is_blanked(frame: Frame) -> bool:
    """Return whether all pixels outside of the frame's scan regions are black."""
    regions = frame.calibration.regions
    if not regions:
        return False
    inside = blank_outside(frame.pixels, [region.box for region in regions])
    return np.array_equal(inside, frame.pixels)


def _dataset(
    source: SourceDataset, segmentation: Segmentation, image: NDArray[np.uint8], algorithm: Algorithm
) -> Dataset:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

    model = model_name(segmentation.model)
    number = frame_number(source, segmentation)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.StudyInstanceUID = source.study
    placed = series_attributes(source, "capture", model)
    dataset.SeriesInstanceUID = placed["series_instance_uid"]
    dataset.SeriesNumber = placed["series_number"]
    dataset.Modality = "OT"
    dataset.ConversionType = "WSD"  # SC Equipment module: workstation
    dataset.Laterality = source.side or ""  # Type 2C
    made_by = equipment_attributes(model)
    dataset.Manufacturer = made_by["manufacturer"]
    dataset.ManufacturerModelName = made_by["manufacturer_model_name"]
    dataset.SoftwareVersions = made_by["software_versions"]
    dataset.DeviceSerialNumber = made_by["device_serial_number"]
    dataset.InstanceNumber = instance_number(source, segmentation)
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.InstanceCreationDate = dataset.DateOfSecondaryCapture = ""  # set by `finish`
    dataset.PatientOrientation = ""
    made = {
        "AUTOMATIC": f"found by {PRODUCT}",
        "SEMIAUTOMATIC": f"found by {PRODUCT} and edited by a person",
        "MANUAL": "drawn by a person",
    }[algorithm]
    parameters = ", ".join(f"{name} {value}" for name, value in algorithm_parameters(segmentation).items())
    dataset.DerivationDescription = f"Lesions {made}, shown over the image; {parameters}. {NOTICE}"
    origin = Dataset()
    origin.ReferencedSOPClassUID, origin.ReferencedSOPInstanceUID = source.sop_class, source.sop_instance
    if number is not None:
        origin.ReferencedFrameNumber = number
    origin.PurposeOfReferenceCodeSequence = [Purpose.SOURCE.item]
    dataset.SourceImageSequence = [origin]
    for keyword, value in source.lossy.items():
        setattr(dataset, keyword, value)
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.Rows, dataset.Columns = image.shape[:2]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelRepresentation = 0
    data = image.tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    return dataset
