"""Files read into rows for the network: a row a frame, and a row with the reason for what cannot be read."""

from __future__ import annotations

import pickle
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from sonoseg._util.text import first_line, printable
from sonoseg.batch.filesystems import Here, fetch, is_url
from sonoseg.errors import SonosegError, SonosegWarning
from sonoseg.image.calibration import Origin, Spacing
from sonoseg.image.frame import Frame
from sonoseg.inference.pipeline import ahead
from sonoseg.inference.steps import PredictionSteps
from sonoseg.inputs.frame_list import FrameRef, list_frames, read
from sonoseg.inputs.spacing_table import Spacings

T = TypeVar("T")

FROM_A_STORE, FROM_HERE = 16, 2
"""Files asked for at a time: a store answers late, a disk at once."""


class Numbered(NamedTuple):
    """A file of the listing with its number there, from 0."""

    number: int
    name: str


@dataclass(frozen=True)
class Wish:
    """How files are to be read, as `sonoseg predict` has it. Pickles.

    base: what relative paths start from. spacing: (row, column) mm per pixel for all; spacings: of the table,
    which goes before it. frames, keep_burned_in: see imaging.frames.
    """

    base: Path = field(default_factory=Path)
    spacing: Spacing | None = None
    spacings: Spacings | None = None
    frames: str = "all"
    keep_burned_in: bool = False

    def scale_of(self, name: str) -> tuple[Spacing | None, Origin]:
        """The spacing of a file, and who gave it."""
        tabled = None if self.spacings is None else self.spacings.of(name)
        return (self.spacing, "given") if tabled is None else (tabled, "table")


def read_files(files: Iterable[Numbered], wish: Wish, steps: PredictionSteps) -> Iterator[dict[str, Any]]:
    """A row for each frame of each file, in their order; files are fetched ahead.

    The rows' fields are those of rows.READ. A file that gives no frame gives one row with the reason; so does
    a frame that cannot be read. Raises nothing of a file's.
    """
    files = list(files)
    many = FROM_A_STORE if any(is_url(one.name) for one in files) else FROM_HERE
    with tempfile.TemporaryDirectory(prefix="sonoseg-") as name, ThreadPoolExecutor(many) as hands:
        folder = Path(name)
        for one, future in ahead(hands, lambda one: fetch(one.name, wish.base, folder), files, many):
            try:
                yield from _read_file(one, future, wish, steps)
            finally:
                if is_url(one.name) and future.exception() is None:
                    future.result().path.unlink(missing_ok=True)


def _read_file(
    one: Numbered, fetched: Future[Here], wish: Wish, steps: PredictionSteps
) -> Iterator[dict[str, Any]]:
    row = {"number": one.number, "place": 0, "places": 1, "file": printable(one.name)}
    try:
        here = fetched.result()
        row["sha256"] = here.sha256
        listed, said = _heard(lambda: list_frames(here.path, wish.frames, keep_burned_in=wish.keep_burned_in))
    except Exception as error:  # what a reader did not think of must not end the batch
        yield row | {"error": reason(error)}
        return
    for place, frame in enumerate(listed):
        row |= {"place": place, "places": len(listed), "frame": frame.index}
        try:
            found, more = _heard(lambda frame=frame: _frame(frame, one.name, wish))  # type: ignore[misc]
            ready = steps.ready(found)
        except Exception as error:
            yield row | {"error": reason(error)}
            continue
        height, width = found.shape
        yield row | {
            "height": height,
            "width": width,
            "warnings": [text.replace(str(here.path), printable(one.name)) for text in said + more],
            "pixels": ready.pixels.tobytes(),
            # Copies of other machines and their paths are nothing to whoever finishes it.
            "image": pickle.dumps(replace(found, source=None), protocol=5),
        }
        said = []


def _frame(frame: FrameRef, name: str, wish: Wish) -> Frame:
    spacing, origin = wish.scale_of(name)
    return read(frame, spacing=spacing, origin=origin, keep_burned_in=wish.keep_burned_in)


def reason(error: BaseException) -> str:
    """Why a file gives nothing, without its name."""
    if isinstance(error, SonosegError):
        return ". ".join(part for part in (error.found, error.remedy) if part) + "."
    return f"cannot be read ({first_line(error)}). Export or copy it again."


def _heard(work: Callable[[], T]) -> tuple[T, list[str]]:
    """What some work gives, and what it warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        value = work()
    return value, [str(one.message) for one in caught if issubclass(one.category, SonosegWarning)]
