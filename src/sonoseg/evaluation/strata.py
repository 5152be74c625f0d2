"""Strata: figures by lesion size, class, drawn marks and set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from sonoseg.errors import DatasetError

if TYPE_CHECKING:
    import pandas as pd

SIZES: Final = ("Q1 smallest", "Q2", "Q3", "Q4 largest")
YES, NO, UNKNOWN = "yes", "no", "unknown"

STRATA: Final[dict[str, str]] = {
    "size": "size_stratum",
    "class": "label",
    "marks": "marks_stratum",
    "callipers": "callipers",
    "set": "set",
}
"""Name of a stratification, and the column of an evaluation's rows that holds it."""

ORDER: Final[dict[str, tuple[str, ...]]] = {
    "size": SIZES,
    "class": ("benign", "malignant", "unknown"),
    "marks": (YES, NO, UNKNOWN),
    "callipers": (YES, NO, UNKNOWN),
}


def levels_of(rows: pd.DataFrame, name: str) -> list[str]:
    """The levels of a stratification that occur in `rows`, in order; a single set is no stratum."""
    column = rows[STRATA[name]]
    if name == "set":
        levels = sorted(set(column))
        return levels if len(levels) > 1 else []
    return [level for level in ORDER[name] if (column == level).any()]


def size_edges(shares: Sequence[float]) -> tuple[float, float, float]:
    """The quartiles of lesion area as a share of the image (0..1), over the images with a lesion.

    Over a whole prepared set they are the same for every fold and model. Raises DatasetError where no image
    has a lesion.
    """
    known = np.asarray(shares, dtype=np.float64)
    known = known[known > 0]
    if known.size == 0:
        raise DatasetError(
            "no image has a lesion, so there are no sizes to compare",
            remedy="Check the masks with sonoseg data check",
        )
    low, middle, high = np.quantile(known, [0.25, 0.5, 0.75]).tolist()
    return low, middle, high


def size_stratum(share: float, edges: tuple[float, float, float]) -> str:
    """One of SIZES for a lesion's share of the image, its upper edge included; "" without a lesion."""
    return SIZES[int(np.searchsorted(edges, share, side="left"))] if share > 0 else ""


def marks_strata(table: pd.DataFrame) -> pd.DataFrame:
    """Columns marks_stratum and callipers ("yes", "no", "unknown") for a prepared set's table.

    table: with the columns set and marks. Marks of a set that lists none at all are unknown. Callipers are
    the marks that name a measurement.
    """
    import pandas as pd

    marks = table["marks"].fillna("").astype(str)
    known = (marks != "").groupby(table["set"]).transform("any")
    named = {"marks_stratum": marks != "", "callipers": marks.str.contains("measurement")}
    return pd.DataFrame(
        {name: np.where(there, YES, np.where(known, NO, UNKNOWN)) for name, there in named.items()},
        index=table.index,
    )
