"""`sonoseg model precisions`: the loss of Dice in bf16 and int8."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sonoseg._util.packages import require
from sonoseg.cli.common import err, out, print_json, progress
from sonoseg.cli.model_options import ModelFolder, PreparedFolder, SplitFile

if TYPE_CHECKING:
    from sonoseg.evaluation.precision_loss import Loss


def precisions(
    data: PreparedFolder,
    split: SplitFile,
    model: ModelFolder = None,
    fold: Annotated[int, typer.Option(min=0, help="The fold of the split.")] = 0,
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="Only the images of this set, of a joined one.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only so many images, evenly spaced: for a quick test.")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write the losses to the model card, for --precision auto.")
    ] = False,
    json_file: Annotated[Path | None, typer.Option("--json-file", help="Also write them here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write them to stdout as JSON.")] = False,
) -> None:
    """Measure the loss of lesion Dice of each runtime and precision, on validation images.

    Compared image by image with ONNX Runtime in fp32. Accepted are 0.002 for bf16 and 0.005 for int8.
    """
    require("data", "pandas")
    from sonoseg._util.files import atomic_write_text
    from sonoseg.data.prepared_set import PreparedSet
    from sonoseg.data.splits import Split
    from sonoseg.errors import UsageError
    from sonoseg.evaluation.card_updates import write_precisions
    from sonoseg.evaluation.precision_loss import candidates, measure_losses
    from sonoseg.evaluation.provenance import describe_run
    from sonoseg.evaluation.scope import choose_ids, describe, only_sets
    from sonoseg.inference.predictor import Predictor
    from sonoseg.model.model import Model

    if write and (limit is not None or sets):
        raise UsageError(
            "--write needs all validation images", remedy="Leave out --limit and --set, or --write"
        )
    prepared, parts, loaded = PreparedSet.open(data), Split.load(split), Model.load(model)
    ids = only_sets(prepared, choose_ids(prepared, parts, fold, "validation"), sets or [])
    if limit is not None:
        ids = ids[:: max(1, len(ids) // limit)][:limit]
    chosen, absent = candidates(loaded)
    for line in absent:
        err.print(f"[yellow]not measured:[/] {line}", soft_wrap=True)
    reference, losses = measure_losses(loaded, prepared, ids, chosen, track=progress)
    about = describe(prepared, parts, split, fold, "validation", loaded.card, None, sets or [])
    result: dict[str, Any] = {
        "benchmark": "precision_loss",
        **describe_run(Predictor(loaded, runtime="onnx", precision="fp32")),
        **about,
        "processor": _processor(),
        "reference_dice": round(reference, 6),
        "losses": [one.as_dict() for one in losses],
    }
    if write:
        write_precisions(loaded, losses, about["statement"], result["command"])
    if json_file is not None:
        atomic_write_text(json_file, json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    if as_json:
        print_json(result)
        return
    _show(reference, losses)
    if write:
        out.print(f"written to the card in {loaded.folder}", soft_wrap=True, markup=False)


def _show(reference: float, losses: list[Loss]) -> None:
    from rich.table import Table

    n = losses[0].n if losses else 0
    table = Table(title=f"Dice lost; fp32 has {reference:.4f} (n = {n})", title_justify="left")
    for title in ("runtime", "loss [95 % interval]", "largest", "accepted"):
        table.add_column(title, justify="left" if title == "runtime" else "right", overflow="fold")
    for one in losses:
        table.add_row(
            one.name,
            f"{one.loss:.4f} \\[{one.low:.4f}, {one.high:.4f}]",
            f"{one.largest:.3f}",
            f"{one.bar:g}",
        )
    out.print(table)


def _processor() -> str:
    import platform

    return platform.processor() or platform.machine()
