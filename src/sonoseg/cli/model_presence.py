"""`sonoseg model presence`: the presence head's threshold, chosen on validation images."""

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
        typer.Option(
            min=0.5, max=1.0, help="Fraction of the validation images with a lesion that must reach it."
        ),
    ] = 0.98,
    fold: ValidationFold = 0,
    overwrite: Overwrite = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the result as JSON.")] = False,
) -> None:
    """Choose a threshold for the presence head: below it an image stays empty.

    It is the threshold that the fraction --keep of the validation images with a lesion reaches. Writes a new
    model folder without the results of the old one: continue with `sonoseg model calibrate`. The test part is
    not opened.
    """
    require("train", "torch", "onnx", "onnxscript", "safetensors", "yaml", "pandas")
    from sonoseg.data.prepared_set import PreparedSet
    from sonoseg.data.splits import Split
    from sonoseg.evaluation.scope import choose_ids
    from sonoseg.model.model import Model, check_target
    from sonoseg.training import presence_threshold

    check_target(to, overwrite)
    prepared, loaded = PreparedSet.open(data), Model.load(model)
    ids = choose_ids(prepared, Split.load(split), fold, "validation")
    logits, lesion = presence_threshold.presence_logits(loaded, prepared, ids, progress)
    chosen = presence_threshold.choose_presence_threshold(logits, lesion, keep)
    presence_threshold.apply_presence_threshold(loaded, chosen, to, overwrite=overwrite)
    if as_json:
        print_json({"folder": str(to), **chosen.as_dict()})
        return
    out.print(
        f"presence threshold {chosen.threshold:.3f}: reached by {keep:.1%} of {chosen.lesions} validation "
        "images with a lesion",
        markup=False,
        soft_wrap=True,
    )
    if chosen.normals_above is not None:
        out.print(f"and by {chosen.normals_above:.1%} of {chosen.normals} without a lesion", markup=False)
    else:
        out.print(
            "[yellow]caution:[/] every validation image has a lesion, so the gain of the threshold cannot be "
            "measured on them, only its cost. Compare both models with --part validation",
            soft_wrap=True,
        )
    out.print(f"model: {to}", markup=False, soft_wrap=True)
