"""Compare the attention coefficients in lesions that are found with those in lesions that are missed.

    python research/scripts/gate_coefficients.py MODEL --data PREPARED --split SPLIT [--fold K]

Runs a model over the validation part and writes research/measurements/gate-coefficients.md and
docs/images/gates.png: for each gate the mean coefficient inside the lesion, and that minus the mean around
it. Only means and distributions are stored, no image of a set. The test part is not used.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evidence import IMAGES, MEASUREMENTS
from sonoseg._util.files import atomic_write_text
from sonoseg.data.prepared_set import PreparedSet
from sonoseg.data.splits import Split
from sonoseg.evaluation.bootstrap import bootstrap
from sonoseg.inference.predictor import Predictor
from sonoseg.metrics.probability_calibration import foreground
from sonoseg.plots.style import BLUE, INK, VERMILION, WIDTH, blank, grid, look, save

MARGIN = 0.05
"""Width of the ring around the lesion, as a share of the diagonal."""

FOUND, MISSED, SMALL = "found", "missed (Dice < 0.1)", "smallest quarter, found"


def main() -> None:
    """Measure, write the table and the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--fold", type=int, default=0)
    given = parser.parse_args()
    prepared = PreparedSet.open(given.data)
    ids = list(Split.load(given.split).part(given.fold).validation)
    ids = [name for name in ids if prepared.table.loc[name, "lesion_area_px"] > 0]
    predictor = Predictor(given.model, runtime="onnx", precision="fp32")
    gates = predictor.model.card.attention
    rows = pd.DataFrame([measured(predictor, prepared, name, gates) for name in ids])
    small = rows["share"] <= rows["share"].quantile(0.25)
    kinds = {
        FOUND: rows["dice"] >= 0.1,
        SMALL: small & (rows["dice"] >= 0.1),
        MISSED: rows["dice"] < 0.1,
    }
    text = table(rows, gates, kinds)
    print(text)
    atomic_write_text(MEASUREMENTS / "gate-coefficients.md", text)
    draw(rows, gates, kinds)


def measured(predictor: Predictor, prepared: PreparedSet, name: str, gates: list[str]) -> dict[str, Any]:
    """Measure one image: its Dice, and each gate's coefficients in the lesion and in the ring around it."""
    true = prepared.mask(name) > 0
    found = predictor.predict(prepared.frame(name), attention=True)
    total = int(true.sum()) + int(found.mask.sum())
    ring = foreground(true, MARGIN * float(np.hypot(*true.shape))) & ~true
    row: dict[str, Any] = {
        "group": prepared.table.loc[name, "group"],
        "share": float(true.mean()),
        "dice": 2 * int((true & found.mask).sum()) / total,
    }
    for gate in gates:
        values = (found.attention or {})[gate]
        row[f"{gate} inside"] = float(values[true].mean())
        row[f"{gate} contrast"] = float(values[true].mean() - values[ring].mean())
    return row


def table(rows: pd.DataFrame, gates: list[str], kinds: dict[str, Any]) -> str:
    """A row a gate and kind of lesion: the coefficient inside, and its difference from that around."""
    lines = ["| Gate | Lesions | n | inside | inside minus around [95 % interval] |", "|---|---|---|---|---|"]
    for number, gate in enumerate(gates, start=1):
        for kind, which in kinds.items():
            part = rows[which]
            low, high = interval(part, f"{gate} contrast")
            lines.append(
                f"| {number}{' (coarsest)' if number == 1 else ''} | {kind} | {len(part)} "
                f"| {part[f'{gate} inside'].mean():.3f} | {part[f'{gate} contrast'].mean():+.3f} "
                f"[{low:+.3f}, {high:+.3f}] |"
            )
    return "\n".join(lines) + "\n"


def interval(part: pd.DataFrame, column: str) -> tuple[float, float]:
    """The 95 % interval of a mean, over groups."""
    if len(part) < 2:
        return float("nan"), float("nan")
    parts = np.stack([part[column].to_numpy(float), np.ones(len(part))], axis=1)
    _, low, high = bootstrap(parts, part["group"].to_numpy(), lambda sums: sums[:, :1] / sums[:, 1:])
    return float(low[0]), float(high[0])


def draw(rows: pd.DataFrame, gates: list[str], kinds: dict[str, Any]) -> None:
    """Draw a panel a gate: the distribution of the contrast by kind of lesion."""
    with look():
        figure = blank(WIDTH, 3.6)
        panels = np.atleast_1d(figure.subplots(1, len(gates), sharey=True))
        for number, (gate, axes) in enumerate(zip(gates, panels, strict=True), start=1):
            parts = [rows.loc[which, f"{gate} contrast"].to_numpy(float) for which in kinds.values()]
            boxes = axes.boxplot(parts, widths=0.6, showfliers=False, patch_artist=True)
            for box, colour in zip(boxes["boxes"], (BLUE, BLUE, VERMILION), strict=True):
                box.set(facecolor=colour, alpha=0.45)
            axes.axhline(0, color=INK, linewidth=0.8)
            axes.set_xticks(range(1, len(kinds) + 1), ["found", "small", "missed"])
            axes.set_title(f"gate {number}" + (" (coarsest)" if number == 1 else ""))
            grid(axes)
        panels[0].set_ylabel("coefficient in the lesion\nminus that around it")
        save(figure, IMAGES / "gates.png")


if __name__ == "__main__":
    main()
