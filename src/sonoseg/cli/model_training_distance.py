"""`sonoseg model training-distance`: what the training images are like, to mark images unlike them."""

from __future__ import annotations

from typing import Annotated

import typer

from sonoseg._util.packages import require
from sonoseg.cli.common import out, print_json, progress
from sonoseg.cli.model_options import ModelFolder, NewFolder, Overwrite, PreparedFolder, SplitFile


def training_distance(
    data: PreparedFolder,
    split: SplitFile,
    to: NewFolder,
    model: ModelFolder = None,
    fold: Annotated[int, typer.Option(min=0, help="The fold whose training part is used.")] = 0,
    overwrite: Overwrite = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the result as JSON.")] = False,
) -> None:
    """Fit what the training images are like, so that other images are marked as unlike them.

    Writes a new model folder with the same network. Only training images are used; the limit is the distance
    that 99 % of them stay below when their group is left out of the fit.
    """
    require("data", "pandas", "sklearn")
    from sonoseg.data.prepared_set import PreparedSet
    from sonoseg.data.splits import Split
    from sonoseg.evaluation.scope import choose_ids
    from sonoseg.evaluation.training_range import (
        fit_training_distance,
        largest_lesion,
        training_features,
        write_training_range,
    )
    from sonoseg.model.model import Model, check_target

    check_target(to, overwrite)
    prepared = PreparedSet.open(data)
    ids = choose_ids(prepared, Split.load(split), fold, "train")
    loaded = Model.load(model)
    features = training_features(loaded, prepared, ids, progress)
    groups = [str(prepared.table["group"][name]) for name in ids]
    distance = fit_training_distance(features, groups * (len(features) // len(ids)))
    largest = largest_lesion(prepared, ids)
    write_training_range(loaded, distance, len(ids), largest, to, overwrite=overwrite)
    if as_json:
        values = {"images": len(ids), "limit": distance.limit, "largest_lesion": largest}
        print_json({"folder": str(to), **values})
        return
    out.print(f"limit {distance.limit:.2f}, from {len(ids)} training images", markup=False)
    out.print(f"largest lesion: {largest:.1%} of its image", markup=False)
    out.print(f"model: {to}", markup=False, soft_wrap=True)
