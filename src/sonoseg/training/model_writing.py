"""From a trained network to a Model: ONNX to predict with, weights to train on, a card."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from sonoseg import RESEARCH_ONLY, __version__
from sonoseg._util.files import atomic_path, sha256_file
from sonoseg.errors import ModelError
from sonoseg.model.card import CardResult, ModelCard, Preprocessing, TrainingSet
from sonoseg.model.model import CARD, ONNX, WEIGHTS, Model
from sonoseg.networks.attention_unet import AttentionUNet
from sonoseg.networks.peer_networks import PeerNetwork
from sonoseg.networks.presets import build
from sonoseg.training.recipe import Recipe
from sonoseg.training.weight_precision import to_store

OPSET = 20
TOLERANCE = 1e-4
LIMITS = (
    RESEARCH_ONLY,
    "One image, one view: nothing is known of the lesion's third dimension, and nothing of its histology.",
    "Trained on the machines and centres of the sets named here; others look different.",
)


class Exported(nn.Module):
    """The network with its outputs as a flat tuple: the logit, then the attention coefficients."""

    def __init__(self, network: AttentionUNet | PeerNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        outputs = self.network(image)
        return (outputs.logit, *outputs.attention)


def write_onnx(network: AttentionUNet | PeerNetwork, path: Path, size: int) -> list[str]:
    """Write the network as ONNX, and return the names of its attention outputs.

    Input "image", float32 (N, C, size, size), N free; outputs "logit" (N, 1, size, size) and one
    "attention_k" (N, 1, h, w) a gate, 1 the nearest to the bottleneck.
    Raises ModelError where ONNX Runtime's answer differs from torch's by more than 1e-4.
    """
    attention = [f"attention_{k + 1}" for k in range(len(network.gates))]
    plain = build(network.options)
    plain.load_state_dict({name: value.detach().cpu() for name, value in network.state_dict().items()})
    wrapped = Exported(plain).eval()
    generator = torch.Generator().manual_seed(0)
    example = torch.rand(2, network.options.channels, size, size, generator=generator)
    with atomic_path(path) as temporary:
        with _quiet():
            torch.onnx.export(
                wrapped,
                (example,),
                temporary,
                input_names=["image"],
                output_names=["logit", *attention],
                dynamic_shapes={"image": {0: torch.export.Dim("N", min=1, max=4096)}},
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
            )
        _without_notes(temporary)
        _same(wrapped, temporary, example)
    return attention


def _without_notes(path: Path) -> None:
    """Take out what torch's exporter notes beside each node: the lines of code, with their places here."""
    import onnx

    model = onnx.load(path)
    graph = model.graph
    for part in (graph, *graph.node, *graph.initializer, *graph.value_info, *graph.input, *graph.output):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    onnx.save(model, path)


def _same(wrapped: nn.Module, path: Path, example: Tensor) -> None:
    """Raise ModelError unless ONNX Runtime gives what torch gives, for batches of one, two and three."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for n in (1, 2, 3):
        images = example[[i % 2 for i in range(n)]]
        with torch.no_grad():
            expected = [output.numpy() for output in wrapped(images)]
        for mine, theirs in zip(expected, session.run(None, {"image": images.numpy()}), strict=True):
            worst = float(np.abs(_sigmoid(mine) - _sigmoid(theirs)).max())
            if mine.shape != theirs.shape or worst > TOLERANCE:
                raise ModelError(
                    f"the exported network differs from the trained one by {worst:.2g} (batch of {n})",
                    where=path,
                    remedy="Report this with the versions of torch and onnxruntime",
                )


def _sigmoid(logit: Any) -> Any:
    return 1 / (1 + np.exp(-np.clip(logit, -60, 60)))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's progress off the user's terminal."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "torch.export")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(), Path(os.devnull).open("w") as nothing:
            warnings.simplefilter("ignore")
            with contextlib.redirect_stdout(nothing), contextlib.redirect_stderr(nothing):
                yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def export_model(
    network: AttentionUNet | PeerNetwork,
    recipe: Recipe,
    folder: Path,
    *,
    threshold: float,
    data: list[TrainingSet],
    training: dict[str, Any],
    results: list[CardResult],
) -> Model:
    """Write a Model folder: model.onnx, weights.safetensors, and last the card that names their hashes.

    Both files hold the same numbers: the network's own, or where the recipe stores float16, rounded ones.
    """
    size = recipe.data.size
    state = to_store(network, recipe.store)
    stored = build(network.options)
    stored.load_state_dict(state)
    attention = write_onnx(stored, folder / ONNX, size)
    with atomic_path(folder / WEIGHTS) as temporary:
        save_file(state, temporary)
    card = ModelCard(
        name=recipe.name,
        created=datetime.now(UTC).date().isoformat(),
        sonoseg=__version__,
        preprocessing=Preprocessing(
            size=size,
            fit=recipe.data.fit,
            channels=network.options.channels,
            mean=recipe.data.mean,
            std=recipe.data.std,
        ),
        threshold=threshold,
        postprocessing=recipe.postprocessing,
        network=network.options.model_dump(mode="json"),
        attention=attention,
        data=data,
        training=training,
        results=results,
        limits=list(LIMITS),
        sha256={name: sha256_file(folder / name) for name in (ONNX, WEIGHTS)},
    )
    card.write(folder / CARD)
    return Model.load(folder)
