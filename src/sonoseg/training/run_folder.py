"""The run folder: what a training run was given, what it logged, what it left."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sonoseg import __version__
from sonoseg._util.files import atomic_write_text
from sonoseg._util.packages import installed_versions
from sonoseg.errors import OutputError, TrainingError
from sonoseg.training import distributed as processes

PACKAGES = ("numpy", "torch", "accelerate", "onnx", "onnxruntime", "pillow", "pandas", "scikit-learn")


@dataclass(frozen=True)
class Run:
    """The files of one training run.

    run.json says what it was given; recipe.yaml is the resolved recipe; split.json a copy of the split;
    log.jsonl has a line an epoch and part; checkpoints/ last.pt and best.pt; model/ the Model.
    """

    folder: Path

    @property
    def description(self) -> Path:
        """run.json."""
        return self.folder / "run.json"

    @property
    def recipe(self) -> Path:
        """recipe.yaml."""
        return self.folder / "recipe.yaml"

    @property
    def split(self) -> Path:
        """split.json."""
        return self.folder / "split.json"

    @property
    def log(self) -> Path:
        """log.jsonl."""
        return self.folder / "log.jsonl"

    @property
    def last(self) -> Path:
        """The checkpoint to go on from."""
        return self.folder / "checkpoints" / "last.pt"

    @property
    def best(self) -> Path:
        """The weights of the best validation Dice."""
        return self.folder / "checkpoints" / "best.pt"

    @property
    def model(self) -> Path:
        """The Model's folder."""
        return self.folder / "model"

    def begin(self, given: dict[str, Any], recipe: str) -> None:
        """Write down what the run was given. Raises OutputError where the folder holds another run."""
        if self.folder.exists() and any(self.folder.iterdir()):
            raise OutputError(
                "the folder is not empty",
                where=self.folder,
                remedy="Go on with the run in it with --resume, or choose another --out",
            )
        atomic_write_text(self.recipe, recipe)
        atomic_write_text(self.description, json.dumps(given | environment(), indent=2) + "\n")

    def given(self) -> dict[str, Any]:
        """What run.json says. Raises TrainingError where the folder holds no run."""
        try:
            read: dict[str, Any] = json.loads(self.description.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise TrainingError(
                "no training run is here (run.json is missing or damaged)",
                where=self.folder,
                remedy="Start one without --resume",
            ) from error
        return read

    def write_log(self, history: list[dict[str, Any]]) -> None:
        """Write the whole log: a resumed run repeats no line."""
        atomic_write_text(self.log, "".join(json.dumps(entry) + "\n" for entry in history))


def environment() -> dict[str, Any]:
    """Versions, machine and git state: what a reader needs to repeat the run."""
    return {
        "versions": {
            "sonoseg": __version__,
            "python": platform.python_version(),
            **installed_versions(PACKAGES),
        },
        "platform": platform.platform(),
        "command": ["sonoseg", *sys.argv[1:]],
        "processes": processes.count(),
        "git": git_state(Path(__file__).parent),
    }


def git_state(folder: Path) -> dict[str, Any] | None:
    """The commit of the source and whether it was changed since; None outside a checkout."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=10)
        if done.returncode:
            raise OSError(done.stderr)
        return done.stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "changed": bool(git("status", "--porcelain", "--", "."))}
    except (OSError, subprocess.SubprocessError):
        return None
