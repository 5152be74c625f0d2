"""The cost of batch inference follows from rates and prices."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def costs(research_script: Callable[[str], ModuleType]) -> ModuleType:
    return research_script("batch_costs")


def test_costs_follow_from_rates_and_prices(costs: ModuleType) -> None:
    figures = costs.Measured(rate=10, around=10, driver=None, gflop=4, source="")
    assumed = costs.Assumed(cpu_cores=36, cpu_price=1, requests_price=0.001, start_seconds=0, efficiency=0.5)
    first, second, *_ = costs.rows(figures, assumed)
    assert first["rate"] == 360
    assert first["cost"] == pytest.approx(1_000_000 / 360 / 3600 + 1)
    assert second["rate"] == 1800  # ten nodes, of which each keeps a half
    assert first["thousand"] == pytest.approx(first["cost"] / 1000)
    large = [row for row in costs.rows(figures, assumed) if row["images"] == 100_000_000]
    assert large[0]["cost"] == pytest.approx(100 * first["cost"])


@pytest.mark.parametrize(
    ("changes", "driver", "narrow"),
    [
        ({}, None, "cores around the GPU"),
        ({"gpu_cores": 10_000}, None, "store"),
        ({"gpu_cores": 10_000, "node_mb_per_second": 1e6}, None, "GPU"),
        ({"gpu_cores": 10_000, "node_mb_per_second": 1e6}, 1.0, "driver"),
    ],
)
def test_the_bottleneck_moves(
    costs: ModuleType, changes: dict[str, float], driver: float | None, narrow: str
) -> None:
    figures = costs.Measured(rate=20, around=20, driver=driver, gflop=4, source="")
    found = costs.rates("gpu", 1, figures, costs.Assumed(**changes))
    assert min(found, key=found.__getitem__) == narrow


def test_the_engines_own_figures_go_first(costs: ModuleType, tmp_path: Path) -> None:
    for name in ("inference_speed", "folder_throughput"):
        (tmp_path / f"{name}.json").write_bytes((costs.BENCHMARKS / f"{name}.json").read_bytes())
    plain = costs.measured(tmp_path)
    assert plain.driver is None
    own = {
        "machine": {"cores": 2},
        "images_per_second": {"ray": {"median": 50}},
        "stages_ms": {"read": 3, "network": 20, "finish": 7, "driver": 0.5},
    }
    (tmp_path / "batch_throughput.json").write_text(json.dumps(own))
    found = costs.measured(tmp_path)
    assert (found.rate, found.around, found.driver) == (25, 10, 0.5)
    assert "driver" in costs.rates("cpu", 1, found, costs.Assumed())


def test_prices_are_options(costs: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    costs.main([])
    before = capsys.readouterr().out
    costs.main(["--cpu-price", "160"])
    after = capsys.readouterr().out
    assert before != after
    assert "`--cpu-price` 160.0" in after
