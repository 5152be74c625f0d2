"""A DICOM file opened for reading one frame at a time; a still image is a clip of one frame."""

from __future__ import annotations

import os
import re
import warnings
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sonoseg.dicom.reading.codecs import RLE, Samples, check_codec, decode, frame_bytes, native
from sonoseg.dicom.reading.detection import looks_like_dicom
from sonoseg.dicom.reading.fragments import (
    AGAIN,
    NOT_ENCAPSULATED,
    FragmentIndex,
    PixelDataError,
    count_frames,
    index_fragments,
    missing_frames,
)
from sonoseg.dicom.reading.grey_transform import MAX_STORED, GreyTransform
from sonoseg.dicom.reading.header import ImageHeader, read_header
from sonoseg.dicom.reading.regions import (
    Regions,
    blank_outside,
    is_no_b_mode,
    other_content,
    read_regions,
    region_warnings,
)
from sonoseg.errors import BurnedInTextError, InputError, MissingExtra, SonosegError, SonosegWarning
from sonoseg.image.calibration import Box, Calibration, Origin, Spacing, cautions
from sonoseg.image.content_checks import colour_warnings, content_warnings, thinned
from sonoseg.image.frame import Frame
from sonoseg.image.grey import grey_array
from sonoseg.image.scan_extent import scan_box
from sonoseg.image.size_limits import MAX_PIXELS, MIN_SIDE, check_file, not_permitted

KEY_FRAMES = 5
"""Number of key frames of a clip whose file names none."""

GREY = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT")


class Clip:
    """The frames of one DICOM file; made by `open_dicom`, closed by `close` or at the end of a `with`.

    calibration: pixel spacing with the scan regions. warnings: irregularities of the file by its header, as
    messages; every frame carries them too, except cautions about the pixel spacing.

    inflated: most bytes that a deflated file may inflate to; None takes the default of `read_header`.

    Not thread-safe. Keeps the file open and holds one frame in memory.
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
        self._shown: set[str] = set()
        self._files: list[BinaryIO] = []
        check_file(self.path)
        try:
            self._open(keep_burned_in, spacing, origin, inflated)
        except BaseException as error:
            self.close()
            ours = _as_input_error(error, self.path, "in its header")
            if ours is None or ours is error:
                raise
            raise ours from None  # another library's message may quote the file

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
        announced, header = header.frames, self._corrected(header)
        self._header, self._source = header, source
        _check(header, self.path)
        regions = read_regions(header.regions, (header.rows, header.columns))
        self._fragments: FragmentIndex | None = None
        size = os.fstat(source.fileno()).st_size
        if header.encapsulated:
            check_codec(header.syntax)
            if header.length is not None:
                raise PixelDataError(NOT_ENCAPSULATED)
            self._fragments = index_fragments(source, header.offset, size, header.frames, header.extended)
            found = count_frames(source, self._fragments, rle=header.syntax == RLE)
            surplus = found > header.frames
        else:
            found, surplus = self._check_length(size)
        if announced < 1 and found > 1:
            raise PixelDataError(f"NumberOfFrames is 0 or empty, but pixel data holds {found:,} frames")
        if surplus:
            self.warnings.append("more pixel data than its header announces; the rest is ignored")
        self._to_grey = GreyTransform(header)
        self._shown_boxes = [region.box for region in regions.scan]
        if regions.cropped is not None and header.pixel_spacing is not None:
            regions = regions.confirm(header.pixel_spacing, scan_box(self._pixels(0)[0]))
        self._boxes = self._scan_boxes(regions, keep_burned_in)
        self.calibration: Calibration = regions.calibration(spacing, origin)
        if header.modality != "US":
            self.warnings.append(f"modality is {header.modality or 'missing'}, not ultrasound (US)")
        self.warnings += region_warnings(header.regions, regions.scan, (header.rows, header.columns))
        self._irregularities = tuple(self.warnings)
        for text in cautions(self.calibration.origin):  # results state these beside the spacing
            self.warnings.append(f"the pixel spacing needs caution: {text}")

    def _corrected(self, header: ImageHeader) -> ImageHeader:
        """Return the header with values that only one reading fits, and warn of each."""
        if header.frames < 1:
            self.warnings.append("NumberOfFrames is 0 or empty: read as one frame")
            header = replace(header, frames=1)
        if 1 <= header.stored <= header.allocated and not header.stored - 1 <= header.high < header.allocated:
            # PS3.3 C.7.6.3: HighBit is BitsStored - 1.
            self.warnings.append(
                f"HighBit is {header.high}, where {header.stored} of {header.allocated} bits are stored: "
                f"read as {header.stored - 1}"
            )
            header = replace(header, high=header.stored - 1)
        if header.slope == 0:
            self.warnings.append("RescaleSlope is 0, which leaves no image: read as 1")
            header = replace(header, slope=1.0)
        return header

    def _scan_boxes(self, regions: Regions, keep_burned_in: bool) -> list[Box] | None:
        """Return the boxes outside of which all pixels are blanked; None to keep all."""
        if keep_burned_in:
            return None
        if not regions.scan:
            raise BurnedInTextError(
                f"burned-in text (a name, a date) cannot be separated from the scan: {regions.reason}",
                where=self.path,
                remedy="Export the image without text, for example as PNG",
            )
        for reason in regions.leaving:
            self.warnings.append(
                f"{reason}: it describes another pixel grid, so burned-in text may remain and scan be blanked"
            )
        return [region.box for region in regions.scan]

    def _check_length(self, size: int) -> tuple[int, bool]:
        """Return the number of whole uncompressed frames, and whether there is more than is announced.

        Raises PixelDataError unless all frames are present.
        """
        header = self._header
        each = frame_bytes(header)
        if header.length is None:
            raise PixelDataError("pixel data is compressed, but its transfer syntax says it is not")
        found = min(size - header.offset, header.length)
        if found < each * header.frames:
            if header.frames == 1:
                raise PixelDataError(f"pixel data is truncated: expected {each:,} bytes, found {found:,}")
            raise PixelDataError(missing_frames(header.frames, found // each))
        return found // each, header.length > each * header.frames + 1  # one byte makes the length even

    @property
    def count(self) -> int:
        """The number of frames."""
        return self._header.frames

    @property
    def kind(self) -> str:
        """The standard's name of the SOP class."""
        return self._header.kind

    @property
    def study(self) -> str:
        """StudyInstanceUID; "" without one."""
        return self._header.study

    @property
    def device(self) -> str:
        """Manufacturer and model of the scanner; "" without them."""
        return self._header.device

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of each frame in pixels."""
        return self._header.rows, self._header.columns

    @property
    def key(self) -> tuple[int, ...]:
        """The key frames, from 0: the frames of interest or the representative frame that the file names
        (PS3.3 C.7.6.6.1, (0028,6020) and (0028,6010)); else the middles of five equal parts.
        """
        named = tuple(number for number in self._header.key if number < self.count)
        parts = min(KEY_FRAMES, self.count)
        return named or tuple((2 * part + 1) * self.count // (2 * parts) for part in range(parts))

    def frame(self, number: int) -> Frame:
        """Read frame `number`, from 0, in full size and black outside of the scan regions.

        Raises InputError if there is no such frame or its data are damaged. Warns (SonosegWarning) of what
        only the pixels show: colour that the file labels wrongly, content that is no B-mode scan, a lack of
        contrast; of each once.
        """
        if not 0 <= number < self.count:
            raise InputError(
                f"frame {number} does not exist: the file has {self.count}, counted from 0",
                where=self.path,
                remedy="Choose another frame",
            )
        try:
            pixels, irregularities = self._pixels(number)
        except BaseException as error:
            part = f"in frame {number}" if self.count > 1 else "in its pixels"
            ours = _as_input_error(error, self.path, part)
            if ours is None or ours is error:
                raise
            raise ours from None
        if self._boxes is not None:
            pixels = blank_outside(pixels, self._boxes)
        frame = Frame(
            np.ascontiguousarray(pixels),
            source=self.path,
            name=self.path.stem if self.count == 1 else f"{self.path.stem}_f{number:04}",
            index=None if self.count == 1 else number,
            calibration=self.calibration,
            kind="dicom",
            irregularities=(*self._irregularities, *irregularities),
        )
        for text in frame.warnings:
            kind = re.sub(r"\d+", "", text)  # shares differ from frame to frame
            if kind not in self._shown and text not in self.warnings:
                self._shown.add(kind)
                where = f"{self.path}" if self.count == 1 else f"{self.path} (frame {number})"
                warnings.warn(f"{where}: {text}", SonosegWarning, stacklevel=2)
        return frame

    def _pixels(self, number: int) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
        """Return the grey of a frame, and what is uncertain about it."""
        header = self._header
        if self._fragments is not None:
            samples = decode(self._fragments.read(self._source, number), header)
        else:
            samples = native(self._native(number), header)
        grey = self._grey(samples)
        boxes = self._shown_boxes
        # A document has no scan region; a window may well saturate a part of a scan.
        found = [
            colour_warnings(self._seen(samples, grey, np.s_[top : top + height, left : left + width]))
            for top, left, height, width in boxes
        ] or [content_warnings(self._seen(samples, grey, np.s_[:, :]))]
        content = dict.fromkeys(text for texts in found for text in texts)
        return grey, (*samples.irregularities, *content)

    def _seen(self, samples: Samples, grey: NDArray[np.uint8], part: tuple[slice, slice]) -> NDArray[Any]:
        """Return a part of a frame for the checks of its content: RGB (h, w, 3), or grey (h, w)."""
        if samples.ycbcr is not None:
            thin = np.ascontiguousarray(thinned(samples.ycbcr[part]))
            return np.asarray(Image.fromarray(thin, "YCbCr").convert("RGB"))
        if samples.colour == "rgb" and samples.values.dtype == np.uint8:
            return samples.values[part]
        colours = self._to_grey.colours(thinned(samples.values[part])) if samples.colour == "stored" else None
        return grey[part] if colours is None else colours

    def _native(self, number: int) -> bytes:
        header = self._header
        each = frame_bytes(header)
        start = number * each
        # 8-bit samples written as big-endian words are swapped in pairs.
        swapped = header.big_endian and header.allocated == 8 and header.vr == "OW"
        even, after = (start - start % 2, start + each + each % 2) if swapped else (start, start + each)
        self._source.seek(header.offset + even)
        data = self._source.read(after - even)
        if swapped:
            data += b"\0" * (len(data) % 2)
            data = np.frombuffer(data, dtype=np.uint16).byteswap().tobytes()
            data = data[start - even : start - even + each]
        if len(data) < each:
            raise PixelDataError("pixel data is truncated")
        return data

    def _grey(self, samples: Samples) -> NDArray[np.uint8]:
        header = self._header
        if samples.colour == "stored":
            return self._to_grey(samples.values)
        values = samples.values
        if values.dtype != np.uint8 or header.stored < 8:
            top = (1 << header.stored) - 1
            values = np.rint(np.minimum(values, top) * (255 / top)).astype(np.uint8)
        if samples.colour == "luma" and "PARTIAL" in header.photometric:
            # PS3.3 C.7.6.3.1.2: black is 16 and white 235.
            values = np.rint(np.clip((values.astype(np.float32) - 16) * (255 / 219), 0, 255)).astype(np.uint8)
        return grey_array(values)

    def close(self) -> None:
        """Close the file; may be called twice."""
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

    keep_burned_in: keep the pixels outside of the scan regions, text included. By default they are blanked,
        and a file without a scan region is refused.
    spacing: (row, column) mm per pixel that overrides the file's. origin: its source.

    Raises InputError for a file that cannot be read; MissingExtra without pydicom or a codec. Warns
    (SonosegWarning) of irregularities.
    """
    clip = Clip(path, keep_burned_in=keep_burned_in, spacing=spacing, origin=origin)
    for text in clip.warnings:
        warnings.warn(f"{path}: {text}", SonosegWarning, stacklevel=2)
    return clip


def _check(header: ImageHeader, path: Path) -> None:
    """Raise InputError for an image that is not supported, by its header alone."""

    def refuse(found: str, remedy: str = AGAIN) -> InputError:
        return InputError(found, where=path, remedy=remedy)

    width, height = header.columns, header.rows
    if width < 1 or height < 1:
        raise refuse(f"image size is {width} x {height} pixels")
    if width * height > MAX_PIXELS:
        raise refuse(
            f"image is too large: {width:,} x {height:,} pixels, at most {MAX_PIXELS:,} in all are read",
            "Crop it to the scan, or make it smaller",
        )
    if min(width, height) < MIN_SIDE:
        raise refuse(
            f"image is too small: {width} x {height} pixels", f"Each side needs at least {MIN_SIDE} pixels"
        )
    if header.modality == "SEG" or header.allocated == 1:
        raise refuse("a segmentation (1 bit per pixel), not a scan", "Give the image that was segmented")
    if header.allocated not in (8, 16) or not 1 <= header.stored <= min(header.allocated, MAX_STORED):
        raise refuse(
            f"unsupported pixel depth: {header.stored} bits stored in {header.allocated}; up to 16 are read"
        )
    grey, colour = header.photometric in GREY, header.photometric in COLOUR
    if not (grey or colour):
        raise refuse("unsupported photometric interpretation")
    if is_no_b_mode(header.regions):
        raise refuse(
            f"not a B-mode image: its ultrasound regions are {other_content(header.regions)} only",
            "Give the B-mode image of the same exam",
        )
    if header.photometric == "PALETTE COLOR" and header.palette is None:
        raise refuse("colour palette is missing")
    if header.samples != (1 if grey else 3):
        raise refuse(f"{header.samples} samples per pixel do not fit {header.photometric}")


def _as_input_error(error: BaseException, path: Path, part: str) -> BaseException | None:
    """Return our error for any exception of reading; None for one that is not the file's, such as Ctrl-C."""
    if isinstance(error, MissingExtra) and error.where is None:
        return MissingExtra(error.found, where=path, remedy=error.remedy)
    if isinstance(error, SonosegError):
        return error
    if isinstance(error, PixelDataError):
        return InputError(str(error), where=path, remedy=error.remedy)
    if isinstance(error, PermissionError):
        return not_permitted(path)
    if isinstance(error, MemoryError):
        return InputError("not enough memory to decode this image", where=path, remedy="Make it smaller")
    if isinstance(error, Exception):
        return InputError(f"DICOM file is truncated or damaged ({part})", where=path, remedy=AGAIN)
    return None
