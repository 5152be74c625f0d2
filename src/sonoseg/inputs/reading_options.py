"""How input files are read: frames of clips, pixel spacing, burned-in text."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sonoseg._util.files import sha256_file
from sonoseg._util.text import first_line
from sonoseg.errors import BurnedInTextError, InputError, SonosegError, SonosegWarning
from sonoseg.image.calibration import Origin, Spacing
from sonoseg.image.frame import Frame
from sonoseg.inputs.frame_list import FrameRef, list_frames, parse_choice, read
from sonoseg.inputs.spacing_table import Spacings

UNMATCHED = 20
"""Most rows of a table of spacings that a warning lists."""


@dataclass(frozen=True)
class ReadingOptions:
    """The options of `sonoseg predict` about its input. Can be pickled.

    spacing: (row, column) mm per pixel, before what a file says. spacings: a table, before `spacing` for the
        files it names. frames, keep_burned_in: as in list_frames.

    Raises UsageError for a choice of frames that is not understood.
    """

    spacing: Spacing | None = None
    spacings: Spacings | None = None
    frames: str = "all"
    keep_burned_in: bool = False

    def __post_init__(self) -> None:
        parse_choice(self.frames)

    def fingerprint(self) -> dict[str, Any]:
        """Return the options as JSON values, the table of spacings by its SHA-256."""
        return {
            "spacing": None if self.spacing is None else list(self.spacing),
            "spacings": None if self.spacings is None else sha256_file(self.spacings.source),
            "frames": self.frames,
            "keep_burned_in": self.keep_burned_in,
        }

    def spacing_of(self, name: str | Path) -> tuple[Spacing | None, Origin]:
        """Return the pixel spacing that overrides what the file `name` says, and its origin."""
        tabled = None if self.spacings is None else self.spacings.of(name)
        return (self.spacing, "given") if tabled is None else (tabled, "table")

    def warn_of_unmatched(self, names: Iterable[str | Path]) -> None:
        """Warn (SonosegWarning) of rows in the table of spacings that match none of the files' names."""
        rows = [] if self.spacings is None else self.spacings.unmatched(names)
        if self.spacings is not None and rows:
            listed = ", ".join(f"'{name}'" for name in rows[:UNMATCHED])
            more = f" and {len(rows) - UNMATCHED:,} more" if len(rows) > UNMATCHED else ""
            warnings.warn(
                f"{self.spacings.source}: {len(rows):,} of {len(self.spacings.by_name):,} rows match no "
                f"file: {listed}{more}. Compare the names with those of the files",
                SonosegWarning,
                stacklevel=3,
            )

    def list_frames(self, path: Path) -> list[FrameRef]:
        """List the chosen frames of a file. Raises InputError for whatever is wrong with it, MissingExtra."""
        try:
            return list_frames(path, self.frames, keep_burned_in=self.keep_burned_in)
        except BurnedInTextError as error:
            raise with_option(error) from error
        except Exception as error:  # one odd file must not end a batch
            raise as_input_error(error, path) from error

    def read(self, frame: FrameRef, name: str | Path | None = None) -> Frame:
        """Read a frame. Raises InputError for whatever is wrong with its file, and MissingExtra.

        name: the file's name in the table of spacings; its path by default.
        """
        spacing, origin = self.spacing_of(frame.path if name is None else name)
        try:
            return read(frame, spacing=spacing, origin=origin, keep_burned_in=self.keep_burned_in)
        except BurnedInTextError as error:
            raise with_option(error) from error
        except Exception as error:  # one odd file must not end a batch
            raise as_input_error(error, frame.path) from error


def with_option(error: BurnedInTextError) -> BurnedInTextError:
    """Return the error with the option that keeps the text, for a command that has it."""
    remedy = "Use --keep-burned-in if the image shows no text, or text that may be kept"
    return BurnedInTextError(error.found, where=error.where, remedy=remedy)


def as_input_error(error: Exception, where: Path | None = None) -> SonosegError:
    """Return a SonosegError as it is, and an exception that a reader did not foresee as an InputError."""
    if isinstance(error, SonosegError):
        return error
    return InputError(
        f"cannot be read ({first_line(error)})",
        where=where,
        remedy="Export or copy it again",
    )
