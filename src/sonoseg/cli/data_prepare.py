"""`sonoseg data prepare` and `sonoseg data from-reviews`: write a prepared set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sonoseg.cli.common import err, out, print_json, progress
from sonoseg.cli.data_options import (
    FitChoice,
    FitOption,
    JsonOption,
    OverwriteOption,
    SetOption,
    SetsArgument,
    SizeOption,
)
from sonoseg.errors import BatchError, UsageError

if TYPE_CHECKING:
    from sonoseg.data.preparation import PreparationResult

OutOption = Annotated[Path, typer.Option("--out", "-o", help="The folder to write the prepared set to.")]


def prepare(
    sets: SetsArgument,
    to: OutOption,
    size: SizeOption = 256,
    fit: FitOption = FitChoice.stretch,
    kind: SetOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Turn one set or several into a prepared set, fast to read and the same on every machine.

    An interrupted run is resumed. Images that cannot be used are skipped and listed (exit code 3).
    """
    from sonoseg.cli.warnings_display import plain_warnings
    from sonoseg.data.preparation import prepare as run
    from sonoseg.data.readers import read_sources

    sources = read_sources(sets, kind)
    for source in sources:
        for text in source.ignored:
            err.print(f"{source.folder}: {text}", markup=False, soft_wrap=True)
    with plain_warnings():
        result = run(sources, to, size=size, fit=fit.value, overwrite=overwrite, track=progress)
    _print_summary(result, as_json=as_json)


def from_reviews(
    state: Annotated[Path, typer.Argument(help="The state folder of `sonoseg serve`.")],
    to: OutOption,
    name: Annotated[str, typer.Option(help="The name of the set.")] = "reviews",
    size: SizeOption = 256,
    fit: FitOption = FitChoice.stretch,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write the masks signed on the review page as a prepared set for `sonoseg train`.

    Takes the signed items with their current masks. The table keeps who signed, when, who drew the mask and
    which model the reader saw. The state folder is only read: a server may be running on it.
    """
    from sonoseg.data.readers.own_layouts import short_name
    from sonoseg.data.signed_masks import prepare_reviews
    from sonoseg.review.signed_annotations import signed_items
    from sonoseg.review.store import Store

    if name != short_name(Path(name)):
        raise UsageError(
            f"'{name}' is not a valid name for a set", where="--name", remedy="Use letters, digits, - and _"
        )
    with Store(state, read_only=True) as store:
        result = prepare_reviews(
            signed_items(store),
            state,
            to,
            name=name,
            size=size,
            fit=fit.value,
            overwrite=overwrite,
            track=progress,
        )
    _print_summary(result, as_json=as_json)


def _print_summary(result: PreparationResult, *, as_json: bool) -> None:
    """Print the result and the skipped images. Raises BatchError where an image cannot be used."""
    if as_json:
        print_json(
            {
                "folder": str(result.folder),
                "fingerprint": result.fingerprint,
                "images": result.images,
                "fresh": result.fresh,
                "skipped": [{"id": name, "reason": reason} for name, reason in result.skipped],
                "known": [{"id": name, "reason": reason} for name, reason in result.known],
            }
        )
    else:
        word = "prepared" if result.fresh else "already prepared"
        out.print(f"{word}: {result.images} images in {result.folder}", markup=False, soft_wrap=True)
        out.print(f"fingerprint {result.fingerprint[:12]}")
    for name, reason in result.known:
        err.print(f"skipped {name}, a fault of the published set: {reason}", markup=False, soft_wrap=True)
    for name, reason in result.skipped:
        err.print(f"skipped {name}: {reason}", markup=False, soft_wrap=True)
    if result.skipped:
        raise BatchError(
            f"{len(result.skipped)} of {len(result.skipped) + result.images} images were skipped",
            where=result.folder,
            remedy="Correct the files listed above and prepare with --overwrite, or continue without them",
        )
