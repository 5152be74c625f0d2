"""Count the smart clicks that a scripted reader needs, on images with true masks.

    python research/benchmarks/smart_click.py ../data/busi --split split.json --images 30

The clicker clicks the middle of the largest wrong region, where it is deepest inside, and sends all its
clicks so far, until Dice reaches 0.95 or it has clicked `--most` times. Three tasks: from an empty mask with
the network's probability, the same without one, and from the model's own mask. With --split only validation
images of its fold take part, of which the first `--skip` are left out. Their order is drawn by `--seed`.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from sonoseg.data.mask_reading import join_masks
from sonoseg.data.readers import read_sources
from sonoseg.data.record import Record
from sonoseg.data.splits import Split
from sonoseg.image.components import boxes, label
from sonoseg.inference.predictor import Predictor
from sonoseg.inference.smart_click import Point, smart_click
from sonoseg.inputs.reading import read_frame

Mask = NDArray[np.bool_]

GOALS = (0.9, 0.95)


class Clicked(NamedTuple):
    """The clicks on one image: Dice at the start and after each, and processor time of each, ms."""

    dice: list[float]
    milliseconds: list[float]

    def clicks(self, goal: float, most: int) -> int:
        """Clicks until Dice reaches the goal; most + 1 where it never did."""
        return next((n for n, dice in enumerate(self.dice) if dice >= goal), most + 1)


def overlap(one: Mask, other: Mask) -> float:
    """Dice; 1 for two empty masks."""
    both = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / both if both else 1.0


def next_click(mask: Mask, truth: Mask) -> Point:
    """The middle of the largest missing or false-positive region."""
    largest, found = 0, Point(0, 0, True)
    for inside, wrong in ((True, truth & ~mask), (False, mask & ~truth)):
        numbers, count = label(wrong)
        if not count:
            continue
        areas = np.bincount(numbers.ravel())[1:]
        if areas.max() > largest:
            largest = int(areas.max())
            which = int(areas.argmax())
            box = boxes(numbers, count)[which]
            depth = distance_transform_edt(np.pad(numbers[box] == which + 1, 1))[1:-1, 1:-1]
            row, column = np.unravel_index(int(depth.argmax()), depth.shape)
            found = Point(int(row) + box[0].start, int(column) + box[1].start, inside)
    return found


def click_through(
    pixels: NDArray[np.uint8],
    probability: NDArray[np.float32] | None,
    mask: Mask,
    truth: Mask,
    most: int,
) -> Clicked:
    """Click until Dice is 0.95, at most `most` times."""
    points: list[Point] = []
    done = Clicked([overlap(mask, truth)], [])
    while done.dice[-1] < GOALS[-1] and len(points) < most:
        points.append(next_click(mask, truth))
        start = time.process_time()
        mask = smart_click(pixels, probability, mask, points)
        done.milliseconds.append(1000 * (time.process_time() - start))
        done.dice.append(overlap(mask, truth))
    return done


def chosen(records: Sequence[Record], split: Path | None, fold: int, seed: int) -> Iterator[Record]:
    """Images with a lesion, in an order drawn by `seed`."""
    wanted = None if split is None else set(Split.load(split).part(fold).validation)
    names = [r for r in records if r.label != "normal" and (wanted is None or r.id in wanted)]
    names.sort(key=lambda record: record.id)
    random.Random(seed).shuffle(names)
    return iter(names)


def told(name: str, those: Sequence[Clicked], most: int) -> dict[str, object]:
    """The figures of one task."""
    row: dict[str, object] = {"task": name, "images": len(those)}
    for goal in GOALS:
        counts = [one.clicks(goal, most) for one in those]
        row[f"clicks to {goal}"] = round(statistics.fmean(counts), 2)
        row[f"median to {goal}"] = statistics.median(counts)
        row[f"never {goal}"] = sum(count > most for count in counts)
    row["first dice"] = round(statistics.fmean(one.dice[min(1, len(one.dice) - 1)] for one in those), 3)
    times = [spent for one in those for spent in one.milliseconds]
    row["ms a call"] = round(statistics.fmean(times), 1) if times else 0.0
    row["ms at most"] = round(max(times, default=0.0), 1)
    return row


def main() -> None:
    """Print a line a task, and write them with --json."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    words.add_argument("set", help="PATH or NAME=PATH of a set with masks")
    words.add_argument("--split", type=Path)
    words.add_argument("--fold", type=int, default=0)
    words.add_argument("--images", type=int, default=30)
    words.add_argument("--skip", type=int, default=0)
    words.add_argument("--most", type=int, default=20)
    words.add_argument("--seed", type=int, default=5)
    words.add_argument("--model", type=Path)
    words.add_argument("--json", type=Path)
    given = words.parse_args()
    (source,) = read_sources([given.set], None)
    records = list(chosen(source.records, given.split, given.fold, given.seed))
    predictor = Predictor(given.model)
    tasks: dict[str, list[Clicked]] = {"empty, probability": [], "empty, grey alone": [], "model": []}
    for record in records[given.skip : given.skip + given.images]:
        frame = read_frame(record.image)
        truth = join_masks(record.masks, frame.shape)
        found = predictor.predict(frame)
        empty = np.zeros(frame.shape, dtype=bool)
        for name, probability, mask in (
            ("empty, probability", found.probability, empty),
            ("empty, grey alone", None, empty),
            ("model", found.probability, found.mask),
        ):
            tasks[name].append(click_through(frame.pixels, probability, mask, truth, given.most))
    rows = [told(name, those, given.most) for name, those in tasks.items() if those]
    for row in rows:
        print("; ".join(f"{key}: {value}" for key, value in row.items()))
    if given.json is not None:
        given.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
