"""Measure the post-processing options min_relative_probability and min_mean_probability.

    python research/scripts/postprocessing_thresholds.py NAME MODEL --data PREPARED [--split SPLIT]

Runs a model on the network's grid over the validation part of a split, or over all of a set that it has not
seen, post-processes its masks with each value, and stores the figures in
research/measurements/postprocessing.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from evidence import MEASUREMENTS, read_json
from page_tables.postprocessing import COLUMNS
from sonoseg._util.files import atomic_write_text
from sonoseg.data.prepared_set import PreparedSet
from sonoseg.data.splits import Split
from sonoseg.evaluation.bootstrap import bootstrap_means
from sonoseg.inference.postprocessing import postprocess
from sonoseg.inference.predictor import Predictor
from sonoseg.metrics.lesion_detection import is_false_positive, match_lesions
from sonoseg.metrics.overlap import dice

TRIED: dict[str, tuple[float, ...]] = {
    "min_relative_probability": (0.0, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 1.0),
    # With min_relative_probability as it was chosen.
    "min_mean_probability": (0.0, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85),
}
CHOSEN = 0.8


def main() -> None:
    """Measure one model on one set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("model", help="a model folder, a run, or 'shipped'")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", type=Path)
    given = parser.parse_args()
    prepared = PreparedSet.open(given.data)
    ids = [str(name) for name in prepared.table.index]
    if given.split:
        split = Split.load(given.split)
        split.check(prepared)
        ids = split.part(0).validation
    predictor = Predictor(None if given.model == "shipped" else given.model, precision="fp32", threads=1)
    path = MEASUREMENTS / "postprocessing.json"
    known = read_json(path) | {given.name: measured(predictor, prepared, ids)}
    atomic_write_text(path, json.dumps(known, indent=1) + "\n")


def measured(predictor: Predictor, prepared: PreparedSet, ids: list[str]) -> dict[str, dict[str, Any]]:
    """Measure each option, value and column: the mean with its interval over groups, and n."""
    card = predictor.model.card
    pixels, masks = prepared.arrays(card.preprocessing.size, card.preprocessing.fit)
    rows, groups = prepared.rows(ids), prepared.table.loc[ids, "group"].to_numpy()
    options = {
        (option, value): card.postprocessing.model_copy(
            update={"min_relative_probability": CHOSEN} | {option: value}
        )
        for option, values in TRIED.items()
        for value in values
    }
    found = {one: np.full((len(ids), len(COLUMNS)), np.nan) for one in options}
    for start in range(0, len(rows), 64):
        here = rows[start : start + 64]
        for number, probability in enumerate(predictor.predict_grid(np.array(pixels[here])), start):
            true, raw = np.array(masks[rows[number]]) > 0, probability >= predictor.threshold
            for one, chosen in options.items():
                found[one][number] = judged(true, postprocess(raw, probability, chosen))
    figures: dict[str, dict[str, Any]] = {option: {} for option in TRIED}
    for (option, value), table in found.items():
        means = zip(COLUMNS, bootstrap_means(table, groups), strict=True)
        figures[option][f"{value:g}"] = {name: one.as_dict() for name, one in means}
    return figures


def judged(true: np.ndarray[Any, Any], drawn: np.ndarray[Any, Any]) -> list[float]:
    """The values of COLUMNS for one image; NaN where a column does not apply."""
    if not true.any():
        return [np.nan, np.nan, np.nan, np.nan, float(is_false_positive(drawn))]
    match, score = match_lesions(true, drawn), dice(true, drawn)
    several = float(match.found.mean()) if len(match.found) > 1 else np.nan
    return [score, float(score < 0.1), several, float(match.n_false_positives), np.nan]


if __name__ == "__main__":
    main()
