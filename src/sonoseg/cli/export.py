"""`sonoseg export`: a model as a file for another engine, or with an int8 network added to its folder."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sonoseg._util.packages import require
from sonoseg.cli.common import out
from sonoseg.errors import UsageError


class FormatChoice(StrEnum):
    """The file format."""

    onnx = "onnx"
    openvino = "openvino"
    torch = "torch"
    keras = "keras"


class FilePrecision(StrEnum):
    """The precision of the file's weights."""

    fp32 = "fp32"
    bf16 = "bf16"
    int8 = "int8"


def export(
    model: Annotated[
        Path | None, typer.Argument(help="A model folder or training run; the shipped model by default.")
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="The file to write; with --calibrate, by default in the model's folder."
        ),
    ] = None,
    form: Annotated[FormatChoice, typer.Option("--format", help="The file format.")] = FormatChoice.onnx,
    precision: Annotated[FilePrecision, typer.Option(help="The file's precision.")] = FilePrecision.fp32,
    calibrate: Annotated[
        Path | None,
        typer.Option(help="Make the int8 network, calibrated on training images of this prepared set."),
    ] = None,
    split: Annotated[Path | None, typer.Option(help="The split that the model was trained on.")] = None,
    fold: Annotated[int | None, typer.Option(min=0, help="Its fold; the card's by default.")] = None,
    images: Annotated[int, typer.Option(min=1, help="Number of calibration images.")] = 64,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
) -> None:
    """Write a model's network as a file for another engine, and compare it with the model.

    With --precision int8 --calibrate DATA --split FILE the int8 network is made; without --out it is added to
    the model's folder (model.int8.onnx). Measure what it loses with `sonoseg model precisions`.
    """
    from sonoseg.model.export.formats import FORMATS, check_export, compare_on_samples, write_format
    from sonoseg.model.model import INT8, Model

    loaded, name, wanted = Model.load(model), form.value, precision.value
    if calibrate is not None and (wanted != "int8" or name != "onnx" or split is None):
        raise UsageError(
            "--calibrate makes the ONNX file in int8",
            remedy="Give it with --format onnx, --precision int8 and --split FILE",
        )
    if to is None and calibrate is None:
        raise UsageError("no file to write", where="--out", remedy=f"Give --out NAME{FORMATS[name].ending}")
    path = to or loaded.folder / INT8
    check_export(name, wanted, path, overwrite)
    if calibrate is not None and split is not None:
        require("train", "onnx", "pandas")
        from sonoseg.data.prepared_set import PreparedSet
        from sonoseg.data.splits import Split
        from sonoseg.model.export.int8 import add_int8, calibration_images, write_int8

        prepared = PreparedSet.open(calibrate)
        pixels = calibration_images(loaded.card, prepared, Split.load(split), split, fold=fold, count=images)
        out.print(f"calibrating on {len(pixels)} training images")
        write_int8(loaded, pixels, path)
        if to is None:
            loaded = add_int8(loaded, len(pixels), prepared.fingerprint)
    else:
        write_format(loaded, name, wanted, path)
    worst = compare_on_samples(loaded, name, wanted, path)
    out.print(
        f"{path}: {name}, {wanted}, {path.stat().st_size / 1e6:.1f} MB; probabilities within {worst:.1e} of "
        "the model's on the sample images",
        markup=False,
        soft_wrap=True,
    )
