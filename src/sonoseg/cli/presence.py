"""`sonoseg model presence`: the level at which the presence head lets anything be drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sonoseg.cli.common import need, out, print_json


def presence(
    data: Annotated[Path, typer.Option("--data", help="The prepared set.")],
    split: Annotated[Path, typer.Option("--split", help="The split file made for it.")],
    to: Annotated[Path, typer.Option("--out", "-o", help="The folder to write the new model to.")],
    model: Annotated[
        Path | None, typer.Argument(help="A model folder or training run; the shipped model by default.")
    ] = None,
    keep: Annotated[
        float,
        typer.Option(min=0.5, max=1.0, help="Share of the validation pictures with a lesion that must pass."),
    ] = 0.98,
    fold: Annotated[int, typer.Option(min=0, help="The fold whose validation part is used.")] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a model that is there, be it this one.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write what was found as JSON.")] = False,
) -> None:
    """Let the presence head decide: below a level a picture stays empty, above it nothing is held back.

    The level is the one that --keep of the validation pictures with a lesion reach. Writes a new model folder
    without the figures of the old one: go on with `sonoseg model calibrate`. The test part is not touched.
    """
    need("train", "torch", "onnx", "onnxscript", "safetensors", "yaml", "pandas")
    from sonoseg.datasets.prepared import PreparedSet
    from sonoseg.datasets.splits import Split
    from sonoseg.evaluation.scope import choose_ids
    from sonoseg.model.model import Model
    from sonoseg.training.presence import choose_level, decide_presence, presence_logits

    prepared, loaded = PreparedSet.open(data), Model.load(model)
    ids = choose_ids(prepared, Split.load(split), fold, "validation")
    logits, lesion = presence_logits(loaded, prepared, ids)
    decision = choose_level(logits, lesion, keep)
    decide_presence(loaded, decision, to, overwrite=overwrite)
    if as_json:
        print_json({"folder": str(to), **decision.as_dict()})
        return
    out.print(
        f"level {decision.level:.3f}, reached by {keep:.1%} of {decision.lesions} validation pictures "
        "with a lesion",
        markup=False,
        soft_wrap=True,
    )
    if decision.normals_above is not None:
        out.print(f"and by {decision.normals_above:.1%} of {decision.normals} normals", markup=False)
    out.print(f"model: {to}", markup=False, soft_wrap=True)
