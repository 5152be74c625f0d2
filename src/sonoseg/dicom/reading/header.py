"""Header of a DICOM image as plain values; patient attributes are not even parsed."""

from __future__ import annotations

import re
import tempfile
import threading
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np

from sonoseg._util.packages import require
from sonoseg.dicom.reading.element_values import code_string, items, number, numbers, uid, whole
from sonoseg.dicom.reading.lookup_tables import LookupTable, palette, voi_table
from sonoseg.dicom.reading.regions import RawRegion
from sonoseg.errors import InputError
from sonoseg.image.calibration import Spacing

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

MAX_INFLATED = 4 << 30
"""Most bytes that a deflated file may inflate to."""

DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"

PIXELS = (0x7FE00010, 0x7FE00008, 0x7FE00009)
"""Pixel Data, Float Pixel Data, Double Float Pixel Data."""

WANTED = (
    "SpecificCharacterSet",
    "SOPClassUID",
    "Modality",
    "StudyInstanceUID",
    "Manufacturer",
    "ManufacturerModelName",
    "SequenceOfUltrasoundRegions",
    "PixelSpacing",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "FrameNumbersOfInterest",
    "RepresentativeFrameNumber",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "RescaleSlope",
    "RescaleIntercept",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "VOILUTSequence",
    "PresentationLUTShape",
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData",
    "ExtendedOffsetTable",
)
"""The attributes that are read."""


@dataclass(frozen=True, eq=False)
class ImageHeader:
    """The header of one image file.

    syntax: transfer syntax UID; "" if missing. kind: name of the SOP class.
    samples, photometric, planar, allocated, stored, high, signed: the Image Pixel module (PS3.3 C.7.6.3).
    slope, intercept, windows (centre, width), function, voi, inverse: display of grey. palette: red, green,
    blue. regions: as written in the file. pixel_spacing: (0028,0030) of rows and columns, mm. key: frames of
    interest, from 0. extended: Extended Offset Table.
    offset, length, vr: the pixel data's value in the file; length is None if undefined.
    study: UID of the examination. device: manufacturer and model. Both are "" where the file has none.
    """

    syntax: str
    big_endian: bool
    encapsulated: bool
    kind: str
    modality: str
    rows: int
    columns: int
    frames: int
    samples: int
    photometric: str
    planar: int
    allocated: int
    stored: int
    high: int
    signed: bool
    slope: float
    intercept: float
    windows: tuple[tuple[float, float], ...]
    function: str
    voi: LookupTable | None
    inverse: bool
    palette: tuple[LookupTable, LookupTable, LookupTable] | None
    regions: tuple[RawRegion, ...]
    key: tuple[int, ...]
    extended: tuple[int, ...]
    offset: int
    length: int | None
    vr: str
    pixel_spacing: Spacing | None = None
    study: str = ""
    device: str = ""


_quiet_lock = threading.RLock()


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Suppress pydicom's warnings, which may quote values of the file.

    One thread at a time, since the filters of `warnings` are global to the process.
    """
    with _quiet_lock, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"pydicom(\.|$)")
        warnings.filterwarnings("ignore", category=UserWarning, module=r"sonoseg\.dicom\.reading\.header")
        yield


def read_header(file: BinaryIO, path: Path, inflated: int | None = None) -> tuple[ImageHeader, BinaryIO]:
    """Read the header of an open DICOM file.

    Returns the ImageHeader and the file that its offset refers to: the same one, or for a deflated file a
    temporary one with the inflated data set, of at most `inflated` bytes (None: MAX_INFLATED).

    Raises InputError for a file without an image, or with missing or invalid attributes; MissingExtra without
    pydicom. Messages of pydicom are left out, since they may quote the file.
    """
    require("dicom", "pydicom")
    with quiet_pydicom():
        return _read(file, path, MAX_INFLATED if inflated is None else inflated)


@contextmanager
def read_elements(path: Path, keywords: Sequence[str]) -> Iterator[Dataset]:
    """Read these data elements of a DICOM file, without its pixels; their values are parsed on access.

    Raises InputError for a deflated file beyond MAX_INFLATED, MissingExtra without pydicom, and whatever
    pydicom raises for a damaged file.
    """
    require("dicom", "pydicom")
    with path.open("rb") as file, quiet_pydicom():
        meta, source = _data_set(file, path, MAX_INFLATED)
        try:
            yield _elements(source, meta, keywords)[0]
        finally:
            source.close()


def _read(file: BinaryIO, path: Path, inflated: int) -> tuple[ImageHeader, BinaryIO]:
    meta, source = _data_set(file, path, inflated)
    try:
        return _read_data_set(source, path, meta), source
    except BaseException:
        if source is not file:
            source.close()
        raise


def _data_set(file: BinaryIO, path: Path, inflated: int) -> tuple[Dataset, BinaryIO]:
    """Return the file meta information, and the file at the start of its data set, inflated if need be."""
    from pydicom.filereader import read_dataset

    file.seek(0)
    file.seek(132 if file.read(132)[128:] == b"DICM" else 0)
    meta: Dataset = read_dataset(file, False, True, stop_when=lambda tag, vr, length: int(tag) >> 16 != 2)
    if uid(meta.get("TransferSyntaxUID")) == DEFLATED:
        return meta, _inflated(file, path, inflated)
    file.seek(0)
    return meta, file


_PixelElement = tuple[int, str | None, int]
"""Tag, VR and length of an element with pixels."""


def _elements(
    file: BinaryIO, meta: Dataset, keywords: Sequence[str]
) -> tuple[Dataset, bool, list[_PixelElement]]:
    """Read elements up to the pixels; whether they are big-endian; the element with pixels that ended it."""
    from pydicom.datadict import tag_for_keyword
    from pydicom.filereader import read_dataset, read_partial

    stopped: list[_PixelElement] = []

    def at_pixels(tag: int, vr: str | None, length: int) -> bool:
        if int(tag) not in PIXELS:
            return False
        stopped.append((int(tag), vr, length))
        return True

    tags = [cast(int, tag_for_keyword(keyword)) for keyword in keywords]
    if uid(meta.get("TransferSyntaxUID")) == DEFLATED:
        dataset: Dataset = read_dataset(file, False, True, stop_when=at_pixels, specific_tags=tags)
        return dataset, False, stopped
    # pydicom detects whether a file without a transfer syntax is explicit or implicit.
    dataset = read_partial(file, at_pixels, force=True, specific_tags=tags)
    return dataset, dataset.original_encoding[1] is False, stopped


def _read_data_set(file: BinaryIO, path: Path, meta: Dataset) -> ImageHeader:
    """Read the data set up to its pixels. file: at its start, or at that of what was inflated."""
    from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

    syntax = uid(meta.get("TransferSyntaxUID"))
    dataset, big_endian, stopped = _elements(file, meta, WANTED)
    kind = _kind(dataset, meta)
    if not stopped and "Image" in kind:
        raise InputError(
            f"DICOM image without pixel data ({kind})", where=path, remedy="Export the file again"
        )
    if not stopped:
        raise InputError(f"DICOM file without an image ({kind})", where=path, remedy="Give files with images")
    tag, vr, length = stopped[-1]
    if tag != PIXELS[0]:
        raise InputError(
            "unsupported pixel data: floating-point numbers", where=path, remedy="Give files with images"
        )
    head = 12 if vr is not None and vr in EXPLICIT_VR_LENGTH_32 else 8
    return _header(dataset, path, syntax, big_endian, kind, (file.tell() + head, length, vr or "OW"))


def _header(
    dataset: Dataset, path: Path, syntax: str, big_endian: bool, kind: str, pixels: tuple[int, int, str]
) -> ImageHeader:
    def required(keyword: str, default: int | None = None) -> int:
        value = number(dataset.get(keyword))
        if value is None or value != int(value):
            if default is not None and dataset.get(keyword) in (None, ""):
                return default
            problem = "missing" if dataset.get(keyword) in (None, "") else "invalid"
            raise InputError(f"{keyword} is {problem}", where=path, remedy="Export the file again")
        return int(value)

    rows, columns = required("Rows"), required("Columns")
    allocated = required("BitsAllocated")
    stored = required("BitsStored", allocated)
    samples = required("SamplesPerPixel", 1)
    slope, intercept = number(dataset.get("RescaleSlope")), number(dataset.get("RescaleIntercept"))
    photometric = code_string(dataset.get("PhotometricInterpretation"))
    if not photometric:
        photometric = "RGB" if samples == 3 else "MONOCHROME2"
    centres, widths = numbers(dataset.get("WindowCenter")), numbers(dataset.get("WindowWidth"))
    return ImageHeader(
        syntax=syntax,
        big_endian=big_endian,
        encapsulated=_encapsulated(syntax),
        kind=kind,
        modality=code_string(dataset.get("Modality")),
        rows=rows,
        columns=columns,
        # Absent in a single-frame object; an empty value is invalid, as 0 is.
        frames=required("NumberOfFrames", 0 if "NumberOfFrames" in dataset else 1),
        samples=samples,
        photometric=photometric,
        planar=required("PlanarConfiguration", 0),
        allocated=allocated,
        stored=stored,
        high=required("HighBit", stored - 1),
        signed=required("PixelRepresentation", 0) == 1,
        slope=1.0 if slope is None else slope,
        intercept=0.0 if intercept is None else intercept,
        windows=tuple(zip(centres, widths, strict=False)),
        function=code_string(dataset.get("VOILUTFunction")) or "LINEAR",
        voi=voi_table(dataset),
        inverse=code_string(dataset.get("PresentationLUTShape")) == "INVERSE" or photometric == "MONOCHROME1",
        palette=palette(dataset) if photometric == "PALETTE COLOR" else None,
        regions=_regions(dataset),
        key=_key(dataset),
        extended=_extended(dataset, big_endian),
        offset=pixels[0],
        length=None if pixels[1] == 0xFFFFFFFF else pixels[1],
        vr=pixels[2],
        pixel_spacing=_pixel_spacing(dataset),
        study=uid(dataset.get("StudyInstanceUID")),
        device=f"{dataset.get('Manufacturer') or ''} {dataset.get('ManufacturerModelName') or ''}".strip(),
    )


def _inflated(file: BinaryIO, path: Path, most: int) -> BinaryIO:
    """Inflate the rest of a file (PS3.5 A.5) to a temporary file: memory does not grow with a clip."""
    inflated_file = cast(BinaryIO, tempfile.TemporaryFile(prefix="sonoseg-"))  # noqa: SIM115 - the clip closes it
    try:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        total = 0
        while not inflater.eof and (part := inflater.unconsumed_tail or file.read(1 << 16)):
            data = inflater.decompress(part, 1 << 18)
            total += len(data)
            if total > most:
                raise InputError(
                    f"deflated data exceeds {most:,} bytes", where=path, remedy="Store it uncompressed"
                )
            inflated_file.write(data)
        inflated_file.seek(0)
    except BaseException:
        inflated_file.close()
        raise
    return inflated_file


def _encapsulated(syntax: str) -> bool:
    native = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", BIG_ENDIAN, DEFLATED, "")
    return syntax not in native


def _kind(dataset: Dataset, meta: Dataset) -> str:
    """Return the standard's name of the SOP class, never text of the file."""
    from pydicom.uid import UID

    sop_class = uid(dataset.get("SOPClassUID")) or uid(meta.get("MediaStorageSOPClassUID"))
    name = UID(sop_class).name if sop_class else ""
    return name if name and not re.fullmatch(r"[\d.]*", name) else "unknown SOP class"


def _regions(dataset: Dataset) -> tuple[RawRegion, ...]:
    return tuple(
        RawRegion(
            whole(item.get("RegionSpatialFormat")),
            whole(item.get("RegionDataType")),
            whole(item.get("RegionLocationMinX0")),
            whole(item.get("RegionLocationMinY0")),
            whole(item.get("RegionLocationMaxX1")),
            whole(item.get("RegionLocationMaxY1")),
            whole(item.get("PhysicalUnitsXDirection")),
            whole(item.get("PhysicalUnitsYDirection")),
            number(item.get("PhysicalDeltaX")),
            number(item.get("PhysicalDeltaY")),
        )
        for item in items(dataset, "SequenceOfUltrasoundRegions")
    )


def _pixel_spacing(dataset: Dataset) -> Spacing | None:
    values = numbers(dataset.get("PixelSpacing"))
    return Spacing(*values) if len(values) == 2 else None


def _key(dataset: Dataset) -> tuple[int, ...]:
    """Return the frames of interest (0028,6020), or else the representative frame (0028,6010)."""
    named = numbers(dataset.get("FrameNumbersOfInterest"))
    if not named:
        named = numbers(dataset.get("RepresentativeFrameNumber"))
    return tuple(sorted({int(number) - 1 for number in named if number >= 1}))


def _extended(dataset: Dataset, big: bool) -> tuple[int, ...]:
    data = dataset.get("ExtendedOffsetTable")
    if not isinstance(data, bytes):
        return ()
    return tuple(np.frombuffer(data[: len(data) // 8 * 8], dtype=">u8" if big else "<u8").tolist())
