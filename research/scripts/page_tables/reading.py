"""The table of docs/results/reading.md."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from page_tables.markdown import Result, table

TOOLS = {
    "fastest": "whichever takes the fewest seconds",
    "both": "smart click or brush, whichever mends more",
    "clicks": "smart click, the brush where it does not help",
    "brush": "brush and eraser alone",
    "polygon": "polygon",
}
STARTS = {
    "model": "the model's mask",
    "empty": "empty, the model behind the click",
    "without": "empty, no model",
}


EDGES = (0.0, 0.7, 0.9, 0.95, 1.01)
"""Of the Dice that the model's mask has before anybody mends it."""


def reading_time(result: Result) -> str:
    """Actions and modelled seconds of each way of mending from each start, and the paired differences."""
    rows, differences = [], []
    for tools, words in TOOLS.items():
        for start, told in result["mean"][tools].items():
            rows.append(
                (
                    words,
                    STARTS[start],
                    f"{told['median_actions']:g}",
                    _interval(told["actions"]),
                    ", ".join(f"{told[name]['mean']:.1f}" for name in ("click", "stroke", "corners")),
                    _interval(told["seconds"]),
                    str(told["nothing_to_do"]),
                    str(told["not_reached"]),
                )
            )
        for start, told in result["difference"][tools].items():
            differences.append(
                (
                    words,
                    STARTS[start],
                    f"**{_interval(told['actions'])}**",
                    _interval(told["seconds"]),
                    f"{told['fewer_with_model']}, {told['more_with_model']}",
                )
            )
    head = (
        *("Mended with", "from", "actions, median", "actions, mean", "clicks, strokes, corners"),
        *("seconds (model of the hand)", "nothing to do", "not reached"),
    )
    other = (
        *("Mended with", "saved against", "actions saved by the model's mask", "seconds saved"),
        "images with fewer, with more",
    )
    brushes = ", ".join(str(size) for size in result["brushes"])
    model = result["model"]
    words = (
        f"{result['n']} images of {result['groups']} groups; means with their 95 % interval over groups, "
        f"differences paired. {result['statement']}; {result['skipped']} images of the order left out. "
        f"Model {model['name']} ({model['hash']}) in {model['runtime']}. Brushes of {brushes} pixels across. "
        f"{' '.join(result['cautions'])}"
    )
    parts = (table(head, rows), table(other, differences), _by_start(result["images"]), words)
    return "\n\n".join(parts)


def _by_start(images: Sequence[Mapping[str, Any]]) -> str:
    """What the model's mask saves by how good it is: means over the images, against no model."""
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
        "seconds saved, whichever takes the fewest",
    )
    return table(head, rows)


def _interval(one: Mapping[str, Any]) -> str:
    return f"{one['mean']:.1f} [{one['low']:.1f}, {one['high']:.1f}]"
