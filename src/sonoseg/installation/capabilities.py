"""Capabilities of this installation, for people and programs: models, presets, runtimes, extras, formats."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from sonoseg import RESEARCH_ONLY, __version__
from sonoseg._util.packages import installed_versions


def capabilities() -> dict[str, Any]:
    """Return the capabilities as plain values for JSON, without loading an engine."""
    from sonoseg.results.run_manifest import PACKAGES, device

    return {
        "sonoseg": __version__,
        "notice": RESEARCH_ONLY,
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
    from sonoseg.installation.extras import packages

    return {
        extra: {
            "complete": all(one.recent for one in wanted),
            "packages": {one.name: one.version for one in wanted},
        }
        for extra, wanted in packages().items()
    }


def _reads() -> list[str]:
    from sonoseg.image.raster import FORMATS

    return [*FORMATS, "DICOM"]


def _writes() -> list[str]:
    return [
        "PNG",
        "CSV",
        "XLSX",
        "JSON",
        "HTML",
        "COCO",
        "LabelMe",
        "NRRD",
        "DICOM SEG",
        "DICOM SR",
        "DICOM SC",
    ]
