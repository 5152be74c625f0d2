"""A network in integers of 8 bits: the model's ONNX with QDQ nodes, calibrated on training images.

One file serves ONNX Runtime and OpenVINO. Static post-training quantisation (Jacob et al., arXiv 1712.05877):
weights int8 for each output channel, symmetric, of 7 bits; activations uint8 for each tensor, between the
least and the greatest value met on the calibration images.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sonoseg._util.files import atomic_path, sha256_file
from sonoseg._util.packages import missing_extra
from sonoseg.errors import DatasetError, UsageError

if TYPE_CHECKING:
    import onnx

    from sonoseg.data.prepared_set import PreparedSet
    from sonoseg.data.splits import Split
    from sonoseg.model.card import ModelCard
    from sonoseg.model.model import Model

IMAGES = 64
"""Calibration images: with 48 the shipped model's loss was 0.0001 of Dice already."""


def calibration_pixels(
    card: ModelCard,
    prepared: PreparedSet,
    split: Split,
    split_file: Path,
    *,
    fold: int | None = None,
    count: int = IMAGES,
) -> NDArray[np.uint8]:
    """Images of the training part, drawn evenly over its order: uint8 (N, S, S), S the card's size.

    fold: of the split; None is the one on the card.
    Raises UsageError where the card shows that another split or fold was trained on, so that these are not
    the model's training images; DatasetError where the part is empty.
    """
    trained = card.training
    fold = int(trained.get("fold", 0)) if fold is None else fold
    known = trained.get("fingerprint") == prepared.fingerprint
    if known and (trained.get("split_sha256"), trained.get("fold")) != (sha256_file(split_file), fold):
        raise UsageError(
            f"the model was not trained on fold {fold} of this split",
            where=split_file,
            remedy="Calibrate on its own training images: give the split and fold that it was trained on",
        )
    split.check(prepared)
    ids = split.part(fold).train
    if not ids:
        raise DatasetError("no training images in this fold", where=split_file, remedy="Choose another fold")
    chosen = [ids[k] for k in np.unique(np.linspace(0, len(ids) - 1, count).round().astype(int))]
    pixels, _ = prepared.arrays(card.preprocessing.size, card.preprocessing.fit)
    return np.asarray(pixels[prepared.rows(chosen)])


def write_int8(model: Model, pixels: NDArray[np.uint8], path: Path) -> None:
    """Write the model's network in int8 as ONNX, with the inputs and outputs of model.onnx.

    pixels: uint8 (N, S, S), images to calibrate on, on the network's grid.
    Raises MissingExtra without the package onnx, OutputError.
    """
    try:
        import onnx
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise missing_extra(error.name or "onnx", "train") from error
    with tempfile.TemporaryDirectory() as name, _quiet(), atomic_path(path) as temporary:
        prepared = Path(name) / "prepared.onnx"
        quant_pre_process(str(model.onnx_path), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(temporary),
            _Images(model.card, pixels),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            # Weights in 7 of the 8 bits: two products with uint8 then fit the 16 bits in which processors
            # without VNNI add them, where larger ones saturate.
            reduce_range=True,
            nodes_to_exclude=after_the_convolutions(onnx.load(prepared)),
        )


def after_the_convolutions(model: onnx.ModelProto) -> list[str]:
    """The names of the nodes from which no convolution is reached any more.

    They make the logit of what the last convolutions gave, with the presence head's word: a few exponentials
    and logarithms, in which 8 bits are too few, and which cost nothing beside a convolution.
    """
    leads: set[str] = set()
    names = []
    for node in reversed(model.graph.node):  # sorted: what a node leads to stands behind it
        if node.op_type == "Conv" or leads.intersection(node.output):
            leads.update(node.input)
        else:
            names.append(node.name)
    return names


class _Images:
    """What the quantiser calls a CalibrationDataReader."""

    def __init__(self, card: ModelCard, pixels: NDArray[np.uint8]) -> None:
        self._card = card.preprocessing
        self._left: Iterator[NDArray[np.uint8]] = iter(pixels)

    def get_next(self) -> dict[str, Any] | None:
        """The next image as the network's input, None after the last."""
        image = next(self._left, None)
        if image is None:
            return None
        card = self._card
        scaled = (image.astype(np.float32) / np.float32(255) - np.float32(card.mean)) / np.float32(card.std)
        return {"image": np.repeat(scaled[None, None], card.channels, axis=1)}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the quantiser's advice off the user's terminal: it goes to the root logger."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
