"""Attack the DICOM node, the review server and the commands that read files from strangers; count what held.

    python research/benchmarks/attacks.py [--source TREE] [--only NAME ...] [--before FILE] [--json FILE]

An attack that FILE has already is not repeated. Each attack starts its own service with default settings on
loopback, in a temporary folder, with an Orthanc server as the PACS. --source is the tree whose package is
attacked; this one by default. An attempt held if it did no harm: the service kept working for others, its
memory and disk did not grow, nothing outside of its folders was read or written, and nothing confirmed was
lost. The exit code is 1 where an attempt did not hold.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import turns
from attack_files import FileAttacks
from attack_node import NodeAttacks
from attack_server import ServerAttacks
from attack_services import Outcome
from pacs_kills import fixtures


def main() -> None:
    """Attack, print and write the result."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--source", type=Path, default=turns.ROOT, help="the source tree to attack")
    options.add_argument("--only", nargs="*", help="names of attacks, as they are printed")
    options.add_argument("--before", type=Path, help="the result of another tree, to stand beside this one")
    options.add_argument("--json", type=Path, help="also write the result here")
    wish = options.parse_args()
    about, rows = turns.machine(), list[dict[str, Any]]()
    if wish.json and wish.json.is_file():
        rows = json.loads(wish.json.read_text("utf-8"))["rows"]
    with tempfile.TemporaryDirectory() as name:
        folder, parts = Path(name), fixtures()
        (folder / "orthanc").mkdir()
        orthanc = parts.Orthanc(folder / "orthanc")
        orthanc.start()
        try:
            for target, attack in attacks(wish.source.resolve(), folder, orthanc, parts):
                if wish.only and attack.__name__ not in wish.only:
                    continue
                if any(one["attack"] == attack.__name__ and one["target"] == target for one in rows):
                    continue
                rows.append(carry_out(target, attack))
                print(json.dumps(rows[-1]), flush=True)
                if wish.json:
                    write(wish.json, about, rows, wish.before)
        finally:
            orthanc.stop()
    if any(one["held"] < one["tried"] for one in rows):
        sys.exit("some attempts did not hold: see above")


def write(path: Path, about: Any, rows: list[dict[str, Any]], before: Path | None) -> None:
    """Write the result so far, with the rows of another tree."""
    result = {
        "benchmark": "attacks",
        "machine": about,
        "versions": {one: version(one) for one in ("pynetdicom", "pydicom", "uvicorn", "starlette")},
        "seconds": sum(one["seconds"] for one in rows),
        "rows": rows,
        "before": json.loads(before.read_text("utf-8"))["rows"] if before else [],
    }
    path.write_text(json.dumps(result, indent=2) + "\n", "utf-8")


def attacks(source: Path, folder: Path, orthanc: Any, parts: Any) -> list[tuple[str, Callable[[], Outcome]]]:
    """Every attack, with its target."""
    node = NodeAttacks(source, folder / "node", orthanc, parts)
    server = ServerAttacks(source, folder / "server", parts)
    files = FileAttacks(source, folder / "files")
    for one in ("node", "server"):
        (folder / one).mkdir()
    return [
        *(
            ("node", one)
            for one in (
                node.silent_connections,
                node.half_requests,
                node.many_connections,
                node.slow_requests,
                node.announced_length,
                node.oversize_data,
                node.ae_titles,
                node.other_content,
                node.fuzzed_instances,
                node.clock,
                node.kills,
            )
        ),
        *(
            ("server", one)
            for one in (
                server.half_open_connections,
                server.slow_headers,
                server.slow_body,
                server.traversal,
                server.without_token,
                server.other_sites,
                server.hostile_names,
                server.bombs,
                server.writers,
                server.permissions,
                server.kills,
                server.memory,
            )
        ),
        *(("files", one) for one in (files.model_names, files.deep_json, files.formulas)),
    ]


def carry_out(target: str, attack: Callable[[], Outcome]) -> dict[str, Any]:
    """Carry out one attack; its row of the table."""
    began = time.monotonic()
    outcome = attack()
    return {
        "target": target,
        "attack": attack.__name__,
        "what": (attack.__doc__ or "").strip(),
        "tried": outcome.tried,
        "held": outcome.held,
        "figure": outcome.figure,
        "seconds": round(time.monotonic() - began, 1),
    }


if __name__ == "__main__":
    main()
