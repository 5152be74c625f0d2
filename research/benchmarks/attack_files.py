"""The attacks of attacks.py by files from strangers: models, plans, recipes, prepared sets and names."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

import attack_services as services
from attack_services import Outcome

DEEP = "[" * 200_000
FORMULAS = ("=cmd|'calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "=HYPERLINK(1)")


class FileAttacks:
    """Attacks on one tree's commands."""

    def __init__(self, source: Path, folder: Path) -> None:
        self.source, self.folder = source, folder
        folder.mkdir(parents=True, exist_ok=True)

    def run(self, *words: object) -> subprocess.CompletedProcess[str]:
        """Run a command of sonoseg."""
        return subprocess.run(
            services.command(*words),
            capture_output=True,
            text=True,
            env=services.environment(self.source),
            cwd=self.folder,
            timeout=300,
            check=False,
        )

    def model(self, name: str) -> Path:
        """A copy of the shipped model."""
        to = self.folder / name
        shutil.copytree(self.source / "src" / "sonoseg" / "model" / "weights", to)
        return to

    def model_names(self) -> Outcome:
        """Predict with a model whose card names files outside of its folder, by 6 names."""
        names = (
            "../outside.txt",
            "/etc/hostname",
            "../../outside.txt",
            "a/../../outside.txt",
            "..\\outside.txt",
            "sub/../../outside.txt",
        )
        held = 0
        image = self.image("scan.png")
        for number, name in enumerate(names):
            model = self.model(f"stranger-{number}" + "/model")
            outside = (model / name).resolve()
            if outside.name == "outside.txt":
                outside.parent.mkdir(parents=True, exist_ok=True)
                outside.write_text("of the user", "utf-8")
            card = json.loads((model / "card.json").read_text("utf-8"))
            card["sha256"][name] = "0" * 64
            (model / "card.json").write_text(json.dumps(card), "utf-8")
            done = self.run("predict", image, "--model", model, "--out", self.folder / f"model-out-{number}")
            held += done.returncode != 0 and "Traceback" not in done.stderr and "differs" not in done.stderr
        return Outcome(len(names), held)

    def deep_json(self) -> Outcome:
        """Give a file of 200,000 nested brackets as card, plan, recipe, split and prepared set."""
        deep = self.folder / "deep"
        (deep / "set").mkdir(parents=True)
        model = self.model("deep-model")
        for path in (
            model / "card.json",
            deep / "plan.yaml",
            deep / "recipe.yaml",
            deep / "split.json",
            deep / "set" / "dataset.json",
        ):
            path.write_text(DEEP, "utf-8")
        return self._told(
            ("predict", self.image("deep.png"), "--model", model, "--out", deep / "out"),
            ("experiment", deep / "plan.yaml", "--out", deep / "runs"),
            (
                "train",
                "--recipe",
                deep / "recipe.yaml",
                "--data",
                deep / "set",
                "--split",
                deep / "split.json",
                "--out",
                deep / "run",
            ),
            (
                "evaluate",
                model,
                "--data",
                deep / "set",
                "--split",
                deep / "split.json",
                "--out",
                deep / "evaluation",
            ),
            ("data", "split", deep / "set", "--out", deep / "other.json"),
        )

    def _told(self, *lines: Sequence[object]) -> Outcome:
        """Held: a command ends with an error message and no traceback."""
        done = [self.run(*line) for line in lines]
        return Outcome(
            len(done), sum(one.returncode not in (0, None) and "Traceback" not in one.stderr for one in done)
        )

    def formulas(self) -> Outcome:
        """Segment images whose names are formulas; no cell of results.csv may be one."""
        names = [f"{one}.png".replace("/", "") for one in FORMULAS]
        folder = self.folder / "formulas"
        folder.mkdir()
        for name in names:
            shutil.copy(self.image("plain.png"), folder / name)
        self.run("predict", folder, "--out", self.folder / "formula-results")
        with (self.folder / "formula-results" / "results.csv").open(newline="", encoding="utf-8-sig") as file:
            cells = {cell for row in csv.reader(file) for cell in row}
        bad = [one for one in cells if one and one[0] in "=@+-" and not _number(one)]
        return Outcome(len(names), len(names) - min(len(names), len(bad)))

    def image(self, name: str) -> Path:
        """A small image."""
        path = self.folder / name
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (128, 128), dtype=np.uint8)).save(path)
        return path


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
