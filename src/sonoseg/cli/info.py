"""`sonoseg info`: the capabilities of this installation."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sonoseg.cli.common import out, print_json


def info(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON to stdout.")] = False,
) -> None:
    """Show the capabilities of this installation: verbs, models, presets, runtimes, extras, versions."""
    from sonoseg.installation.capabilities import capabilities

    value = capabilities()
    value["verbs"] = _verbs(context.find_root().command)
    if as_json:
        print_json(value)
    else:
        _print(value)


def _verbs(command: Any, words: str = "") -> dict[str, str]:
    """The verbs of a click command with the first line of their help."""
    found: dict[str, str] = {}
    for name, inner in getattr(command, "commands", {}).items():
        full = f"{words} {name}".strip()
        if getattr(inner, "commands", None):
            found |= _verbs(inner, full)
        else:
            found[full] = (inner.help or "").strip().splitlines()[0]
    return found


def _print(value: dict[str, Any]) -> None:
    from rich.markup import escape
    from rich.table import Table

    def table(title: str, *columns: str) -> Table:
        return Table(
            *columns, title=title, title_justify="left", box=None, pad_edge=False, title_style="bold"
        )

    verbs = table("Verbs", "", "")
    for name, text in value["verbs"].items():
        verbs.add_row(f"sonoseg {name}", escape(text))
    runtimes = table("Runtimes", "name", "installed", "precisions", "")
    for one in value["runtimes"]:
        runtimes.add_row(
            one["name"],
            "yes" if one["installed"] else "no",
            " ".join(one["precisions"]),
            "the default here" if one["auto"] else "",
        )
    extras = table("Extras", "name", "complete", "packages")
    for name, one in value["extras"].items():
        listed = ", ".join(f"{package} {there or '(absent)'}" for package, there in one["packages"].items())
        extras.add_row(name, "yes" if one["complete"] else "no", escape(listed))
    out.print(f"[bold]sonoseg {value['sonoseg']}[/]  {value['notice']}")
    for one in (verbs, runtimes, extras):
        out.print()
        out.print(one)
    out.print()
    for model in value["models"]:
        sets = ", ".join(model["trained_on"])
        out.print(f"[bold]Model[/] {escape(model['name'])} ({model['hash']}), trained on {escape(sets)}")
    out.print(f"[bold]Presets[/] {', '.join(value['presets'])}; recipes {', '.join(value['recipes'])}")
    out.print(f"[bold]Reads[/] {', '.join(value['reads'])}")
    out.print(f"[bold]Writes[/] {', '.join(value['writes'])}")
