"""`sonoseg model presence`: the level at which the presence head lets anything be drawn."""

from __future__ import annotations

from typing import Annotated

import typer

from sonoseg._util.packages import require
from sonoseg.cli.common import out, print_json, progress
from sonoseg.cli.model_options import (
    ModelFolder,
    NewFolder,
    Overwrite,
    PreparedFolder,
    SplitFile,
    ValidationFold,
)


def presence(
    data: PreparedFolder,
    split: SplitFile,
    to: NewFolder,
    model: ModelFolder = None,
    keep: Annotated[
        float,
        typer.Option(min=0.5, max=1.0, help="Share of the validation images with a lesion that must pass."),
    ] = 0.98,
    fold: ValidationFold = 0,
    overwrite: Overwrite = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write what was found as JSON.")] = False,
) -> None:
    """Let the presence head decide: below a level an image stays empty, above it nothing is held back.

    The level is the one that --keep of the validation images with a lesion reach. Writes a new model folder
    without the figures of the old one: go on with `sonoseg model calibrate`. The test part is not touched.
    """
    require("train", "torch", "onnx", "onnxscript", "safetensors", "yaml", "pandas")
    from sonoseg.data.prepared_set import PreparedSet
    from sonoseg.data.splits import Split
    from sonoseg.evaluation.scope import choose_ids
    from sonoseg.model.model import Model, check_target
    from sonoseg.training.presence_threshold import choose_level, decide_presence, presence_logits

    check_target(to, overwrite)
    prepared, loaded = PreparedSet.open(data), Model.load(model)
    ids = choose_ids(prepared, Split.load(split), fold, "validation")
    logits, lesion = presence_logits(loaded, prepared, ids, progress)
    decision = choose_level(logits, lesion, keep)
    decide_presence(loaded, decision, to, overwrite=overwrite)
    if as_json:
        print_json({"folder": str(to), **decision.as_dict()})
        return
    out.print(
        f"level {decision.level:.3f}, reached by {keep:.1%} of {decision.lesions} validation images "
        "with a lesion",
        markup=False,
        soft_wrap=True,
    )
    if decision.normals_above is not None:
        out.print(f"and by {decision.normals_above:.1%} of {decision.normals} normals", markup=False)
    else:
        out.print(
            "[yellow]caution:[/] none of these images is without a lesion: what the decision costs can be "
            "measured on them, what it is worth cannot. Compare both models with --part validation",
            soft_wrap=True,
        )
    out.print(f"model: {to}", markup=False, soft_wrap=True)
