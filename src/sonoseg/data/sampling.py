"""A few images that stand for a set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def sample(table: pd.DataFrame, count: int, seed: int = 0) -> list[str]:
    """Draw up to `count` ids from a prepared set's table, each class in turn, no two of one group.

    The classes take turns, so that small ones show; the same seed draws the same images. Fewer come back
    where the set has fewer groups.
    """
    rng = np.random.default_rng(seed)
    queues: dict[str, list[tuple[str, str]]] = {}
    for row in rng.permutation(len(table)):
        entry = table.iloc[int(row)]
        queues.setdefault(str(entry["label"]), []).append((str(table.index[row]), str(entry["group"])))
    drawn: list[str] = []
    groups: set[str] = set()
    while len(drawn) < count and any(queues.values()):
        for label in sorted(queues):
            while queues[label]:
                name, group = queues[label].pop()
                if group not in groups:
                    groups.add(group)
                    drawn.append(name)
                    break
            if len(drawn) == count:
                break
    return drawn
