"""Worker: sonoseg's data path, memory-mapped arrays to augmented batches, an epoch at a time.

python data_sonoseg.py PREPARED SIZE BATCH PAIRS
"""

from __future__ import annotations

import sys

import turns


def main() -> None:
    """Take turns; the amount of an order is epochs."""
    folder, size, batch, pairs = sys.argv[1], *(int(word) for word in sys.argv[2:5])
    orders = turns.Turns()
    import numpy as np
    import torch

    from sonoseg.data.prepared_set import PreparedSet
    from sonoseg.training.batch_augmentation import apply, draw
    from sonoseg.training.batches import TrainingImages, seed_for
    from sonoseg.training.recipe import load_recipe

    recipe = load_recipe("compact", [f"data.size={size}", "data.normals=1"])
    prepared = PreparedSet.open(folder)
    ids = list(np.resize(prepared.ids, pairs))
    images = TrainingImages.of(prepared, ids, recipe.data, "train")
    epoch = 0
    while (wanted := orders.next()) is not None:
        total = 0.0
        for _ in range(wanted.amount):
            # As the loop's own _step and _augmented do it, without the network.
            order = images.order(recipe.seed, epoch)
            for step, start in enumerate(range(0, len(images), batch)):
                which = order[start : start + batch]
                generator = torch.Generator().manual_seed(seed_for(recipe.seed, epoch, step, 1 << 20))
                pairs = apply(draw(recipe.augmentation, len(which), generator), images.take(which))
                total += float(pairs[0, 0, 0, 0]) + len(pairs)
            epoch += 1
        orders.done(pairs=wanted.amount * len(images), version=torch.__version__)


if __name__ == "__main__":
    main()
