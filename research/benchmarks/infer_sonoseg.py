"""Worker: a model in one of sonoseg's runtimes, one image a call.

python infer_sonoseg.py MODEL RUNTIME PRECISION

MODEL is a model folder, or "shipped". An order is an amount of images: network input to logits in arrays.
"""

from __future__ import annotations

import sys

import numpy as np

import turns


def main() -> None:
    """Take turns."""
    folder, engine, precision = sys.argv[1:4]
    orders = turns.Turns()
    from sonoseg.inference.runtimes import load_runtime
    from sonoseg.model.model import Model

    model = Model.load(None if folder == "shipped" else folder)
    runtime = load_runtime(engine, model, precision=precision)
    card = model.card.preprocessing
    image = np.random.default_rng(0).random((1, 1, card.size, card.size), dtype=np.float32)
    image = np.repeat((image - np.float32(card.mean)) / np.float32(card.std), card.channels, axis=1)
    while (order := orders.next()) is not None:
        for _ in range(order.amount):
            runtime.run(image, False)
        orders.done(name=runtime.name, torch="torch" in sys.modules)


if __name__ == "__main__":
    main()
