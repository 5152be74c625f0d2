"""The `sonoseg` command."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from sonoseg import RESEARCH_ONLY, __version__
from sonoseg.cli import data, demo, doctor, evaluate, export, info, measure, model, predict, train
from sonoseg.cli.common import err
from sonoseg.errors import SonosegError

app = typer.Typer(
    name="sonoseg",
    help=f"Breast-ultrasound lesion segmentation: train, measure, predict. {RESEARCH_ONLY}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


app.add_typer(data.app, name="data")
app.add_typer(model.app, name="model")
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("export")(export.export)
app.command("predict")(predict.predict)
app.command("measure")(measure.measure)
app.command("demo")(demo.demo)
app.command("doctor")(doctor.doctor)
app.command("info")(info.info)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sonoseg {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options before the verb."""


def main() -> None:
    """Run the command line; our errors become one line on stderr and an exit code, never a traceback."""
    try:
        app()
    except SonosegError as error:
        if os.environ.get("SONOSEG_DEBUG"):
            raise
        err.print(f"[bold red]error:[/] {_escape(str(error))}", soft_wrap=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        err.print("interrupted")
        sys.exit(130)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)


if __name__ == "__main__":
    main()
