"""Export a model to the file format of an inference engine, and compare the file with the model.

A format is a module of this package with two functions: `write(model, precision, path)` and
`run(path, batch)`.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sonoseg._util.packages import missing_extra
from sonoseg._util.text import first_line
from sonoseg.errors import ModelError, OutputError, UsageError
from sonoseg.image.network_grid import Grid
from sonoseg.model.export import onnx
from sonoseg.samples import frames

if TYPE_CHECKING:
    from sonoseg.model.model import Model

MAX_DIFFERENCE = 1e-4
"""The largest difference of a probability that a file in fp32 may have from the model."""


class ExportFormat(NamedTuple):
    """A row of FORMATS: the file's ending, the precisions that it holds, the extra that it needs."""

    ending: str
    precisions: tuple[str, ...]
    extra: str


FORMATS = {
    "onnx": ExportFormat(".onnx", ("fp32", "int8"), "train"),
    "openvino": ExportFormat(".xml", ("fp32", "int8"), "openvino"),
    "torch": ExportFormat(".pt2", ("fp32", "bf16"), "train"),
    "keras": ExportFormat(".keras", ("fp32",), "keras"),
}


def check_export(name: str, precision: str, path: Path, overwrite: bool) -> None:
    """Check, before any work, that a format may be written to `path`. Raises UsageError, OutputError."""
    form = FORMATS[name]
    if precision not in form.precisions:
        raise UsageError(
            f"the format {name} holds {' or '.join(form.precisions)}, not {precision}",
            where="--precision",
            remedy="Choose another --precision or --format",
        )
    if path.suffix != form.ending:
        raise UsageError(
            f"a file of the format {name} ends in {form.ending}",
            where="--out",
            remedy=f"Name it {path.stem}{form.ending}",
        )
    written = [path, path.with_suffix(".bin")] if name == "openvino" else [path]
    existing = [one for one in written if one.exists()]
    if existing and not overwrite:
        raise OutputError("the file exists", where=existing[0], remedy="Replace it with --overwrite")


def write_format(model: Model, name: str, precision: str, path: Path) -> None:
    """Write the model's network in a format of FORMATS.

    onnx: the model's own file. openvino: XML with a .bin beside it. torch: a program for torch.export.load.
    keras: for keras.models.load_model, channels last; it returns probabilities.

    Raises MissingExtra, ModelError, OutputError, and UsageError for a network that the format cannot hold.
    """
    try:
        _engine(name).write(model, precision, path)
    except ImportError as error:
        raise missing_extra(error.name or name, FORMATS[name].extra) from error
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"the model cannot be written as {name} ({first_line(error)})",
            where=model.folder,
            remedy="Export the model again from its training run",
        ) from error


def largest_difference(model: Model, name: str, path: Path, batch: NDArray[np.float32]) -> float:
    """Return the largest difference of a probability between an exported file and model.onnx.

    batch: float32 (N, C, S, S), preprocessed as the card says. Each file is run by its own engine.
    """
    temperature = model.card.temperature
    expected = onnx.sigmoid(onnx.run(model.onnx_path, batch) / temperature)
    found = _engine(name).run(path, batch)
    if name != "keras":  # a Keras file applies temperature and sigmoid itself
        found = onnx.sigmoid(found / temperature)
    return float(np.abs(found - expected).max())


def compare_on_samples(model: Model, name: str, precision: str, path: Path, count: int = 3) -> float:
    """Return the largest difference between an exported file and the model, on `count` sample images.

    Raises ModelError where a file in fp32 differs by more than MAX_DIFFERENCE.
    """
    card = model.card.preprocessing
    images = frames()[:count]
    pixels = np.stack([Grid(one.shape, card.size, card.fit).to_network(one.pixels) for one in images])
    scaled = (pixels.astype(np.float32) / np.float32(255) - np.float32(card.mean)) / np.float32(card.std)
    worst = largest_difference(model, name, path, np.repeat(scaled[:, None], card.channels, axis=1))
    if precision == "fp32" and not worst <= MAX_DIFFERENCE:
        raise ModelError(
            f"the file differs from the model by {worst:.2g}", where=path, remedy="Do not use it; report this"
        )
    return worst


def _engine(name: str) -> Any:
    return import_module(f"sonoseg.model.export.{name}")
