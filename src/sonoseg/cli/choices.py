"""What several verbs let a user choose from, as typer shows it."""

from __future__ import annotations

from enum import StrEnum


class RuntimeChoice(StrEnum):
    """The engine that runs the network: see sonoseg.inference.runtimes."""

    auto = "auto"
    onnx = "onnx"
    openvino = "openvino"
    torch = "torch"


class PrecisionChoice(StrEnum):
    """What the engine computes in."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"
    int8 = "int8"


class TtaChoice(StrEnum):
    """Test-time augmentation: see sonoseg.inference.test_time_augmentation."""

    none = "none"
    flip = "flip"
    scales = "scales"
    full = "full"


class EngineChoice(StrEnum):
    """What goes through the files: this process, or workers of Ray (see sonoseg.batch)."""

    plain = "plain"
    ray = "ray"
