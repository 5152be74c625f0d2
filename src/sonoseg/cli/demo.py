"""`sonoseg demo`: the sample scans in the package, segmented with the model in the package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sonoseg.cli.common import out

COMMAND = "sonoseg demo"

PAGE = "index.html"
"""What the demo calls its page: the same one as report.html of `sonoseg predict`."""


def demo(
    to: Annotated[Path, typer.Option("--out", "-o", help="The folder to write results to.")] = Path("demo"),
) -> None:
    """Segment the sample scans that come with sonoseg: synthetic ones, of no patient.

    Writes masks, overlays, results.csv, results.json, index.html and report.json. Run again it makes its own
    files anew.
    """
    from sonoseg import samples
    from sonoseg.cli.segment_files import segment_all
    from sonoseg.cli.summary import report
    from sonoseg.cli.warnings_display import plain_warnings
    from sonoseg.inference.predictor import Predictor
    from sonoseg.results.entries import RunInfo
    from sonoseg.results.journal import JOURNAL, recorded_fingerprint
    from sonoseg.results.results_folder import ResultsFolder

    with plain_warnings():
        frames = samples.frames()
        predictor = Predictor(images=len(frames))
        names = {frame.source: frame.name for frame in frames if frame.source}
        results = ResultsFolder(to, names, RunInfo.of(predictor, COMMAND), page=PAGE)
        # Its own results, whole or broken off, it makes anew.
        results.check(overwrite=recorded_fingerprint(to / JOURNAL).get("command") == COMMAND)
        with results:
            results.begin()
            segment_all(predictor, results, frames)
            found = results.finish()
    out.print("Synthetic scans made by sonoseg, of no patient:")
    report(results, found)
