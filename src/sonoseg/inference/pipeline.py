"""Work done ahead of its consumer: in threads, in order, and never more than a stated number at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ahead(
    pool: Executor, work: Callable[[T], R], items: Iterable[T], depth: int
) -> Iterator[tuple[T, Future[R]]]:
    """Give each item with the future of `work(item)`, in the items' order.

    At most `depth` calls are begun and not yet given out, so memory stays flat however long `items` is.
    `items` is read by the consumer's own thread. An exception in `work` waits in its future.
    """
    begun: deque[tuple[T, Future[R]]] = deque()
    for item in items:
        begun.append((item, pool.submit(work, item)))
        if len(begun) >= depth:
            yield begun.popleft()
    while begun:
        yield begun.popleft()
