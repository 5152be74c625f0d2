"""The provenance of an evaluation: model, versions, command."""

from __future__ import annotations

import platform
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonoseg import RESEARCH_ONLY, __version__
from sonoseg._util.packages import installed_versions
from sonoseg._util.timestamps import utc_now
from sonoseg.model.model import ONNX

if TYPE_CHECKING:
    from sonoseg.inference.predictor import Predictor

PACKAGES = ("numpy", "scipy", "pandas", "pillow", "onnxruntime", "torch")


def command_given() -> str:
    """The command line of this process; `python -m sonoseg` is written as sonoseg."""
    name = Path(sys.argv[0]).name
    return shlex.join(["sonoseg" if name == "__main__.py" else name, *sys.argv[1:]])


def describe_run(predictor: Predictor) -> dict[str, Any]:
    """The summary's entries of model, versions and command, for a loaded model."""
    model, card = predictor.model, predictor.model.card
    return {
        "research_only": RESEARCH_ONLY,
        "created": utc_now(),
        "sonoseg": __version__,
        "command": command_given(),
        "versions": {"python": platform.python_version(), **installed_versions(PACKAGES)},
        "model": {
            "name": f"{card.name} ({model.hash})",
            "sha256": model.file_sha256(ONNX),
            "size": card.preprocessing.size,
            "fit": card.preprocessing.fit,
            "threshold": predictor.threshold,
            "temperature": card.temperature,
            "tta": predictor.tta,
            "postprocessing": predictor.postprocessing.model_dump(),
            "runtime": predictor.runtime,
            "trained_on": [one.name for one in card.data],
        },
    }
