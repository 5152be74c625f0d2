"""`sonoseg model adjust`: the same network with another threshold or other post-processing."""

from __future__ import annotations

from typing import Annotated

import typer

from sonoseg.cli.common import out, print_json
from sonoseg.cli.model_options import ModelFolder, NewFolder, Overwrite
from sonoseg.errors import UsageError


def adjust(
    to: NewFolder,
    model: ModelFolder = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=1.0, help="Pixels of at least this probability are lesion; above 0, below 1."
        ),
    ] = None,
    min_area: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Remove lesions smaller than this fraction of the image."),
    ] = None,
    min_mean_probability: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=1.0, help="Remove lesions of lower mean probability: fewer false positives."
        ),
    ] = None,
    min_relative_probability: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Keep lesions with this fraction of the highest mean probability in the image; 0 keeps all.",
        ),
    ] = None,
    fill_holes: Annotated[bool | None, typer.Option(help="Fill holes in a lesion.")] = None,
    keep_largest: Annotated[bool | None, typer.Option(help="Keep only the largest lesion.")] = None,
    overwrite: Overwrite = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the new values as JSON.")] = False,
) -> None:
    """Change a model's threshold or post-processing, but not its network.

    Writes a new model folder without the results that no longer hold: run sonoseg evaluate again. Choose the
    values on validation images, not on those of the evaluation.
    """
    from pydantic import ValidationError

    from sonoseg._util.validation import describe
    from sonoseg.model.card import ModelCard
    from sonoseg.model.model import Model

    given = {
        "min_area": min_area,
        "min_mean_probability": min_mean_probability,
        "min_relative_probability": min_relative_probability,
        "fill_holes": fill_holes,
        "keep_largest": keep_largest,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes and threshold is None:
        raise UsageError(
            "nothing to change", remedy="Give --threshold, --min-relative-probability or another option"
        )
    loaded = Model.load(model)
    values = loaded.card.model_dump()
    values["postprocessing"] |= changes
    values["threshold"] = loaded.card.threshold if threshold is None else threshold
    # Results on the network's grid, before post-processing, hold as long as the threshold does.
    values["results"] = [
        one for one in values["results"] if threshold is None and "on the network's grid" in one["measure"]
    ]
    try:
        card = ModelCard.model_validate(values)
    except ValidationError as error:
        invalid = describe(error, ModelCard)
        raise UsageError(invalid.problem, remedy="See docs/model-card.md") from error
    made = loaded.copy(to, card, overwrite=overwrite)
    values_now = {"threshold": card.threshold, "postprocessing": card.postprocessing.model_dump()}
    if as_json:
        print_json({"folder": str(made.folder), **values_now})
        return
    out.print(f"threshold {card.threshold:g}", markup=False)
    for name, value in card.postprocessing.model_dump().items():
        out.print(f"{name} {value}", markup=False)
    out.print(f"model: {to}", markup=False, soft_wrap=True)
