"""The folder of an evaluation: tables, summary, figures and the page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonoseg.errors import OutputError
from sonoseg.evaluation import case_selection as cases
from sonoseg.evaluation.evaluation import FROC, RELIABILITY, RISK_COVERAGE, ROWS, SUMMARY, Evaluation
from sonoseg.results.evaluation_figures import FOLDER, NAMES, draw_figures
from sonoseg.results.evaluation_page import PAGE, write_evaluation_page

if TYPE_CHECKING:
    from sonoseg.data.prepared_set import PreparedSet
    from sonoseg.inference.predictor import Predictor

COMPARED = "compared"


def require_free_folder(folder: Path, *, overwrite: bool) -> None:
    """Check that an evaluation can be written to `folder`, before it starts.

    Raises OutputError where the path is a file, or has an evaluation and `overwrite` is not set.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError("a file, not a folder", where=folder, remedy="Choose another --out")
    there = [
        name for name in (ROWS, SUMMARY, FROC, RELIABILITY, RISK_COVERAGE, PAGE) if (folder / name).exists()
    ]
    if there and not overwrite:
        raise OutputError(
            f"an evaluation is here already ({', '.join(there)})",
            where=folder,
            remedy="Replace it with --overwrite, or choose another --out",
        )


def write_evaluation(
    evaluation: Evaluation,
    folder: Path,
    predictor: Predictor,
    prepared: PreparedSet,
    *,
    other: Evaluation | None = None,
    comparison: dict[str, Any] | None = None,
) -> Path:
    """Write the tables (CSV), summary.json, figures/ and index.html, and return the path of the page.

    predictor, prepared: those of the evaluation; the few images that the page shows are predicted again.
    other, comparison: the evaluation compared with, written to compared/, and what `compare` returned.
    Figures of an earlier evaluation that this one does not draw are removed. Raises OutputError.
    """
    if comparison is not None:
        evaluation.summary["comparison"] = comparison
    if other is not None:
        other.save(folder / COMPARED)
    evaluation.save(folder)
    table, extremes = cases.table_of_images(evaluation.rows), cases.best_median_worst(evaluation.rows)
    wanted = [*table, *(name for names in extremes.values() for name in names)]
    shown = cases.gather(predictor, prepared, wanted, evaluation.rows)
    figures = draw_figures(
        folder,
        evaluation.rows,
        evaluation.summary,
        evaluation.froc,
        evaluation.reliability,
        [shown[name] for name in table],
        {heading: [shown[name] for name in names] for heading, names in extremes.items()},
        None if other is None else (other.name, other.rows),
        comparison,
        evaluation.risk_coverage,
    )
    drawn = {one.path.stem for one in figures}
    for name in NAMES - drawn:
        (folder / FOLDER / f"{name}.png").unlink(missing_ok=True)
    return write_evaluation_page(folder, evaluation.summary, figures, comparison)
