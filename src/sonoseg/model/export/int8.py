"""int8 quantisation: the model's ONNX with QDQ nodes, calibrated on training images.

One file serves ONNX Runtime and OpenVINO. Static post-training quantisation (Jacob et al., arXiv 1712.05877):
weights int8 with 7 bits, symmetric, for each output channel; activations uint8 for each tensor, between the
minimum and maximum on the calibration images.
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
from sonoseg.model.model import CARD, INT8, Model

if TYPE_CHECKING:
    import onnx

    from sonoseg.data.prepared_set import PreparedSet
    from sonoseg.data.splits import Split
    from sonoseg.model.card import ModelCard

IMAGES = 64
"""Calibration images: with 48 the shipped model already lost no more than 0.0001 of Dice."""


def calibration_images(
    card: ModelCard,
    prepared: PreparedSet,
    split: Split,
    split_file: Path,
    *,
    fold: int | None = None,
    count: int = IMAGES,
) -> NDArray[np.uint8]:
    """Return evenly spaced images of the training part: uint8 (N, S, S), S the card's size.

    fold: of the split; by default the one on the card.
    Raises UsageError where the card shows that the model was trained on another split or fold, DatasetError
    where the training part is empty.
    """
    trained = card.training
    fold = int(trained.get("fold", 0)) if fold is None else fold
    known = trained.get("fingerprint") == prepared.fingerprint
    if known and (trained.get("split_sha256"), trained.get("fold")) != (sha256_file(split_file), fold):
        raise UsageError(
            f"the model was not trained on fold {fold} of this split",
            where=split_file,
            remedy="Give the split and fold that it was trained on: calibration uses training images",
        )
    split.check(prepared)
    ids = split.part(fold).train
    if not ids:
        raise DatasetError(
            f"fold {fold} has no training images", where=split_file, remedy="Choose another fold"
        )
    chosen = [ids[k] for k in np.unique(np.linspace(0, len(ids) - 1, count).round().astype(int))]
    pixels, _ = prepared.arrays(card.preprocessing.size, card.preprocessing.fit)
    return np.asarray(pixels[prepared.rows(chosen)])


def write_int8(model: Model, pixels: NDArray[np.uint8], path: Path) -> None:
    """Write the model's network in int8 as ONNX, with the inputs and outputs of model.onnx.

    pixels: uint8 (N, S, S), calibration images on the network's grid.
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
            _CalibrationReader(model.card, pixels),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            # Weights in 7 of the 8 bits: processors without VNNI add two products with uint8 in 16 bits,
            # which larger weights would saturate.
            reduce_range=True,
            nodes_to_exclude=nodes_after_convolutions(onnx.load(prepared)),
        )


def add_int8(model: Model, calibrated_on: int, fingerprint: str) -> Model:
    """Record the folder's model.int8.onnx on the card, and drop the measurements of an earlier one.

    calibrated_on: number of calibration images. fingerprint: of their prepared set.
    """
    card = model.card.model_copy(
        update={
            "training": model.card.training
            | {"int8": {"calibrated_on": calibrated_on, "fingerprint": fingerprint}},
            "precisions": [one for one in model.card.precisions if one.precision != "int8"],
            "sha256": model.card.sha256 | {INT8: sha256_file(model.folder / INT8)},
        }
    )
    card.write(model.folder / CARD)
    return Model.load(model.folder)


def nodes_after_convolutions(model: onnx.ModelProto) -> list[str]:
    """Return the names of the nodes that lead to no convolution.

    They compute the logit from the last convolutions and the presence head: a few exponentials and
    logarithms, for which 8 bits are too few, and which cost nothing beside a convolution.
    """
    leads: set[str] = set()
    names = []
    for node in reversed(model.graph.node):  # topologically sorted
        if node.op_type == "Conv" or leads.intersection(node.output):
            leads.update(node.input)
        else:
            names.append(node.name)
    return names


class _CalibrationReader:
    """A CalibrationDataReader of ONNX Runtime."""

    def __init__(self, card: ModelCard, pixels: NDArray[np.uint8]) -> None:
        self._card = card.preprocessing
        self._left: Iterator[NDArray[np.uint8]] = iter(pixels)

    def get_next(self) -> dict[str, Any] | None:
        """Return the next image as the network's input, None after the last."""
        image = next(self._left, None)
        if image is None:
            return None
        card = self._card
        scaled = (image.astype(np.float32) / np.float32(255) - np.float32(card.mean)) / np.float32(card.std)
        return {"image": np.repeat(scaled[None, None], card.channels, axis=1)}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the quantiser's advice, which goes to the root logger."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
