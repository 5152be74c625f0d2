"""The table of docs/results/pacs.md: a PACS node that is killed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from page_tables.markdown import Result, table

NAMES = {"dimse": "results back over C-STORE", "web": "results back over DICOMweb (STOW-RS)"}
KINDS = {"seg": "Segmentation", "sr": "Comprehensive SR", "capture": "Secondary Capture"}
ROWS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "instances sent (of the public set; frames)": lambda one: (
        f"{one['instances']:,} ({one['real']}; {one['frames']:,})"
    ),
    "C-STORE requests of the senders, answered with success, without an answer": lambda one: (
        f"{one['requests']:,}, {one['answers'].get('0x0000', 0):,}, {one['answers'].get('none', 0)}"
    ),
    "**instances accepted**": lambda one: f"**{one['accepted']:,}**",
    **{
        f"{name} in the PACS, expected": lambda one, kind=kind: (
            f"{one['archive']['kinds'][kind]:,}, {one['archive']['wanted'][kind]:,}"
        )
        for kind, name in KINDS.items()
    },
    "**double, missing, of no source**": lambda one: (
        f"**{one['archive']['double']}, {one['archive']['missing']}, {one['archive']['others']}**"
    ),
    "in the queue: sent, failed, neither": lambda one: ", ".join(
        f"{number:,}"
        for number in (
            one["queue"]["sent"],
            one["queue"]["failed"],
            one["queue"]["received"] + one["queue"]["segmented"],
        )
    ),
    "files left in the node's folders": lambda one: str(one["queue"]["left"]),
    "SEG aligned with its source, by rows, columns, study, reference and derivation": lambda one: (
        f"{one['archive']['aligned']:,} of {one['archive']['kinds']['seg']:,}"
    ),
    "SEG equal to the model's own mask, pixel for pixel (of a sample)": lambda one: (
        f"{one['archive']['pixels']['equal']} of {one['archive']['pixels']['compared']}"
    ),
    "seconds, restarts among them": lambda one: (
        f"{one['seconds']:.0f}, {sum(kill['start_seconds'] for kill in one['kills']):.0f}"
    ),
}


def pacs_kills(result: Result) -> str:
    """What was counted on each way, and where each kill found the node."""
    ways = result["ways"]
    counted = [(words, *(row(one) for one in ways.values())) for words, row in ROWS.items()]
    kills = [
        (
            f"{NAMES[way].removeprefix('results back over ')}, {number}",
            f"{kill['seconds']:.0f}",
            f"{kill['answered']:,}, {kill['sending']}",
            ", ".join(str(kill["states"][name]) for name in ("received", "segmented", "sent")),
            str(kill["begun"]),
            str(kill["half"]),
            str(kill["rowless"]),
            str(kill["unnoted"]),
        )
        for way, one in ways.items()
        for number, kill in enumerate(one["kills"], start=1)
    ]
    head = (
        "Kill",
        "after, s",
        "instances answered with success, senders still sending",
        "received, segmented, sent",
        "segmentation started, not finished",
        "half-written",
        "file without a row",
        "result in the PACS, not recorded",
    )
    orthanc = " and ".join(sorted({one["orthanc"] for one in ways.values()}))
    senders = next(iter(ways.values()))["senders"]
    words = (
        f"{senders} senders, which wait at {result['ahead']} instances in work; Orthanc {orthanc}. "
        f"{'Both ways ran at the same time.' if result['at_once'] else 'One way after the other.'}"
    )
    return f"{table(('Counted', *(NAMES[way] for way in ways)), counted)}\n\n{table(head, kills)}\n\n{words}"
