"""`sonoseg evaluate`: a model measured honestly, as a table, a summary and a page."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sonoseg._util.packages import require
from sonoseg.cli.choices import PrecisionChoice, RuntimeChoice, TtaChoice
from sonoseg.cli.common import out, print_json, progress

if TYPE_CHECKING:
    from sonoseg.evaluation.evaluation import Evaluation
    from sonoseg.inference.predictor import Predictor
    from sonoseg.results.evaluation_tables import Kind


class PartChoice(StrEnum):
    """Which images to measure."""

    test = "test"
    validation = "validation"
    train = "train"
    all = "all"


def evaluate(
    data: Annotated[Path, typer.Option("--data", help="The prepared set.")],
    to: Annotated[Path, typer.Option("--out", "-o", help="The folder to write the study to.")],
    model: Annotated[
        Path | None, typer.Argument(help="A model folder or a training run; without one, the shipped model.")
    ] = None,
    split: Annotated[
        Path | None, typer.Option("--split", help="The split file; without one, give --part all.")
    ] = None,
    fold: Annotated[int, typer.Option(min=0, help="The fold of the split.")] = 0,
    part: Annotated[PartChoice, typer.Option(help="Which images of the fold.")] = PartChoice.test,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", help="Only the images of this set, of a joined one. Repeatable."),
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option("--compare", help="Another model, or a study's folder, to compare with image by image."),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0.001, max=0.999, help="In place of the one on the model's card.")
    ] = None,
    runtime: Annotated[RuntimeChoice, typer.Option(help="What computes the network.")] = RuntimeChoice.auto,
    precision: Annotated[
        PrecisionChoice, typer.Option(help="What it computes in; auto is what predict takes.")
    ] = PrecisionChoice.fp32,
    tta: Annotated[
        TtaChoice, typer.Option(help="Passes averaged: 1 (none), 2 (flip), 3 (scales) or 6 (full).")
    ] = TtaChoice.none,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads for the network; by default the runtime's choice.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a study that is there.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write the summary to stdout for a program to read.")
    ] = False,
) -> None:
    """Measure a model on the images of a split's part, by the policy of docs/evaluation.md.

    Writes images.csv (a row an image), summary.json, the curves as CSV files, figures and index.html.
    """
    require("data", "pandas", "matplotlib")
    from sonoseg.data.prepared_set import PreparedSet
    from sonoseg.data.splits import Split
    from sonoseg.evaluation.comparison import compare as compare_studies
    from sonoseg.evaluation.evaluation import SUMMARY, Evaluation
    from sonoseg.evaluation.evaluation import evaluate as run
    from sonoseg.evaluation.provenance import describe_run
    from sonoseg.evaluation.scope import choose_ids, describe, only_sets
    from sonoseg.evaluation.threshold_sweep import ThresholdSweep
    from sonoseg.inference.predictor import Predictor
    from sonoseg.results.evaluation_folder import require_free_folder, write_evaluation

    require_free_folder(to, overwrite=overwrite)
    prepared = PreparedSet.open(data)
    parts = None if split is None else Split.load(split)
    ids = only_sets(prepared, choose_ids(prepared, parts, fold, part.value), sets or [])

    def measure(predictor: Predictor, threshold: float | None) -> Evaluation:
        card = predictor.model.card
        about = describe_run(predictor)
        about |= describe(prepared, parts, split, fold, part.value, card, threshold, sets or [])
        sweep = ThresholdSweep.over() if part is PartChoice.validation else None
        return run(predictor, prepared, ids, about=about, sweep=sweep, track=progress)

    def load(which: Path | None, cut: float | None) -> Predictor:
        return Predictor(
            which,
            runtime=runtime.value,
            precision=precision.value,
            threshold=cut,
            tta=tta.value,
            threads=threads,
        )

    # Both are loaded before either is measured: a wrong path should not cost a quarter of an hour.
    predictor = load(model, threshold)
    rival: Evaluation | Predictor | None = None
    if compare is not None and (compare / SUMMARY).is_file():
        rival = Evaluation.load(compare)
    elif compare is not None:
        rival = load(compare, None)
    study = measure(predictor, threshold)
    other = measure(rival, None) if isinstance(rival, Predictor) else rival
    comparison = None if other is None else compare_studies(study, other)
    page = write_evaluation(study, to, predictor, prepared, other=other, comparison=comparison)
    if as_json:
        print_json({"folder": str(to), "page": str(page), "summary": study.summary})
    else:
        _show(study, page)


def _show(study: Evaluation, page: Path) -> None:
    from rich.markup import escape
    from rich.table import Table

    from sonoseg import RESEARCH_ONLY
    from sonoseg.results.evaluation_tables import interval, p_value

    summary = study.summary
    table = Table(title=f"{escape(study.name)}: {escape(str(summary['statement']))}", title_justify="left")
    for column in ("measure", "figure [95 % interval]", "n"):
        table.add_column(column, justify="right" if column == "n" else "left")
    for name, kind, one in _headline(summary):
        if one["mean"] is not None:
            table.add_row(name, escape(interval(one, kind)), str(one["n"]))
    out.print(table)
    for caution in summary["cautions"]:
        out.print(f"[yellow]caution:[/] {escape(caution)}")
    if "comparison" in summary:
        compared = summary["comparison"]
        dice = compared["metrics"]["dice"]
        out.print(
            f"Dice minus that of {escape(compared['second'])}: {escape(interval(dice['difference']))}, "
            f"p {p_value(dice['p_permutation'])} (n = {dice['difference']['n']})"
        )
    out.print(f"page: {page}", markup=False, soft_wrap=True)
    out.print(RESEARCH_ONLY)


def _headline(summary: dict[str, Any]) -> list[tuple[str, Kind, dict[str, Any]]]:
    """Name, kind of number and figure of what the terminal shows."""
    per, lesions, normals = summary["per_image"], summary["lesions"], summary["normals"]
    small = summary["strata"].get("size", {}).get("Q1 smallest", {"dice": {"mean": None}})
    return [
        ("Dice, mean over lesion images", "score", per["dice"]),
        ("Dice, smallest quarter", "score", small["dice"]),
        ("IoU, mean over lesion images", "score", per["iou"]),
        ("Dice, pixels pooled", "score", summary["pooled"]["dice"]),
        ("HD95, percent of the diagonal", "distance", per["hd95_percent_diagonal"]),
        ("HD95, mm", "distance", per["hd95_mm"]),
        ("NSD at 1 % of the diagonal", "score", per["nsd"]),
        ("lesion images missed", "share", per["missed"]),
        ("lesions found", "share", lesions["sensitivity"]),
        ("false positives per image", "rate", lesions["false_positives_per_image"]),
        ("normals with a false alarm", "share", normals["false_alarm"]),
        ("ECE, foreground", "score", summary["calibration"]["foreground"]["ece"]),
        ("correlation of doubt and Dice", "score", summary["doubt"]["spearman"]),
        ("Dice with a fifth referred", "score", summary["doubt"]["dice_left"]["0.2"]),
    ]
