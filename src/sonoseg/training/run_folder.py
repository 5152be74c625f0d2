"""The run folder: what a training run was started with, its log, checkpoints and Model."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sonoseg import __version__
from sonoseg._util.documents import parse_json
from sonoseg._util.files import atomic_write_text
from sonoseg._util.packages import installed_versions
from sonoseg.errors import OutputError, TrainingError
from sonoseg.training import distributed as processes

PACKAGES = ("numpy", "torch", "accelerate", "onnx", "onnxruntime", "pillow", "pandas", "scikit-learn")


@dataclass(frozen=True)
class Run:
    """The files of one training run."""

    folder: Path

    @property
    def description(self) -> Path:
        """run.json: what the run was started with, and its environment."""
        return self.folder / "run.json"

    @property
    def recipe(self) -> Path:
        """The resolved recipe."""
        return self.folder / "recipe.yaml"

    @property
    def split(self) -> Path:
        """A copy of the split."""
        return self.folder / "split.json"

    @property
    def log(self) -> Path:
        """A line per epoch and part."""
        return self.folder / "log.jsonl"

    @property
    def last(self) -> Path:
        """The checkpoint to resume from."""
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
        """Record what the run is started with. Raises OutputError for a folder that is not empty."""
        if self.folder.exists() and any(self.folder.iterdir()):
            raise OutputError(
                "the folder is not empty",
                where=self.folder,
                remedy="Continue the run in it with --resume, or choose another --out",
            )
        atomic_write_text(self.recipe, recipe)
        atomic_write_text(self.description, json.dumps(given | environment(), indent=2) + "\n")

    def given(self) -> dict[str, Any]:
        """Read run.json. Raises TrainingError where the folder holds no run."""
        try:
            read = parse_json(self.description.read_text("utf-8"))
            if not isinstance(read, dict):
                raise ValueError("it is not a mapping")
        except (OSError, ValueError) as error:
            raise TrainingError(
                "not a training run: run.json is missing or damaged",
                where=self.folder,
                remedy="Start a run without --resume",
            ) from error
        return read

    def write_log(self, history: list[dict[str, Any]]) -> None:
        """Write the whole log, so that a resumed run repeats no line."""
        atomic_write_text(self.log, "".join(json.dumps(entry) + "\n" for entry in history))

    def draw_curves(self, history: list[dict[str, Any]], best_epoch: int) -> None:
        """Draw loss, pixel accuracy, IoU and Dice of training and validation to curves.png."""
        import pandas as pd

        from sonoseg.plots.style import save
        from sonoseg.plots.training_curves import curves

        save(curves(pd.DataFrame(history), best_epoch), self.folder / "curves.png")


def environment() -> dict[str, Any]:
    """Return versions, machine, command and git state, to repeat the run."""
    versions = {"sonoseg": __version__, "python": platform.python_version()}
    return {
        "versions": versions | installed_versions(PACKAGES),
        "platform": platform.platform(),
        "command": ["sonoseg", *sys.argv[1:]],
        "processes": processes.count(),
        "git": git_state(Path(__file__).parent),
    }


def git_state(folder: Path) -> dict[str, Any] | None:
    """Return the commit of the source and whether it was changed since; None outside a checkout."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=10)
        if done.returncode:
            raise OSError(done.stderr)
        return done.stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "changed": bool(git("status", "--porcelain", "--", "."))}
    except (OSError, subprocess.SubprocessError):
        return None
