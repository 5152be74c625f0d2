"""DICOM files made for the tests: ultrasound in every transfer syntax that can be written here."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG = "1.2.840.10008.1.2.2"
JPEG = "1.2.840.10008.1.2.4.50"
NAME = "Secretname^Anna"
"""The patient of every file made here: no message may say it."""


def region(
    x0: int, y0: int, x1: int, y1: int, *, delta: Any = (0.01, 0.02), units: Any = (3, 3), kind: Any = (1, 1)
) -> Any:
    """One item of SequenceOfUltrasoundRegions; delta (x, y) in cm, kind (spatial format, data type)."""
    from pydicom.dataset import Dataset

    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType = kind
    item.RegionFlags = 0
    item.RegionLocationMinX0, item.RegionLocationMinY0 = x0, y0
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = x1, y1
    item.PhysicalUnitsXDirection, item.PhysicalUnitsYDirection = units
    item.PhysicalDeltaX, item.PhysicalDeltaY = delta
    return item


def jpeg(pixels: NDArray[np.uint8], **options: Any) -> bytes:
    """A baseline JPEG stream of grey (H, W) or RGB (H, W, 3)."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="JPEG", quality=95, **options)
    return stream.getvalue()


def write_dicom(
    path: Path,
    pixels: NDArray[Any],
    *,
    syntax: str = EXPLICIT,
    regions: Sequence[Any] | None = None,
    photometric: str | None = None,
    preamble: bool = True,
    frames: Sequence[bytes] | None = None,
    table: str = "basic",
    fragments: int = 1,
    data: bytes | None = None,
    **attributes: Any,
) -> Path:
    """Write ultrasound of grey (H, W) or (N, H, W), or colour with a last axis of 3.

    regions: one over the whole frame by default. frames: streams instead of those encoded from pixels.
    table: "basic", "extended" or "none". fragments: of each frame. data: native bytes instead of pixels'.
    attributes: elements by keyword; None leaves one out.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate, encapsulate_extended
    from pydicom.uid import UID, generate_uid

    colour = pixels.shape[-1] == 3
    grid = pixels.shape[:-1] if colour else pixels.shape
    ds = Dataset()
    many = len(grid) == 3
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.3.1" if many else "1.2.840.10008.5.1.4.1.1.6.1"
    ds.SOPInstanceUID = generate_uid(entropy_srcs=[str(path)])
    ds.Modality, ds.PatientName, ds.PatientID = "US", NAME, "4711"
    ds.SamplesPerPixel = 3 if colour else 1
    ds.PhotometricInterpretation = photometric or ("RGB" if colour else "MONOCHROME2")
    if colour:
        ds.PlanarConfiguration = 0
    ds.Rows, ds.Columns = grid[-2:]
    if many:
        ds.NumberOfFrames = grid[0]
    bits = pixels.dtype.itemsize * 8
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = bits, bits, bits - 1
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    if regions is None:
        regions = [region(0, 0, ds.Columns - 1, ds.Rows - 1)]
    if len(regions):
        ds.SequenceOfUltrasoundRegions = list(regions)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(EXPLICIT)
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    native = syntax in (IMPLICIT, EXPLICIT, DEFLATED, BIG)
    order = ">" if syntax == BIG else "<"
    ds.PixelData = data if data is not None else pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    if len(ds.PixelData) % 2:
        ds.PixelData += b"\0"
    ds["PixelData"].VR = "OB" if bits == 8 and syntax != IMPLICIT else "OW"
    if syntax == JPEG and frames is None:
        frames = [jpeg(one) for one in (pixels if many else pixels[None])]
    if frames is not None:
        ds.file_meta.TransferSyntaxUID = UID(syntax)
        if table == "extended":
            ds.PixelData, ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = encapsulate_extended(
                list(frames)
            )
        else:
            ds.PixelData = encapsulate(list(frames), fragments_per_frame=fragments, has_bot=table == "basic")
        ds["PixelData"].is_undefined_length = True
        ds["PixelData"].VR = "OB"
    elif not native:
        ds.compress(syntax, generate_instance_uid=False)
        if photometric:
            ds.PhotometricInterpretation = photometric
    else:
        ds.file_meta.TransferSyntaxUID = UID(syntax)
    for keyword, value in attributes.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    if preamble:
        ds.save_as(path, enforce_file_format=True)
    else:
        del ds.file_meta
        ds.save_as(
            path, implicit_vr=syntax == IMPLICIT, little_endian=syntax != BIG, enforce_file_format=False
        )
    return path


@pytest.fixture(scope="session")
def make_dicom() -> Callable[..., Path]:
    """Write a DICOM file: see write_dicom."""
    return write_dicom


@pytest.fixture(scope="session")
def make_region() -> Callable[..., Any]:
    """One ultrasound region: see region."""
    return region


@pytest.fixture(scope="session")
def make_jpeg() -> Callable[..., bytes]:
    """A baseline JPEG stream: see jpeg."""
    return jpeg


@pytest.fixture(scope="session")
def patient_name() -> str:
    """The patient's name in every file made here."""
    return NAME.split("^")[0]
