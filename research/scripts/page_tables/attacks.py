"""The tables of docs/threat-model.md: attacks before and after the limits, and the soak test."""

from __future__ import annotations

from page_tables.markdown import Result, mebibytes, table

TARGETS = {"node": "DICOM node", "server": "review server", "files": "files from strangers"}


def attacks(result: Result) -> str:
    """What of each attack held, in two source trees."""
    before = {(one["target"], one["attack"]): one for one in result["before"]}
    rows = []
    for one in result["rows"]:
        earlier = before[one["target"], one["attack"]]
        rows.append(
            (
                TARGETS[one["target"]],
                one["what"].rstrip("."),
                *(
                    f"{of['held']:,} of {of['tried']:,}{'; ' if of['figure'] else ''}{of['figure']}"
                    for of in (earlier, one)
                ),
            )
        )
    return table(("Target", "Attack", "Held before", "Held now"), rows)


def held(one: Result) -> str:
    """How many attempts held, and what was measured."""
    return "; ".join(filter(None, (f"{one['held']:,} of {one['tried']:,}", one["figure"])))


def soak(result: Result) -> str:
    """What was done and lost, and memory and descriptors from the first to the last sample."""
    there, samples = result["archive"], result["samples"]
    after_start = [one for one in samples if one["seconds"] >= 300] or samples
    tenth = max(1, len(after_start) // 10)

    def change(name: str, shown: object) -> str:
        values = [one[name] for one in after_start]
        first, last = sorted(values[:tenth])[tenth // 2], sorted(values[-tenth:])[tenth // 2]
        text = mebibytes if shown == "memory" else str
        return f"{text(first)}, {text(last)}, at most {text(max(values))}"

    faults = ", ".join(f"{name} {count}" for name, count in result["faults"].items())
    answers = ", ".join(f"{name} {count:,}" for name, count in result["answers"].items())
    pixels = there["pixels"]
    rows = [
        ("minutes; faults", f"{result['minutes']:g}; {faults}"),
        ("answers to C-STORE requests", answers),
        (
            "**instances accepted; results missing, double**",
            f"**{result['accepted']:,}; {there['missing']}, {there['double']}**",
        ),
        ("SEG aligned with its source", f"{there['aligned']:,} of {there['kinds']['seg']:,}"),
        ("SEG equal to the model's own mask (a sample)", f"{pixels['equal']} of {pixels['compared']}"),
        (
            "predictions of the server; masks confirmed, **lost**",
            f"{result['predictions']:,}; {result['masks']:,}, **{result['masks_lost']}**",
        ),
        ("memory of the node: first tenth, last tenth, greatest", change("node resident", "memory")),
        ("memory of the server", change("server resident", "memory")),
        ("file descriptors of the node", change("node descriptors", "count")),
        ("file descriptors of the server", change("server descriptors", "count")),
    ]
    return table(("Soak test", ""), rows)
