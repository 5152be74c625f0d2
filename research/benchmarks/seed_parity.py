"""Compare the preset `seed` with the same network in Keras: equal weights must give equal output.

    python research/benchmarks/seed_parity.py [--size 256] [--images 2] [--json FILE]

Both ways: weights drawn here, copied to Keras; and weights drawn by Keras, copied here. The statistics of the
batch norms are drawn too, for fresh ones would hide a mistake in their order. Evaluation mode, float32.
Exit code 1 where a probability differs by more than 1e-4.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import turns

LIMIT = 1e-4


def main() -> None:
    """Compare, print, and exit 1 where they differ."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--size", type=int, default=256, help="side of the images")
    options.add_argument("--images", type=int, default=2, help="how many")
    options.add_argument("--json", type=Path, help="also write the result here")
    options.add_argument("--keras-side", type=Path, help=argparse.SUPPRESS)
    wish = options.parse_args()
    if wish.keras_side is not None:
        keras_side(wish.keras_side)
    else:
        compare(wish.size, wish.images, wish.json)


def compare(size: int, count: int, path: Path | None) -> None:
    """Run our side: draw weights and images, run Keras, and compare."""
    import torch

    import keras_env
    from sonoseg.networks import build

    python = keras_env.python()
    torch.manual_seed(0)
    network = build("seed").eval()
    draw = torch.Generator().manual_seed(1)
    for name, value in network.state_dict().items():
        if name.endswith(("running_var", "out.weight")):
            value.uniform_(0.5, 2.0, generator=draw)
        elif name.endswith(("running_mean", "bias")):
            value.normal_(0.0, 0.3, generator=draw)
    images = torch.rand(count, 3, size, size, generator=draw)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savez(folder / "ours.npz", **{k: v.numpy() for k, v in network.state_dict().items()})
        np.save(folder / "images.npy", images.permute(0, 2, 3, 1).numpy())
        command = [python, __file__, "--keras-side", folder]
        done = subprocess.run(
            command, env=_environment(keras_env.VARIABLES), capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"the Keras side failed:\n{done.stderr[-4000:]}")
        with np.load(folder / "answers.npz") as answers:
            given = dict(answers)
        with np.load(folder / "theirs.npz") as weights:
            theirs = {k: torch.from_numpy(v) for k, v in weights.items()}
    forwards = difference(network, images, given["ours"])
    counters = {k: v for k, v in network.state_dict().items() if k.endswith("num_batches_tracked")}
    network.load_state_dict(theirs | counters)
    back = difference(network, images, given["theirs"])
    parameters = sum(p.numel() for p in network.parameters())
    result: dict[str, Any] = {
        "benchmark": "seed_parity",
        "machine": turns.machine(),
        "versions": {
            "torch": torch.__version__,
            "keras": str(given["keras"]),
            "tensorflow": str(given["tensorflow"]),
        },
        "size": size,
        "images": count,
        "limit": LIMIT,
        "parameters": {"sonoseg": parameters, "keras": int(given["parameters"])},
        "to_keras": forwards,
        "from_keras": back,
    }
    print(f"parameters: {parameters:,} here, {int(given['parameters']):,} in Keras")
    for words, found in (("our weights in Keras", forwards), ("Keras' weights here", back)):
        print(
            f"{words}: probabilities from {found['least']:.3f} to {found['greatest']:.3f}, "
            f"largest difference {found['largest']:.2e}, mean {found['mean']:.2e}"
        )
    turns.write(result, path)
    same = max(forwards["largest"], back["largest"]) <= LIMIT and parameters == int(given["parameters"])
    print("the same network" if same else f"NOT the same: the limit is {LIMIT:g}")
    sys.exit(0 if same else 1)


def difference(network: Any, images: Any, theirs: np.ndarray) -> dict[str, float]:
    """The differences between our probabilities and theirs, (N, H, W, 1)."""
    import torch

    with torch.no_grad():
        ours = torch.sigmoid(network(images).logit).permute(0, 2, 3, 1).numpy()
    apart = np.abs(ours - theirs)
    return {
        "largest": float(apart.max()),
        "mean": float(apart.mean()),
        "least": float(ours.min()),
        "greatest": float(ours.max()),
    }


def keras_side(folder: Path) -> None:
    """Run Keras: outputs with our weights and with its own, and its own weights."""
    import keras
    import tensorflow as tf

    from keras_seed import copy_weights, seed_model, to_torch

    images = np.load(folder / "images.npy")
    keras.utils.set_random_seed(2)
    model = seed_model(images.shape[1])
    draw = np.random.default_rng(3)
    state = to_torch(model)
    for name, value in state.items():
        if name.endswith(("running_var", "out.weight")):
            state[name] = draw.uniform(0.5, 2.0, value.shape).astype(np.float32)
        elif name.endswith(("running_mean", "bias")):
            state[name] = draw.normal(0.0, 0.3, value.shape).astype(np.float32)
    copy_weights(state, model)
    np.savez(folder / "theirs.npz", **to_torch(model))
    theirs = np.asarray(model(images, training=False))
    with np.load(folder / "ours.npz") as weights:
        copy_weights(weights, model)
    ours = np.asarray(model(images, training=False))
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    versions = {"keras": keras.__version__, "tensorflow": tf.__version__}
    np.savez(folder / "answers.npz", ours=ours, theirs=theirs, parameters=trainable, **versions)


def _environment(more: dict[str, str]) -> dict[str, str]:
    import os

    return os.environ | more


if __name__ == "__main__":
    main()
