"""Tables of docs/results/postprocessing.md."""

from __future__ import annotations

from evidence import MEASUREMENTS, read_json
from page_tables.markdown import table

COLUMNS = {
    "dice": "Dice",
    "missed": "missed lesions",
    "found": "lesions found, images with several",
    "false": "false positives per image",
    "false_positive": "false-positive rate on normal images",
}
SHARES = ("missed", "false_positive", "found")


def postprocessing_tables(option: str) -> str:
    """The figures of each value of an option of post-processing, a table a model and set."""
    parts = []
    for name, options in read_json(MEASUREMENTS / "postprocessing.json").items():
        values = options[option]
        columns = [key for key in COLUMNS if values["0"][key]["n"]]
        head = (option, *(f"{COLUMNS[key]} (n = {values['0'][key]['n']})" for key in columns))
        rows = []
        for value, figures in values.items():
            cells = []
            for key in columns:
                mean, low, high = (figures[key][part] for part in ("mean", "low", "high"))
                if key in SHARES:
                    cells.append(f"{100 * mean:.1f} % [{100 * low:.1f}, {100 * high:.1f}]")
                else:
                    cells.append(f"{mean:.3f} [{low:.3f}, {high:.3f}]")
            rows.append((value, *cells))
        parts += [f"**{name}**", table(head, rows)]
    return "\n\n".join(parts)
