"""In order, with the exception as it was raised, and dropped when nobody waits."""

from __future__ import annotations

import threading
import time

import pytest

from sonoseg._util.machine import usable_cores
from sonoseg.data.parallel import parallel
from sonoseg.errors import InputError


def test_in_order() -> None:
    def slow_first(number: int) -> int:
        time.sleep(0.02 if number == 0 else 0)
        return number * number

    assert list(parallel(slow_first, range(20), 4)) == [n * n for n in range(20)]
    assert usable_cores() >= 1


def test_the_exception_itself() -> None:
    def fail(number: int) -> int:
        raise InputError("found", where=f"file {number}")

    with pytest.raises(InputError, match="file 0: found"):
        list(parallel(fail, range(5), 2))


def test_nobody_waits() -> None:
    begun: list[int] = []
    gate = threading.Event()

    def work(number: int) -> int:
        begun.append(number)
        if number > 1:
            gate.wait(5)
        return number

    results = parallel(work, range(100), 2)
    assert next(results) == 0
    gate.set()
    results.close()  # type: ignore[attr-defined]
    assert len(begun) < 100
