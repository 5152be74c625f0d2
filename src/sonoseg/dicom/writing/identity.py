"""Reproducible UIDs, and the names of our software and models in DICOM."""

from __future__ import annotations

import hashlib
import re
import uuid
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

MANUFACTURER = "sonoseg (research software)"
PRODUCT = "sonoseg"

Kind = Literal["seg", "sr", "capture"]

Algorithm = Literal["AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"]
"""SegmentAlgorithmType (PS3.3 C.8.20.4): by the model, by the model and edited, or by a person."""

_NAMESPACE = uuid.UUID("6f1d7a3e-2f57-4f0c-9d0b-8a35f1b0c6d4")


class ModelName(NamedTuple):
    """A model's name and its hash (Model.hash), "" if unknown."""

    name: str
    digits: str


def model_name(identity: str) -> ModelName:
    """Split a Segmentation's `model`, "name (hash)"."""
    found = re.fullmatch(r"(.*\S)\s*\(([0-9a-f]{6,64})\)", identity)
    return ModelName(found[1], found[2]) if found else ModelName(identity, "")


def uid(*parts: object) -> str:
    """Return the same UID for the same parts.

    A name-based UUID (RFC 9562, version 5) as a decimal number below 2.25 (PS3.5 B.2).
    """
    text = "\n".join(str(part) for part in parts)
    return f"2.25.{uuid.uuid5(_NAMESPACE, text).int}"


def digest(*arrays: NDArray[np.generic]) -> str:
    """Return the SHA-256 of arrays with their shapes and dtypes."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.dtype.str}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
