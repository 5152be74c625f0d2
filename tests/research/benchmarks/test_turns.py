"""Worker processes take turns, and a worker that fails is reported."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

WORKER = """
import sys
import turns
orders = turns.Turns()
print("noise of a library")
while (order := orders.next()) is not None:
    if order.what == "fail":
        sys.exit("out of luck")
    orders.done(asked=order.what, amount=order.amount)
"""


def test_turns_are_taken_and_a_failure_is_reported(
    benchmark_script: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    turns = benchmark_script("turns")
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    path = {"PYTHONPATH": str(Path(turns.__file__).parent)}
    with turns.Worker("echo", [sys.executable, script], path) as worker:
        seconds = worker.turn(3, "this")
        assert 0 <= seconds < 60
        assert (worker.last["asked"], worker.last["amount"]) == ("this", 3)
        if sys.platform == "linux":
            assert 0 < worker.last["resident"] <= worker.last["peak"]
    assert worker.process.returncode == 0
    with turns.Worker("echo", [sys.executable, script], path) as worker, pytest.raises(SystemExit) as ended:
        worker.turn(1, "fail")
    assert "out of luck" in str(ended.value)
    assert turns.spread([3.0, 1.0, 2.0]) == {
        "median": 2.0,
        "least": 1.0,
        "greatest": 3.0,
        "all": [3.0, 1.0, 2.0],
    }
