"""Conversion of data element values to numbers, code strings and UIDs, whatever the file holds instead."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def number(value: Any) -> float | None:
    """Return one number; None for anything else."""
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def numbers(value: Any) -> list[float]:
    """Return the numbers of a single or multiple value; [] if one is invalid."""
    if value is None or isinstance(value, str | bytes):
        value = [value]
    try:
        found = [number(one) for one in value]
    except TypeError:
        found = [number(value)]
    valid = [one for one in found if one is not None]
    return valid if len(valid) == len(found) else []


def whole(value: Any) -> int | None:
    """Return one whole number; None for anything else."""
    one = number(value)
    return int(one) if one is not None and abs(one) < 1 << 40 and one == int(one) else None


def code_string(value: Any) -> str:
    """Return a valid code string (PS3.5 6.2, CS); "" for anything else, so that free text is never quoted."""
    text = str(value or "").strip().upper()
    return text if re.fullmatch(r"[A-Z0-9_ ]{1,16}", text) else ""


def uid(value: Any) -> str:
    """Return a valid UID; "" for anything else."""
    text = str(value or "").strip("\0 ")
    return text if re.fullmatch(r"[\d.]{1,64}", text) else ""


def items(dataset: Dataset, keyword: str) -> Sequence[Dataset]:
    """Return the items of a sequence; () if it is missing or not a sequence."""
    from pydicom.sequence import Sequence as Items

    value = dataset.get(keyword)
    return list(value) if isinstance(value, Items) else ()
