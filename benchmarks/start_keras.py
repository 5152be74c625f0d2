"""The least that a Keras user writes: load a model, predict one picture, write a mask and an overlay.

    python start_keras.py save MODEL.keras
    python start_keras.py predict MODEL.keras PICTURE FOLDER

Runs in the environment of Keras.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
from PIL import Image


def predict(model: str, picture: str, folder: str) -> None:
    """Write FOLDER/mask.png and FOLDER/overlay.png, on the picture's own grid."""
    network = keras.models.load_model(model)
    with Image.open(picture) as opened:
        grey = opened.convert("L")
    small = np.asarray(grey.resize(network.input_shape[1:3], Image.Resampling.BILINEAR), dtype=np.float32)
    probability = network.predict(np.repeat(small[None, ..., None] / 255, 3, axis=3), verbose=0)[0, ..., 0]
    mask = np.asarray(Image.fromarray(probability).resize(grey.size, Image.Resampling.BILINEAR)) >= 0.5
    overlay = np.repeat(np.asarray(grey)[..., None], 3, axis=2)
    overlay[mask] = (0.75 * overlay[mask] + 0.25 * np.array([255, 176, 0])).astype(np.uint8)
    Path(folder).mkdir(exist_ok=True)
    Image.fromarray(mask.astype(np.uint8) * 255).save(Path(folder) / "mask.png")
    Image.fromarray(overlay).save(Path(folder) / "overlay.png")


if __name__ == "__main__":
    if sys.argv[1] == "save":
        from keras_seed import seed_model

        keras.utils.set_random_seed(0)
        seed_model(256, strided="same").save(sys.argv[2])
    else:
        predict(*sys.argv[2:5])
