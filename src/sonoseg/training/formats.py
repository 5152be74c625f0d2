"""A model in another engine's own format, as a file that stands alone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sonoseg._util.files import atomic_path
from sonoseg._util.packages import missing_extra
from sonoseg._util.text import first_line
from sonoseg.errors import ModelError, UsageError

if TYPE_CHECKING:
    from sonoseg.model.model import Model

FORMATS: dict[str, tuple[str, ...]] = {
    "onnx": ("fp32", "int8"),
    "openvino": ("fp32", "int8"),
    "torch": ("fp32", "bf16"),
    "keras": ("fp32",),
}
"""The precisions that each format can hold."""

ENDINGS = {"onnx": ".onnx", "openvino": ".xml", "torch": ".pt2", "keras": ".keras"}


def write_format(model: Model, kind: str, precision: str, path: Path) -> None:
    """Write the model's network as `kind`, a key of FORMATS, to `path`, which has the ending of ENDINGS.

    onnx: the model's own file. openvino: XML with a .bin beside it; in bfloat16 it is run by a hint to the
    engine, not by another file. torch: a program of torch.export, for torch.export.load. keras: for
    keras.models.load_model; probabilities and channels last, as is the habit there.

    Raises UsageError for a precision that the format does not hold, MissingExtra, ModelError, OutputError.
    """
    if precision not in FORMATS[kind]:
        raise UsageError(
            f"the format {kind} holds {' or '.join(FORMATS[kind])}, not {precision}",
            where="--precision",
            remedy="Choose another --precision or --format",
        )
    source = model.int8_path if precision == "int8" else model.onnx_path
    try:
        {"onnx": _onnx, "openvino": _openvino, "torch": _torch, "keras": _keras}[kind](
            model, source, precision, path
        )
    except ImportError as error:
        extra = {"onnx": "train", "openvino": "openvino", "torch": "train", "keras": "keras"}[kind]
        raise missing_extra(error.name or kind, extra) from error
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"this model cannot be written as {kind} ({first_line(error)})",
            where=model.folder,
            remedy="Export the model again from its training run",
        ) from error


def _onnx(model: Model, source: Path, precision: str, path: Path) -> None:
    with atomic_path(path) as temporary:
        shutil.copyfile(source, temporary)


def _openvino(model: Model, source: Path, precision: str, path: Path) -> None:
    import openvino

    network: Any = openvino.Core().read_model(str(source))
    with atomic_path(path.with_suffix(".bin")) as weights, atomic_path(path) as temporary:
        made = temporary.with_suffix(".bin")
        try:
            openvino.save_model(network, str(temporary), compress_to_fp16=False)
            made.replace(weights)
        finally:
            made.unlink(missing_ok=True)


def _torch(model: Model, source: Path, precision: str, path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    from sonoseg.networks import NetworkOptions, build
    from sonoseg.training.model_writing import Exported

    network = build(NetworkOptions.model_validate(model.card.network))
    network.load_state_dict(load_file(model.weights_path))
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    card = model.card.preprocessing
    example = torch.zeros(2, card.channels, card.size, card.size, dtype=kind)
    # Two images in the example: of one, the exporter would take the number for fixed.
    program = torch.export.export(
        Exported(network).eval().to(kind),
        (example,),
        dynamic_shapes={"image": {0: torch.export.Dim("N", min=1, max=4096)}},
    )
    with atomic_path(path) as temporary:
        torch.export.save(program, temporary)


def _keras(model: Model, source: Path, precision: str, path: Path) -> None:
    import keras  # noqa: F401 (asked for first, so that its absence is named)

    from sonoseg.model.export.keras_network import write_keras

    architecture = model.card.network.get("architecture", "attention-unet")
    if architecture != "attention-unet":
        raise UsageError(
            f"{architecture} has no form in Keras", remedy="Choose one of: onnx, openvino, torch"
        )
    with atomic_path(path) as temporary:
        write_keras(model.folder, temporary)


def furthest(model: Model, kind: str, path: Path, batch: NDArray[np.float32]) -> float:
    """The largest difference of a probability between a written file and the model's own model.onnx.

    batch: float32 (N, C, S, S), preprocessed as the card says. Each file is read by its own engine.
    """
    expected = _sigmoid(_run_onnx(model.onnx_path, batch) / model.card.temperature)
    if kind == "keras":
        found = _run_keras(path, batch)  # has the temperature and the sigmoid inside
    else:
        run = {"onnx": _run_onnx, "openvino": _run_openvino, "torch": _run_torch}[kind]
        found = _sigmoid(run(path, batch) / model.card.temperature)
    return float(np.abs(found - expected).max())


def _run_onnx(path: Path, batch: NDArray[np.float32]) -> NDArray[np.float32]:
    import onnxruntime

    session: Any = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["logit"], {"image": batch})[0])


def _run_openvino(path: Path, batch: NDArray[np.float32]) -> NDArray[np.float32]:
    import openvino

    compiled: Any = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled({"image": batch})["logit"])


def _run_torch(path: Path, batch: NDArray[np.float32]) -> NDArray[np.float32]:
    import torch

    program: Any = torch.export.load(path)
    kind = next(iter(program.state_dict.values())).dtype
    with torch.no_grad():
        logit = program.module()(torch.from_numpy(batch).to(kind))[0]
    return np.asarray(logit.float().numpy())


def _run_keras(path: Path, batch: NDArray[np.float32]) -> NDArray[np.float32]:
    import keras

    network: Any = keras.models.load_model(path)
    return np.asarray(network.predict(batch.transpose(0, 2, 3, 1), verbose=0)).transpose(0, 3, 1, 2)


def _sigmoid(logit: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(1 / (1 + np.exp(-np.clip(logit, -60, 60))), dtype=np.float32)
