"""`sonoseg model`: show networks and models, and change a model's card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sonoseg._util.packages import require
from sonoseg.cli import model_adjust as adjust
from sonoseg.cli import model_calibrate as calibrate
from sonoseg.cli import model_precisions as precisions
from sonoseg.cli import model_presence as presence
from sonoseg.cli import model_publish as publish
from sonoseg.cli import model_training_distance as training_distance
from sonoseg.cli.common import out, print_json
from sonoseg.errors import OutputError, UsageError

app = typer.Typer(help="List and show networks and models, and make one model from another.")
app.command("presence")(presence.presence)
app.command("precisions")(precisions.precisions)
app.command("calibrate")(calibrate.calibrate)
app.command("adjust")(adjust.adjust)
app.command("training-distance")(training_distance.training_distance)
app.command("publish")(publish.publish)

JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON for a program to read.")]


@app.command("list")
def list_presets(as_json: JsonOption = False) -> None:
    """List the network presets, with their options."""
    require("train", "torch")
    from rich.table import Table

    from sonoseg.networks.presets import PRESETS

    if as_json:
        print_json({name: options.model_dump(mode="json") for name, options in PRESETS.items()})
        return
    table = Table("preset", "encoder", "widths", "gate", "normalisation", "stem", "channels")
    for name, o in PRESETS.items():
        widths = " ".join(map(str, o.widths))
        table.add_row(name, o.encoder, widths, o.gate, o.normalisation, str(o.stem), str(o.channels))
    out.print(table)


@app.command()
def show(
    preset: Annotated[str, typer.Argument(help="A preset; sonoseg model list shows them.")],
    size: Annotated[int, typer.Option(min=16, help="Side of the square input, pixels.")] = 256,
    figure: Annotated[
        Path | None, typer.Option(help="Draw the architecture to this PNG, SVG or PDF.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Overwrite the figure.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print a network's layers with shapes, parameters and MACs, and draw its architecture."""
    require("train", "torch")
    from rich.table import Table

    from sonoseg.networks.layer_table import summary
    from sonoseg.networks.presets import build

    if figure is not None and figure.exists() and not overwrite:
        raise OutputError("the figure exists", where=figure, remedy="Replace it with --overwrite")
    network = build(preset)
    if figure is not None and network.options.architecture != "attention-unet":
        raise UsageError(f"the network {preset} of MONAI has no figure", remedy="Leave --figure out")
    rows = summary(network, size)
    parameters, macs = sum(row.parameters for row in rows), sum(row.macs for row in rows)
    if as_json:
        layers = [row._asdict() for row in rows]
        print_json({"preset": preset, "parameters": parameters, "macs": macs, "layers": layers})
    else:
        table = Table("part", "in (H x W x C)", "out (H x W x C)", "parameters", "MMAC", title=preset)
        for column in table.columns[3:]:
            column.justify = "right"
        for row in rows:
            inputs, outputs = (
                ", ".join(f"{h}x{w}x{c}" for c, h, w in shapes) for shapes in (row.inputs, row.outputs)
            )
            table.add_row(row.name, inputs, outputs, f"{row.parameters:,}", f"{row.macs / 1e6:,.0f}")
        table.add_section()
        table.add_row("all", "", "", f"{parameters:,}", f"{macs / 1e6:,.0f}")
        out.print(table)
    if figure is not None:
        require("data", "matplotlib")
        from sonoseg.plots.network_diagram import architecture
        from sonoseg.plots.style import save

        save(architecture([row._asdict() for row in rows]), figure)


@app.command()
def card(
    model: Annotated[Path | None, typer.Argument(help="A model folder; the shipped one by default.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a model card: training data, results, limitations."""
    from sonoseg.model.model import Model

    loaded = Model.load(model)
    if as_json:
        print_json(loaded.card.model_dump(mode="json"))
        return
    c = loaded.card
    out.print(f"[bold]{c.name}[/] ({loaded.hash}), made {c.created} by sonoseg {c.sonoseg}")
    out.print(f"threshold {c.threshold:g}; {c.postprocessing}")
    for part in c.data:
        how = "started from" if part.start else f"trained on {part.images} images of"
        out.print(f"{how} {part.title or part.name} ({part.licence})")
    for result in c.results:
        interval = f" [{result.low:g}, {result.high:g}]" if result.low is not None else ""
        out.print(f"{result.measure}: {result.value:g}{interval} on {result.on}, n = {result.n}")
    for limit in c.limits:
        out.print(f"- {limit}")
