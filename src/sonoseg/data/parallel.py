"""Apply a function to many items in threads, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sonoseg._util.machine import usable_cores

A = TypeVar("A")
B = TypeVar("B")


def parallel(function: Callable[[A], B], items: Iterable[A], threads: int | None = None) -> Iterator[B]:
    """Yield function(item) for each item, in order; pending calls are cancelled when the caller stops.

    Threads, not processes: Pillow, zlib, NumPy and hashlib release the interpreter lock, and exceptions are
    raised unchanged.
    """
    pool = ThreadPoolExecutor(threads or usable_cores())
    try:
        yield from pool.map(function, items)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def silent(items: Iterable[A], description: str, total: int) -> Iterator[A]:
    """Pass `items` through, in place of a progress bar."""
    return iter(items)
