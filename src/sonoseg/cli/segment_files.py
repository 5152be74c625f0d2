"""What a verb that segments many files shares: what to read, how to go on, and the work itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonoseg._util.text import first_line
from sonoseg.cli.common import err
from sonoseg.errors import InputError, OutputError, SonosegError

if TYPE_CHECKING:
    from sonoseg.image.calibration import Origin
    from sonoseg.image.frame import Frame, Spacing
    from sonoseg.inference.predictor import Predictor
    from sonoseg.inputs.frame_list import FrameRef
    from sonoseg.inputs.spacing_table import Spacings
    from sonoseg.results.results_folder import ResultsFolder


@dataclass(frozen=True)
class Job:
    """One frame to read when its turn comes, with what was asked for it. str() names it."""

    frame: FrameRef
    spacing: Spacing | None
    origin: Origin
    keep_burned_in: bool

    @classmethod
    def of(
        cls, frame: FrameRef, spacing: Spacing | None, table: Spacings | None, keep_burned_in: bool
    ) -> Job:
        """The spacing of the table goes before the one for all."""
        tabled = None if table is None else table.of(frame.path)
        if tabled is not None:
            return cls(frame, tabled, "table", keep_burned_in)
        return cls(frame, spacing, "given", keep_burned_in)

    def __call__(self) -> Frame:
        """Read it. Raises InputError for whatever is wrong with the file, and MissingExtra."""
        from sonoseg.inputs.frame_list import read

        try:
            return read(
                self.frame, spacing=self.spacing, origin=self.origin, keep_burned_in=self.keep_burned_in
            )
        except SonosegError:
            raise
        except Exception as error:  # what a reader did not think of must not end the batch
            raise unreadable(self.frame.path, error) from error


def unreadable(path: Path, error: Exception) -> InputError:
    """The error for a file that broke its reader."""
    return InputError(f"cannot be read ({first_line(error)})", where=path, remedy="Export or copy it again")


def list_all(
    images: Sequence[Path], choice: str, *, keep_burned_in: bool, quiet: bool
) -> tuple[list[FrameRef], list[tuple[Path, SonosegError]]]:
    """The frames that are meant of all files, and the files that tell of none, with the reason."""
    from sonoseg.cli.warnings_display import LateBar
    from sonoseg.inputs.frame_list import list_frames

    frames: list[FrameRef] = []
    bad: list[tuple[Path, SonosegError]] = []
    with LateBar("Looking", len(images), shown=not quiet) as bar:
        for image in images:
            try:
                frames += list_frames(image, choice, keep_burned_in=keep_burned_in)
            except SonosegError as error:
                bad.append((image, error))
            except Exception as error:  # as in Job
                bad.append((image, unreadable(image, error)))
            bar.advance()
    return frames, bad


def engine(to: Path, resume: bool, runtime: str, precision: str) -> tuple[str, str]:
    """The engine and precision to load: those asked for, and for "auto" on --resume, those of the journal.

    What "auto" means depends on what is installed and on how many images there are.
    """
    from sonoseg.results.journal import JOURNAL, recorded_fingerprint

    before = recorded_fingerprint(to / JOURNAL) if resume else {}
    return (
        before.get("engine", runtime) if runtime == "auto" else runtime,
        before.get("precision", precision) if precision == "auto" else precision,
    )


def worded(error: SonosegError) -> str:
    """Why a file is refused, without its name."""
    return ". ".join(part for part in (error.found, error.remedy) if part) + "."


@contextmanager
def resumable() -> Iterator[None]:
    """Say, where the work within is broken off, that it can be gone on with."""
    try:
        yield
    except KeyboardInterrupt:
        err.print("interrupted; what is done is kept: go on with the same command and --resume")
        raise
    except OutputError as error:
        remedy = f"{error.remedy or 'See to it'}; then go on with the same command and --resume"
        raise OutputError(error.found, where=error.where, remedy=remedy) from error


def segment_all(
    predictor: Predictor,
    results: ResultsFolder,
    images: Sequence[Job] | Sequence[Frame],
    *,
    batch: int = 8,
    attention: bool = False,
    quiet: bool = False,
) -> None:
    """Predict images into a results folder, noting those that cannot be used.

    Results are written beside it while the network works on the next images, and noted in order.
    """
    from collections import deque

    from sonoseg.cli.warnings_display import LateBar
    from sonoseg.results.workers import Hands

    with (
        LateBar("Segmenting", len(images), shown=not quiet) as bar,
        Hands(results.images, len(images)) as hands,
    ):

        def refuse(image: object, error: SonosegError) -> None:
            results.refuse(image.frame if isinstance(image, Job) else str(image), worded(error))
            bar.advance()

        def note() -> None:
            results.commit(hands.told(begun.popleft()))
            bar.advance()

        begun: deque[Any] = deque()
        for found in predictor.predict_many(images, batch=batch, attention=attention, on_error=refuse):
            begun.append(hands.write(found))
            if len(begun) >= hands.depth:
                note()
        while begun:
            note()
