"""Write the seed network as a model folder, in float32 and int8, to measure the speed of its runtimes.

    python infer_model.py FOLDER [SIZE]

Its weights are drawn at random and its batch norms have drawn statistics: speed depends on neither. What int8
costs of a trained network is measured elsewhere (sonoseg model precisions).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from sonoseg._util.files import sha256_file
from sonoseg.model.card import ModelCard
from sonoseg.model.export.int8 import write_int8
from sonoseg.model.model import CARD, INT8, Model
from sonoseg.networks import build
from sonoseg.training.model_writing import write_model
from sonoseg.training.recipe import load_recipe
from train_keras import discs


def main() -> None:
    """Write the folder."""
    folder, size = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 256
    torch.manual_seed(0)
    network = build("seed").eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    recipe = load_recipe("seed", [f"data.size={size}"])
    model = write_model(network, recipe, folder, threshold=0.5, data=[], training={}, results=[])
    pixels, _ = discs(size, 8, np.random.default_rng(0))
    write_int8(model, pixels, folder / INT8)
    card = ModelCard.read(folder / CARD)
    hashes = card.sha256 | {INT8: sha256_file(folder / INT8)}
    card.model_copy(update={"sha256": hashes}).write(folder / CARD)
    Model.load(folder)


if __name__ == "__main__":
    main()
