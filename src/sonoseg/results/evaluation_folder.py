"""A study written to a folder: tables, summary, figures and the page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonoseg.errors import OutputError
from sonoseg.evaluation import case_selection as cases
from sonoseg.evaluation.evaluation import FROC, RELIABILITY, RISK_COVERAGE, ROWS, SUMMARY, Evaluation
from sonoseg.results.evaluation_figures import FOLDER, NAMES, draw_figures
from sonoseg.results.evaluation_page import PAGE, write_page

if TYPE_CHECKING:
    from sonoseg.data.prepared_set import PreparedSet
    from sonoseg.evaluation.evaluation import PredictsMany

COMPARED = "compared"


def free_folder(folder: Path, *, overwrite: bool) -> None:
    """Raise OutputError where a study is in `folder` and may not be replaced, or the path is a file.

    Asked before a study begins, so that nobody waits for a result that has no place.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError("this is a file, not a folder", where=folder, remedy="Choose another --out")
    there = [
        name for name in (ROWS, SUMMARY, FROC, RELIABILITY, RISK_COVERAGE, PAGE) if (folder / name).exists()
    ]
    if there and not overwrite:
        raise OutputError(
            f"a study is here already ({', '.join(there)})",
            where=folder,
            remedy="Replace it with --overwrite, or choose another --out",
        )


def write_study(
    study: Evaluation,
    folder: Path,
    predictor: PredictsMany,
    prepared: PreparedSet,
    *,
    other: Evaluation | None = None,
    comparison: dict[str, Any] | None = None,
) -> Path:
    """Write the tables (CSV), summary.json, figures/ and index.html. Returns the page.

    predictor, prepared: what the study was made of; the few images that the page shows are predicted again.
    other, comparison: the study compared with and what `compare` returned; the study goes to compared/.
    Figures of an earlier study that this one does not draw are removed. Raises OutputError.
    """
    if comparison is not None:
        study.summary["comparison"] = comparison
    if other is not None:
        other.save(folder / COMPARED)
    study.save(folder)
    table, extremes = cases.table_of_images(study.rows), cases.best_median_worst(study.rows)
    wanted = [*table, *(name for names in extremes.values() for name in names)]
    shown = cases.gather(predictor, prepared, wanted, study.rows)
    figures = draw_figures(
        folder,
        study.rows,
        study.summary,
        study.froc,
        study.reliability,
        [shown[name] for name in table],
        {heading: [shown[name] for name in names] for heading, names in extremes.items()},
        None if other is None else (other.name, other.rows),
        comparison,
        study.risk_coverage,
    )
    drawn = {one.path.stem for one in figures}
    for name in NAMES - drawn:
        (folder / FOLDER / f"{name}.png").unlink(missing_ok=True)
    return write_page(folder, study.summary, figures, comparison)
