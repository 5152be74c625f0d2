"""Measure models on validation images whose appearance is changed, and on phantoms.

    python research/scripts/appearance_changes.py NAME=MODEL ... --data PREPARED --split SPLIT [--fold K]

Runs each model (a run, a model folder, or `shipped`) on the network's grid over the validation part, with
each image changed in one way after the other, and over forty phantoms of each kind. Writes
research/measurements/appearance-changes.md. Recipes are chosen by these figures: the test part is not used,
and no image is stored.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter, zoom

from evidence import MEASUREMENTS
from sonoseg._util.files import atomic_write_text
from sonoseg.data.phantoms import KINDS, draw_spec, render
from sonoseg.data.prepared_set import PreparedSet
from sonoseg.data.splits import Split
from sonoseg.evaluation.bootstrap import bootstrap_means
from sonoseg.inference.postprocessing import postprocess
from sonoseg.inference.predictor import Predictor
from sonoseg.metrics.lesion_detection import is_false_positive
from sonoseg.metrics.overlap import dice
from sonoseg.training.drawn_marks import draw_marks

PHANTOMS = range(500, 540)
"""Seeds of the phantoms of each kind; research/scripts/phantom_figures.py shows the worst of them."""

Array = np.ndarray[Any, Any]
Change = Callable[[Array, Array, np.random.Generator], tuple[Array, Array]]
COLUMNS = ("dice", "missed", "false_positive")


def grey(change: Callable[[Array], Array]) -> Change:
    """Make a change of grey values (0..255) that leaves the mask."""

    def changed(pixels: Array, mask: Array, _: np.random.Generator) -> tuple[Array, Array]:
        return np.clip(change(pixels.astype(np.float32)), 0, 255).astype(np.uint8), mask

    return changed


def window(axis: int) -> Change:
    """Make a change to black outside a window along one axis, a ninth of the side wider than the lesion."""

    def changed(pixels: Array, mask: Array, _: np.random.Generator) -> tuple[Array, Array]:
        side = pixels.shape[axis]
        there = np.flatnonzero(mask.any(axis=1 - axis))
        first, last = (there[0], there[-1]) if len(there) else (0.4 * side, 0.6 * side)
        outside = np.ones(side, dtype=bool)
        outside[max(0, round(first - side / 9)) : round(last + side / 9)] = False
        rows = np.moveaxis(pixels.copy(), axis, 0)
        rows[outside] = 0
        return np.moveaxis(rows, 0, axis), mask

    return changed


def farther(pixels: Array, mask: Array, _: np.random.Generator) -> tuple[Array, Array]:
    """Reduce the image to 0.6 of its size, black around it."""
    found = []
    for plane, order in ((pixels, 1), (mask.astype(np.uint8), 0)):
        small = zoom(plane, 0.6, order=order)
        start = (plane.shape[0] - small.shape[0]) // 2
        made = np.zeros_like(plane)
        made[start : start + small.shape[0], start : start + small.shape[1]] = small
        found.append(made)
    return found[0], found[1] > 0


def grainy(pixels: Array, mask: Array, random: np.random.Generator) -> tuple[Array, Array]:
    """Add multiplicative noise with a standard deviation of 0.25."""
    noisy = pixels * (1 + 0.25 * random.normal(size=pixels.shape))
    return np.clip(noisy, 0, 255).astype(np.uint8), mask


def marked(pixels: Array, mask: Array, random: np.random.Generator) -> tuple[Array, Array]:
    """Draw callipers, text, boxes or a pictogram on the image."""
    changed = pixels.copy()
    draw_marks(changed, mask.astype(np.uint8), random)
    return changed, mask


CHANGES: dict[str, Change] = {
    "as it is": grey(lambda x: x),
    "tall window": window(1),
    "flat window": window(0),
    "farther, 0.6": farther,
    "gamma 0.6": grey(lambda x: 255 * (x / 255) ** 0.6),
    "gamma 1.7": grey(lambda x: 255 * (x / 255) ** 1.7),
    "half the contrast": grey(lambda x: (x - x.mean()) * 0.5 + x.mean()),
    "blur, 2 pixels": grey(lambda x: gaussian_filter(x, 2)),
    "grain, a quarter": grainy,
    "marks": marked,
}


def main() -> None:
    """Measure, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="NAME=MODEL")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--print", action="store_true", help="print only")
    given = parser.parse_args()
    prepared, split = PreparedSet.open(given.data), Split.load(given.split)
    split.check(prepared)
    ids = split.part(given.fold).validation
    rows = []
    for word in given.models:
        name, _, folder = word.partition("=")
        predictor = Predictor(None if folder in ("", "shipped") else folder, precision="fp32", threads=1)
        rows += [one | {"model": name} for one in seen(predictor, prepared, ids)]
        rows += [one | {"model": name} for one in seen_phantoms(predictor)]
    text = tables(pd.DataFrame(rows))
    print(text)
    if not given.print:
        atomic_write_text(MEASUREMENTS / "appearance-changes.md", text.strip() + "\n")


def seen(predictor: Predictor, prepared: PreparedSet, ids: list[str]) -> list[dict[str, Any]]:
    """Return a row for each image and change: group, set, and Dice or whether it is a false positive."""
    card = predictor.model.card.preprocessing
    pixels, masks = prepared.arrays(card.size, card.fit)
    places, about, found = prepared.rows(ids), prepared.table.loc[ids], []
    for name_of_change, change in CHANGES.items():
        for start in range(0, len(places), 64):
            here = places[start : start + 64]
            changed = [
                change(np.array(pixels[k]), np.array(masks[k]) > 0, np.random.default_rng([7, int(k)]))
                for k in here
            ]
            for (_, mask), probability, name in zip(
                changed,
                predictor.predict_grid(np.stack([one for one, _ in changed])),
                ids[start:],
                strict=False,
            ):
                raw = probability >= predictor.threshold
                drawn = postprocess(raw, probability, predictor.postprocessing)
                row = {
                    "change": name_of_change,
                    "group": about.at[name, "group"],
                    "set": about.at[name, "set"],
                }
                found.append(row | judged(mask, drawn))
    return found


def seen_phantoms(predictor: Predictor) -> list[dict[str, Any]]:
    """Return the same rows for phantoms, unchanged."""
    found = []
    for kind in KINDS:
        for seed in PHANTOMS:
            phantom = render(draw_spec(seed, kind=kind))
            drawn = predictor.predict(phantom.frame).mask
            row = {"change": "phantoms", "group": f"{kind}-{seed}", "set": "phantoms"}
            found.append(row | judged(phantom.mask, drawn))
    return found


def judged(true: Array, drawn: Array) -> dict[str, float]:
    """Dice and whether the lesion is missed; for a normal image whether it is a false positive."""
    if not true.any():
        return {"false_positive": float(is_false_positive(drawn))}
    score = dice(true, drawn)
    return {"dice": score, "missed": float(score < 0.1)}


def tables(rows: pd.DataFrame) -> str:
    """A Markdown table a set."""
    models, lines = list(dict.fromkeys(rows["model"])), []
    for name, own in rows.groupby("set", sort=False):
        columns = [
            (column, words)
            for column, words in zip(COLUMNS, ("Dice", "missed", "false positive"), strict=True)
            if own[column].notna().any()
        ]
        ns = [
            int(own[(own["model"] == models[0])].groupby("change")[column].count().max())
            for column, _ in columns
        ]
        heads = [
            f"{model}: {words} (n = {n})"
            for model in models
            for (_, words), n in zip(columns, ns, strict=True)
        ]
        lines += [f"| {name} | {' | '.join(heads)} |", "|---|" + "---|" * len(heads)]
        for change, of_change in own.groupby("change", sort=False):
            cells = [
                cell(of_change[of_change["model"] == model], column)
                for model in models
                for column, _ in columns
            ]
            lines.append(f"| {change} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def cell(rows: pd.DataFrame, column: str) -> str:
    """A mean with its interval over groups."""
    (one,) = bootstrap_means(rows[[column]].to_numpy(dtype=float), rows["group"].to_numpy())
    if column == "dice":
        return f"{one.mean:.3f} [{one.low:.3f}, {one.high:.3f}]"
    return f"{100 * one.mean:.0f} % [{100 * one.low:.0f}, {100 * one.high:.0f}]"


if __name__ == "__main__":
    main()
