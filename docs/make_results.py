"""The tables of results: no figure in them is written by hand.

`python docs/make_results.py add NAME STUDY` keeps a study's summary and rows in docs/results/studies/;
`python docs/make_results.py` writes every table anew, between the markers of the pages:

    <!-- table: NAME NAME ... -->
    <!-- end of table -->
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from sonoseg.files import atomic_write_text
from sonoseg.outputs.evaluation_tables import Kind, interval

DOCS = Path(__file__).resolve().parent
STUDIES = DOCS / "results" / "studies"
PAGES = (DOCS.parent / "README.md", *sorted(DOCS.rglob("*.md")))
BLOCK = re.compile(r"(<!-- table: (?P<names>[^>]+?) -->\n).*?(<!-- end of table -->)", re.DOTALL)

MEASURES: tuple[tuple[str, Kind, tuple[str, ...]], ...] = (
    ("Dice, mean over lesion images", "score", ("per_image", "dice")),
    ("Dice, pixels pooled", "score", ("pooled", "dice")),
    ("IoU, mean over lesion images", "score", ("per_image", "iou")),
    ("IoU, pixels pooled", "score", ("pooled", "iou")),
    ("Dice, smallest quarter of lesions", "score", ("strata", "size", "Q1 smallest", "dice")),
    ("missed (Dice < 0.1), smallest quarter", "share", ("strata", "size", "Q1 smallest", "missed")),
    ("missed (Dice < 0.1)", "share", ("per_image", "missed")),
    ("HD95, percent of the diagonal", "distance", ("per_image", "hd95_percent_diagonal")),
    ("NSD at 1 % of the diagonal", "score", ("per_image", "nsd")),
    ("Dice, images with marks drawn on", "score", ("strata", "marks", "yes", "dice")),
    ("Dice, images without marks", "score", ("strata", "marks", "no", "dice")),
    ("normals with a false alarm", "share", ("normals", "false_alarm")),
    ("ECE, foreground", "score", ("calibration", "foreground", "ece")),
)


def figure(summary: dict[str, Any], kind: Kind, keys: tuple[str, ...]) -> str | None:
    """One cell: the figure with its 95 % interval and n; None where the study has none."""
    value: Any = summary
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    if value is None or value.get("mean") is None:
        return None
    return f"{interval(value, kind)}, n = {value['n']}"


def table(names: list[str]) -> str:
    """A Markdown table with a column a study, and the commands that made them."""
    studies = {name: json.loads((STUDIES / f"{name}.json").read_text("utf-8")) for name in names}
    lines = [f"| | {' | '.join(names)} |", "|---|" + "---|" * len(names)]
    for title, kind, keys in MEASURES:
        cells = [figure(study, kind, keys) for study in studies.values()]
        if any(cells):
            lines.append(f"| {title} | {' | '.join(cell or 'not measured' for cell in cells)} |")
    lines.append("")
    lines.append("Figures with their 95 % interval over groups. What was measured, and how:")
    lines.append("")
    for name, study in studies.items():
        lines.append(f"- {name}: {study['statement']} `{study['command']}`")
    return "\n".join(lines) + "\n"


def refresh(text: str) -> str:
    """A page with its tables written anew."""

    def block(found: re.Match[str]) -> str:
        return f"{found[1]}\n{table(found['names'].split())}\n{found[3]}"

    return BLOCK.sub(block, text)


def add(name: str, study: Path) -> None:
    """Keep a study: its summary and its row an image; no picture."""
    STUDIES.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(study / "summary.json", STUDIES / f"{name}.json")
    shutil.copyfile(study / "images.csv", STUDIES / f"{name}.csv")


def main() -> None:
    """See the module's docstring."""
    if sys.argv[1:2] == ["add"]:
        add(sys.argv[2], Path(sys.argv[3]))
    for page in PAGES:
        before = page.read_text("utf-8")
        after = refresh(before)
        if after != before:
            atomic_write_text(page, after)


if __name__ == "__main__":
    main()
