"""Tables of docs/results/reading.md."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from page_tables.markdown import Result, table

TOOLS = {
    "fastest": "the tool that takes the fewest seconds",
    "both": "smart click or brush, whichever corrects more",
    "clicks": "smart click, the brush where smart click does not help",
    "brush": "brush and eraser only",
    "polygon": "polygon",
}
STARTS = {
    "model": "the model's mask",
    "empty": "empty, smart click uses the model",
    "without": "empty, no model",
}


EDGES = (0.0, 0.7, 0.9, 0.95, 1.01)
"""Dice of the model's mask before corrections."""


def reading_time(result: Result) -> str:
    """Actions and modelled seconds of each correction tool from each start, and the paired differences."""
    rows, differences = [], []
    for tools, words in TOOLS.items():
        for start, one in result["mean"][tools].items():
            rows.append(
                (
                    words,
                    STARTS[start],
                    f"{one['median_actions']:g}",
                    _interval(one["actions"]),
                    ", ".join(f"{one[name]['mean']:.1f}" for name in ("click", "stroke", "corners")),
                    _interval(one["seconds"]),
                    str(one["nothing_to_do"]),
                    str(one["not_reached"]),
                )
            )
        for start, one in result["difference"][tools].items():
            differences.append(
                (
                    words,
                    STARTS[start],
                    f"**{_interval(one['actions'])}**",
                    _interval(one["seconds"]),
                    f"{one['fewer_with_model']}, {one['more_with_model']}",
                )
            )
    head = (
        *("Tool", "from", "actions, median", "actions, mean", "clicks, strokes, corners"),
        *("seconds (keystroke-level model)", "no correction needed", "not reached"),
    )
    other = (
        *("Tool", "saved against", "actions saved by the model's mask", "seconds saved"),
        "images with fewer, with more",
    )
    brushes = ", ".join(str(size) for size in result["brushes"])
    model = result["model"]
    words = (
        f"{result['n']} images of {result['groups']} groups; means with their 95 % interval over groups, "
        f"differences paired. {result['statement']}; {result['skipped']} images of the order are left out. "
        f"Model {model['name']} ({model['hash']}) in {model['runtime']}. Brushes of {brushes} pixels across. "
        f"{' '.join(result['cautions'])}"
    )
    parts = (table(head, rows), table(other, differences), _by_start(result["images"]), words)
    return "\n\n".join(parts)


def _by_start(images: Sequence[Mapping[str, Any]]) -> str:
    """What the model's mask saves by its Dice: means over the images, against no model."""
    rows = []
    for low, high in pairwise(EDGES):
        those = [one for one in images if low <= one["both/model"]["dice"][0] < high]
        if those:
            seconds = [one["fastest/without"]["seconds"] - one["fastest/model"]["seconds"] for one in those]
            actions = [one["actions"]["both/without"] - one["actions"]["both/model"] for one in those]
            rows.append(
                (
                    f"{low:g} to {min(high, 1):g}",
                    str(len(those)),
                    f"{statistics.fmean(actions):+.1f}",
                    f"{statistics.fmean(seconds):+.1f}",
                )
            )
    head = (
        *("Dice of the model's mask", "images", "actions saved, smart click or brush"),
        "seconds saved, fastest tool",
    )
    return table(head, rows)


def _interval(one: Mapping[str, Any]) -> str:
    return f"{one['mean']:.1f} [{one['low']:.1f}, {one['high']:.1f}]"
