"""What is needed of a DICOM file's header, as plain values: no name, date or number of a patient is read."""

from __future__ import annotations

import re
import tempfile
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np

from sonoseg.dicom.reading.element_values import items, number, numbers, uid, whole, word
from sonoseg.dicom.reading.lookup_tables import Lookup, palette, voi_table
from sonoseg.dicom.reading.regions import RawRegion
from sonoseg.errors import InputError, missing_extra

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

MAX_INFLATED = 4 << 30
"""Most bytes that a deflated file may unfold to."""

DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"

PIXELS = (0x7FE00010, 0x7FE00008, 0x7FE00009)
"""Pixel Data, Float Pixel Data, Double Float Pixel Data."""

WANTED = (
    "SpecificCharacterSet",
    "SOPClassUID",
    "Modality",
    "SequenceOfUltrasoundRegions",
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
"""The attributes that are read. Nothing else of the file is even parsed."""


@dataclass(frozen=True, eq=False)
class Header:
    """The header of one image file.

    syntax: transfer syntax UID; "" where the file does not say one. kind: the SOP class in words.
    rows, columns, frames: the grid. samples, photometric, planar, allocated, stored, high, signed: the Image
    Pixel module (PS3.3 C.7.6.3). slope, intercept, windows (centre, width), function, voi, inverse: how
    grey is shown. palette: red, green and blue. regions: as written. key: frames of interest, from 0.
    offset, length, vr: the pixel data's value in the file; length is None for an undefined one.
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
    voi: Lookup | None
    inverse: bool
    palette: tuple[Lookup, Lookup, Lookup] | None
    regions: tuple[RawRegion, ...]
    key: tuple[int, ...]
    extended: tuple[int, ...]
    offset: int
    length: int | None
    vr: str


_quiet_lock = threading.RLock()


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keep pydicom's remarks on odd values from the user: they may quote what the file holds.

    One thread at a time, since the filters of `warnings` belong to the whole process.
    """
    with _quiet_lock, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"pydicom(\.|$)")
        warnings.filterwarnings("ignore", category=UserWarning, module=r"sonoseg\.imaging\.dicom\.header")
        yield


def read_header(file: BinaryIO, path: Path, inflated: int | None = None) -> tuple[Header, BinaryIO]:
    """Read the header of an open DICOM file.

    Returns the Header and the file that its offset is for: the same one, or, of a deflated file, a temporary
    one with the unfolded data set, of `inflated` bytes at most (None: MAX_INFLATED).

    Raises InputError for a file that holds no image, or whose header lacks or garbles what is needed;
    MissingExtra without pydicom. What pydicom says of damage is left out: it may quote the file.
    """
    if find_spec("pydicom") is None:
        raise missing_extra("pydicom", "dicom")
    with quiet_pydicom():
        return _read(file, path, MAX_INFLATED if inflated is None else inflated)


def _read(file: BinaryIO, path: Path, inflated: int) -> tuple[Header, BinaryIO]:
    from pydicom.datadict import tag_for_keyword
    from pydicom.filereader import read_dataset, read_partial
    from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

    stopped: list[tuple[int, str | None, int]] = []

    def at_pixels(tag: int, vr: str | None, length: int) -> bool:
        if int(tag) not in PIXELS:
            return False
        stopped.append((int(tag), vr, length))
        return True

    tags = [cast(int, tag_for_keyword(keyword)) for keyword in WANTED]
    file.seek(0)
    file.seek(132 if file.read(132)[128:] == b"DICM" else 0)
    meta = read_dataset(file, False, True, stop_when=lambda tag, vr, length: int(tag) >> 16 != 2)
    syntax = uid(meta.get("TransferSyntaxUID"))
    if syntax == DEFLATED:
        file = _inflated(file, path, inflated)
        dataset: Dataset = read_dataset(file, False, True, stop_when=at_pixels, specific_tags=tags)
        big_endian = False
    else:
        file.seek(0)
        # pydicom finds out by itself whether a file without a transfer syntax is explicit or implicit.
        dataset = read_partial(file, at_pixels, force=True, specific_tags=tags)
        big_endian = dataset.original_encoding[1] is False
    kind = _kind(dataset, meta)
    if not stopped and "Image" in kind:
        raise InputError(
            f"a DICOM image without its pixels ({kind})", where=path, remedy="Export or copy it again"
        )
    if not stopped:
        raise InputError(
            f"a DICOM file that holds no image ({kind})", where=path, remedy="Give files with images"
        )
    tag, vr, length = stopped[-1]
    if tag != PIXELS[0]:
        raise InputError(
            "its pixels are floating-point numbers, no image", where=path, remedy="Give files with images"
        )
    head = 12 if vr is not None and vr in EXPLICIT_VR_LENGTH_32 else 8
    offset = file.tell() + head
    return _header(dataset, path, syntax, big_endian, kind, (offset, length, vr or "OW")), file


def _header(
    dataset: Dataset, path: Path, syntax: str, big_endian: bool, kind: str, pixels: tuple[int, int, str]
) -> Header:
    def required(keyword: str, default: int | None = None) -> int:
        value = number(dataset.get(keyword))
        if value is None or value != int(value):
            if default is not None and dataset.get(keyword) in (None, ""):
                return default
            what = "lacks" if dataset.get(keyword) in (None, "") else "garbles"
            raise InputError(f"its header {what} {keyword}", where=path, remedy="Export or copy it again")
        return int(value)

    rows, columns = required("Rows"), required("Columns")
    allocated = required("BitsAllocated")
    stored = required("BitsStored", allocated)
    samples = required("SamplesPerPixel", 1)
    slope, intercept = number(dataset.get("RescaleSlope")), number(dataset.get("RescaleIntercept"))
    photometric = word(dataset.get("PhotometricInterpretation"))
    if not photometric:
        photometric = "RGB" if samples == 3 else "MONOCHROME2"
    centres, widths = numbers(dataset.get("WindowCenter")), numbers(dataset.get("WindowWidth"))
    return Header(
        syntax=syntax,
        big_endian=big_endian,
        encapsulated=_encapsulated(syntax),
        kind=kind,
        modality=word(dataset.get("Modality")),
        rows=rows,
        columns=columns,
        frames=required("NumberOfFrames", 1),
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
        function=word(dataset.get("VOILUTFunction")) or "LINEAR",
        voi=voi_table(dataset),
        inverse=word(dataset.get("PresentationLUTShape")) == "INVERSE" or photometric == "MONOCHROME1",
        palette=palette(dataset) if photometric == "PALETTE COLOR" else None,
        regions=_regions(dataset),
        key=_key(dataset),
        extended=_extended(dataset, big_endian),
        offset=pixels[0],
        length=None if pixels[1] == 0xFFFFFFFF else pixels[1],
        vr=pixels[2],
    )


def _inflated(file: BinaryIO, path: Path, most: int) -> BinaryIO:
    """The deflated rest of a file (PS3.5 A.5), unfolded into a temporary file: flat memory for any clip."""
    unfolded = cast(BinaryIO, tempfile.TemporaryFile(prefix="sonoseg-"))  # noqa: SIM115 - the clip closes it
    try:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        total = 0
        while not inflater.eof and (part := inflater.unconsumed_tail or file.read(1 << 16)):
            data = inflater.decompress(part, 1 << 18)
            total += len(data)
            if total > most:
                raise InputError(
                    "its deflated data are absurdly large", where=path, remedy="Store it uncompressed"
                )
            unfolded.write(data)
        unfolded.seek(0)
    except BaseException:
        unfolded.close()
        raise
    return unfolded


def _encapsulated(syntax: str) -> bool:
    native = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", BIG_ENDIAN, DEFLATED, "")
    return syntax not in native


def _kind(dataset: Dataset, meta: Dataset) -> str:
    """The SOP class in the standard's words; never a word of the file."""
    from pydicom.uid import UID

    sop_class = uid(dataset.get("SOPClassUID")) or uid(meta.get("MediaStorageSOPClassUID"))
    name = UID(sop_class).name if sop_class else ""
    return name if name and not re.fullmatch(r"[\d.]*", name) else "of no known kind"


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


def _key(dataset: Dataset) -> tuple[int, ...]:
    """The frames that the file names as those of interest (0028,6020), or the one that stands for all."""
    named = numbers(dataset.get("FrameNumbersOfInterest"))
    if not named:
        named = numbers(dataset.get("RepresentativeFrameNumber"))
    return tuple(sorted({int(number) - 1 for number in named if number >= 1}))


def _extended(dataset: Dataset, big: bool) -> tuple[int, ...]:
    data = dataset.get("ExtendedOffsetTable")
    if not isinstance(data, bytes):
        return ()
    return tuple(np.frombuffer(data[: len(data) // 8 * 8], dtype=">u8" if big else "<u8").tolist())
