"""A DICOM file opened for reading, one frame at a time: a still is a clip of one frame."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from sonoseg.dicom.reading.burned_in_text import blank_outside
from sonoseg.dicom.reading.codecs import Samples, check_codec, decode, frame_bytes, native
from sonoseg.dicom.reading.detection import looks_like_dicom
from sonoseg.dicom.reading.fragments import Damaged, Fragments, index_fragments
from sonoseg.dicom.reading.grey_transform import MAX_STORED, Tone
from sonoseg.dicom.reading.header import Header, read_header
from sonoseg.dicom.reading.regions import Regions, read_regions
from sonoseg.errors import InputError, MissingExtra, SonosegError, SonosegWarning
from sonoseg.image.calibration import Box, Calibration, Origin, Spacing
from sonoseg.image.frame import Frame
from sonoseg.image.grey import grey_array
from sonoseg.image.size_limits import MAX_PIXELS, MIN_SIDE, check_file, not_permitted

KEY_FRAMES = 5
"""Frames that stand for a clip whose file names none."""

GREY = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT")

AGAIN = "Export or copy it again"


class Clip:
    """The frames of one DICOM file; made by `open_dicom`, closed by `close` or at the end of a `with`.

    count: how many frames. key: the frames that stand for all of it. kind: its SOP class in words.
    calibration: the scale with the scan regions. warnings: what is odd about the file.

    inflated: bytes that a deflated file may unfold to; None leaves it to the header's reader.

    One thread at a time may read from it; it holds the file open, and one frame in memory.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        keep_burned_in: bool = False,
        spacing: Spacing | None = None,
        origin: Origin = "given",
        inflated: int | None = None,
    ) -> None:
        self.path = Path(path)
        self.warnings: list[str] = []
        self._files: list[BinaryIO] = []
        check_file(self.path)
        try:
            self._open(keep_burned_in, spacing, origin, inflated)
        except BaseException as error:
            self.close()
            worded = _worded(error, self.path, "in its header")
            if worded is None or worded is error:
                raise
            raise worded from None  # what a library says of damage may quote the file

    def _open(
        self, keep_burned_in: bool, spacing: Spacing | None, origin: Origin, inflated: int | None
    ) -> None:
        file = self.path.open("rb")
        self._files.append(file)
        if not looks_like_dicom(file.read(512)):
            raise InputError("not a DICOM file", where=self.path, remedy="Check whether it is the right file")
        header, source = read_header(file, self.path, inflated)
        if source is not file:
            self._files.append(source)
        self._header, self._source = header, source
        _check(header, self.path)
        regions = read_regions(header.regions, (header.rows, header.columns))
        self._boxes = self._shown(regions, keep_burned_in)
        self.calibration: Calibration = regions.calibration(spacing, origin)
        self._fragments: Fragments | None = None
        size = os.fstat(source.fileno()).st_size
        if header.encapsulated:
            check_codec(header.syntax)
            if header.length is not None:
                raise Damaged("its pixel data are not compressed as its header says")
            self._fragments = index_fragments(source, header.offset, size, header.frames, header.extended)
        else:
            self._measure(size)
        self._tone = Tone(header)
        if header.modality != "US":
            self.warnings.append(f"its modality is {header.modality or 'not said'}, not ultrasound (US)")

    def _shown(self, regions: Regions, keep_burned_in: bool) -> list[Box] | None:
        """The boxes outside of which all is blanked; None where all is kept."""
        if keep_burned_in:
            return None
        if not regions.scan:
            raise InputError(
                f"text in the image (a name, a date) cannot be told from the scan: {regions.reason}",
                where=self.path,
                remedy="Use --keep-burned-in if it shows no text, or text that may be kept",
            )
        for reason in regions.leaving:
            self.warnings.append(
                f"{reason}: it was written for another grid, so text may be left within it, and scan blanked"
            )
        return [region.box for region in regions.scan]

    def _measure(self, size: int) -> None:
        """Check that the uncompressed frames are all there."""
        header = self._header
        each = frame_bytes(header)
        there = size - header.offset
        if header.length is None:
            raise Damaged("its pixel data are compressed, and its header says they are not")
        held = min(there, header.length)
        if held < each * header.frames:
            if header.frames == 1:
                raise Damaged(f"it is truncated: {held:,} of {each:,} bytes of pixels are there")
            raise Damaged(f"the header announces {header.frames:,} frames, the data hold {held // each:,}")
        if header.length > each * header.frames + 1:  # one byte makes the length even
            self.warnings.append("it holds more pixel data than its header announces; the rest is left out")

    @property
    def count(self) -> int:
        """How many frames there are."""
        return self._header.frames

    @property
    def kind(self) -> str:
        """The SOP class in the standard's words."""
        return self._header.kind

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of each frame in pixels."""
        return self._header.rows, self._header.columns

    @property
    def key(self) -> tuple[int, ...]:
        """The frames that stand for the clip, from 0: those the file names as of interest, or as
        representative (PS3.3 C.7.6.6.1, (0028,6020) and (0028,6010)); else the middles of five equal parts.
        """
        named = tuple(number for number in self._header.key if number < self.count)
        parts = min(KEY_FRAMES, self.count)
        return named or tuple((2 * part + 1) * self.count // (2 * parts) for part in range(parts))

    def frame(self, number: int) -> Frame:
        """Read frame `number`, from 0: the source's whole grid, black outside the scan regions.

        Raises InputError where there is no such frame or its data are damaged.
        """
        if not 0 <= number < self.count:
            raise InputError(
                f"there is no frame {number} among its {self.count}, counted from 0",
                where=self.path,
                remedy="Choose another",
            )
        try:
            pixels = self._pixels(number)
        except BaseException as error:
            worded = _worded(error, self.path, f"in frame {number}" if self.count > 1 else "in its pixels")
            if worded is None or worded is error:
                raise
            raise worded from None
        if self._boxes is not None:
            pixels = blank_outside(pixels, self._boxes)
        return Frame(
            np.ascontiguousarray(pixels),
            source=self.path,
            name=self.path.stem if self.count == 1 else f"{self.path.stem}_f{number:04}",
            index=None if self.count == 1 else number,
            calibration=self.calibration,
            kind="dicom",
        )

    def _pixels(self, number: int) -> NDArray[np.uint8]:
        header = self._header
        if self._fragments is not None:
            samples = decode(self._fragments.read(self._source, number), header)
        else:
            samples = native(self._native(number), header)
        return self._grey(samples)

    def _native(self, number: int) -> bytes:
        header = self._header
        each = frame_bytes(header)
        start = number * each
        # 8-bit samples written as big-endian words lie swapped in pairs.
        swapped = header.big_endian and header.allocated == 8 and header.vr == "OW"
        even, after = (start - start % 2, start + each + each % 2) if swapped else (start, start + each)
        self._source.seek(header.offset + even)
        data = self._source.read(after - even)
        if swapped:
            data += b"\0" * (len(data) % 2)
            data = np.frombuffer(data, dtype=np.uint16).byteswap().tobytes()
            data = data[start - even : start - even + each]
        if len(data) < each:
            raise Damaged("it is truncated")
        return data

    def _grey(self, samples: Samples) -> NDArray[np.uint8]:
        header = self._header
        if samples.colour == "stored":
            return self._tone.grey(samples.values)
        values = samples.values
        if values.dtype != np.uint8 or header.stored < 8:
            top = (1 << header.stored) - 1
            values = np.rint(np.minimum(values, top) * (255 / top)).astype(np.uint8)
        if samples.colour == "luma" and "PARTIAL" in header.photometric:
            # PS3.3 C.7.6.3.1.2: black is 16 and white 235.
            values = np.rint(np.clip((values.astype(np.float32) - 16) * (255 / 219), 0, 255)).astype(np.uint8)
        return grey_array(values)

    def close(self) -> None:
        """Close the file. Closing twice does no harm."""
        while self._files:
            self._files.pop().close()

    def __enter__(self) -> Clip:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_files"):
            self.close()


def open_dicom(
    path: str | Path,
    *,
    keep_burned_in: bool = False,
    spacing: Spacing | None = None,
    origin: Origin = "given",
) -> Clip:
    """Open a DICOM file with one frame or many.

    keep_burned_in: keep what lies outside the scan regions, text too; without it that is blanked, and a file
        that does not say where its scan is, is refused.
    spacing: (row, column) mm per pixel that overrides the file's. origin: who gave it.

    Raises InputError, with where and what to do, for what cannot be read; MissingExtra without pydicom or a
    codec. Warns (SonosegWarning) of what is odd.
    """
    clip = Clip(path, keep_burned_in=keep_burned_in, spacing=spacing, origin=origin)
    for text in clip.warnings:
        warnings.warn(f"{path}: {text}", SonosegWarning, stacklevel=2)
    return clip


def _check(header: Header, path: Path) -> None:
    """Refuse what is no image of ours, by the header alone."""
    width, height = header.columns, header.rows
    if header.frames < 1:
        raise InputError(f"a file of {header.frames} frames", where=path, remedy=AGAIN)
    if width < 1 or height < 1:
        raise InputError(f"an image of {width} x {height} pixels", where=path, remedy=AGAIN)
    if width * height > MAX_PIXELS:
        raise InputError(
            f"an image of {width:,} x {height:,} pixels is larger than the {MAX_PIXELS:,} that are read",
            where=path,
            remedy="Crop it to the scan, or make it smaller",
        )
    if min(width, height) < MIN_SIDE:
        raise InputError(
            f"an image of {width} x {height} pixels is too small",
            where=path,
            remedy=f"Each side needs at least {MIN_SIDE} pixels",
        )
    if header.modality == "SEG" or header.allocated == 1:
        raise InputError("a segmentation (1 bit a pixel), no scan", where=path, remedy="Give its source")
    if header.allocated not in (8, 16) or not 1 <= header.stored <= min(header.allocated, MAX_STORED):
        raise InputError(
            f"pixels of {header.stored} bits in {header.allocated}; up to 16 are read",
            where=path,
            remedy=AGAIN,
        )
    if not header.stored - 1 <= header.high < header.allocated:
        raise InputError(f"its highest bit is {header.high}, which cannot be", where=path, remedy=AGAIN)
    grey, colour = header.photometric in GREY, header.photometric in COLOUR
    if not (grey or colour):
        raise InputError("a photometric interpretation that is not read", where=path, remedy=AGAIN)
    if header.photometric == "PALETTE COLOR" and header.palette is None:
        raise InputError("it lacks the palette that its colours are in", where=path, remedy=AGAIN)
    if header.samples != (1 if grey else 3):
        raise InputError(
            f"{header.samples} samples a pixel do not fit {header.photometric}", where=path, remedy=AGAIN
        )


def _worded(error: BaseException, path: Path, place: str) -> BaseException | None:
    """Our error for one of any kind; None for what is no matter of the file (an interrupt)."""
    if isinstance(error, MissingExtra) and error.where is None:
        return MissingExtra(error.found, where=path, remedy=error.remedy)
    if isinstance(error, SonosegError):
        return error
    if isinstance(error, Damaged):
        return InputError(f"this DICOM file cannot be read: {error}", where=path, remedy=AGAIN)
    if isinstance(error, PermissionError):
        return not_permitted(path)
    if isinstance(error, MemoryError):
        return InputError("not enough memory to decode this image", where=path, remedy="Make it smaller")
    if isinstance(error, Exception):
        return InputError(f"this DICOM file is truncated or damaged ({place})", where=path, remedy=AGAIN)
    return None
