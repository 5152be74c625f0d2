"""Processes that measure and write, so that a folder's writing takes no time from the network's thread.

In threads of one process most of the writing would wait for Python's one lock, and keep it from the thread
that feeds the network; the more cores, the more they would wait.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import warnings
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType

from sonoseg._util.machine import usable_cores
from sonoseg.errors import OutputError, SonosegWarning
from sonoseg.inference.segmentation import Segmentation
from sonoseg.results.entries import ImageEntry
from sonoseg.results.result_files import ImageFiles

MANY = 100
"""From so many images on, processes pay for their start, which imports what they write with."""

_Told = tuple[ImageEntry, list[str]]


class Hands:
    """Writes segmentations beside other work: in processes where there are many, else in threads.

    images: what writes them. count: about how many will come. hands: how many work at once; one a core, up
    to eight, by default.
    """

    def __init__(self, images: ImageFiles, count: int, *, hands: int | None = None) -> None:
        hands = hands or min(8, usable_cores())
        self._images = images
        self._pool: Executor
        self.apart = count > MANY
        if self.apart:
            self._pool = ProcessPoolExecutor(
                hands, multiprocessing.get_context("spawn"), initializer=_begin, initargs=(images,)
            )
        else:
            self._pool = ThreadPoolExecutor(hands, "sonoseg-write")
        self.depth = 2 * hands
        """How many may be under way at once."""

    def write(self, segmentation: Segmentation) -> Future[_Told]:
        """Begin to write one; `told` gives what came of it. Raises OutputError where the processes died."""
        try:
            return self._pool.submit(_write if self.apart else self._here, segmentation)
        except BrokenProcessPool as error:
            raise _died() from error

    def told(self, future: Future[_Told]) -> ImageEntry:
        """The entry of what was written, its warnings given again here. Raises OutputError."""
        try:
            entry, warned = future.result()
        except BrokenProcessPool as error:
            raise _died() from error
        for text in warned:
            warnings.warn(text, SonosegWarning, stacklevel=2)
        return entry

    def _here(self, segmentation: Segmentation) -> _Told:
        return self._images.write(segmentation), []

    def __enter__(self) -> Hands:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


def _died() -> OutputError:
    return OutputError(
        "a process that writes results was killed",
        remedy="See whether memory ran out, and go on with --resume",
    )


_images: ImageFiles | None = None


def _begin(images: ImageFiles) -> None:
    """A process' start: what it writes to, and no life beyond its parent's."""
    global _images
    _images = images
    # Control-C goes to every process of the terminal; the parent decides what comes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _write(segmentation: Segmentation) -> _Told:
    assert _images is not None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SonosegWarning)
        entry = _images.write(segmentation)
    return entry, [str(one.message) for one in caught if issubclass(one.category, SonosegWarning)]
