"""`sonoseg export`: a model as a file for another engine, or with an int8 network added to its folder."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sonoseg._util.packages import require
from sonoseg.cli.common import out
from sonoseg.errors import ModelError, OutputError, UsageError

if TYPE_CHECKING:
    from sonoseg.model.model import Model

PARITY = 1e-4
"""The largest difference of a probability that a file in fp32 may have."""


class FormatChoice(StrEnum):
    """Whose format."""

    onnx = "onnx"
    openvino = "openvino"
    torch = "torch"
    keras = "keras"


class FilePrecision(StrEnum):
    """What the file holds."""

    fp32 = "fp32"
    bf16 = "bf16"
    int8 = "int8"


def export(
    model: Annotated[
        Path | None, typer.Argument(help="A model folder or training run; the shipped model by default.")
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The file to write; with --calibrate, none is the model's folder."),
    ] = None,
    form: Annotated[FormatChoice, typer.Option("--format", help="Whose format.")] = FormatChoice.onnx,
    precision: Annotated[FilePrecision, typer.Option(help="What it computes in.")] = FilePrecision.fp32,
    calibrate: Annotated[
        Path | None,
        typer.Option(help="Make the int8 network, calibrated on training images of this prepared set."),
    ] = None,
    split: Annotated[Path | None, typer.Option(help="The split that the model was trained on.")] = None,
    fold: Annotated[int | None, typer.Option(min=0, help="Its fold; the card's by default.")] = None,
    images: Annotated[int, typer.Option(min=1, help="Images to calibrate on.")] = 64,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
) -> None:
    """Write a model's network as a file for another engine, and compare it with the model.

    With --precision int8 --calibrate DATA --split FILE the int8 network is made; without --out it becomes a
    part of the model (model.int8.onnx, its hash on the card). What it loses is measured by
    `sonoseg model precisions`.
    """
    from sonoseg.model.model import INT8, Model
    from sonoseg.training.formats import ENDINGS, FORMATS, write_format

    loaded = Model.load(model)
    kind, what = form.value, precision.value
    if what not in FORMATS[kind]:
        raise UsageError(
            f"the format {kind} holds {' or '.join(FORMATS[kind])}, not {what}",
            where="--precision",
            remedy="Choose another --precision or --format",
        )
    if calibrate is not None and (what != "int8" or kind != "onnx" or split is None):
        raise UsageError(
            "--calibrate makes the ONNX file in int8",
            remedy="Give it with --format onnx, --precision int8 and --split FILE",
        )
    if to is None and calibrate is None:
        raise UsageError("no file to write to", where="--out", remedy=f"Give --out NAME{ENDINGS[kind]}")
    path = to if to is not None else loaded.folder / INT8
    if path.suffix != ENDINGS[kind]:
        raise UsageError(
            f"a file of the format {kind} ends in {ENDINGS[kind]}", where="--out", remedy="Name it so"
        )
    there = [one for one in (path, path.with_suffix(".bin")) if one.exists()]
    if there and not overwrite and (there[0] == path or kind == "openvino"):
        raise OutputError("the file is there already", where=there[0], remedy="Replace it with --overwrite")
    if calibrate is not None and split is not None:
        made = _make_int8(loaded, path, calibrate, split, fold, images)
        if to is None:
            loaded = _add(loaded, made)
    else:
        write_format(loaded, kind, what, path)
    _compare(loaded, kind, what, path)


def _make_int8(
    model: Model, path: Path, data: Path, split_file: Path, fold: int | None, count: int
) -> dict[str, Any]:
    """Write the int8 network; returns what the card says of it."""
    require("train", "onnx", "pandas")
    from sonoseg.data.prepared_set import PreparedSet
    from sonoseg.data.splits import Split
    from sonoseg.model.export.int8 import calibration_pixels, write_int8

    prepared, split = PreparedSet.open(data), Split.load(split_file)
    pixels = calibration_pixels(model.card, prepared, split, split_file, fold=fold, count=count)
    out.print(f"calibrating on {len(pixels)} training images")
    write_int8(model, pixels, path)
    return {"calibrated_on": len(pixels), "fingerprint": prepared.fingerprint}


def _add(model: Model, made: dict[str, Any]) -> Model:
    """Name the int8 file on the card; what was measured of an earlier one is forgotten."""
    from sonoseg._util.files import sha256_file
    from sonoseg.model.model import CARD, INT8, Model

    card = model.card.model_copy(
        update={
            "training": model.card.training | {"int8": made},
            "precisions": [one for one in model.card.precisions if one.precision != "int8"],
            "sha256": model.card.sha256 | {INT8: sha256_file(model.folder / INT8)},
        }
    )
    card.write(model.folder / CARD)
    return Model.load(model.folder)


def _compare(model: Model, kind: str, precision: str, path: Path) -> None:
    """Hold the file against the model on the sample images; a file in fp32 must agree within PARITY."""
    import numpy as np

    from sonoseg.image.network_grid import Grid
    from sonoseg.inputs.reading import read_frame
    from sonoseg.samples import paths
    from sonoseg.training.formats import furthest

    card = model.card.preprocessing
    frames = [read_frame(one) for one in paths()[:3]]
    pixels = np.stack([Grid(one.shape, card.size, card.fit).to_network(one.pixels) for one in frames])
    scaled = (pixels.astype(np.float32) / np.float32(255) - np.float32(card.mean)) / np.float32(card.std)
    worst = furthest(model, kind, path, np.repeat(scaled[:, None], card.channels, axis=1))
    out.print(
        f"{path}: {kind}, {precision}, {path.stat().st_size / 1e6:.1f} MB; probabilities within {worst:.1e} "
        f"of the model's, on {len(frames)} samples",
        markup=False,
        soft_wrap=True,
    )
    if precision == "fp32" and not worst <= PARITY:
        raise ModelError(
            f"the file differs from the model by {worst:.2g}", where=path, remedy="Do not use it; report this"
        )
