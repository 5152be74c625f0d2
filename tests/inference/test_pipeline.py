"""The pipeline's building blocks: bounded read-ahead, and isolation of failures in a batch."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonoseg.inference.pipeline import ahead, run_isolated


@given(st.lists(st.integers(), max_size=30), st.integers(1, 8), st.integers(1, 4))
def test_order_is_kept_at_any_depth(items: list[int], depth: int, workers: int) -> None:
    with ThreadPoolExecutor(workers) as pool:
        yielded = [(item, future.result()) for item, future in ahead(pool, lambda n: n * 2, items, depth)]
    assert yielded == [(item, item * 2) for item in items]


def test_at_most_depth_calls_are_submitted_and_items_are_consumed_as_needed() -> None:
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


def test_items_run_concurrently() -> None:
    others = threading.Event()

    def work(n: int) -> int:
        if n == 0:
            assert others.wait(5), "item 1 was not begun while item 0 was at work"
        else:
            others.set()
        return n

    with ThreadPoolExecutor(2) as pool:
        assert [future.result() for _, future in ahead(pool, work, range(2), 2)] == [0, 1]


def test_an_exception_stays_in_its_future() -> None:
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


def test_a_failing_batch_is_run_one_by_one() -> None:
    batches: list[list[int]] = []

    def run(items: Sequence[int]) -> list[int]:
        batches.append(list(items))
        if 2 in items:
            raise ValueError("two")
        return [item * 10 for item in items]

    assert run_isolated(run, [1, 3]) == [10, 30]
    first, second, third = run_isolated(run, [1, 2, 3])
    assert (first, third) == (10, 30)
    assert isinstance(second, ValueError)
    assert batches == [[1, 3], [1, 2, 3], [1], [2], [3]]
    assert run_isolated(run, []) == []
    assert len(batches) == 5
