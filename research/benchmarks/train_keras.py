"""Worker: trains the seed network in Keras on TensorFlow, a turn at a time. Runs in the environment of Keras.

python train_keras.py SETUP SIZE BATCH
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np

import turns


class Setup(NamedTuple):
    """A way to train in Keras: the call, XLA or not, the precision, glibc's allocator kept from trimming.

    jit "auto" is Keras' default, which turns XLA off where a layer does not support it.
    """

    call: str = "train_on_batch"
    jit: bool | str = "auto"
    policy: str = "float32"
    allocator: bool = False


# The seed's stack as somebody would write it: Keras' own precision, no settings from outside.
ORDINARY = {
    "train_on_batch": Setup(),
    "fit": Setup("fit"),
    "train_on_batch-jit": Setup(jit=True),
    "fit-jit": Setup("fit", jit=True),
}
# What else might help it; for information.
OTHERS = {
    "train_on_batch-allocator": Setup(allocator=True),
    "train_on_batch-bf16": Setup(policy="mixed_bfloat16"),
    "train_on_batch-bf16-allocator": Setup(policy="mixed_bfloat16", allocator=True),
}
SETUPS = ORDINARY | OTHERS


def main() -> None:
    """Take turns; the amount of an order is steps."""
    name, size, batch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    setup, orders = SETUPS[name], turns.Turns()
    import keras
    import tensorflow as tf

    from keras_seed import seed_model

    keras.utils.set_random_seed(0)
    keras.mixed_precision.set_global_policy(setup.policy)
    model = seed_model(size, strided="same")
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="binary_crossentropy", jit_compile=setup.jit)
    images, masks = arrays(size, 8 * batch)
    step, loss = 0, 0.0
    while (order := orders.next()) is not None:
        if setup.call == "fit":
            # As many images as the steps take, in memory.
            which = np.arange(step * batch, (step + order.amount) * batch) % len(images)
            held = model.fit(images[which], masks[which], batch_size=batch, epochs=1, verbose=0)
            loss = held.history["loss"][-1]
        else:
            for k in range(step, step + order.amount):
                which = np.arange(k * batch, (k + 1) * batch) % len(images)
                loss = model.train_on_batch(images[which], masks[which])
        step += order.amount
        orders.done(loss=float(loss), keras=keras.__version__, tensorflow=tf.__version__, jit=_jit(model))


def arrays(size: int, count: int) -> tuple[Any, Any]:
    """Noise with dark discs, grey in three channels: float32 (N, S, S, 3), and masks (N, S, S, 1)."""
    draw = np.random.default_rng(0)
    grey, masks = discs(size, count, draw)
    scaled = np.repeat(grey[..., None].astype(np.float32) / 255, 3, axis=3)
    return scaled, masks[..., None].astype(np.float32)


def discs(size: int, count: int, draw: np.random.Generator) -> tuple[Any, Any]:
    """Grey uint8 (N, S, S) and masks uint8 (N, S, S) of 0 and 1: what both sides are trained on."""
    rows, columns = np.mgrid[:size, :size]
    masks = np.zeros((count, size, size), np.uint8)
    for mask in masks:
        row, column = draw.uniform(0.3, 0.7, 2) * size
        mask[(rows - row) ** 2 + (columns - column) ** 2 < (draw.uniform(0.05, 0.2) * size) ** 2] = 1
    grey = draw.integers(60, 200, masks.shape, dtype=np.uint8)
    return np.where(masks == 1, grey // 4, grey), masks


def _jit(model: Any) -> bool:
    return bool(model.jit_compile)


if __name__ == "__main__":
    main()
