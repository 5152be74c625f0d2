"""Measure the time and the memory of an evaluation without any network.

    python research/benchmarks/evaluation_speed.py [--images 780] [--height 500] [--width 600] [--json FILE]

Made-up lesions of the sizes that BUSI has (quartiles 2, 6 and 13 % of the image), every sixth image a
normal, and predictions with a rough border and false positives, at the images' own size. The predictions
are made beforehand, so what is measured is every metric of `sonoseg evaluate`, the bootstrap and the summary.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

from sonoseg.evaluation.evaluation import evaluate
from sonoseg.image.calibration import Spacing
from sonoseg.image.frame import Frame
from sonoseg.inference.segmentation import Segmentation

DIFFERENT = 48
SPACING = Spacing(0.1, 0.12)  # uneven, so that distances are measured twice


class MadeUp:
    """A prepared set and a predictor in one, which repeats a few dozen different images."""

    def __init__(self, images: int, shape: tuple[int, int]) -> None:
        rng = np.random.default_rng(0)
        self.shape, self.folder, self.fingerprint = shape, Path("made-up"), "0" * 64
        self.pixels = np.zeros(shape, np.uint8)
        self.pairs = [self._pair(rng, n % 6 == 5) for n in range(DIFFERENT)]
        rows = []
        for n in range(images):
            true = self.pairs[n % DIFFERENT][0]
            rows.append(
                {
                    "id": f"made-up/{n}",
                    "set": "made-up",
                    "label": "benign" if true.any() else "normal",
                    "group": f"g{n // 2}",
                    "marks": "",
                    "objection": "",
                    "lesion_share": true.mean(),
                    "spacing_row": SPACING.row,
                    "spacing_column": SPACING.column,
                }
            )
        self.table = pd.DataFrame(rows).set_index("id")

    def _pair(self, rng: np.random.Generator, normal: bool) -> tuple[np.ndarray, np.ndarray]:
        """A true mask and a probability, (H, W)."""
        height, width = self.shape
        rows, columns = np.mgrid[:height, :width]
        share = 0.0 if normal else float(np.exp(rng.normal(np.log(0.058), 0.95)).clip(0.003, 0.5))
        down = np.sqrt(share * height * width / np.pi / 1.5)
        top, left = rng.uniform(0.3, 0.7, 2) * self.shape
        inside = ((rows - top) / max(down, 1)) ** 2 + ((columns - left) / max(1.5 * down, 1)) ** 2
        true = (inside <= 1) & (share > 0)
        noise = gaussian_filter(rng.standard_normal(self.shape), 9)
        logit = np.where(normal, -6.0, 8 * (1 - inside)) + 2.5 * noise / noise.std()
        return true, (1 / (1 + np.exp(-logit.clip(-30, 30)))).astype(np.float32)

    def rows(self, ids: Iterable[str]) -> np.ndarray:
        return np.asarray(self.table.index.get_indexer(list(ids)))

    def frame(self, name: str) -> Frame:
        return Frame(self.pixels, SPACING, name=name)

    def mask(self, name: str) -> np.ndarray:
        return self.pairs[int(name.split("/")[1]) % DIFFERENT][0]

    def predict_many(self, images: Iterable[Frame], batch: int = 1) -> Iterator[Segmentation]:
        for frame in images:
            probability = self.pairs[int(frame.name.split("/")[1]) % DIFFERENT][1]
            raw = probability >= np.float32(0.5)
            yield Segmentation(frame, probability, raw, raw, 0.5, None, "made-up", "none")


def main() -> None:
    """Measure, print and write the result."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--images", type=int, default=780)
    options.add_argument("--height", type=int, default=500)
    options.add_argument("--width", type=int, default=600)
    options.add_argument("--json", type=Path, help="also write the result here")
    wish = options.parse_args()
    data: Any = MadeUp(wish.images, (wish.height, wish.width))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, processor = time.perf_counter(), time.process_time()
    study = evaluate(data, data, data.table.index.tolist())
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    result = {
        "images": wish.images,
        "size": [wish.height, wish.width],
        "dice": round(study.summary["per_image"]["dice"]["mean"], 3),
        "seconds": round(wall, 1),
        "processor_seconds": round(processor, 1),
        "ms_an_image": round(1000 * processor / wish.images, 1),
        "memory_grown_mib": round(grown),
    }
    print(json.dumps(result, indent=2))
    if wish.json:
        wish.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
