"""Files that come in: counted while they come, their names made safe, looked at before they are decoded."""

from __future__ import annotations

import hashlib
import re
import unicodedata
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from anyio.to_thread import run_sync
from PIL import Image
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from sonoseg._util.text import first_line
from sonoseg.dicom.reading.clip import Clip
from sonoseg.dicom.reading.detection import is_dicom
from sonoseg.errors import InputError, OutputError, SonosegError
from sonoseg.image.calibration import Calibration, Origin, Spacing
from sonoseg.image.frame import Frame
from sonoseg.image.size_limits import check_file
from sonoseg.inputs.reading import FORMATS, read_frame
from sonoseg.review.http_errors import Malformed, TooLarge, Unusable
from sonoseg.review.item_store import StoredImage
from sonoseg.review.security import too_large
from sonoseg.review.settings import ServerLimits

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

NAME = 120
"""Letters of a file's name that are kept."""

INFLATED = 8
"""How many times the limit of a file's bytes a deflated DICOM file may unfold to."""

FIELD = 4096
"""Bytes of a form's field that is no file."""

SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "MPO": ".jpg", "TIFF": ".tif", "BMP": ".bmp", "GIF": ".gif"} | {
    "WEBP": ".webp",
    "JPEG2000": ".jp2",
    "PPM": ".pnm",
}


def safe_name(name: str) -> str:
    """A file's name without folders, or what could pass for some: for show, never for a path of ours.

    Of "../a\\b.png" it is "b.png". Control and formatting characters (which may turn the order of letters
    around) are left out, and the middle of a long name.
    """
    last = re.split(r"[/\\]", name)[-1]
    plain = "".join(letter for letter in last if unicodedata.category(letter)[0] != "C")
    plain = " ".join(plain.split())
    if len(plain) > NAME:
        plain = plain[: NAME - 21] + "…" + plain[-20:]
    return plain if plain.strip(". ") else "image"


@dataclass
class Upload:
    """A file that has come in. path: where it lies for the moment. name: a safe one. bytes: its size."""

    path: Path
    name: str
    digest: str = ""
    bytes: int = 0


@dataclass
class Form:
    """What a request brought: its files, and its fields that are none."""

    files: list[Upload] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)

    def discard(self) -> None:
        """Remove the files that nobody took."""
        for file in self.files:
            file.path.unlink(missing_ok=True)


async def receive(
    stream: AsyncIterator[bytes], content_type: str, name: str, folder: Path, limits: ServerLimits
) -> Form:
    """Take a request's body into files of `folder` while it comes; memory does not grow with it.

    content_type: "multipart/form-data" with any number of files; anything else is one file, named `name`.

    Raises TooLarge at the first byte beyond a limit (what came until then is removed, what is to come is not
    read), Malformed for a broken form, Full where the disk is.
    """
    taking = _Taking(folder, limits)
    try:
        kind, options = parse_options_header(content_type)
        if kind == b"multipart/form-data":
            if not options.get(b"boundary"):
                raise Malformed("a form without a boundary", where="Content-Type")
            parser = MultipartParser(options[b"boundary"], taking.callbacks())
            feed: Callable[[bytes], object] = parser.write
            end: Callable[[], object] = taking.check_end
        else:
            taking.begin_file(name)
            feed, end = taking.data, taking.end_part
        async for chunk in stream:
            if chunk:
                await run_sync(feed, chunk)  # it writes to the disk
        await run_sync(end)
    except BaseException as error:
        taking.abandon()
        if isinstance(error, FormParserError):
            raise Malformed(
                "a broken form", where="the request's body", remedy="Send multipart/form-data"
            ) from error
        if isinstance(error, OSError):
            raise _cannot_take(error) from error
        raise
    return taking.form


class _Taking:
    """The parts of a form while they come, one file open at a time."""

    def __init__(self, folder: Path, limits: ServerLimits) -> None:
        self.form = Form()
        self._folder = folder
        self._limits = limits
        self._header = b""
        self._value = b""
        self._disposition = b""
        self._file: BinaryIO | None = None
        self._hash = hashlib.sha256()
        self._field: str | None = None
        self._text = b""
        self._ended = False

    def callbacks(self) -> MultipartCallbacks:
        """What the parser calls."""
        return {
            "on_part_begin": self._begin_part,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": lambda data, start, end: self.data(data[start:end]),
            "on_part_end": self.end_part,
            "on_end": self._end,
        }

    def begin_file(self, name: str) -> None:
        """A file begins."""
        if len(self.form.files) == self._limits.max_files:
            raise TooLarge(
                f"more than {self._limits.max_files:,} files in one request", remedy="Send them in several"
            )
        self._folder.mkdir(exist_ok=True)
        arrived = Upload(self._folder / uuid.uuid4().hex, safe_name(name))
        self._file = arrived.path.open("wb")
        self._hash = hashlib.sha256()
        self.form.files.append(arrived)

    def data(self, data: bytes) -> None:
        """Some bytes of the part."""
        if self._file is None:
            self._text += data
            if len(self._text) > FIELD:
                raise too_large(FIELD, f"the field {self._field}")
            return
        arrived = self.form.files[-1]
        arrived.bytes += len(data)
        if arrived.bytes > self._limits.max_bytes:
            raise too_large(self._limits.max_bytes, arrived.name)
        self._hash.update(data)
        self._file.write(data)

    def end_part(self) -> None:
        """The part is whole."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self.form.files[-1].digest = self._hash.hexdigest()
        elif self._field is not None:
            self.form.fields[self._field] = self._text.decode("utf-8", "replace")

    def check_end(self) -> None:
        """Raise Malformed unless the form came to its end: the parser does not mind."""
        if not self._ended:
            raise Malformed("a form that is cut off", where="the request's body", remedy="Send it again")

    def abandon(self) -> None:
        """Remove everything that came."""
        if self._file is not None:
            with suppress(OSError):  # what was buffered does not fit on the disk either
                self._file.close()
        self.form.discard()

    def _begin_part(self) -> None:
        self._disposition, self._field, self._text = b"", None, b""

    def _end(self) -> None:
        self._ended = True

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"filename" in options:
            self.begin_file(options[b"filename"].decode("utf-8", "replace"))
        else:
            self._field = options.get(b"name", b"").decode("utf-8", "replace")[:100]


def parse_spacing(text: str) -> Spacing | None:
    """ "0.08", or "0.08,0.1" (row, column), as millimetres per pixel; "" is none. Raises Unusable."""
    if not text.strip():
        return None
    try:
        values = [float(part) for part in text.split(",")]
        spacing = Spacing(values[0], values[-1])
        if len(values) > 2:
            raise ValueError
        Calibration.of(spacing)
    except (ValueError, InputError) as error:
        raise Unusable(
            f"'{text[:40]}' is no spacing",
            where="spacing",
            remedy="Give 0.08, or 0.08,0.1 (row, column), in mm",
        ) from error
    return spacing


def look(
    arrived: Upload, limits: ServerLimits, *, spacing: Spacing | None = None, origin: Origin = "given"
) -> StoredImage:
    """Look at a file: its header first, then its image, a clip's first frame.

    spacing: (row, column) mm per pixel that goes before what the file says. origin: who gave it.

    Raises InputError, naming the file as the user does, for what is no image, is damaged, or has more
    pixels or frames than the limits: that is told by its header, before anything is decoded.
    """
    with _named(arrived):
        check_file(arrived.path)
        if is_dicom(arrived.path):
            return _look_at_dicom(arrived, limits, spacing, origin)
        with arrived.path.open("rb") as file:
            suffix = _check_header(file, limits)
        frame = read_frame(arrived.path, spacing=spacing)
        height, width = frame.shape
        known = frame.calibration
        return StoredImage(
            *(arrived.path, arrived.name, arrived.digest, "raster", suffix, 1, height, width),
            *(known.spacing, known.reason, origin if spacing else known.origin),
        )


def read_one(
    arrived: Upload, limits: ServerLimits, *, spacing: Spacing | None = None, number: int | None = None
) -> Frame:
    """Read a file that is not to be kept; its name is the frame's.

    number: which frame of a clip. Raises InputError as `look` does, and where a clip has no such frame.
    """
    stem = arrived.name.rpartition(".")[0] or arrived.name
    with _named(arrived):
        check_file(arrived.path)
        if not is_dicom(arrived.path):
            with arrived.path.open("rb") as file:
                _check_header(file, limits)
            return replace(read_frame(arrived.path, spacing=spacing), name=stem)
        with _open_clip(arrived, limits, spacing, "given") as clip:
            if clip.count == 1:
                return replace(clip.frame(0), name=stem)
            if number is None:
                raise InputError(
                    f"a clip of {clip.count} frames, where one image is needed", remedy="Say which frame"
                )
            return replace(clip.frame(number), name=f"{stem}_f{number:04}")


def _open_clip(arrived: Upload, limits: ServerLimits, spacing: Spacing | None, origin: Origin) -> Clip:
    """A clip within the limits, told by its header; to be closed."""
    inflated = INFLATED * limits.max_bytes
    clip = Clip(arrived.path, spacing=spacing, origin=origin, inflated=inflated)
    try:
        height, width = clip.shape
        _check_size(width, height, limits)
        if clip.count > limits.max_frames:
            raise InputError(
                f"a clip of {clip.count:,} frames; this server takes {limits.max_frames:,}",
                remedy="Cut it, or start the server with --max-frames",
            )
    except BaseException:
        clip.close()
        raise
    return clip


def _look_at_dicom(
    arrived: Upload, limits: ServerLimits, spacing: Spacing | None, origin: Origin
) -> StoredImage:
    with _open_clip(arrived, limits, spacing, origin) as clip:
        height, width = clip.shape
        clip.frame(0)
        known = clip.calibration
        return StoredImage(
            *(arrived.path, arrived.name, arrived.digest, "dicom", ".dcm", clip.count, height, width),
            *(known.spacing, known.reason, known.origin),
        )


def _check_header(file: BinaryIO, limits: ServerLimits) -> str:
    """The ending for this kind of image. What its header does not tell, read_frame words."""
    try:
        with Image.open(file, formats=FORMATS) as image:
            width, height, kind = image.width, image.height, image.format
    except Exception:
        return ""
    _check_size(width, height, limits)
    return SUFFIXES.get(kind or "", "")


def _check_size(width: int, height: int, limits: ServerLimits) -> None:
    if width * height > limits.max_pixels:
        raise InputError(
            f"an image of {width:,} x {height:,} pixels; this server takes {limits.max_pixels:,}",
            remedy="Crop it to the scan, or start the server with --max-pixels",
        )


@contextmanager
def _named(arrived: Upload) -> Iterator[None]:
    """Word what is wrong with a file under the name that the user knows."""
    try:
        yield
    except SonosegError as error:
        raise InputError(error.found, where=arrived.name, remedy=error.remedy) from error
    except OSError:
        raise
    except Exception as error:  # what a reader did not think of
        raise InputError(
            f"cannot be read ({first_line(error)})",
            where=arrived.name,
            remedy="Export or copy it again",
        ) from error


def arrive(paths: Sequence[Path], folder: Path, limits: ServerLimits) -> Iterator[Upload | SonosegError]:
    """Copy files of this machine into `folder`, one at a time, as if they had been sent."""
    for path in paths:
        try:
            check_file(path)
            if path.stat().st_size > limits.max_bytes:
                raise InputError(
                    f"more than {limits.max_bytes:,} bytes", where=path, remedy="Raise --max-bytes"
                )
            yield _copy(path, folder)
        except SonosegError as error:
            yield error


def _copy(path: Path, folder: Path) -> Upload:
    folder.mkdir(exist_ok=True)
    arrived = Upload(folder / uuid.uuid4().hex, safe_name(path.name))
    digest = hashlib.sha256()
    try:
        with path.open("rb") as source, arrived.path.open("wb") as target:
            while data := source.read(1 << 20):
                digest.update(data)
                target.write(data)
    except OSError as error:
        arrived.path.unlink(missing_ok=True)
        raise _cannot_take(error) from error
    arrived.digest = digest.hexdigest()
    return arrived


def _cannot_take(error: OSError) -> SonosegError:
    made = OutputError(f"what came in cannot be kept: {error.strerror or error}", remedy="Free some space")
    made.__cause__ = error
    return made
