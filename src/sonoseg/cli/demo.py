"""`sonoseg demo`: the sample scans in the package, segmented with the model in the package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from sonoseg.cli.common import out

COMMAND = "sonoseg demo"


def demo(
    to: Annotated[Path, typer.Option("--out", "-o", help="The folder to write results to.")] = Path("demo"),
) -> None:
    """Segment the sample scans that come with sonoseg: synthetic ones, of no patient.

    Writes masks, overlays, results.csv, results.json and index.html. Run again it makes its own files anew.
    """
    from sonoseg import samples
    from sonoseg.cli.notices import plain_warnings
    from sonoseg.cli.predict import report, segment_all
    from sonoseg.inference.predictor import Predictor
    from sonoseg.outputs.entries import About
    from sonoseg.outputs.folder import ResultsFolder

    with plain_warnings():
        frames = samples.frames()
        predictor = Predictor()
        names = {frame.source: frame.name for frame in frames if frame.source}
        results = ResultsFolder(to, names, About.of(predictor, COMMAND))
        results.check(overwrite=_our_own(results.summary))
        results.finish()  # empty as yet: it marks the folder as the demo's own, should the work be broken off
        segment_all(predictor, results, frames)
        results.finish()
    out.print("Synthetic scans made by sonoseg, of no patient:")
    report(results)


def _our_own(summary: Path) -> bool:
    """Whether a results.json was written by this command, so that its folder may be written anew."""
    try:
        value = json.loads(summary.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(value, dict) and value.get("made_by") == COMMAND
