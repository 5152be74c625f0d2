"""What a verb says on the side: warnings as one line each, and a progress bar that only long work shows."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TextIO, TypeVar

from rich.markup import escape

from sonoseg.cli.common import err
from sonoseg.errors import SonosegWarning
from sonoseg.inputs.file_search import SkippedFiles

T = TypeVar("T")

PATIENCE = 2.0
"""Seconds of work without a bar: what is over sooner needs none."""


@contextmanager
def plain_warnings() -> Iterator[list[str]]:
    """Show our own warnings as one line each on stderr, and hide other libraries' about odd files.

    What a search skipped is shown at the end of the block. Yields the list of those shown so far.
    """
    shown: list[str] = []
    skipped: list[str] = []

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, SkippedFiles):
            skipped.append(str(message))
        else:
            shown.append(str(message))
            warn(str(message))

    with warnings.catch_warnings():
        # Pillow's are of no use to the user; those of the others may quote a file's text, names included.
        for package in ("PIL", "pydicom", "highdicom"):
            warnings.filterwarnings("ignore", module=package)
        warnings.simplefilter("always", SonosegWarning)
        warnings.showwarning = show
        try:
            yield shown
        finally:
            for text in skipped:
                err.print(escape(text), soft_wrap=True)


def warn(text: str) -> None:
    """Write one warning to stderr."""
    err.print(f"[yellow]warning:[/] {escape(text)}", soft_wrap=True)


class LateBar:
    """A progress bar on stderr that appears after PATIENCE seconds, and only on a terminal.

    total: how many steps the work has. shown: False keeps it away altogether.
    """

    def __init__(self, description: str, total: int, *, shown: bool = True) -> None:
        self._description, self._total, self._done = description, total, 0
        self._shown = shown and sys.stderr.isatty()
        self._start = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> LateBar:
        self._start = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self) -> None:
        """One step is done."""
        self._done += 1
        if not self._shown:
            return
        if self._bar is None:
            if time.monotonic() - self._start < PATIENCE:
                return
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=err,
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(self._description, total=self._total)
        self._bar.update(self._task, completed=self._done)


def late_progress(quiet: bool) -> Callable[[Iterable[T], str, int], Iterator[T]]:
    """Return a function that passes items through under a LateBar, or without one if `quiet`."""

    def track(items: Iterable[T], description: str, total: int) -> Iterator[T]:
        with LateBar(description, total, shown=not quiet) as bar:
            for item in items:
                yield item
                bar.advance()

    return track
