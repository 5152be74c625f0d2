"""Work done ahead: in order, bounded, lazy."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonoseg.inference.pipeline import ahead


@given(st.lists(st.integers(), max_size=30), st.integers(1, 8), st.integers(1, 4))
def test_order_is_kept_whatever_the_depth(items: list[int], depth: int, workers: int) -> None:
    with ThreadPoolExecutor(workers) as pool:
        given_out = [(item, future.result()) for item, future in ahead(pool, lambda n: n * 2, items, depth)]
    assert given_out == [(item, item * 2) for item in items]


def test_no_more_than_depth_are_begun_and_items_are_read_as_needed() -> None:
    taken = 0

    def endless() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    with ThreadPoolExecutor(4) as pool:
        results = ahead(pool, lambda n: n, endless(), 5)
        for k in range(1, 20):
            assert next(results)[0] == k
            assert taken <= k + 5


def test_it_does_run_ahead() -> None:
    others = threading.Event()

    def work(n: int) -> int:
        if n == 0:
            assert others.wait(5), "item 1 was not begun while item 0 was at work"
        else:
            others.set()
        return n

    with ThreadPoolExecutor(2) as pool:
        assert [future.result() for _, future in ahead(pool, work, range(2), 2)] == [0, 1]


def test_an_exception_waits_in_its_future() -> None:
    def work(n: int) -> int:
        if n == 1:
            raise ValueError("one")
        time.sleep(0.01)
        return n

    with ThreadPoolExecutor(2) as pool:
        futures = [future for _, future in ahead(pool, work, range(3), 3)]
        assert futures[0].result() == 0
        with pytest.raises(ValueError, match="one"):
            futures[1].result()
        assert futures[2].result() == 2
