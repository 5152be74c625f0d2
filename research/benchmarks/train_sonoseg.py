"""Worker: trains the preset `seed` by its recipe, in sonoseg's own loop, a turn at a time.

    python train_sonoseg.py SIZE BATCH PRECISION

The loop is the real one, whole (`Trainer.fit`, with scores and resumable seeds); turns are taken between its
steps. The allocator settings are applied as `sonoseg train` does it: by starting once more.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import turns

ENDLESS = 20_000


class Over(Exception):
    """Raised when there are no more turns."""


def main() -> None:
    """Take turns; the amount of an order is steps."""
    from sonoseg.training.allocator import OPT_OUT, SETTINGS, needed

    if needed():
        # As sonoseg.training.allocator.reexecute(), which would start the command instead of this file.
        settings = {key: os.environ.get(key, value) for key, value in SETTINGS.items()}
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | settings | {OPT_OUT: "1"})
    size, batch, precision = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    orders = turns.Turns()
    import numpy as np
    import torch

    from sonoseg.training.batches import TrainingImages
    from sonoseg.training.recipe import load_recipe
    from sonoseg.training.run_folder import Run
    from sonoseg.training.trainer import Trainer
    from train_keras import discs

    recipe = load_recipe(
        "seed",
        [f"data.size={size}", f"batch={batch}", f"precision={precision}", "checkpoint_minutes=1e9"],
    )
    count = 8 * batch
    pixels, masks = discs(size, count, np.random.default_rng(0))
    # An epoch without end: the same images over and over, so that no validation falls into a turn.
    rows = np.arange(ENDLESS) % count
    endless = TrainingImages(
        [f"disc-{row}" for row in range(count)] * (ENDLESS // count + 1), rows, pixels, masks
    )
    few = TrainingImages([f"disc-{row}" for row in range(count)], np.arange(count), pixels, masks)
    left = -1

    def between(epoch: int, step: int, steps: int, ended: dict[str, Any] | None) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            orders.done(torch=torch.__version__)
            left = take()

    def take() -> int:
        order = orders.next()
        if order is None:
            raise Over
        return order.amount

    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(recipe, endless, few, Run(Path(folder) / "run"), device="cpu", report=between)
        try:
            left = take()
            trainer.fit()
        except Over:
            pass


if __name__ == "__main__":
    main()
