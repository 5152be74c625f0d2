"""ONNX: write a network as model.onnx, copy a model's file, run an exported file."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sonoseg._util.files import atomic_path
from sonoseg.errors import ModelError

if TYPE_CHECKING:
    from sonoseg.model.model import Model
    from sonoseg.networks.attention_unet import AttentionUNet
    from sonoseg.networks.peer_networks import PeerNetwork

OPSET = 20
TOLERANCE = 1e-4
"""The largest difference of a probability between ONNX Runtime and torch."""


def write(model: Model, precision: str, path: Path) -> None:
    """Copy the model's own ONNX file."""
    with atomic_path(path) as temporary:
        shutil.copyfile(model.int8_path if precision == "int8" else model.onnx_path, temporary)


def run(path: Path, batch: NDArray[np.float32]) -> NDArray[np.float32]:
    """Run an exported file on a preprocessed batch, float32 (N, C, S, S); returns logits (N, 1, S, S)."""
    import onnxruntime

    session: Any = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["logit"], {"image": batch})[0])


def sigmoid(logit: NDArray[np.float32]) -> NDArray[np.float32]:
    """The logistic function, without overflow."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logit, -60, 60))), dtype=np.float32)


def write_onnx(network: AttentionUNet | PeerNetwork, path: Path, size: int) -> list[str]:
    """Write a network as ONNX, and return the names of its attention outputs.

    Input "image": float32 (N, C, size, size), N free. Outputs: "logit" (N, 1, size, size), "attention_k"
    (N, 1, h, w) for each gate, 1 the nearest to the bottleneck, and "features" (N, C) where the network has
    them (see networks.attention_unet.Outputs).
    Raises ModelError where ONNX Runtime's probabilities differ from torch's by more than TOLERANCE.
    """
    import torch

    from sonoseg.model.export.torch import FlatOutputs
    from sonoseg.networks.presets import build

    attention = [f"attention_{k + 1}" for k in range(len(network.gates))]
    plain = build(network.options)
    plain.load_state_dict({name: value.detach().cpu() for name, value in network.state_dict().items()})
    flat = FlatOutputs(plain).eval()
    generator = torch.Generator().manual_seed(0)
    example = torch.rand(2, network.options.channels, size, size, generator=generator)
    with torch.no_grad():
        features = [] if plain.eval()(example).features is None else ["features"]
    with atomic_path(path) as temporary:
        with _quiet():
            torch.onnx.export(
                flat,
                (example,),
                temporary,
                input_names=["image"],
                output_names=["logit", *attention, *features],
                dynamic_shapes={"image": {0: torch.export.Dim("N", min=1, max=4096)}},
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
            )
        _strip_metadata(temporary)
        _check_parity(flat, temporary, example)
    return attention


def _strip_metadata(path: Path) -> None:
    """Remove what torch's exporter notes beside each node: source lines with paths of this machine."""
    import onnx

    model = onnx.load(path)
    graph = model.graph
    for part in (graph, *graph.node, *graph.initializer, *graph.value_info, *graph.input, *graph.output):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    onnx.save(model, path)


def _check_parity(flat: Any, path: Path, example: Any) -> None:
    """Raise ModelError unless ONNX Runtime agrees with torch, for batches of one, two and three."""
    import onnxruntime
    import torch

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for n in (1, 2, 3):
        images = example[[i % 2 for i in range(n)]]
        with torch.no_grad():
            expected = [output.numpy() for output in flat(images)]
        for mine, theirs in zip(expected, session.run(None, {"image": images.numpy()}), strict=True):
            worst = float(np.abs(sigmoid(mine) - sigmoid(theirs)).max())
            if mine.shape != theirs.shape or worst > TOLERANCE:
                raise ModelError(
                    f"the exported network differs from the trained one by {worst:.2g} (batch of {n})",
                    where=path,
                    remedy="Report this with the versions of torch and onnxruntime",
                )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the exporter's progress output and warnings."""
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
