"""A minimal Keras script: load a model, predict one image, write a mask and an overlay.

    python start_keras.py save MODEL.keras
    python start_keras.py predict MODEL.keras IMAGE FOLDER

Runs in the environment of Keras.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import tensorflow as tf


def predict(model: str, image: str, folder: str) -> None:
    """Write FOLDER/mask.png and FOLDER/overlay.png, on the image's own grid."""
    network = keras.models.load_model(model)
    grey = tf.image.decode_png(tf.io.read_file(image), channels=1)
    small = tf.image.grayscale_to_rgb(tf.image.resize(grey, network.input_shape[1:3]) / 255)
    probability = network.predict(small[None], verbose=0)
    mask = tf.image.resize(probability[0], grey.shape[:2]) >= 0.5
    shown = tf.cast(tf.image.grayscale_to_rgb(grey), tf.float32)
    overlay = tf.where(mask, 0.75 * shown + 0.25 * tf.constant([255.0, 176.0, 0.0]), shown)
    Path(folder).mkdir(exist_ok=True)
    for name, pixels in (("mask", tf.cast(mask, tf.uint8) * 255), ("overlay", tf.cast(overlay, tf.uint8))):
        tf.io.write_file(f"{folder}/{name}.png", tf.image.encode_png(pixels))


if __name__ == "__main__":
    if sys.argv[1] == "save":
        from keras_seed import seed_model

        keras.utils.set_random_seed(0)
        seed_model(256, strided="same").save(sys.argv[2])
    else:
        predict(*sys.argv[2:5])
