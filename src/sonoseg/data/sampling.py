"""Sample a few images of a set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def sample(table: pd.DataFrame, count: int, seed: int = 0) -> list[str]:
    """Draw up to `count` ids from a prepared set's table, classes in turn, at most one per group.

    Taking classes in turn shows the rare ones too. The same seed draws the same images. Returns fewer where
    the set has fewer groups.
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
