"""Keras: a model folder as a .keras file that TensorFlow opens.

    python -m sonoseg.model.export.keras MODEL FILE.keras

Runs wherever Keras 3 is installed and needs only NumPy beside it, since TensorFlow's environments are often
kept apart. Each layer is named as its counterpart in torch (`encoder.0.block.conv1`), so copying weights
needs no table. Input "image": float32 (N, S, S, C), (grey / 255 - mean) / std as the card says;
output: probabilities (N, S, S, 1), the card's temperature applied.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sonoseg._util.files import atomic_path
from sonoseg.errors import UsageError
from sonoseg.networks.efficientnet_stages import STEM, Stage, stages

if TYPE_CHECKING:
    from sonoseg.model.model import Model

    State = Mapping[str, NDArray[Any]]

_TYPES = {"F32": "<f4", "F16": "<f2", "F64": "<f8", "I64": "<i8", "I32": "<i4"}
_EPSILON = 1e-5  # torch's batch and instance norm
_SEED_GATE_EPSILON = 1e-3
_ENCODER_EPSILON = 1e-3  # EfficientNet's


def write(model: Model, precision: str, path: Path) -> None:
    """Write the model as a Keras file. Raises UsageError for a network of MONAI."""
    import keras  # noqa: F401 (first, so that a missing package is named)

    architecture = model.card.network.get("architecture", "attention-unet")
    if architecture != "attention-unet":
        raise UsageError(
            f"the network {architecture} cannot be written for Keras",
            remedy="Choose one of: onnx, openvino, torch",
        )
    with atomic_path(path) as temporary:
        write_keras(model.folder, temporary)


def run(path: Path, batch: NDArray[np.float32]) -> NDArray[np.float32]:
    """Run an exported file on a preprocessed batch (N, C, S, S); returns probabilities (N, 1, S, S)."""
    import keras

    network: Any = keras.models.load_model(path)
    return np.asarray(network.predict(batch.transpose(0, 2, 3, 1), verbose=0)).transpose(0, 3, 1, 2)


def write_keras(folder: Path, path: Path) -> None:
    """Write the model in `folder` (card.json, weights.safetensors) as the Keras file `path`.

    Raises ValueError where weights and network do not fit.
    """
    card = json.loads((folder / "card.json").read_text("utf-8"))
    network = keras_network(
        card["network"], card["preprocessing"]["size"], temperature=card.get("temperature", 1.0)
    )
    copy_weights(read_safetensors(folder / "weights.safetensors"), network)
    network.save(path)


def keras_network(options: Mapping[str, Any], size: int, *, temperature: float = 1.0) -> Any:
    """Build the network of a card's options (see NetworkOptions) as a keras.Model, with random weights.

    size: side of the square input, pixels. temperature: the logit is divided by it.
    """
    import keras
    from keras import layers, ops

    widths, rates, kind = options["widths"], options["dropout"], options["normalisation"]

    def norm(x: Any, name: str) -> Any:
        if kind == "batch":
            return layers.BatchNormalization(epsilon=_EPSILON, name=name)(x)
        if kind == "instance":
            return layers.GroupNormalization(groups=-1, epsilon=_EPSILON, name=name)(x)
        return x

    def conv3(x: Any, width: int, name: str, *, stride: int = 1, bias: bool = kind == "none") -> Any:
        # torch pads every side by one; Keras' "same" pads an even size right and below only, at stride 2.
        if stride == 2:
            x = layers.ZeroPadding2D(1, name=f"{name}.padding")(x)
        padding = "valid" if stride == 2 else "same"
        return layers.Conv2D(width, 3, strides=stride, padding=padding, use_bias=bias, name=name)(x)

    def block(x: Any, level: int, name: str) -> Any:
        width = widths[level]
        y = layers.ReLU(name=f"{name}.relu1")(norm(conv3(x, width, f"{name}.conv1"), f"{name}.norm1"))
        y = layers.Dropout(rates[level], name=f"{name}.dropout")(y)
        y = norm(conv3(y, width, f"{name}.conv2"), f"{name}.norm2")
        if options["residual"]:
            short = layers.Conv2D(width, 1, use_bias=False, name=f"{name}.shortcut")(x)
            y = layers.Add(name=f"{name}.add")([y, short])
        return layers.ReLU(name=f"{name}.relu2")(y)

    def up(x: Any, name: str, how: str) -> Any:
        return layers.UpSampling2D(2, interpolation=how, name=name)(x)

    def gate(skip: Any, signal: Any, name: str) -> Any:
        width = skip.shape[-1]
        inner = max(1, width // 2)
        if options["gate"] == "seed":
            theta = conv3(skip, width, f"{name}.theta", stride=2, bias=True)
            phi = conv3(signal, width, f"{name}.phi", bias=True)
        elif options["gate"] == "grid":
            theta = layers.Conv2D(inner, 2, strides=2, use_bias=False, name=f"{name}.theta")(skip)
            phi = layers.Conv2D(inner, 1, name=f"{name}.phi")(signal)
        else:
            theta, phi = (
                layers.BatchNormalization(epsilon=_EPSILON, name=f"{name}.{part}.1")(
                    layers.Conv2D(inner, 1, name=f"{name}.{part}.0")(x)
                )
                for part, x in (("theta", skip), ("phi", signal))
            )
            phi = up(phi, f"{name}.signal", "nearest")
        joined = layers.ReLU(name=f"{name}.relu")(layers.Add(name=f"{name}.add")([theta, phi]))
        psi = layers.Conv2D(1, 1, activation="sigmoid", name=f"{name}.psi")(joined)
        if options["gate"] != "same-scale":
            psi = up(psi, f"{name}.upsample", "nearest" if options["gate"] == "seed" else "bilinear")
        gated = layers.Multiply(name=f"{name}.multiply")([skip, psi])
        if options["gate"] == "seed":
            return layers.BatchNormalization(epsilon=_SEED_GATE_EPSILON, name=f"{name}.out")(gated)
        if options["gate"] == "grid":
            mixed = layers.Conv2D(width, 1, name=f"{name}.out.0")(gated)
            return layers.BatchNormalization(epsilon=_EPSILON, name=f"{name}.out.1")(mixed)
        return gated

    x = image = keras.Input((size, size, options["channels"]), name="image")
    bottom = len(widths) - 1
    skips = []
    if options.get("encoder", "plain") == "plain":
        if options["stem"] == 2:
            x = layers.ReLU(name="stem.2")(norm(conv3(x, widths[0], "stem.0", stride=2), "stem.1"))
        for level in range(bottom):
            skips.append(block(x, level, f"encoder.{level}.block"))
            x = layers.MaxPooling2D(2, name=f"encoder.{level}.pool")(skips[-1])
        x = block(x, bottom, "bottleneck")
    else:
        *skips, x = _efficientnet(image, options["encoder"])
    presence = None
    if options.get("presence"):
        seen = [layers.GlobalAveragePooling2D(name="presence.mean")(x)]
        seen.append(layers.GlobalMaxPooling2D(name="presence.peak")(x))
        presence = layers.Dense(1, name="presence.judge")(layers.Concatenate(name="presence.seen")(seen))
    for step, level in enumerate(reversed(range(bottom))):
        skip = skips[level]
        if options["gate"] != "none":
            skip = gate(skip, x, f"gates.{step}")
        x = up(x, f"decoder.{step}.upsample", "nearest")
        x = layers.Concatenate(name=f"decoder.{step}.concatenate")([x, skip])
        x = block(x, level, f"decoder.{step}.block")
    logit = layers.Conv2D(1, 1, name="head")(x)
    if options["stem"] == 2:
        logit = up(logit, "logit", "bilinear")
    if presence is not None:
        # See sonoseg.networks.presence_head.both.
        here = -layers.Reshape((1, 1, 1), name="presence")(presence)
        logit = -ops.logaddexp(ops.logaddexp(-logit, here), here - logit)
    if temperature != 1.0:
        logit = layers.Rescaling(1 / temperature, name="temperature")(logit)
    probability = layers.Activation("sigmoid", name="probability")(logit)
    return keras.Model(image, probability, name="sonoseg")


def _efficientnet(image: Any, kind: Any) -> list[Any]:
    """Return each level's features of an EfficientNet-Lite, finest first (see sonoseg.networks.efficientnet).

    The weights were trained in TensorFlow, with Keras' own "same" padding.
    """
    from keras import layers

    def conv(x: Any, width: int, kernel: int, stride: int, name: str) -> Any:
        common = {"strides": stride, "padding": "same", "use_bias": False, "name": f"{name}.conv"}
        if name.endswith(".depthwise"):
            x = layers.DepthwiseConv2D(kernel, **common)(x)
        else:
            x = layers.Conv2D(width, kernel, **common)(x)
        return layers.BatchNormalization(epsilon=_ENCODER_EPSILON, name=f"{name}.norm")(x)

    def relu6(x: Any, name: str) -> Any:
        return layers.ReLU(max_value=6, name=f"{name}.relu6")(x)

    def block(x: Any, stage: Stage, stride: int, name: str) -> Any:
        inner, y = x.shape[-1] * stage.expand, x
        if stage.expand > 1:
            y = relu6(conv(y, inner, 1, 1, f"{name}.expand"), f"{name}.expand")
        y = relu6(conv(y, inner, stage.kernel, stride, f"{name}.depthwise"), f"{name}.depthwise")
        y = conv(y, stage.outputs, 1, 1, f"{name}.project")
        if stride == 1 and stage.outputs == x.shape[-1]:
            y = layers.Add(name=f"{name}.add")([x, y])
        return y

    x = relu6(conv(image, STEM, 3, 2, "stem.0"), "stem.1")
    levels: list[list[tuple[Stage, int]]] = []
    for stage in stages(kind):
        if stage.stride == 2 or not levels:
            levels.append([])
        levels[-1] += [(stage, stage.stride if number == 0 else 1) for number in range(stage.blocks)]
    found = []
    for level, inside in enumerate(levels):
        place = f"encoder.{level}.blocks" if level < len(levels) - 1 else "bottleneck"
        for number, (stage, stride) in enumerate(inside):
            x = block(x, stage, stride, f"{place}.{number}")
        found.append(x)
    return found


def copy_weights(state: State, network: Any) -> None:
    """Copy the arrays of a torch state_dict into the Keras network.

    Kernels are transposed from (out, in, row, column) to (row, column, in, out), those of depthwise
    convolutions to (row, column, channel, 1). Deep supervision's heads are not copied: they serve training.
    Raises ValueError where any other weight is left over or missing.
    """
    used: set[str] = set()

    def take(name: str) -> NDArray[Any]:
        if name not in state:
            raise ValueError(f"the weights lack {name}")
        used.add(name)
        return state[name].astype(np.float32)  # stored in float32 or float16

    for layer in network.layers:
        kind = type(layer).__name__
        if kind == "Conv2D":
            values = [take(f"{layer.name}.weight").transpose(2, 3, 1, 0)]
            if layer.use_bias:
                values.append(take(f"{layer.name}.bias"))
            layer.set_weights(values)
        elif kind == "DepthwiseConv2D":
            layer.set_weights([take(f"{layer.name}.weight").transpose(2, 3, 0, 1)])
        elif kind == "Dense":
            layer.set_weights([take(f"{layer.name}.weight").T, take(f"{layer.name}.bias")])
        elif kind == "BatchNormalization":
            names = ("weight", "bias", "running_mean", "running_var")
            layer.set_weights([take(f"{layer.name}.{name}") for name in names])
        elif kind == "GroupNormalization":
            layer.set_weights([take(f"{layer.name}.{name}") for name in ("weight", "bias")])
    left = {name for name in state if not name.endswith("num_batches_tracked")} - used
    left = {name for name in left if not name.startswith("side_heads.")}
    if left:
        raise ValueError(f"no layer takes {', '.join(sorted(left))}")


def read_safetensors(path: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays of a safetensors file without its library.

    The file holds eight bytes with the length of a JSON header, the header (type, shape and offset of each
    array), and the data. Raises ValueError for an invalid file.
    """
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    found = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        flat = np.frombuffer(data[8 + length + begin : 8 + length + end], dtype=_TYPES[entry["dtype"]])
        found[name] = flat.reshape(entry["shape"])
    return found


if __name__ == "__main__":
    write_keras(Path(sys.argv[1]), Path(sys.argv[2]))
