"""Files of a request: multipart forms or plain bodies, stored while they are received, within the limits."""

from __future__ import annotations

import hashlib
import re
import unicodedata
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from anyio.to_thread import run_sync
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from sonoseg._util.files import make_private_folder
from sonoseg.errors import InputError, OutputError, SonosegError
from sonoseg.image.size_limits import check_file
from sonoseg.review.http_errors import Malformed, TooLarge
from sonoseg.review.security import too_large
from sonoseg.review.settings import ServerLimits

MAX_NAME = 120
"""Characters of a file name that are kept."""

MAX_FIELD = 4096
"""Bytes of a form field that is not a file."""

MAX_FIELDS = 20
"""Form fields that are not files."""

_BLOCK = 1 << 20


def safe_name(name: str) -> str:
    """The name of a file without folders, for display only; it never becomes a path.

    "../a\\b.png" gives "b.png". Control and formatting characters are removed, since some reverse the order
    of letters; the middle of a long name is left out.
    """
    last = re.split(r"[/\\]", name)[-1]
    plain = "".join(letter for letter in last if unicodedata.category(letter)[0] != "C")
    plain = " ".join(plain.split())
    if len(plain) > MAX_NAME:
        plain = plain[: MAX_NAME - 21] + "…" + plain[-20:]
    return plain if plain.strip(". ") else "image"


@dataclass
class Upload:
    """A received file. path: where it is stored. name: a safe one. digest: SHA-256. bytes: its size."""

    path: Path
    name: str
    digest: str = ""
    bytes: int = 0


@dataclass
class Form:
    """The files of a request, and its other fields."""

    files: list[Upload] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)

    def discard(self) -> None:
        """Remove the files that were not moved elsewhere."""
        for file in self.files:
            file.path.unlink(missing_ok=True)


async def receive(
    stream: AsyncIterator[bytes], content_type: str, name: str, folder: Path, limits: ServerLimits
) -> Form:
    """Store the files of a request in `folder` while its body is received; memory does not grow with it.

    content_type: "multipart/form-data" with any number of files; anything else is one file, named `name`.

    Raises TooLarge at the first byte beyond a limit (the rest is not read), Malformed for a damaged form,
    OutputError where the disk is full; then nothing is left in `folder`.
    """
    form = Form()
    try:
        if content_type.partition(";")[0].strip().lower() == "multipart/form-data":
            await _receive_form(form, stream, content_type, folder, limits)
        else:
            await _receive_body(form, stream, name, folder, limits)
    except BaseException as error:
        form.discard()
        if isinstance(error, OSError):
            raise _cannot_store(error) from error
        raise
    return form


async def _receive_form(
    form: Form, stream: AsyncIterator[bytes], content_type: str, folder: Path, limits: ServerLimits
) -> None:
    parser = _FormParser(content_type, stream, limits)
    try:
        data = await parser.parse()
    except MultiPartException as error:
        if parser.has_too_many_parts:
            raise TooLarge(
                f"more than {limits.max_files:,} files or {MAX_FIELDS} fields in one request",
                remedy="Send them in several requests",
            ) from error
        raise Malformed(
            "a damaged form", where="the request's body", remedy="Send multipart/form-data"
        ) from error
    try:
        if not parser.complete:
            raise Malformed("the form is truncated", where="the request's body", remedy="Send it again")
        for key, value in data.multi_items():
            if isinstance(value, UploadFile):
                form.files.append(await run_sync(_copy, value.file, value.filename or "", folder))
            else:
                form.fields[key] = value
    finally:
        await data.close()


class _FormParser(MultiPartParser):
    """Starlette's parser with a limit for each file, and the knowledge whether the form was complete."""

    def __init__(self, content_type: str, stream: AsyncIterator[bytes], limits: ServerLimits) -> None:
        async def chunks() -> AsyncGenerator[bytes, None]:
            async for chunk in stream:
                yield chunk

        super().__init__(
            Headers({"content-type": content_type}),
            chunks(),
            max_files=limits.max_files,
            max_fields=MAX_FIELDS,
            max_part_size=MAX_FIELD,
        )
        self.complete = False
        self._limit = limits.max_bytes
        self._size = 0

    @property
    def has_too_many_parts(self) -> bool:
        """Whether the form has more files or fields than the limits."""
        return self._current_files > self.max_files or self._current_fields > self.max_fields

    def on_part_begin(self) -> None:
        super().on_part_begin()
        self._size = 0

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._size += end - start
        file = self._current_part.file
        limit = MAX_FIELD if file is None else self._limit
        if self._size > limit:
            raise too_large(limit, "a form field" if file is None else safe_name(file.filename or ""))
        super().on_part_data(data, start, end)

    def on_end(self) -> None:
        self.complete = True


async def _receive_body(
    form: Form, stream: AsyncIterator[bytes], name: str, folder: Path, limits: ServerLimits
) -> None:
    make_private_folder(folder)
    upload = Upload(folder / uuid.uuid4().hex, safe_name(name))
    form.files.append(upload)
    digest = hashlib.sha256()
    with upload.path.open("wb") as file:
        async for chunk in stream:
            upload.bytes += len(chunk)
            if upload.bytes > limits.max_bytes:
                raise too_large(limits.max_bytes, upload.name)
            digest.update(chunk)
            await run_sync(file.write, chunk)
    upload.digest = digest.hexdigest()


def copy_files(paths: Sequence[Path], folder: Path, limits: ServerLimits) -> Iterator[Upload | SonosegError]:
    """Copy files of this machine into `folder`, one at a time, with the limits of uploads."""
    for path in paths:
        try:
            check_file(path)
            if path.stat().st_size > limits.max_bytes:
                raise InputError(
                    f"more than {limits.max_bytes:,} bytes", where=path, remedy="Raise --max-bytes"
                )
            with path.open("rb") as source:
                yield _copy(source, path.name, folder)
        except OSError as error:
            yield _cannot_store(error)
        except SonosegError as error:
            yield error


def _copy(source: BinaryIO, name: str, folder: Path) -> Upload:
    make_private_folder(folder)
    upload = Upload(folder / uuid.uuid4().hex, safe_name(name))
    digest = hashlib.sha256()
    try:
        with upload.path.open("wb") as target:
            while data := source.read(_BLOCK):
                digest.update(data)
                upload.bytes += len(data)
                target.write(data)
    except BaseException:
        upload.path.unlink(missing_ok=True)
        raise
    upload.digest = digest.hexdigest()
    return upload


def _cannot_store(error: OSError) -> OutputError:
    made = OutputError(f"the upload cannot be stored: {error.strerror or error}", remedy="Free some space")
    made.__cause__ = error
    return made
