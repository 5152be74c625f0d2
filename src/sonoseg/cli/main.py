"""The `sonoseg` command."""

from __future__ import annotations

import errno
import io
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sonoseg import RESEARCH_ONLY, __version__
from sonoseg.cli.common import err
from sonoseg.errors import SonosegError

if TYPE_CHECKING:
    app: typer.Typer

GROUPS = ("data", "model", "pacs")
VERBS = (
    "train",
    "experiment",
    "evaluate",
    "export",
    "predict",
    "measure",
    "serve",
    "demo",
    "doctor",
    "info",
)
"""Each is a function of its own name in a module of that name; a group is that module's `app`."""


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def build(only: str | None = None) -> typer.Typer:
    """The command line; `only` leaves out all verbs but one, which starts quicker by 0.1 s."""
    made = typer.Typer(
        name="sonoseg",
        help=f"Breast-ultrasound lesion segmentation: train, measure, predict. {RESEARCH_ONLY}",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    made.callback()(root)
    for name in GROUPS:
        if only in (None, name):
            made.add_typer(import_module(f"sonoseg.cli.{name}").app, name=name)
    for name in VERBS:
        if only in (None, name):
            made.command(name)(getattr(import_module(f"sonoseg.cli.{name}"), name))
    return made


def __getattr__(name: str) -> Any:
    """`app`, the whole command line, is built when it is asked for."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()["app"] = build()
    return globals()["app"]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sonoseg {__version__}")
        raise typer.Exit


def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options before the verb."""


def main() -> None:
    """Run the command line; our errors and the system's become one line on stderr and an exit code."""
    # To look for plugins, pydantic would read the metadata of every installed package at each start.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    first = sys.argv[1] if len(sys.argv) > 1 else ""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a name or sign that the terminal's encoding does not have
    try:
        try:
            build(first if first in GROUPS + VERBS else None)()
        finally:
            _flush()
    except SonosegError as error:
        if os.environ.get("SONOSEG_DEBUG"):
            raise
        err.print(f"[bold red]error:[/] {_escape(str(error))}", soft_wrap=True)
        sys.exit(error.exit_code)
    except OSError as error:  # a folder removed meanwhile, a disk that fails: no fault of the program's
        if os.environ.get("SONOSEG_DEBUG"):
            raise
        _discard_unwritable()
        where = error.filename or ("output cannot be written" if error.errno in _FULL else "")
        reason = f"{where}: {error.strerror or error}" if where else str(error.strerror or error)
        err.print(f"[bold red]error:[/] {_escape(reason)}", soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        err.print("interrupted")
        sys.exit(130)


def _flush() -> None:
    if sys.stdout is not None:  # closed by the shell's >&-
        sys.stdout.flush()


def _discard_unwritable() -> None:
    """Discard what stdout cannot take: at exit Python would try again, and print a traceback."""
    try:
        _flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)


if __name__ == "__main__":
    main()
