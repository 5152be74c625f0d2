"""The table of ensembles in docs/results/levers.md."""

from __future__ import annotations

from typing import Any

from evidence import MEASUREMENTS, read_json
from page_tables.markdown import table
from sonoseg.experiments.experiment_table import signed
from sonoseg.results.evaluation_tables import Kind, interval

COLUMNS: dict[str, Kind] = {
    "Dice": "score",
    "Dice, smallest quarter": "score",
    "missed": "share",
    "false-positive rate on normal images": "share",
}
ROWS = ("one", "together", "together minus one")


def ensembles_table() -> str:
    """Three rows a set: one network, all together, the difference."""
    rows = []
    for name, figures in read_json(MEASUREMENTS / "ensembles.json").items():
        count = figures["models"]
        titles = (f"each of {count} alone, on average", f"the {count} together", "difference")
        for title, row, text in zip(titles, ROWS, (interval, interval, signed), strict=True):
            cells = [cell(figures[row][column], text, kind) for column, kind in COLUMNS.items()]
            rows.append((name, title, *cells))
    return table(("", "", *COLUMNS), rows)


def cell(figure: dict[str, Any], text: Any, kind: Kind) -> str:
    """A figure with its interval and n."""
    return f"{text(figure, kind)}, n = {figure['n']}" if figure["n"] else "not measured"
