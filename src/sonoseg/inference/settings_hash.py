"""The hash of all settings that can change a result: equal hashes are equal settings."""

from __future__ import annotations

from typing import Final

from sonoseg import __version__
from sonoseg._util.canonical_json import json_sha256
from sonoseg.inference.runtimes.base import Engine, Precision
from sonoseg.model.card import Postprocessing
from sonoseg.model.model import INT8, ONNX, WEIGHTS, Model

FORMAT: Final = "sonoseg-settings/1"
"""Part of the hash; a new number where its keys change."""


def settings_hash(
    model: Model,
    *,
    runtime: str,
    engine: Engine,
    precision: Precision,
    threshold: float,
    postprocessing: Postprocessing,
    tta: str,
) -> str:
    """Return the first 12 hexadecimal digits of the SHA-256 of what decides a mask, given the image.

    That is the version of sonoseg, the model with its card's settings, the file of the network, and the
    settings in effect, whether they come from the card or from the user. Threads, batch size and the like are
    no part of it: they change no pixel.

    runtime: the engine's full name, with version, device and precision. The other arguments: as in Predictor.
    Raises ModelError where the network's file is missing.
    """
    file = WEIGHTS if engine == "torch" else INT8 if precision == "int8" else ONNX
    return json_sha256(
        {
            "format": FORMAT,
            "sonoseg": __version__,
            "model": model.hash,
            "network": model.file_sha256(file),
            "runtime": runtime,
            "precision": precision,
            "threshold": float(threshold),
            "postprocessing": postprocessing.model_dump(mode="json"),
            "tta": tta,
        }
    )[:12]
