"""The folder of a study: its plan, its runs, what of them is done and what there is to do.

Nothing is remembered beside the results themselves: a training is done when its Model has a card, an
evaluation when its page is there and names that Model. So whatever was cut short is found again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sonoseg._util.files import atomic_write_text, remove_leftovers, sha256_file
from sonoseg.errors import DatasetError, OutputError, PlanError, SonosegError, UsageError
from sonoseg.experiments.executor import Task
from sonoseg.experiments.plan import ExperimentPlan, PlannedEvaluation, load_plan, recipes_of, what_changed
from sonoseg.model.model import CARD, ONNX
from sonoseg.training.recipe import Recipe, load_recipe
from sonoseg.training.run_folder import Run

if TYPE_CHECKING:
    from sonoseg.data.prepared_set import PreparedSet
    from sonoseg.data.splits import Split

State = Literal["to do", "begun", "done"]
PLAN, LOCK = "plan.yaml", ".lock"


@dataclass(frozen=True)
class Cell:
    """One training of the plan: a variant, a fold, a seed."""

    variant: str
    fold: int
    seed: int

    @property
    def place(self) -> str:
        """Where its folders lie below `runs/` and `studies/EVALUATION/`."""
        return f"{self.variant}/fold{self.fold}-seed{self.seed}"


@dataclass(frozen=True)
class Layout:
    """What lies where in a study's folder."""

    folder: Path

    @property
    def plan(self) -> Path:
        """The plan as it was read, with absolute paths."""
        return self.folder / PLAN

    def recipe(self, variant: str) -> Path:
        """A variant's resolved recipe, which its runs are started with."""
        return self.folder / "recipes" / f"{variant}.yaml"

    def run(self, cell: Cell) -> Run:
        """A training's run folder."""
        return Run(self.folder / "runs" / cell.place)

    def study(self, evaluation: str, cell: Cell) -> Path:
        """The folder of one run's evaluation."""
        return self.folder / "studies" / evaluation / cell.place

    def log(self, name: str) -> Path:
        """What the process of a training or evaluation wrote, by the task's name."""
        return self.folder / "logs" / f"{name}.log"


@dataclass(frozen=True)
class Step:
    """A task with its state. kind: "train" or "evaluate"."""

    task: Task
    state: State
    kind: Literal["train", "evaluate"]


class Data:
    """Prepared sets and splits, each opened once."""

    def __init__(self) -> None:
        self._sets: dict[Path, PreparedSet] = {}
        self._splits: dict[Path, tuple[Split, str]] = {}

    def prepared(self, path: Path) -> PreparedSet:
        """The prepared set in `path`. Raises DatasetError."""
        from sonoseg.data.prepared_set import PreparedSet

        if path not in self._sets:
            self._sets[path] = PreparedSet.open(path)
        return self._sets[path]

    def split(self, path: Path) -> Split:
        """The split in the file `path`. Raises DatasetError."""
        return self._split(path)[0]

    def split_sha256(self, path: Path) -> str:
        """The SHA-256 of that file. Raises DatasetError."""
        return self._split(path)[1]

    def _split(self, path: Path) -> tuple[Split, str]:
        from sonoseg.data.splits import Split

        if path not in self._splits:
            self._splits[path] = Split.load(path), sha256_file(path)
        return self._splits[path]


def cells_of(plan: ExperimentPlan) -> list[Cell]:
    """Every training, in the order in which they are taken: all variants of a seed before the next seed.

    So a study that is half done compares its variants on the same footing.
    """
    return [
        Cell(variant, fold, seed) for seed in plan.seeds for fold in plan.folds for variant in plan.variants
    ]


class StudyFolder:
    """A plan and the folder it is carried out in, checked: opening writes nothing.

    plan_file: the plan. folder: new, empty, or begun with a plan to which this one only adds.
    Raises PlanError, RecipeError, DatasetError, UsageError for a plan that cannot be carried out; OutputError
    where the folder holds something else, or a run of another recipe, set or split.
    """

    def __init__(self, plan_file: str | Path, folder: str | Path) -> None:
        self.layout = Layout(Path(folder).resolve())
        self.plan = load_plan(plan_file)
        self.recipes = recipes_of(self.plan, plan_file)
        self.data = Data()
        self._check_data(Path(plan_file))
        self._check_folder(Path(plan_file))

    def begin(self) -> None:
        """Write down the plan and its recipes, and clear away what a killed run left half written.

        Only while no run works in the folder. Raises OutputError.
        """
        atomic_write_text(self.layout.plan, self.plan.yaml())
        for variant, recipe in self.recipes.items():
            path = self.layout.recipe(variant)
            if not path.exists():
                atomic_write_text(path, recipe.yaml())
        for cell in cells_of(self.plan):
            _clear(self.layout.run(cell))
            for one in self.plan.evaluate:
                folder = self.layout.study(one.name, cell)
                remove_leftovers(folder)
                remove_leftovers(folder / "figures")

    def steps(self, threads: int | None = None) -> list[Step]:
        """Every training and evaluation with its state, an evaluation after its training.

        threads: for the network of each evaluation; None leaves it to the runtime.
        """
        return [step for cell in cells_of(self.plan) for step in self._steps_of(cell, threads)]

    def _steps_of(self, cell: Cell, threads: int | None) -> Iterator[Step]:
        run, name = self.layout.run(cell), f"runs/{cell.place}"
        state = state_of(run)
        if state == "to do":
            words = ["--recipe", self.layout.recipe(cell.variant), "--set", f"seed={cell.seed}"]
            words += ["--data", self.plan.data, "--split", self.plan.split, "--fold", cell.fold]
        else:
            words = ["--resume"]
        words = ["train", *words, "--out", run.folder]
        yield Step(Task(name, tuple(map(str, words)), self.layout.log(name)), state, "train")
        for one in self.plan.evaluate:
            folder = self.layout.study(one.name, cell)
            done: State = "done" if state == "done" and self._measured(one, cell, run, folder) else "to do"
            words = ["evaluate", run.folder, *self._words(one, cell), "--out", folder]
            words += [] if threads is None else ["--threads", threads]
            words += ["--overwrite"] if folder.exists() else []
            own = f"studies/{one.name}/{cell.place}"
            yield Step(Task(own, tuple(map(str, words)), self.layout.log(own), name), done, "evaluate")

    @staticmethod
    def _words(one: PlannedEvaluation, cell: Cell) -> list[Any]:
        words: list[Any] = ["--data", one.data, "--part", one.part, "--tta", one.tta]
        if one.split is not None:
            words += ["--split", one.split, "--fold", cell.fold if one.fold == "same" else one.fold]
        for name in one.sets:
            words += ["--set", name]
        return words if one.threshold is None else [*words, "--threshold", one.threshold]

    def _measured(self, one: PlannedEvaluation, cell: Cell, run: Run, folder: Path) -> bool:
        """Whether the evaluation in `folder` is whole, and of this Model on these images."""
        from sonoseg.evaluation.evaluation import SUMMARY

        try:
            summary = json.loads((folder / SUMMARY).read_text("utf-8"))
            card = json.loads((run.model / CARD).read_text("utf-8"))
            assert one.data is not None
            split = None if one.split is None else self.data.split_sha256(one.split)
            return (
                (folder / "index.html").is_file()  # written last
                and summary["model"]["sha256"] == (card["sha256"].get(ONNX) or sha256_file(run.model / ONNX))
                and summary["data"]["fingerprint"] == self.data.prepared(one.data).fingerprint
                and (summary["split"] or {"sha256": None})["sha256"] == split
            )
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def _check_data(self, plan_file: Path) -> None:
        """Open every set and split, and see that each fold and part is there."""
        from sonoseg.evaluation.scope import choose_ids, only_sets

        plan, folds = self.plan, self.plan.folds
        split = self.data.split(plan.split)
        split.check(self.data.prepared(plan.data))
        try:
            for fold in folds:
                split.part(fold)
        except UsageError as error:
            raise PlanError(f"'folds': {error.found}", where=plan_file, remedy=error.remedy) from error
        for one in plan.evaluate:
            assert one.data is not None
            assert one.part is not None
            prepared = self.data.prepared(one.data)
            parts = None if one.split is None else self.data.split(one.split)
            for fold in folds if one.fold == "same" else [one.fold]:
                try:
                    ids = only_sets(prepared, choose_ids(prepared, parts, fold, one.part), one.sets)
                except UsageError as error:
                    raise PlanError(
                        f"evaluation '{one.name}': {error.found}", where=plan_file, remedy=error.remedy
                    ) from error
                if not ids:
                    raise PlanError(f"evaluation '{one.name}' has no image", where=plan_file)

    def _check_folder(self, plan_file: Path) -> None:
        folder = self.layout.folder
        if folder.exists() and not folder.is_dir():
            raise OutputError("this is a file, not a folder", where=folder, remedy="Choose another --out")
        if not self.layout.plan.exists():
            if folder.exists() and any(path.name != LOCK for path in folder.iterdir()):
                raise OutputError(
                    f"the folder is not empty, and holds no study ({PLAN} is missing)",
                    where=folder,
                    remedy="Choose another --out",
                )
            return
        changed = what_changed(load_plan(self.layout.plan), self.plan)
        if changed:
            raise PlanError(
                f"the study in {folder} was begun with another plan: {changed}",
                where=plan_file,
                remedy="Add folds, seeds, variants and evaluations, but leave what is there; "
                "or choose another --out",
            )
        for variant, recipe in self.recipes.items():
            path = self.layout.recipe(variant)
            if path.exists():
                _same_recipe(load_recipe(path), recipe, path)
        for cell in cells_of(self.plan):
            self._check_run(cell)

    def _check_run(self, cell: Cell) -> None:
        """Raise OutputError where another run, or a file, lies in a run's place."""
        from sonoseg.data.splits import Split

        run, wanted = self.layout.run(cell), self.recipes[cell.variant]
        for folder in (run.folder, *(self.layout.study(one.name, cell) for one in self.plan.evaluate)):
            if folder.exists() and not folder.is_dir():
                raise OutputError(
                    "a file stands where a folder of the study belongs",
                    where=folder,
                    remedy="Move it away, or choose another --out",
                )
        if state_of(run) == "to do":
            return
        wanted = wanted.model_copy(update={"seed": cell.seed})
        try:
            _same_recipe(load_recipe(run.recipe), wanted, run.recipe)
            given = run.given()
            there = (given["fingerprint"], given["fold"])
            same = there == (self.data.prepared(self.plan.data).fingerprint, cell.fold)
            if not same or Split.load(run.split) != self.data.split(self.plan.split):
                raise DatasetError("it was trained on another prepared set, split or fold")
        except (SonosegError, KeyError) as error:
            found = error.found if isinstance(error, SonosegError) else f"run.json lacks {error}"
            raise OutputError(
                f"this run is none of the plan's ({found})",
                where=run.folder,
                remedy="Move it away, or choose another --out",
            ) from error


def state_of(run: Run) -> State:
    """How far a training came: done with its Model, begun with all that `--resume` reads, else to do."""
    if (run.model / CARD).exists():
        return "done"
    return "begun" if all(path.exists() for path in (run.description, run.recipe, run.split)) else "to do"


def _clear(run: Run) -> None:
    """Remove temporary files of a killed process, and the few of a run that was killed as it began."""
    for folder in (run.folder, run.last.parent, run.model):
        remove_leftovers(folder)
    if state_of(run) == "to do" and not run.last.parent.exists():
        for path in (run.description, run.recipe, run.split):
            path.unlink(missing_ok=True)


def _same_recipe(stored: Recipe, wanted: Recipe, where: Path) -> None:
    if stored == wanted:
        return
    theirs, mine = stored.model_dump(mode="json"), wanted.model_dump(mode="json")
    key = next(key for key in mine if mine[key] != theirs[key])
    raise PlanError(
        f"the recipe is no longer the one this study was begun with ('{key}' was {theirs[key]!r} "
        f"and is {mine[key]!r})",
        where=where,
        remedy="Put the recipe back, or choose another --out",
    )
