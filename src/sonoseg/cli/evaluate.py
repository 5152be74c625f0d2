"""`sonoseg evaluate`: a model measured on images whose masks are known, as tables, a summary and a page."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sonoseg._util.packages import require
from sonoseg.cli.choices import PrecisionChoice, RuntimeChoice, TtaChoice
from sonoseg.cli.common import out, print_json, progress

if TYPE_CHECKING:
    from sonoseg.evaluation.evaluation import Evaluation


PartChoice = StrEnum("PartChoice", ["test", "validation", "train", "all"])


def evaluate(
    data: Annotated[Path, typer.Option("--data", help="The prepared set.")],
    to: Annotated[Path, typer.Option("--out", "-o", help="The folder to write the evaluation to.")],
    model: Annotated[
        Path | None, typer.Argument(help="A model folder or a training run; without one, the shipped model.")
    ] = None,
    split: Annotated[
        Path | None, typer.Option("--split", help="The split file; without one, give --part all.")
    ] = None,
    fold: Annotated[int, typer.Option(min=0, help="The fold of the split.")] = 0,
    part: Annotated[PartChoice, typer.Option(help="Which images of the fold.")] = PartChoice.test,
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="Only images of this set, of a joined one. Repeatable.")
    ] = None,
    compare: Annotated[
        Path | None, typer.Option("--compare", help="Another model, or the folder of an evaluation.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0.001, max=0.999, help="Instead of the one on the model's card.")
    ] = None,
    runtime: Annotated[RuntimeChoice, typer.Option(help="What runs the network.")] = RuntimeChoice.auto,
    precision: Annotated[
        PrecisionChoice, typer.Option(help="Its number format; auto is what predict uses.")
    ] = PrecisionChoice.fp32,
    tta: Annotated[
        TtaChoice, typer.Option(help="Passes averaged: 1 (none), 2 (flip), 3 (scales) or 6 (full).")
    ] = TtaChoice.none,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads for the network; by default the runtime's choice.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing evaluation.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the summary to stdout as JSON.")] = False,
) -> None:
    """Measure a model on the images of a split's part, by the policy of docs/evaluation.md.

    Writes images.csv (one row per image), summary.json, the curves as CSV files, figures and index.html.
    """
    require("data", "pandas", "matplotlib")
    from sonoseg.data.prepared_set import PreparedSet
    from sonoseg.evaluation.comparison import compare as compare_evaluations
    from sonoseg.evaluation.evaluation import SUMMARY, Evaluation, evaluate_part
    from sonoseg.inference.predictor import Predictor
    from sonoseg.results.evaluation_folder import require_free_folder, write_evaluation

    require_free_folder(to, overwrite=overwrite)
    prepared = PreparedSet.open(data)
    settings: dict[str, Any] = {"runtime": runtime.value, "precision": precision.value, "tta": tta.value}
    load: Any = partial(Predictor, threads=threads, **settings)
    scope: dict[str, Any] = {"split_file": split, "fold": fold, "part": part.value, "sets": sets or []}
    measure: Any = partial(evaluate_part, prepared=prepared, track=progress, **scope)

    # Both are loaded before either is measured: a wrong path must not cost a quarter of an hour.
    predictor = load(model, threshold=threshold)
    rival: Any = None
    if compare is not None:
        rival = Evaluation.load(compare) if (compare / SUMMARY).is_file() else load(compare)
    evaluation: Evaluation = measure(predictor)
    other: Evaluation | None = measure(rival) if isinstance(rival, Predictor) else rival
    comparison = None if other is None else compare_evaluations(evaluation, other)
    page = write_evaluation(evaluation, to, predictor, prepared, other=other, comparison=comparison)
    if as_json:
        print_json({"folder": str(to), "page": str(page), "summary": evaluation.summary})
    else:
        _show(evaluation, page)


def _show(evaluation: Evaluation, page: Path) -> None:
    from rich.markup import escape
    from rich.table import Table

    from sonoseg import RESEARCH_ONLY
    from sonoseg.evaluation.headline import FURTHER_HEADLINES, HEADLINES
    from sonoseg.results.evaluation_tables import interval, p_value

    summary = evaluation.summary
    title = f"{escape(evaluation.name)}: {escape(str(summary['statement']))}"
    table = Table("metric", "figure [95 % interval]", title=title, title_justify="left")
    table.add_column("n", justify="right")
    for headline in HEADLINES + FURTHER_HEADLINES:
        one = headline.of(summary)
        if one is not None:
            table.add_row(headline.title, escape(interval(one, headline.kind)), str(one["n"]))
    out.print(table)
    for caution in summary["cautions"]:
        out.print(f"[yellow]caution:[/] {escape(caution)}")
    if "comparison" in summary:
        dice = summary["comparison"]["metrics"]["dice"]
        out.print(
            f"Dice minus that of {escape(summary['comparison']['second'])}: "
            f"{escape(interval(dice['difference']))}, p {p_value(dice['p_permutation'])} (n = "
            f"{dice['difference']['n']})"
        )
    out.print(f"page: {page}", markup=False, soft_wrap=True)
    out.print(RESEARCH_ONLY)
