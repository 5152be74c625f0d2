"""Worker: the same augmentation with MONAI's transforms on a cache in memory, one epoch per step.

    python data_monai.py PREPARED SIZE BATCH PAIRS

An order says how: with 0 or 2 loader workers, and with or without MONAI's tracking of metadata. The cache
holds grey and mask at network size already, so neither side decodes or resizes.
"""

from __future__ import annotations

import math
import sys
import warnings
from typing import Any

import turns

WAYS = ("0 workers", "2 workers", "0 workers, no metadata", "2 workers, no metadata")


def main() -> None:
    """Take turns; the amount of an order is epochs."""
    folder, size, batch, pairs = sys.argv[1], *(int(word) for word in sys.argv[2:5])
    orders = turns.Turns()
    warnings.simplefilter("ignore")
    import monai
    import numpy as np

    from sonoseg.data.prepared_set import PreparedSet

    monai.utils.set_determinism(0)
    prepared = PreparedSet.open(folder)
    pixels, masks = prepared.arrays(size, "letterbox")
    rows = np.resize(np.arange(len(prepared)), pairs)
    items = [{"image": pixels[row][None], "mask": masks[row][None]} for row in rows]
    loaders: dict[str, Any] = {}
    while (order := orders.next()) is not None:
        tracks = not order.what.endswith("no metadata")
        monai.data.set_track_meta(tracks)
        if order.what not in loaders:
            dataset = monai.data.CacheDataset(items, transforms(size), progress=False, num_workers=2)
            workers = int(order.what.split()[0])
            loaders[order.what] = monai.data.DataLoader(
                dataset, batch_size=batch, shuffle=True, num_workers=workers, persistent_workers=workers > 0
            )
        seen, total = 0, 0.0
        for _ in range(order.amount):
            for found in loaders[order.what]:
                total += float(found["image"][0, 0, 0, 0])
                seen += len(found["mask"])
        orders.done(pairs=seen, version=monai.__version__)


def transforms(size: int) -> Any:
    """The augmentation of the recipe `compact` as MONAI transforms, in the same ranges, on every image."""
    import torch
    from monai import transforms as t

    from sonoseg.training.recipe import load_recipe

    o, both, image = load_recipe("compact").augmentation, ["image", "mask"], ["image"]
    turn, shift = math.radians(o.rotate), o.shift * size
    return t.Compose(
        [
            # Up to here it is kept in the cache; what follows is random each time.
            t.ScaleIntensityRanged(image, 0, 255, 0, 1),
            t.EnsureTyped(both, dtype=[torch.float32] * 2),
            t.RandFlipd(both, prob=o.flip, spatial_axis=1),
            t.RandAffined(
                both,
                prob=1.0,
                rotate_range=turn,
                scale_range=[(1 / (1 + o.scale) - 1, o.scale)] * 2,  # each axis its own: scale and stretch
                translate_range=[shift, shift],
                mode=["bilinear", "nearest"],
                padding_mode="zeros",
            ),
            t.RandGaussianSmoothd(image, prob=1.0, sigma_x=(0.01, o.blur), sigma_y=(0.01, o.blur)),
            t.RandGaussianNoised(image, prob=1.0, std=o.speckle, sample_std=True),
            t.RandAdjustContrastd(image, prob=1.0, gamma=(1 / (1 + o.gamma), 1 + o.gamma)),
            t.RandScaleIntensityd(image, prob=1.0, factors=o.contrast),
            t.RandShiftIntensityd(image, prob=1.0, offsets=o.brightness),
        ]
    )


if __name__ == "__main__":
    main()
