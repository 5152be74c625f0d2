"""Values of a data set as plain numbers and words, whatever the file holds in their place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def number(value: Any) -> float | None:
    """One number, or None for what is none."""
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def numbers(value: Any) -> list[float]:
    """The numbers of one value or several; [] where one is none."""
    if value is None or isinstance(value, str | bytes):
        one = number(value)
        return [] if one is None else [one]
    try:
        found = [number(one) for one in value]
    except TypeError:
        found = [number(value)]
    known = [one for one in found if one is not None]
    return known if len(known) == len(found) else []


def whole(value: Any) -> int | None:
    """One whole number, or None for what is none."""
    one = number(value)
    return int(one) if one is not None and abs(one) < 1 << 40 and one == int(one) else None


def word(value: Any) -> str:
    """A code string, if it is one (PS3.5 6.2, CS), so that no free text passes; else ""."""
    text = str(value or "").strip().upper()
    return text if re.fullmatch(r"[A-Z0-9_ ]{1,16}", text) else ""


def uid(value: Any) -> str:
    """A UID, if it is one; else ""."""
    text = str(value or "").strip("\0 ")
    return text if re.fullmatch(r"[\d.]{1,64}", text) else ""


def items(dataset: Dataset, keyword: str) -> Sequence[Dataset]:
    """The items of a sequence; none where it is missing or something else."""
    from pydicom.sequence import Sequence as Items

    value = dataset.get(keyword)
    return list(value) if isinstance(value, Items) else []
