"""What a flat "IoU" of 0.47 is: two classes, and probabilities that nobody thresholded.

`python research/scripts/flat_iou.py PREPARED [--split SPLIT --fold K]` counts the lesion pixels of the validation masks,
scores an empty prediction the way `keras.metrics.MeanIoU(num_classes=2)` scores unthresholded probabilities
(cast to whole numbers, every one below 1 is 0), and writes the table in docs/results/seed.md. No network is
involved: that is the point.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import numpy as np

from sonoseg._util.files import atomic_write_text
from sonoseg.data.prepared_set import PreparedSet
from sonoseg.data.splits import Split

PAGE = Path(__file__).resolve().parents[2] / "docs" / "results" / "seed.md"
BLOCK = re.compile(r"(<!-- flat iou -->\n).*?(<!-- end of flat iou -->)", re.DOTALL)


def flat_iou(masks: np.ndarray) -> dict[str, float]:
    """Scores of an empty prediction against masks uint8 (N, S, S): background, lesion, their mean."""
    background = float((masks == 0).mean())
    # Every pixel is called background: its IoU is its share of all pixels, and that of lesion is 0.
    return {"background IoU": background, "lesion IoU": 0.0, "mean of the two": background / 2}


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
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
    lines = ["| | images | background IoU | lesion IoU | mean of the two |", "|---|---|---|---|---|"]
    for name, ids in parts.items():
        scores = flat_iou(np.asarray(masks[prepared.rows(ids)]))
        lines.append(f"| {name} | {len(ids)} | " + " | ".join(f"{v:.3f}" for v in scores.values()) + " |")
    table = "\n".join(lines)
    page = PAGE.read_text("utf-8")
    atomic_write_text(PAGE, BLOCK.sub(lambda found: f"{found[1]}\n{table}\n\n{found[2]}", page))
    print(table)


if __name__ == "__main__":
    main()
