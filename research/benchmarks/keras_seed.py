"""The seed network in Keras 3, and weights copied between it and ours. Runs in the environment of Keras.

Each layer is named as its counterpart in sonoseg (`encoder.0.block.conv1`), so that the copy needs no table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import keras
import numpy as np
from keras import layers

WIDTHS = (32, 64, 128, 256, 512)
DROPOUT = (0.1, 0.1, 0.2, 0.2, 0.3)

Strided = Literal["torch", "same"]


def seed_model(
    size: int = 256,
    widths: Sequence[int] = WIDTHS,
    dropout: Sequence[float] = DROPOUT,
    strided: Strided = "torch",
) -> keras.Model:
    """The seed's Attention U-Net: (N, size, size, 3) to probabilities (N, size, size, 1).

    strided: how the gates' convolution of stride 2 pads. "torch": one place on every side, as ours, which
    takes a layer more; "same": as Keras does by itself, which for an even size pads right and below only.
    """

    def conv(x: Any, width: int, name: str) -> Any:
        return layers.Conv2D(width, 3, padding="same", activation="relu", name=name)(x)

    def block(x: Any, level: int, name: str) -> Any:
        x = conv(x, widths[level], f"{name}.conv1")
        x = layers.Dropout(dropout[level], name=f"{name}.dropout")(x)
        return conv(x, widths[level], f"{name}.conv2")

    def gate(skip: Any, gating: Any, name: str) -> Any:
        width = skip.shape[-1]
        padded = layers.ZeroPadding2D(1, name=f"{name}.padding")(skip) if strided == "torch" else skip
        padding = "valid" if strided == "torch" else "same"
        theta = layers.Conv2D(width, 3, strides=2, padding=padding, name=f"{name}.theta")(padded)
        phi = layers.Conv2D(width, 3, padding="same", name=f"{name}.phi")(gating)
        joined = layers.Activation("relu", name=f"{name}.relu")(layers.Add(name=f"{name}.add")([theta, phi]))
        psi = layers.Conv2D(1, 1, activation="sigmoid", name=f"{name}.psi")(joined)
        opened = layers.UpSampling2D(2, interpolation="nearest", name=f"{name}.upsample")(psi)
        gated = layers.Multiply(name=f"{name}.multiply")([skip, opened])
        return layers.BatchNormalization(name=f"{name}.out")(gated)

    x = image = keras.Input((size, size, 3), name="image")
    bottom = len(widths) - 1
    skips = []
    for level in range(bottom):
        skips.append(block(x, level, f"encoder.{level}.block"))
        x = layers.MaxPooling2D(2, name=f"encoder.{level}.pool")(skips[-1])
    x = block(x, bottom, "bottleneck")
    for step, level in enumerate(reversed(range(bottom))):
        skip = gate(skips[level], x, f"gates.{step}")
        x = layers.UpSampling2D(2, interpolation="nearest", name=f"decoder.{step}.upsample")(x)
        x = layers.Concatenate(name=f"decoder.{step}.concatenate")([x, skip])
        x = block(x, level, f"decoder.{step}.block")
    probability = layers.Conv2D(1, 1, activation="sigmoid", name="head")(x)
    return keras.Model(image, probability, name="seed")


def copy_weights(state: Mapping[str, np.ndarray], model: keras.Model) -> None:
    """Set the model's weights to those of sonoseg's preset `seed`.

    state: the torch module's state_dict as arrays. Kernels go from (out, in, row, column) to (row, column,
    in, out). Raises ValueError where a weight is left over or missing.
    """
    used: set[str] = set()

    def take(name: str) -> np.ndarray:
        if name not in state:
            raise ValueError(f"the weights lack {name}")
        used.add(name)
        return state[name]

    for layer in model.layers:
        if isinstance(layer, layers.Conv2D):
            kernel = take(f"{layer.name}.weight").transpose(2, 3, 1, 0)
            layer.set_weights([kernel, take(f"{layer.name}.bias")])
        elif isinstance(layer, layers.BatchNormalization):
            names = ("weight", "bias", "running_mean", "running_var")
            layer.set_weights([take(f"{layer.name}.{name}") for name in names])
    left = {name for name in state if not name.endswith("num_batches_tracked")} - used
    if left:
        raise ValueError(f"no layer takes {', '.join(sorted(left))}")


def to_torch(model: keras.Model) -> dict[str, np.ndarray]:
    """The model's weights under the names and in the axes of sonoseg's state_dict (without counters)."""
    state: dict[str, np.ndarray] = {}
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D):
            kernel, bias = layer.get_weights()
            state |= {f"{layer.name}.weight": kernel.transpose(3, 2, 0, 1), f"{layer.name}.bias": bias}
        elif isinstance(layer, layers.BatchNormalization):
            names = ("weight", "bias", "running_mean", "running_var")
            state |= {
                f"{layer.name}.{name}": value for name, value in zip(names, layer.get_weights(), strict=True)
            }
    return state
