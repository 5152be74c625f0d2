"""The benchmarks' own machinery: the page shows what was measured, and turns are taken."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]
RESULTS = sorted((ROOT / "research" / "benchmarks" / "results").glob("*.json"))

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


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """benchmarks/ as its scripts see it: the folder first on the path."""
    monkeypatch.syspath_prepend(str(ROOT / "research" / "benchmarks"))
    import table

    return table


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_the_page_shows_the_stored_result(benchmark: ModuleType, path: Path) -> None:
    result = json.loads(path.read_text("utf-8"))
    assert result["benchmark"] == path.stem
    pages = [page.read_text("utf-8") for page in benchmark.PAGES]
    for page in pages:
        filled = benchmark.fill(page, [result])
        assert filled == page, f"run: python research/benchmarks/table.py {path.relative_to(ROOT)}"
    assert sum(f"<!-- benchmark: {path.stem} -->" in page for page in pages) == 1


def test_every_table_has_a_place_on_a_page(benchmark: ModuleType) -> None:
    pages = [page.read_text("utf-8") for page in benchmark.PAGES]
    found = [match["name"] for page in pages for match in benchmark.BLOCK.finditer(page)]
    assert sorted(found) == sorted(benchmark.TABLES)


def test_filling_twice_is_filling_once(benchmark: ModuleType) -> None:
    rate = {"median": 2.0, "least": 1.5, "greatest": 3.0}
    result = {
        "benchmark": "data_path",
        "machine": {
            "command": "python x", "cores": 2, "processor": "P", "date": "2026-01-01", "commit": None,
            "load_before": 0.1,
        },
        "versions": {"torch": "2"},
        "way": "2 workers",
        "ways": {"2 workers": 2.0},
        "pairs_per_second": {"sonoseg": rate, "monai": rate},
        "ratio": rate,
        "peak_bytes": {"sonoseg": 2**30},
        "target": 5.0,
    }  # fmt: skip
    page = "a\n<!-- benchmark: data_path -->\nold\n<!-- end of benchmark -->\nb\n"
    once = benchmark.fill(page, [result])
    assert "old" not in once
    assert "**2.0 (1.5 to 3.0)**" in once
    assert "1.00 GiB" in once
    assert once.startswith("a\n")
    assert once.endswith("\nb\n")
    assert benchmark.fill(once, [result]) == once


def test_turns_are_taken_and_a_failure_is_told(benchmark: ModuleType, tmp_path: Path) -> None:
    import turns

    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    path = {"PYTHONPATH": str(ROOT / "research" / "benchmarks")}
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
