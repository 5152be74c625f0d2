"""Compare the mean probability of several networks of one recipe with each network alone.

    python research/scripts/ensembles.py NAME MODEL MODEL ... --data PREPARED

Runs the models on the network's grid over all of a set that they have not seen, and stores the figures in
research/measurements/ensembles.json. The threshold of the mean probability is the mean of the models'
thresholds.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evidence import MEASUREMENTS, read_json
from page_tables.ensembles import COLUMNS, ROWS
from sonoseg._util.files import atomic_write_text
from sonoseg.data.prepared_set import PreparedSet
from sonoseg.evaluation.bootstrap import bootstrap_means
from sonoseg.evaluation.policy import POLICY
from sonoseg.evaluation.strata import SIZES, size_edges, size_stratum
from sonoseg.inference.postprocessing import postprocess
from sonoseg.inference.predictor import Predictor
from sonoseg.metrics.lesion_detection import is_false_positive
from sonoseg.metrics.overlap import dice

BATCH = 64


def main() -> None:
    """Measure some models together."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    given = parser.parse_args()
    predictors = [Predictor(one, precision="fp32") for one in given.models]
    path = MEASUREMENTS / "ensembles.json"
    known = read_json(path) | {given.name: measured(predictors, PreparedSet.open(given.data))}
    atomic_write_text(path, json.dumps(known, indent=1) + "\n")


def measured(predictors: list[Predictor], prepared: PreparedSet) -> dict[str, Any]:
    """Measure each row and column: the mean with its interval over groups, and n."""
    card = predictors[0].model.card
    pixels, masks = prepared.arrays(card.preprocessing.size, card.preprocessing.fit)
    groups, shares = prepared.table["group"].to_numpy(), prepared.table["lesion_share"]
    edges = size_edges(shares.to_list())
    small = [size_stratum(share, edges) == SIZES[0] for share in shares]
    thresholds = [one.threshold for one in predictors]
    values = np.full((len(predictors) + 1, len(masks), len(COLUMNS)), np.nan)
    for start in range(0, len(masks), BATCH):
        images = np.array(pixels[start : start + BATCH])
        each = np.stack([one.predict_grid(images) for one in predictors])
        for model, (probabilities, threshold) in enumerate(
            zip([*each, each.mean(0)], [*thresholds, float(np.mean(thresholds))], strict=True)
        ):
            for number, probability in enumerate(probabilities, start):
                drawn = postprocess(probability >= threshold, probability, card.postprocessing)
                values[model, number] = judged(masks[number] > 0, drawn, small[number])
    alone, together = values[:-1].mean(0), values[-1]
    rows = dict(zip(ROWS, (alone, together, together - alone), strict=True))
    return {"models": len(predictors)} | {
        row: {name: one.as_dict() for name, one in zip(COLUMNS, bootstrap_means(of, groups), strict=True)}
        for row, of in rows.items()
    }


def judged(true: NDArray[np.bool_], drawn: NDArray[np.bool_], small: bool) -> list[float]:
    """The values of COLUMNS for one image; NaN where a column does not apply."""
    if not true.any():
        return [np.nan, np.nan, np.nan, float(is_false_positive(drawn))]
    score = dice(true, drawn)
    return [score, score if small else np.nan, float(score < POLICY.missed_dice), np.nan]


if __name__ == "__main__":
    main()
