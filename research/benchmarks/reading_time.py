"""Count the actions to a correct mask, from the model's mask and without a model.

    python research/benchmarks/reading_time.py --data PREPARED --split SPLIT [--set busi] \
        [--images 50] [--json FILE]

A scripted reader (scripted_reader.py) corrects masks of validation images until Dice with the true mask is
0.95: with smart click and brush, whichever corrects more at each step; with smart clicks (and the brush where
they do not help); with the brush alone; and with polygons; `fastest` is what takes the fewest seconds of
these on an image. Each from three starts: the model's mask, an empty one with the model's probability behind
the smart click, and an empty one without any model. The test part is never read. Images are those with a
lesion, in an order drawn by --seed; --skip leaves the first out, such as those that smart click's constants
were chosen on (smart_click.py). Intervals are 95 % bootstrap ones over groups, differences are paired.

Seconds are those of the keystroke-level model, not of a person: see `Times`.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import turns
from scripted_reader import BRUSHES, GOAL, HELPS, Scene, Work, correct
from sonoseg.data.prepared_set import PreparedSet
from sonoseg.data.splits import Split
from sonoseg.evaluation.bootstrap import bootstrap_means
from sonoseg.evaluation.scope import choose_ids, describe, only_sets
from sonoseg.inference.predictor import Predictor

TOOLS = ("both", "clicks", "brush", "polygon")
WAYS = (*TOOLS, "fastest")
STARTS = ("model", "empty", "without")
"""The model's mask; an empty one, smart click with the model's probability; an empty one and no model."""
COUNTS = ("actions", "click", "stroke", "corners", "seconds")


@dataclass(frozen=True)
class Times:
    """Seconds of the operators of the keystroke-level model, and how large an image is shown.

    Card, Moran and Newell, The keystroke-level model for user performance time with interactive systems,
    Communications of the ACM 23(7), 1980, 396-410: key 0.2 (an average skilled typist), pointing 1.1, mental
    preparation 1.35, drawing 0.9 a straight piece and 0.16 a centimetre. A press or a release of the mouse
    button is 0.1 (as in Kieras' guide to the model, 1993). Drawing was measured with lines on a coarse grid:
    for a brush it is a rough guess. canvas: CSS pixels (height, width) that the page gives an image in a
    window of 1400 x 860. cm: of a CSS pixel.
    """

    key: float = 0.2
    point: float = 1.1
    mind: float = 1.35
    button: float = 0.1
    piece: float = 0.9
    draw: float = 0.16
    canvas: tuple[int, int] = (694, 721)
    cm: float = 2.54 / 96

    def of(self, work: Work, shape: tuple[int, int], answer: float) -> float:
        """The modelled seconds of the work on an image (H, W). answer: time of a smart click's answer."""
        press = self.point + 2 * self.button
        done = work.done
        scale = 0.96 * min(self.canvas[0] / shape[0], self.canvas[1] / shape[1])
        tools = (done["click"] > 0) + (done["stroke"] > 0) + (done["polygon"] > 0)
        return (
            done["click"] * (self.mind + press + answer)
            + done["stroke"] * (self.mind + press)
            + work.pieces * self.piece
            + work.drawn * scale * self.cm * self.draw
            + done["delete"] * (self.mind + self.point + self.key)
            + done["polygon"] * (self.mind + press)  # the click that closes it
            + work.corners * press
            + (done["undo"] + done["clear"] + tools) * (self.mind + self.key)
            + done["size"] * self.key
        )


def main() -> None:
    """Read, measure, print and write the result."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--data", type=Path, required=True, help="a prepared set")
    options.add_argument(
        "--split", type=Path, required=True, help="its split; only validation images are read"
    )
    options.add_argument("--fold", type=int, default=0, help="of the split")
    options.add_argument("--set", default="busi", help="which set of a joined one")
    options.add_argument("--images", type=int, default=50, help="how many")
    options.add_argument("--skip", type=int, default=0, help="so many are left out first")
    options.add_argument("--seed", type=int, default=5, help="of the order")
    options.add_argument("--model", type=Path, help="the shipped one by default")
    options.add_argument(
        "--answer", type=float, default=0.2, help="seconds of the server's answer to a click"
    )
    options.add_argument("--json", type=Path, help="also write the result here")
    wish = options.parse_args()
    about = turns.machine()
    prepared, split = PreparedSet.open(wish.data), Split.load(wish.split)
    ids = chosen(prepared, split, wish)
    predictor = Predictor(wish.model)
    rows = []
    for number, name in enumerate(ids):
        rows.append(one(prepared, predictor, name, wish.answer))
        print(f"{number + 1} of {len(ids)}: {name} {rows[-1]['actions']}", flush=True)
    scope = describe(
        prepared, split, wish.split, wish.fold, "validation", predictor.model.card, None, [wish.set]
    )
    about["command"] = _command(about["command"], wish)
    packages = ("numpy", "scipy", "onnxruntime")
    result = {
        "benchmark": "reading_time",
        "machine": about,
        "versions": {name: version(name) for name in packages},
        "statement": scope["statement"],
        "cautions": scope["cautions"],
        "data": scope["data"],
        "split": scope["split"],
        "model": {
            "name": predictor.model.card.name,
            "hash": predictor.model.hash,
            "runtime": predictor.runtime,
        },
        "goal": GOAL,
        "brushes": BRUSHES,
        "helps": HELPS,
        "skipped": wish.skip,
        "seed": wish.seed,
        "answer": wish.answer,
        **figures(rows),
        "images": rows,
    }
    for tools in WAYS:
        fewer = result["difference"][tools]["without"]["actions"]
        print(
            f"{tools}: "
            + ", ".join(
                f"{start} {result['mean'][tools][start]['actions']['mean']:.1f}"
                for start in result["mean"][tools]
            )
            + f" actions; without less model {fewer['mean']:.1f} [{fewer['low']:.1f}, {fewer['high']:.1f}]"
        )
    turns.write(result, wish.json)


def chosen(prepared: PreparedSet, split: Split, wish: Any) -> list[str]:
    """Validation images of the set with a lesion, in the order that the seed draws."""
    ids = only_sets(prepared, choose_ids(prepared, split, wish.fold, "validation"), [wish.set])
    ids = sorted(name for name in ids if prepared.table.loc[name, "label"] != "normal")
    random.Random(wish.seed).shuffle(ids)
    ids = ids[wish.skip : wish.skip + wish.images]
    if len(ids) < wish.images:
        raise SystemExit(f"only {len(ids)} images are left")
    return ids


def one(prepared: PreparedSet, predictor: Predictor, name: str, answer: float) -> dict[str, Any]:
    """Read one image with each tool from each start."""
    frame, truth = prepared.frame(name), prepared.mask(name)
    found = predictor.predict(frame)
    empty = np.zeros_like(truth)
    starts = {
        "model": (found.mask, found.probability),
        "empty": (empty, found.probability),
        "without": (empty, None),
    }
    row: dict[str, Any] = {"id": name, "group": str(prepared.table.loc[name, "group"]), "actions": {}}
    for tools in TOOLS:
        for start, (mask, probability) in starts.items():
            if tools in ("brush", "polygon") and start == "empty":
                continue  # nothing asks for the probability: the same as without
            work = correct(Scene(frame.pixels, truth, probability), mask, tools)
            label = f"{tools}/{start}"
            row["actions"][label] = work.actions
            row[label] = {
                **{key: work.done[key] for key in sorted(work.done)},
                "corners": work.corners,
                "drawn_px": round(work.drawn),
                "seconds": round(Times().of(work, frame.shape, answer), 2),
                "dice": [round(value, 4) for value in (work.dice[0], work.dice[-1])],
                "reached": work.reached,
            }
    for start in STARTS:
        row[f"fastest/{start}"] = fastest(row, start)
        row["actions"][f"fastest/{start}"] = row["actions"][row[f"fastest/{start}"]["tools"]]
    return row


def fastest(row: dict[str, Any], start: str) -> dict[str, Any]:
    """The work of the tools that take the fewest seconds; `tools` names them, with the start.

    Brush and polygon ask for no probability: from an empty mask they are the same with a model and without.
    """
    labels = [f"{tools}/{start}" for tools in TOOLS if f"{tools}/{start}" in row]
    if start == "empty":
        labels += [f"{tools}/without" for tools in TOOLS if f"{tools}/empty" not in row]
    best = min(labels, key=lambda label: row[label]["seconds"])
    return {**row[best], "tools": best}


def figures(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means with intervals for each tool and start, and paired differences to the model's mask."""
    groups = [row["group"] for row in rows]
    mean: dict[str, Any] = {}
    difference: dict[str, Any] = {}
    for tools in WAYS:
        starts = [start for start in STARTS if f"{tools}/{start}" in rows[0]]
        values = {start: np.array([counts(row, tools, start) for row in rows]) for start in starts}
        mean[tools] = {start: _told(values[start], groups) for start in starts}
        for start in starts:
            done = [row[f"{tools}/{start}"] for row in rows]
            mean[tools][start]["median_actions"] = float(np.median(values[start][:, 0]))
            mean[tools][start]["nothing_to_do"] = sum(one["dice"][0] >= GOAL for one in done)
            mean[tools][start]["not_reached"] = sum(not one["reached"] for one in done)
        difference[tools] = {
            start: _told(values[start] - values["model"], groups) for start in starts if start != "model"
        }
        for start, told in difference[tools].items():
            fewer = values["model"][:, 0] < values[start][:, 0]
            told["fewer_with_model"] = int(fewer.sum())
            told["more_with_model"] = int((values["model"][:, 0] > values[start][:, 0]).sum())
    return {"n": len(rows), "groups": len(set(groups)), "mean": mean, "difference": difference}


def counts(row: dict[str, Any], tools: str, start: str) -> list[float]:
    """The values of COUNTS of one image."""
    done = row[f"{tools}/{start}"]
    return [
        row["actions"][f"{tools}/{start}"],
        *(done.get(name, 0) for name in ("click", "stroke")),
        done["corners"],
        done["seconds"],
    ]


def _told(values: Any, groups: Sequence[str]) -> dict[str, Any]:
    return {
        name: interval.as_dict()
        for name, interval in zip(COUNTS, bootstrap_means(values, groups), strict=True)
    }


def _command(command: str, wish: Any) -> str:
    """The command line with the last part of each path."""
    for path in (wish.data, wish.split, wish.model):
        if path is not None:
            command = command.replace(str(path), path.name)
    return command


if __name__ == "__main__":
    main()
