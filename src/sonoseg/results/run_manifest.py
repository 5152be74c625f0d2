"""report.json, the manifest of a run: inputs, provenance and outputs, without patient data."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from textwrap import indent
from typing import Any, TextIO

from sonoseg import RESEARCH_ONLY
from sonoseg._util.machine import usable_cores
from sonoseg._util.packages import installed_versions
from sonoseg._util.timestamps import utc_now
from sonoseg.results.entries import OutputFile, Results

FORMAT = "sonoseg-report/1"

PACKAGES = ("numpy", "scipy", "pillow", "onnxruntime", "openvino", "torch", "pydicom", "highdicom")
"""Packages that may influence results; the versions of those installed are recorded."""


@dataclass(frozen=True)
class RunNotes:
    """What only the running command knows.

    timings: seconds by activity. warnings: as they were shown.
    model_files: the SHA-256 of the model's files by name.
    """

    timings: dict[str, float] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    model_files: dict[str, str] = field(default_factory=dict)


def write_manifest(
    file: TextIO,
    results: Results,
    notes: RunNotes,
    sessions: Sequence[dict[str, Any]],
    summaries: Sequence[OutputFile],
) -> None:
    """Write the manifest as JSON, one input and output at a time.

    sessions: the periods of work, from the journal. summaries: the tables and the report.
    """
    about, counts = results.about, results.counts
    now = utc_now()
    head = {
        "format": FORMAT,
        "notice": RESEARCH_ONLY,
        "command": about.command,
        "started": sessions[0]["started"] if sessions else now,
        "ended": now,
        "sessions": list(sessions),
        "model": {"name": about.model, "hash": about.model_hash, "files": notes.model_files},
        "runtime": about.runtime,
        "device": device(),
        "options": {
            "threshold": about.threshold,
            "temperature": about.temperature,
            "postprocessing": about.postprocessing,
            **about.options,
        },
        "versions": {
            "sonoseg": about.sonoseg,
            "python": platform.python_version(),
            **installed_versions(PACKAGES),
        },
        "timings": notes.timings,
        "counts": {
            **asdict(counts),
            "refused": len(results.refused),
            "referred": None if results.referred is None else len(results.referred),
        },
        "warnings": list(notes.warnings),
    }
    file.write(json.dumps(head, indent=2, ensure_ascii=False).removesuffix("\n}"))
    _list(file, "inputs", _inputs(results))
    _list(file, "outputs", _outputs(results, summaries))
    file.write("\n}\n")


def device() -> dict[str, Any]:
    """Describe the machine, without name and address."""
    return {"system": platform.system(), "machine": platform.machine(), "cores": usable_cores()}


def _inputs(results: Results) -> Iterator[dict[str, Any]]:
    """Describe each input file once: the frames of a clip follow one another."""
    last: str | None = None
    for entry in results.entries():
        if entry.file != last or not entry.file:
            last = entry.file
            source = entry.source
            yield {
                "file": entry.file or entry.name,
                "sha256": None if source is None else source.sha256,
                "bytes": None if source is None else source.bytes,
                "used": True,
            }
    for one in results.refused:
        yield {"file": one.file, "used": False, "reason": one.reason}


def _outputs(results: Results, summaries: Sequence[OutputFile]) -> Iterator[dict[str, Any]]:
    seen = set()  # each frame of a clip lists the object that holds them all
    for entry in results.entries():
        for kind, one in entry.files.items():
            if one.path not in seen:
                if entry.frame is not None:
                    seen.add(one.path)
                yield {"path": one.path, "kind": kind, "sha256": one.sha256, "bytes": one.bytes}
    for one in summaries:
        yield {"path": one.path, "kind": "summary", "sha256": one.sha256, "bytes": one.bytes}


def _list(file: TextIO, name: str, items: Iterable[dict[str, Any]]) -> None:
    file.write(f',\n  "{name}": [')
    between = "\n"
    for item in items:
        file.write(between + indent(json.dumps(item, ensure_ascii=False), "    "))
        between = ",\n"
    file.write("]" if between == "\n" else "\n  ]")
