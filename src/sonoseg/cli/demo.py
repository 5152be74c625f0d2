"""`sonoseg demo`: segments the sample images in the package with the shipped model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sonoseg.cli.common import out

COMMAND = "sonoseg demo"

PAGE = "index.html"
"""The demo's name for the page that `sonoseg predict` calls report.html."""


def demo(
    to: Annotated[Path, typer.Option("--out", "-o", help="The folder to write results to.")] = Path("demo"),
) -> None:
    """Segment the sample images that come with sonoseg: synthetic ones, of no patient.

    Writes masks, overlays, results.csv, results.json, index.html and report.json. Another run replaces its
    own files.
    """
    from sonoseg import samples
    from sonoseg.cli.summary import print_results
    from sonoseg.cli.warnings_display import late_progress, plain_warnings
    from sonoseg.inference.predictor import Predictor
    from sonoseg.results.entries import RunInfo
    from sonoseg.results.journal import JOURNAL, recorded_fingerprint
    from sonoseg.results.prediction_run import predict_into
    from sonoseg.results.results_folder import ResultsFolder

    with plain_warnings():
        frames = samples.frames()
        predictor = Predictor()
        names = {frame.source: frame.name for frame in frames if frame.source}
        folder = ResultsFolder(to, names, RunInfo.of(predictor, COMMAND), page=PAGE)
        folder.check(overwrite=recorded_fingerprint(to / JOURNAL).get("command") == COMMAND)
        with folder:
            folder.begin()
            predict_into(folder, predictor, frames, track=late_progress(quiet=False))
            results = folder.finish()
    out.print("Synthetic images made by sonoseg, of no patient:")
    print_results(results, folder.page)
