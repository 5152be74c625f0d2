"""Every error that a user can cause, worded by us: what was found, where, and what to do."""

from __future__ import annotations

from pathlib import Path


class SonosegWarning(UserWarning):
    """Something odd in the user's input that did not stop the work."""


class SonosegError(Exception):
    """The root of our errors.

    found: what was found, as a clause without a final full stop.
    where: the file, key, frame or row it was found in.
    remedy: what the user can do, as an imperative clause without a final full stop.
    exit_code: what the command line exits with (1 failed, 2 wrong usage, 3 a batch with bad files).
    """

    exit_code = 1

    def __init__(self, found: str, *, where: str | Path | None = None, remedy: str | None = None) -> None:
        self.found = found
        self.where = None if where is None else str(where)
        self.remedy = remedy
        super().__init__(str(self))

    @property
    def reason(self) -> str:
        """The whole text but for `where`, for a list that names the file itself."""
        return f"{self.found}. {self.remedy}." if self.remedy else f"{self.found}."

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}" if self.where else self.reason

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions with keyword-only arguments do not survive a process pool without this.
        return (_rebuild, (type(self), self.found, self.where, self.remedy))


def _rebuild(kind: type[SonosegError], found: str, where: str | None, remedy: str | None) -> SonosegError:
    return kind(found, where=where, remedy=remedy)


class UsageError(SonosegError):
    """The command's words do not fit: a wrong option, key or name."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe has a wrong key or value."""


class PlanError(UsageError):
    """A plan of runs has a wrong key or value, or is not the one its folder was begun with."""


class MissingExtra(SonosegError):
    """A package that an extra brings is not installed."""

    exit_code = 2


class InputError(SonosegError):
    """An image cannot be read or used."""


class ShapeError(SonosegError):
    """An array's shape does not fit."""


class EmptyMask(SonosegError):
    """A mask without a lesion where one is needed."""


class DatasetError(SonosegError):
    """A data set, prepared set or split cannot be used as it is."""


class DownloadError(SonosegError):
    """An archive could not be fetched or does not match its checksum."""


class ModelError(SonosegError):
    """A model folder cannot be read or does not fit."""


class TrainingError(SonosegError):
    """Training cannot start or go on."""


class RunsFailed(SonosegError):
    """A study ended, but some of its runs failed."""


class OutputError(SonosegError):
    """A result cannot be written, or would replace something of the user's."""


class ArchiveError(SonosegError):
    """An archive (PACS) cannot be reached, does not let us in, or answers with a failure."""


class FigureError(SonosegError):
    """A figure cannot be drawn from what was given."""


class BatchError(SonosegError):
    """A batch ended, but some of its inputs failed."""

    exit_code = 3


def first_line(error: BaseException) -> str:
    """What another library's exception says, in one line; its kind where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def missing_extra(package: str, extra: str) -> MissingExtra:
    """The error for an absent optional package, with the command that installs it."""
    return MissingExtra(
        f"this needs the package '{package}', which is not installed",
        remedy=f"Install it with: pip install 'sonoseg[{extra}]'",
    )
