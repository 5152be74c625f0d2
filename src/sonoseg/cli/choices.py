"""Choices of options that several verbs share."""

from __future__ import annotations

from enum import StrEnum


class RuntimeChoice(StrEnum):
    """The inference engine: see sonoseg.inference.runtimes."""

    auto = "auto"
    onnx = "onnx"
    openvino = "openvino"
    torch = "torch"


class PrecisionChoice(StrEnum):
    """The engine's precision."""

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
    """What drives the work: this process, or Ray workers (see sonoseg.batch)."""

    plain = "plain"
    ray = "ray"
