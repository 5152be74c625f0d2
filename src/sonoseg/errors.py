"""Errors that a user can cause. Each states what is wrong, where, and what to do.

Rendered, an error reads `where: what is wrong. What to do.`, for example:

    exam/im01.dcm: pixel data is truncated: expected 786432 bytes, found 412000. Export the file again.
"""

from __future__ import annotations

from pathlib import Path


class SonosegWarning(UserWarning):
    """A problem in the input that did not stop the work."""


class SonosegError(Exception):
    """Base class of the errors of this package.

    found: what is wrong, as a clause without a final full stop.
    where: the file, option, key, frame or row that is wrong; None where there is none to name.
    remedy: what the user can do, as an imperative clause without a final full stop.
    exit_code: of the command line: 1 the command failed, 2 wrong usage, 3 some inputs of many failed.
    """

    exit_code = 1

    def __init__(self, found: str, *, where: str | Path | None = None, remedy: str | None = None) -> None:
        self.found = found
        self.where = None if where is None else str(where)
        self.remedy = remedy
        super().__init__(str(self))

    @property
    def reason(self) -> str:
        """The message without `where`, for a list that names the file itself."""
        return f"{self.found}. {self.remedy}." if self.remedy else f"{self.found}."

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}" if self.where else self.reason

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions with keyword-only arguments do not survive a process pool without this.
        return (_rebuild, (type(self), self.found, self.where, self.remedy))


def _rebuild(kind: type[SonosegError], found: str, where: str | None, remedy: str | None) -> SonosegError:
    return kind(found, where=where, remedy=remedy)


class UsageError(SonosegError):
    """An option, key or name is wrong, or does not fit the others."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe has a wrong key or value."""


class PlanError(UsageError):
    """A plan has a wrong key or value, or differs from the plan that its folder was created with."""


class MissingExtra(SonosegError):
    """An optional package is not installed."""

    exit_code = 2


class InputError(SonosegError):
    """An image cannot be read or used."""


class BurnedInTextError(InputError):
    """Text in a DICOM image, a name for example, cannot be separated from the scan."""


class ShapeError(SonosegError):
    """An array has the wrong shape, dtype or range."""


class EmptyMaskError(SonosegError):
    """A mask has no lesion where one is required."""


class DatasetError(SonosegError):
    """A data set, prepared set or split cannot be used."""


class DownloadError(SonosegError):
    """A file could not be downloaded, or does not match its checksum."""


class ModelError(SonosegError):
    """A model folder cannot be read, or does not fit."""


class TrainingError(SonosegError):
    """Training cannot start or resume."""


class ExperimentError(SonosegError):
    """Some runs of an experiment failed."""


class OutputError(SonosegError):
    """A result cannot be written, or would overwrite a file."""


class FullDiskError(OutputError):
    """A result cannot be written for want of space: nor can the next one."""


class PacsError(SonosegError):
    """A PACS cannot be reached, refuses access, or answers with a failure status."""


class FigureError(SonosegError):
    """A figure cannot be drawn from its data."""


class BatchError(SonosegError):
    """Some inputs of many failed."""

    exit_code = 3
