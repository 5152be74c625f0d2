"""Draw the figures of the pages that come from the stored evidence.

    python research/scripts/evidence_figures.py

Training curves (curves-NAME.png), risk-coverage curves (risk-coverage-NAME.png) and FROC curves (froc.png) of
the evaluations on the shipped card, experiments (experiment-NAME.png), and the accuracy of the networks
against their time (accuracy-latency.png). No figure shows an image of a set.
"""

from __future__ import annotations

import pandas as pd

from evidence import BENCHMARKS, IMAGES, LOGS, TABLES, froc_of, read_json, rows_of
from sonoseg.evaluation.risk_coverage import risk_coverage_table
from sonoseg.experiments.experiment_table import variant_figure_rows
from sonoseg.model.model import Model
from sonoseg.plots.evaluation_plots import froc, risk_coverage
from sonoseg.plots.experiment_plots import variants
from sonoseg.plots.model_comparison import accuracy_latency
from sonoseg.plots.style import save
from sonoseg.plots.training_curves import curves


def evaluations_on_card() -> list[str]:
    """The evaluations of the test part whose figures the shipped card states."""
    return sorted({one.on for one in Model.load().card.results} - {"validation"})


def draw_accuracy_latency() -> None:
    """Draw the Dice of the networks on a centre not seen against their milliseconds per image."""
    timed = read_json(BENCHMARKS / "peer_latency.json")["rows"]
    cost = {row["network"]: row for row in timed}
    rows = [
        {
            "model": row["variant"],
            "latency_ms": cost[row["variant"]]["ms"]["median"],
            "parameters": cost[row["variant"]]["parameters"],
            "dice": row["dice"]["mean"],
            "low": row["dice"]["low"],
            "high": row["dice"]["high"],
        }
        for one in read_json(TABLES / "peers.json")["evaluations"]
        if one["name"] == "busi"
        for row in one["rows"]
    ]
    save(accuracy_latency(pd.DataFrame(rows)), IMAGES / "accuracy-latency.png")


def main() -> None:
    """Draw every figure."""
    for log in sorted(LOGS.glob("*.jsonl")):
        save(curves(pd.read_json(log, lines=True)), IMAGES / f"curves-{log.stem}.png")
    names = evaluations_on_card()
    for name in names:
        rows = rows_of(name)
        if "uncertainty" in rows:
            save(risk_coverage(risk_coverage_table(rows)), IMAGES / f"risk-coverage-{name}.png")
    save(froc(pd.concat([froc_of(name).assign(model=name) for name in names])), IMAGES / "froc.png")
    for path in sorted(TABLES.glob("*.json")):
        save(variants(variant_figure_rows(read_json(path))), IMAGES / f"experiment-{path.stem}.png")
    draw_accuracy_latency()


if __name__ == "__main__":
    main()
