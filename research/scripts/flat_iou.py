"""Compute the two-class IoU of an empty prediction, the "flat IoU" of the system this project started from.

    python research/scripts/flat_iou.py PREPARED [--split SPLIT] [--fold K]

Counts the lesion pixels of the validation masks and scores an empty prediction the way
`keras.metrics.MeanIoU(num_classes=2)` scores probabilities without a threshold (cast to whole numbers, every
one below 1 is 0). No network is run. Writes research/measurements/flat-iou.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from evidence import MEASUREMENTS
from page_tables.markdown import table
from sonoseg._util.files import atomic_write_text
from sonoseg.data.prepared_set import PreparedSet
from sonoseg.data.splits import Split


def flat_iou(masks: np.ndarray) -> dict[str, float]:
    """Score an empty prediction against masks, uint8 (N, S, S): background, lesion, their mean."""
    background = float((masks == 0).mean())
    # Every pixel is predicted as background: its IoU is its share of all pixels, and that of lesion is 0.
    return {"background IoU": background, "lesion IoU": 0.0, "mean of the two": background / 2}


def main() -> None:
    """Score the parts of a split, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("--split", type=Path)
    parser.add_argument("--fold", type=int, default=0)
    given = parser.parse_args()
    prepared = PreparedSet.open(given.prepared)
    _, masks = prepared.arrays(256)
    parts = {"all images": prepared.ids}
    if given.split:
        named = Split.load(given.split).part(given.fold)
        parts |= {"training part": named.train, "validation part": named.validation}
    rows = []
    for name, ids in parts.items():
        scores = flat_iou(np.asarray(masks[prepared.rows(ids)]))
        rows.append((name, str(len(ids)), *(f"{value:.3f}" for value in scores.values())))
    text = table(("", "images", "background IoU", "lesion IoU", "mean of the two"), rows)
    atomic_write_text(MEASUREMENTS / "flat-iou.md", text + "\n")
    print(text)


if __name__ == "__main__":
    main()
