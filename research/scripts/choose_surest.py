"""How `min_relative_probability` was chosen, and what `min_mean_probability` trades: on validation images and on sets not seen.

`python research/scripts/choose_surest.py NAME MODEL --data PREPARED [--split SPLIT]` runs a model on the network's grid
over the validation part of a split, or over all of a set that it has not seen, cleans its masks with each
value, keeps the figures in research/measurements/surest.json and writes the tables of docs/results/surest.md.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from sonoseg._util.files import atomic_write_text
from sonoseg.data.prepared_set import PreparedSet
from sonoseg.data.splits import Split
from sonoseg.evaluation.bootstrap import bootstrap_means
from sonoseg.inference.postprocessing import postprocess
from sonoseg.inference.predictor import Predictor
from sonoseg.metrics.lesion_detection import false_alarm, match_lesions
from sonoseg.metrics.overlap import dice

PAGE = Path(__file__).resolve().parents[2] / "docs" / "results" / "surest.md"
TRIED: dict[str, tuple[float, ...]] = {
    "min_relative_probability": (0.0, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 1.0),
    # Beside a surer lesion as it was chosen.
    "min_mean_probability": (0.0, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85),
}
CHOSEN = 0.8
COLUMNS = (
    ("dice", "Dice"),
    ("missed", "missed"),
    ("found", "lesions found, where there are several"),
    ("false", "false lesions an image"),
    ("false_alarm", "normals with a false alarm"),
)


def main() -> None:
    """Measure one model, or write the page."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("name", nargs="?")
    options.add_argument("model", nargs="?")
    options.add_argument("--data", type=Path)
    options.add_argument("--split", type=Path)
    wish = options.parse_args()
    kept = Path(__file__).resolve().parents[1] / "measurements" / "surest.json"
    known: dict[str, Any] = json.loads(kept.read_text("utf-8")) if kept.exists() else {}
    if wish.name:
        prepared = PreparedSet.open(wish.data)
        ids = [str(name) for name in prepared.table.index]
        if wish.split:
            split = Split.load(wish.split)
            split.check(prepared)
            ids = split.part(0).validation
        predictor = Predictor(None if wish.model == "shipped" else wish.model, precision="fp32", threads=1)
        known[wish.name] = measured(predictor, prepared, ids)
        atomic_write_text(kept, json.dumps(known, indent=1) + "\n")
    text = PAGE.read_text("utf-8")
    for option in TRIED:
        block = re.compile(rf"(<!-- {option} -->\n).*?(<!-- end of {option} -->)", re.DOTALL)
        made = tables(known, option)
        text = block.sub(lambda found, made=made: f"{found[1]}\n{made}\n{found[2]}", text)  # type: ignore[misc]
    atomic_write_text(PAGE, text)


def measured(predictor: Predictor, prepared: PreparedSet, ids: list[str]) -> dict[str, dict[str, Any]]:
    """For each option, value and column a mean with its interval over groups, and n."""
    card = predictor.model.card
    pixels, masks = prepared.arrays(card.preprocessing.size, card.preprocessing.fit)
    rows, groups = prepared.rows(ids), prepared.table.loc[ids, "group"].to_numpy()
    wishes = {
        (option, value): card.postprocessing.model_copy(
            update={"min_relative_probability": CHOSEN} | {option: value}
        )
        for option, values in TRIED.items()
        for value in values
    }
    found = {one: np.full((len(ids), len(COLUMNS)), np.nan) for one in wishes}
    for start in range(0, len(rows), 64):
        here = rows[start : start + 64]
        for number, probability in enumerate(predictor.predict_grid(np.array(pixels[here])), start):
            true, raw = np.array(masks[rows[number]]) > 0, probability >= predictor.threshold
            for one, wish in wishes.items():
                found[one][number] = judged(true, postprocess(raw, probability, wish))
    told: dict[str, dict[str, Any]] = {option: {} for option in TRIED}
    for (option, value), table in found.items():
        means = zip(COLUMNS, bootstrap_means(table, groups), strict=True)
        told[option][f"{value:g}"] = {name: one.as_dict() for (name, _), one in means}
    return told


def judged(true: np.ndarray[Any, Any], drawn: np.ndarray[Any, Any]) -> list[float]:
    """The values of COLUMNS of one image."""
    if not true.any():
        return [np.nan, np.nan, np.nan, np.nan, float(false_alarm(drawn))]
    match, score = match_lesions(true, drawn), dice(true, drawn)
    several = float(match.found.mean()) if len(match.found) > 1 else np.nan
    return [score, float(score < 0.1), several, float(match.n_false_positives), np.nan]


def tables(known: dict[str, Any], option: str) -> str:
    """A Markdown table a model and set."""
    lines = []
    for name, one in known.items():
        values = one[option]
        shown = [(key, words) for key, words in COLUMNS if values["0"][key]["n"]]
        heads = [f"{words} (n = {values['0'][key]['n']})" for key, words in shown]
        lines += [f"**{name}**", "", f"| {option} | {' | '.join(heads)} |", "|---|" + "---|" * len(heads)]
        for value, figures in values.items():
            cells = []
            for key, _ in shown:
                mean, low, high = (figures[key][part] for part in ("mean", "low", "high"))
                if key in ("missed", "false_alarm", "found"):
                    cells.append(f"{100 * mean:.1f} % [{100 * low:.1f}, {100 * high:.1f}]")
                else:
                    cells.append(f"{mean:.3f} [{low:.3f}, {high:.3f}]")
            lines.append(f"| {value} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
