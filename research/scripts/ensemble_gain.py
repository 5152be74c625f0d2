"""What several networks of one recipe find together: the mean of their probabilities, against each alone.

`python research/scripts/ensemble_gain.py NAME MODEL MODEL ... --data PREPARED` runs the models on the network's grid over
all of a set that they have not seen, keeps the figures in research/measurements/ensembles.json and writes the table of
docs/results/levers.md. The mean probability is cut at the mean of the models' thresholds.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonoseg._util.files import atomic_write_text
from sonoseg.data.prepared_set import PreparedSet
from sonoseg.evaluation.bootstrap import bootstrap_means
from sonoseg.evaluation.policy import POLICY
from sonoseg.evaluation.strata import SIZES, size_edges, size_stratum
from sonoseg.experiments.experiment_table import signed
from sonoseg.inference.postprocessing import postprocess
from sonoseg.inference.predictor import Predictor
from sonoseg.metrics.lesion_detection import false_alarm
from sonoseg.metrics.overlap import dice
from sonoseg.results.evaluation_tables import Kind, interval

RESEARCH = Path(__file__).resolve().parents[1]
KEPT = RESEARCH / "measurements" / "ensembles.json"
PAGE = RESEARCH.parent / "docs" / "results" / "levers.md"
COLUMNS: dict[str, Kind] = {
    "Dice": "score",
    "Dice, smallest quarter": "score",
    "missed": "share",
    "normals with a false alarm": "share",
}
ROWS = ("one", "together", "together minus one")
BATCH = 64


def main() -> None:
    """Measure some models together, or write the page."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("name", nargs="?")
    options.add_argument("models", nargs="*", type=Path)
    options.add_argument("--data", type=Path)
    wish = options.parse_args()
    if wish.name and not (wish.models and wish.data):
        options.error(f"'{wish.name}' comes without models or a set: give MODEL MODEL ... --data PREPARED")
    kept, page = KEPT, PAGE
    known: dict[str, Any] = json.loads(kept.read_text("utf-8")) if kept.exists() else {}
    if wish.name:
        predictors = [Predictor(one, precision="fp32") for one in wish.models]
        known[wish.name] = measured(predictors, PreparedSet.open(wish.data))
        atomic_write_text(kept, json.dumps(known, indent=1) + "\n")
    block = re.compile(r"(<!-- ensembles -->\n).*?(<!-- end of ensembles -->)", re.DOTALL)
    text = block.sub(lambda found: f"{found[1]}\n{table(known)}\n\n{found[2]}", page.read_text("utf-8"))
    atomic_write_text(page, text)


def measured(predictors: list[Predictor], prepared: PreparedSet) -> dict[str, Any]:
    """How many models there are, and a row and column the mean with its interval over groups, and n."""
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
    told = dict(zip(ROWS, (alone, together, together - alone), strict=True))
    return {"models": len(predictors)} | {
        row: {name: one.as_dict() for name, one in zip(COLUMNS, bootstrap_means(of, groups), strict=True)}
        for row, of in told.items()
    }


def judged(true: NDArray[np.bool_], drawn: NDArray[np.bool_], small: bool) -> list[float]:
    """The values of COLUMNS of one image; nan where a column does not speak of it."""
    if not true.any():
        return [np.nan, np.nan, np.nan, float(false_alarm(drawn))]
    score = dice(true, drawn)
    return [score, score if small else np.nan, float(score < POLICY.missed_dice), np.nan]


def table(known: dict[str, Any]) -> str:
    """A Markdown table, three rows a set: one network, all together, the difference."""
    lines = [f"| | | {' | '.join(COLUMNS)} |", "|---|---|" + "---|" * len(COLUMNS)]
    for name, figures in known.items():
        count, (one, together, difference) = figures["models"], (figures[row] for row in ROWS)
        for words, row, text in (
            (f"each of {count} alone, on average", one, interval),
            (f"the {count} together", together, interval),
            ("difference", difference, signed),
        ):
            cells = [cell(row[column], kind, text) for column, kind in COLUMNS.items()]
            lines.append(f"| {name} | {words} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(figure: dict[str, Any], kind: Kind, text: Callable[[dict[str, Any], Kind], str]) -> str:
    """A figure with its interval and n."""
    return f"{text(figure, kind)}, n = {figure['n']}" if figure["n"] else "not measured"


if __name__ == "__main__":
    main()
