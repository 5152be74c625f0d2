"""Checks of a figure's data before it is drawn."""

from __future__ import annotations

from collections.abc import Sized
from typing import TYPE_CHECKING

from sonoseg.errors import FigureError

if TYPE_CHECKING:
    import pandas as pd


def need_rows(items: Sized, figure: str, remedy: str = "Give at least one row") -> None:
    """Raise FigureError with the figure's name where there is nothing to draw."""
    if len(items) == 0:
        raise FigureError("nothing to draw", where=figure, remedy=remedy)


def need_columns(table: pd.DataFrame, figure: str, *columns: str) -> None:
    """Raise FigureError unless the table has rows and all `columns`."""
    absent = [column for column in columns if column not in table.columns]
    if absent:
        raise FigureError(
            f"the table has no column {', '.join(map(repr, absent))}",
            where=figure,
            remedy=f"Give the columns {', '.join(columns)}; there are {', '.join(map(str, table.columns))}",
        )
    need_rows(table, figure)
