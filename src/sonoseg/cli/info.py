"""`sonoseg info`: what this installation can do."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import typer

from sonoseg import RESEARCH_ONLY, __version__
from sonoseg._util.packages import installed_versions
from sonoseg.cli.common import out, print_json


def info(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON for a program to read.")] = False,
) -> None:
    """Tell what this installation can do: verbs, models, presets, runtimes, extras, versions."""
    from sonoseg.results.run_manifest import PACKAGES, device

    value = {
        "sonoseg": __version__,
        "notice": RESEARCH_ONLY,
        "verbs": _verbs(context.find_root().command),
        "models": [_model()],
        "presets": _presets(),
        "recipes": _recipes(),
        "runtimes": _runtimes(),
        "extras": _extras(),
        "reads": _reads(),
        "writes": _writes(),
        "versions": installed_versions(PACKAGES),
        "device": device(),
    }
    if as_json:
        print_json(value)
    else:
        _print(value)


def _verbs(command: Any, words: str = "") -> dict[str, str]:
    """Every verb of a click command with the first line of its help."""
    found: dict[str, str] = {}
    for name, inner in getattr(command, "commands", {}).items():
        full = f"{words} {name}".strip()
        if getattr(inner, "commands", None):
            found |= _verbs(inner, full)
        else:
            found[full] = (inner.help or "").strip().splitlines()[0]
    return found


def _model() -> dict[str, Any]:
    from sonoseg.model.model import Model

    model = Model.load(verify=False)
    card = model.card
    return {
        "name": card.name,
        "hash": model.hash,
        "size": card.preprocessing.size,
        "threshold": card.threshold,
        "trained_on": [one.name for one in card.data],
        "gates": card.attention,
        "shipped": True,
    }


def _presets() -> dict[str, Any]:
    from sonoseg.networks.presets import PRESETS

    return {name: options.model_dump(mode="json") for name, options in PRESETS.items()}


def _recipes() -> list[str]:
    folder = files("sonoseg.training") / "recipes"
    return sorted(Path(one.name).stem for one in folder.iterdir() if one.name.endswith(".yaml"))


def _runtimes() -> list[dict[str, Any]]:
    from sonoseg.inference.runtimes.base import ENGINES
    from sonoseg.inference.runtimes.choice import choices, installed
    from sonoseg.model.model import Model

    model = Model.load(verify=False)
    first = choices("auto", "auto", model)[:1]
    return [
        {
            "name": engine,
            "installed": installed(engine),
            "precisions": [one.precision for one in choices(engine, "auto", model)],
            "auto": bool(first) and first[0].engine == engine,
        }
        for engine in ENGINES
    ]


def _extras() -> dict[str, Any]:
    from sonoseg.cli.installed import packages

    return {
        extra: {
            "complete": all(one.recent for one in wanted),
            "packages": {one.name: one.version for one in wanted},
        }
        for extra, wanted in packages().items()
    }


def _reads() -> list[str]:
    from sonoseg.inputs.reading import FORMATS

    return [*FORMATS, "DICOM"]


def _writes() -> list[str]:
    return ["PNG", "CSV", "JSON", "HTML", "COCO", "LabelMe", "NRRD", "DICOM SEG", "DICOM SR", "DICOM SC"]


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
            "the fastest here" if one["auto"] else "",
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
