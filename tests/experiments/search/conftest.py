"""Plans on phantoms, and a trainer that trains nothing: a trial's Dice is told by its values."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sonoseg.errors import TrainingError
from sonoseg.training.recipe import Recipe
from sonoseg.training.run_folder import Run

WritePlan = Callable[..., Path]


@pytest.fixture
def write_plan(phantom_set: Path, phantom_split: Path, tmp_path: Path) -> WritePlan:
    """Write a plan of six trials over three keys, with changes to its keys; None takes a key away."""

    def write(name: str = "plan.yaml", /, **changes: Any) -> Path:
        values = {
            "name": "rates",
            "recipe": "quick",
            "data": str(phantom_set),
            "split": str(phantom_split),
            "set": {"epochs": 3, "data.size": 64},
            "search": {
                "optimiser.rate": {"low": 1e-4, "high": 1e-1, "log": True},
                "batch": {"low": 4, "high": 16, "step": 4},
                "loss.kind": ["bce", "dice-bce"],
            },
            "trials": 6,
            "prune": {"kind": "none"},
        } | changes
        path = tmp_path / name
        path.write_text(yaml.safe_dump({key: one for key, one in values.items() if one is not None}))
        return path

    return write


class Pretend:
    """A trainer: the nearer the rate to 0.01 the better, and a little more so each epoch.

    fail: told the recipe, whether the trial fails. stop: told the epoch, may raise whatever it likes.
    """

    def __init__(
        self,
        fail: Callable[[Recipe], bool] = lambda _: False,
        stop: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.fail, self.stop = fail, stop
        self.ran: list[tuple[str, bool]] = []

    def __call__(self, recipe: Recipe, out: Path, resume: bool, report: Any) -> None:
        self.ran.append((out.name, resume))
        run = Run(out)
        if not resume:
            run.begin({"seed": recipe.seed}, recipe.yaml())
            run.split.write_text("{}")
        if self.fail(recipe):
            raise TrainingError("the loss is no longer a number")
        lines: list[dict[str, Any]] = []
        for epoch in range(recipe.epochs):
            self.stop(epoch)
            dice = 0.9 - 0.1 * abs(math.log10(recipe.optimiser.rate) + 2) + 0.01 * epoch
            lines += [
                {"epoch": epoch + 1, "split": "train", "dice": 0.99, "loss": 0.0, "false_positive_rate": None}
            ]
            lines += [{"epoch": epoch + 1, "split": "validation", "dice": dice, "loss": 1 - dice}]
            lines[-1]["false_positive_rate"] = None
            run.log.write_text("".join(json.dumps(line) + "\n" for line in lines))
            report(epoch, 1, 1, {"train": lines[-2], "validation": lines[-1]})


@pytest.fixture
def pretend() -> type[Pretend]:
    return Pretend
