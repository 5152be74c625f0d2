"""Worker: the seed network in Keras on TensorFlow, one image a call. Runs in the environment of Keras.

python infer_keras.py SIZE

An order is an amount of images; `what` is "predict" (model.predict, as people write it) or "function" (a
tf.function, the quickest ordinary way).
"""

from __future__ import annotations

import sys

import numpy as np

import turns


def main() -> None:
    """Take turns."""
    size, orders = int(sys.argv[1]), turns.Turns()
    import keras
    import tensorflow as tf

    from keras_seed import seed_model

    keras.utils.set_random_seed(0)
    model = seed_model(size, strided="same")
    image = np.random.default_rng(0).random((1, size, size, 3), dtype=np.float32)
    called = tf.function(lambda x: model(x, training=False))
    constant = tf.constant(image)
    while (order := orders.next()) is not None:
        for _ in range(order.amount):
            if order.what == "function":
                called(constant).numpy()
            else:
                model.predict(image, verbose=0)
        orders.done(keras=keras.__version__, tensorflow=tf.__version__)


if __name__ == "__main__":
    main()
