"""OpenVINO: XML with a .bin beside it.

bfloat16 is not a file format here but a hint to the engine.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sonoseg._util.files import atomic_path

if TYPE_CHECKING:
    from sonoseg.model.model import Model


def write(model: Model, precision: str, path: Path) -> None:
    """Convert the model's ONNX file."""
    import openvino

    source = model.int8_path if precision == "int8" else model.onnx_path
    network: Any = openvino.Core().read_model(str(source))
    with atomic_path(path.with_suffix(".bin")) as weights, atomic_path(path) as temporary:
        made = temporary.with_suffix(".bin")
        try:
            openvino.save_model(network, str(temporary), compress_to_fp16=False)
            made.replace(weights)
        finally:
            made.unlink(missing_ok=True)


def run(path: Path, batch: NDArray[np.float32]) -> NDArray[np.float32]:
    """Run an exported file on a preprocessed batch, float32 (N, C, S, S); returns logits (N, 1, S, S)."""
    import openvino

    compiled: Any = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled({"image": batch})["logit"])
