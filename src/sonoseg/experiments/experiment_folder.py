"""The folder of an experiment: its plan, its runs, what is done and what remains to do.

No state is stored beside the results: a training is done when its Model has a card, an evaluation when its
page exists and names that Model. So an interrupted experiment resumes from what it finds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from sonoseg._util.documents import parse_json
from sonoseg._util.files import atomic_write_text, remove_leftovers, sha256_file
from sonoseg._util.locks import locked
from sonoseg.data.prepared_set import PreparedSet
from sonoseg.data.splits import Split
from sonoseg.errors import DatasetError, OutputError, PlanError, SonosegError, UsageError
from sonoseg.evaluation.evaluation import SUMMARY
from sonoseg.evaluation.scope import choose_ids, only_sets
from sonoseg.experiments.executor import BUSY, Task
from sonoseg.experiments.plan import (
    Cell,
    PlannedEvaluation,
    SearchPlan,
    VariantPlan,
    load_plan,
    what_changed,
)
from sonoseg.model.model import CARD, ONNX
from sonoseg.results.evaluation_page import PAGE
from sonoseg.training.recipe import Recipe, load_recipe
from sonoseg.training.run_folder import Run

State = Literal["to do", "begun", "done"]
PLAN, LOCK = "plan.yaml", ".lock"
PATIENCE: Final = 60.0
"""Seconds to wait for the lock of a process that shares the folder."""


@dataclass(frozen=True)
class Step:
    """A task with its state. kind: "train" or "evaluate"."""

    task: Task
    state: State
    kind: Literal["train", "evaluate"]


class ExperimentFolder:
    """A plan and the folder of its experiment, checked; opening writes nothing.

    plan_file: the plan. folder: new, empty, or started with a plan to which this one only adds.
    recipes: of the plan's variants; a search has none before its trials.
    folds_of: the folds of the plan in which each evaluation, by its name, has an image.
    Raises PlanError, RecipeError, DatasetError, UsageError for a plan that cannot be run; OutputError where
    the folder holds something else, or a run of another recipe, set or split.
    """

    def __init__(self, plan_file: str | Path, folder: str | Path) -> None:
        self.folder = Path(folder).resolve()
        self.plan = load_plan(plan_file)
        self.recipes = self.plan.recipes(plan_file)
        # Each prepared set and split is opened once.
        self._set, self._split, self._sha256 = cache(PreparedSet.open), cache(Split.load), cache(sha256_file)
        self.folds_of: dict[str, list[int]] = {}
        self._check_data(Path(plan_file))
        self._check_folder(Path(plan_file))

    def recipe_file(self, variant: str) -> Path:
        """A variant's resolved recipe, with which its runs are started."""
        return self.folder / "recipes" / f"{variant}.yaml"

    def run(self, cell: Cell) -> Run:
        """A training's run folder."""
        return Run(self.folder / "runs" / cell.path)

    def evaluation(self, name: str, cell: Cell) -> Path:
        """The folder of one run's evaluation."""
        return self.folder / "evaluations" / name / cell.path

    def begin(self) -> None:
        """Write the plan and its recipes, and remove what a killed process left half written.

        The caller holds the folder's lock. Raises OutputError.
        """
        if not (self.folder / PLAN).exists() or load_plan(self.folder / PLAN) != self.plan:
            atomic_write_text(self.folder / PLAN, self.plan.yaml())
        for variant, recipe in self.recipes.items():
            self.keep_recipe(variant, recipe)
        if isinstance(self.plan, VariantPlan):
            for cell in self.plan.cells:
                clear(self.run(cell))
                for one in self.plan.evaluate:
                    folder = self.evaluation(one.name, cell)
                    remove_leftovers(folder)
                    remove_leftovers(folder / "figures")

    def keep_recipe(self, variant: str, recipe: Recipe) -> None:
        """Write a variant's recipe where it is not there yet. Raises OutputError."""
        if not self.recipe_file(variant).exists():
            atomic_write_text(self.recipe_file(variant), recipe.yaml())

    def steps(self, threads: int | None = None) -> list[Step]:
        """Every training and evaluation of the variants with its state, an evaluation after its training.

        threads: for the network of each evaluation; None leaves it to the runtime. A search has no steps.
        """
        if isinstance(self.plan, SearchPlan):
            return []
        return [step for cell in self.plan.cells for step in self._steps_of(self.plan, cell, threads)]

    def training(self, cell: Cell, note: str = "") -> Task:
        """The task that trains a cell, from its beginning or from its last checkpoint."""
        run, name = self.run(cell), f"runs/{cell.path}"
        arguments: list[Any] = ["train", "--resume"]
        if state_of(run) == "to do":
            arguments = ["train", "--recipe", self.recipe_file(cell.variant), "--set", f"seed={cell.seed}"]
            arguments += ["--data", self.plan.data, "--split", self.plan.split, "--fold", cell.fold]
        return self._task(name, [*arguments, "--out", run.folder], note=note)

    def _task(self, name: str, arguments: list[Any], after: str | None = None, note: str = "") -> Task:
        return Task(name, tuple(map(str, arguments)), self.folder / "logs" / f"{name}.log", after, note)

    def _steps_of(self, plan: VariantPlan, cell: Cell, threads: int | None) -> Iterator[Step]:
        run = self.run(cell)
        state, training = state_of(run), self.training(cell)
        yield Step(training, state, "train")
        for one in plan.evaluate:
            if cell.fold not in self.folds_of[one.name]:
                continue
            folder = self.evaluation(one.name, cell)
            done: State = "done" if state == "done" and self._is_whole(one, run, folder) else "to do"
            arguments: list[Any] = ["evaluate", run.folder, "--data", one.data, "--part", one.part]
            arguments += ["--tta", one.tta]
            if one.split is not None:
                arguments += ["--split", one.split, "--fold", cell.fold if one.fold == "same" else one.fold]
            for name in one.sets:
                arguments += ["--set", name]
            arguments += [] if one.threshold is None else ["--threshold", one.threshold]
            arguments += ["--out", folder]
            arguments += [] if threads is None else ["--threads", threads]
            arguments += ["--overwrite"] if folder.exists() else []
            task = self._task(evaluation_task(one.name, cell), arguments, after=training.name)
            yield Step(task, done, "evaluate")

    def _is_whole(self, one: PlannedEvaluation, run: Run, folder: Path) -> bool:
        """Whether the evaluation in `folder` is complete, and of this Model on these images."""
        try:
            summary = parse_json((folder / SUMMARY).read_text("utf-8"))
            card = parse_json((run.model / CARD).read_text("utf-8"))
            assert one.data is not None
            split = None if one.split is None else self._sha256(one.split)
            return (
                (folder / PAGE).is_file()  # written last
                and summary["model"]["sha256"] == (card["sha256"].get(ONNX) or sha256_file(run.model / ONNX))
                and summary["data"]["fingerprint"] == self._set(one.data).fingerprint
                and (summary["split"] or {"sha256": None})["sha256"] == split
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False

    def _check_data(self, plan_file: Path) -> None:
        """Open every set and split, and check that each fold and part exists."""
        plan, split = self.plan, self._split(self.plan.split)
        split.check(self._set(plan.data))
        key, folds = ("fold", [plan.fold]) if isinstance(plan, SearchPlan) else ("folds", plan.folds)
        try:
            for fold in folds:
                split.part(fold)
        except UsageError as error:
            raise PlanError(f"'{key}': {error.found}", where=plan_file, remedy=error.remedy) from error
        for one in [] if isinstance(plan, SearchPlan) else plan.evaluate:
            assert one.data is not None
            assert one.part is not None
            prepared = self._set(one.data)
            parts = None if one.split is None else self._split(one.split)
            self.folds_of[one.name] = []
            for fold in folds:
                number = fold if one.fold == "same" else one.fold
                try:
                    ids = only_sets(prepared, choose_ids(prepared, parts, number, one.part), one.sets)
                except UsageError as error:
                    raise PlanError(
                        f"evaluation '{one.name}': {error.found}", where=plan_file, remedy=error.remedy
                    ) from error
                if ids:
                    self.folds_of[one.name].append(fold)
            if not self.folds_of[one.name]:
                raise PlanError(f"evaluation '{one.name}' has no image", where=plan_file)

    def _check_folder(self, plan_file: Path) -> None:
        folder, stored = self.folder, self.folder / PLAN
        if folder.exists() and not folder.is_dir():
            raise OutputError("this is a file, not a folder", where=folder, remedy="Choose another --out")
        if folder.exists() and any(path.name != LOCK for path in folder.iterdir()):
            if not stored.exists() and (folder / LOCK).exists():
                # Another process that starts holds the lock while it writes the plan: look again after that.
                with locked(folder / LOCK, *BUSY, patience=PATIENCE):
                    pass
            if not stored.exists():
                raise OutputError(
                    f"the folder is not empty and holds no experiment ({PLAN} is missing)",
                    where=folder,
                    remedy="Choose another --out",
                )
        if not stored.exists():
            return
        changed = what_changed(load_plan(stored), self.plan)
        if changed:
            remedy = "Add folds, seeds, variants and evaluations, but keep those that exist"
            if isinstance(self.plan, SearchPlan):
                remedy = "Only 'trials' may grow"
            raise PlanError(
                f"the experiment in {folder} was started with another plan: {changed}",
                where=plan_file,
                remedy=f"{remedy}; or choose another --out",
            )
        for variant, recipe in self.recipes.items():
            path = self.recipe_file(variant)
            if path.exists():
                _check_recipe(load_recipe(path), recipe, path)
        if isinstance(self.plan, VariantPlan):
            for cell in self.plan.cells:
                self._check_run(cell, [self.evaluation(one.name, cell) for one in self.plan.evaluate])

    def _check_run(self, cell: Cell, evaluations: list[Path]) -> None:
        """Raise OutputError where another run, or a file, is in a run's place."""
        run, wanted = self.run(cell), self.recipes[cell.variant]
        for folder in (run.folder, *evaluations):
            if folder.exists() and not folder.is_dir():
                raise OutputError(
                    "this file is in the place of a folder of the experiment",
                    where=folder,
                    remedy="Move it away, or choose another --out",
                )
        if state_of(run) == "to do":
            return
        wanted = wanted.model_copy(update={"seed": cell.seed})
        try:
            _check_recipe(load_recipe(run.recipe), wanted, run.recipe)
            given = run.given()
            same = (given["fingerprint"], given["fold"]) == (self._set(self.plan.data).fingerprint, cell.fold)
            if not same or Split.load(run.split) != self._split(self.plan.split):
                raise DatasetError("it was trained on another prepared set, split or fold")
        except (SonosegError, KeyError) as error:
            found = error.found if isinstance(error, SonosegError) else f"run.json lacks {error}"
            raise OutputError(
                f"this run is not of this plan ({found})",
                where=run.folder,
                remedy="Move it away, or choose another --out",
            ) from error


def evaluation_task(name: str, cell: Cell) -> str:
    """The name of the task that evaluates a cell."""
    return f"evaluations/{name}/{cell.path}"


def state_of(run: Run) -> State:
    """The state of a training: done with its Model, begun with all that `--resume` reads, else to do."""
    if (run.model / CARD).exists():
        return "done"
    return "begun" if all(path.exists() for path in (run.description, run.recipe, run.split)) else "to do"


def clear(run: Run) -> None:
    """Remove temporary files of a killed process, and the files of a run that was killed as it started."""
    for folder in (run.folder, run.last.parent, run.model):
        remove_leftovers(folder)
    if state_of(run) == "to do" and not run.last.parent.exists():
        for path in (run.description, run.recipe, run.split):
            path.unlink(missing_ok=True)


def _check_recipe(stored: Recipe, wanted: Recipe, where: Path) -> None:
    if stored == wanted:
        return
    before, after = stored.model_dump(mode="json"), wanted.model_dump(mode="json")
    key = next(key for key in after if after[key] != before[key])
    raise PlanError(
        f"the recipe differs from the one this experiment was started with ('{key}' was {before[key]!r} "
        f"and is {after[key]!r})",
        where=where,
        remedy="Restore the recipe, or choose another --out",
    )
