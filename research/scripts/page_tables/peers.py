"""The table of docs/results/peers.md: what each network finds on a centre not seen, beside what it costs."""

from __future__ import annotations

from evidence import TABLES, read_json
from page_tables.markdown import Result, median, table
from sonoseg.results.evaluation_tables import interval

UNSEEN = "busi"


def peer_latency(result: Result) -> str:
    """Accuracy from the kept study's row of each network, with its cost and its time."""
    experiment = read_json(TABLES / "peers.json")
    (unseen,) = (one for one in experiment["evaluations"] if one["name"] == UNSEEN)
    found = {row["variant"]: row for row in unseen["rows"]}
    rows = [
        (
            row["network"],
            interval(found[row["network"]]["dice"]),
            interval(found[row["network"]]["small_dice"]),
            interval(found[row["network"]]["missed"], "share"),
            interval(found[row["network"]]["false_positive"], "share"),
            f"{row['parameters'] / 1e6:.2f} M",
            f"{row['macs'] / 1e9:.2f}",
            median(row["ms"], 1),
            f"**{median(row['ratio'], 1)}**",
        )
        for row in result["rows"]
    ]
    head = (
        "Network", "Dice", "Dice, smallest quarter", "missed", "false-positive rate on normal images",
        "parameters", "GMAC", "ms an image", f"it / {result['reference']}",
    )  # fmt: skip
    some = found[result["reference"]]
    words = (
        f"BUSI, which none has seen: {some['dice']['n']} lesion images, {some['small_dice']['n']} of them "
        f"the smallest quarter, {some['false_positive']['n']} normals; 95 % intervals over groups. Time at "
        f"{result['size']} pixels, batch 1, float32, ONNX Runtime: median (least to greatest) of the turns."
    )
    return f"{table(head, rows)}\n\n{words}"
