"""Reads files into rows for the network: one row per frame, and one with the error for an unreadable file."""

from __future__ import annotations

import pickle
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from sonoseg._util.text import printable
from sonoseg.batch.filesystems import LocalCopy, fetch, is_url
from sonoseg.dicom.reading.acquisition import read_acquisition
from sonoseg.dicom.reading.detection import is_dicom
from sonoseg.errors import SonosegWarning
from sonoseg.inference.pipeline import ahead
from sonoseg.inference.steps import PredictionSteps
from sonoseg.inputs.reading_options import ReadingOptions, as_input_error
from sonoseg.results.tables import acquisition_object

T = TypeVar("T")

FETCHES_REMOTE, FETCHES_LOCAL = 16, 2
"""Concurrent fetches: object stores have a high latency, disks a low one."""


class ListedFile(NamedTuple):
    """A file with its number in the listing, from 0."""

    number: int
    name: str


def read_files(
    files: Iterable[ListedFile],
    reading: ReadingOptions,
    base: Path,
    steps: PredictionSteps,
    *,
    anonymise: bool = False,
) -> Iterator[dict[str, Any]]:
    """Yield an INPUTS row for each frame of each file, in order; files are fetched ahead.

    A file that gives no frame, and a frame that cannot be read, give one row with the error. base: the folder
    of relative names. anonymise: leave out patient and examination of DICOM files.
    """
    files = list(files)
    fetches = FETCHES_REMOTE if any(is_url(file.name) for file in files) else FETCHES_LOCAL
    with tempfile.TemporaryDirectory(prefix="sonoseg-") as name, ThreadPoolExecutor(fetches) as pool:
        folder = Path(name)
        for file, future in ahead(pool, lambda file: fetch(file.name, base, folder), files, fetches):
            try:
                yield from _read_file(file, future, reading, steps, anonymise=anonymise)
            finally:
                if is_url(file.name) and future.exception() is None:
                    future.result().path.unlink(missing_ok=True)


def _read_file(
    file: ListedFile,
    fetched: Future[LocalCopy],
    reading: ReadingOptions,
    steps: PredictionSteps,
    *,
    anonymise: bool,
) -> Iterator[dict[str, Any]]:
    row = {"number": file.number, "position": 0, "count": 1, "file": printable(file.name)}
    try:
        copy = fetched.result()
        row["sha256"] = copy.sha256
        if is_dicom(copy.path) and not anonymise:
            row["acquisition"] = acquisition_object(read_acquisition(copy.path))
        frames, messages = _with_warnings(lambda: reading.list_frames(copy.path))
    except Exception as error:  # one odd file must not end the batch
        yield row | {"error": as_input_error(error).reason}
        return
    for position, ref in enumerate(frames):
        row |= {"position": position, "count": len(frames), "frame": ref.index}
        try:
            frame, more = _with_warnings(lambda ref=ref: reading.read(ref, file.name))  # type: ignore[misc]
            prepared = steps.prepare(frame)
        except Exception as error:
            yield row | {"error": as_input_error(error).reason}
            continue
        height, width = frame.shape
        yield row | {
            "height": height,
            "width": width,
            "warnings": [text.replace(str(copy.path), printable(file.name)) for text in messages + more],
            "pixels": prepared.pixels.tobytes(),
            # The path of this machine's copy means nothing where the frame is finished.
            "image": pickle.dumps(replace(frame, source=None), protocol=5),
        }
        messages = []


def _with_warnings(work: Callable[[], T]) -> tuple[T, list[str]]:
    """Return the result of `work` and the texts of its SonosegWarnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        value = work()
    return value, [str(one.message) for one in caught if issubclass(one.category, SonosegWarning)]
