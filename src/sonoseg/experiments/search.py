"""A search carried out: trials are asked for, trained, told; what a killed process left is taken up.

Every process that gives the same command works on the same search. Each holds a lock on the trial it trains,
which the system lets go when it ends, however it ends: a trial that is not finished and not locked is an
orphan, and whoever finds it goes on with it from its last checkpoint.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import optuna
from optuna.trial import FrozenTrial, TrialState

from sonoseg._util.files import atomic_write_text
from sonoseg._util.locks import locked
from sonoseg.data.prepared_set import PreparedSet
from sonoseg.data.splits import Split
from sonoseg.errors import OutputError, PlanError, SonosegError, UsageError
from sonoseg.experiments.search_plan import TunePlan, Value, load_plan, what_changed
from sonoseg.experiments.trial_storage import distributions, open_journal
from sonoseg.training.recipe import Recipe
from sonoseg.training.run_folder import Run

PLAN, JOURNAL, LOCK = "plan.yaml", "journal.log", ".lock"
REASON, SECONDS, EPOCH, TAKEN_UP = "reason", "seconds", "epoch", "taken_up"
"""What a trial carries beside its values."""

BUSY = ("another process works on this search", "Wait for it or stop it, then give the same command again")
"""What is said of a lock that is held for long."""

OFTEN: Final = 2
"""How often a trial is taken up: one that ends its process each time is marked as failed then."""

State = Literal["done", "pruned", "failed", "running"]
Tell = Callable[[int, "State | Literal['begins', 'goes on']", str], None]
"""Called with a trial's number, what it does, and its values or its result in words."""
Report = Callable[[int, int, int, "dict[str, Any] | None"], None]


class TrainFunction(Protocol):
    """Trains by a recipe into a folder, calling `report` as the training loop does."""

    def __call__(self, recipe: Recipe, out: Path, resume: bool, report: Report) -> None: ...


class Pruned(Exception):
    """A trial is not worth its remaining epochs."""


@dataclass(frozen=True)
class Trial:
    """A trial in plain words. value: of the measure, at its best epoch; None where there is none."""

    number: int
    state: State
    values: dict[str, Value]
    value: float | None
    epoch: int | None
    epochs: int
    seconds: float
    reason: str


class Search:
    """A plan and the folder it is carried out in, checked: opening writes nothing.

    Raises PlanError, RecipeError, DatasetError, UsageError for a plan that cannot be carried out; OutputError
    where the folder holds something else.
    """

    def __init__(self, plan_file: str | Path, folder: str | Path) -> None:
        self.folder = Path(folder).resolve()
        self.plan = load_plan(plan_file)
        self.prepared = PreparedSet.open(self.plan.data)
        self.split = Split.load(self.plan.split)
        self.split.check(self.prepared)
        try:
            self.split.part(self.plan.fold)
        except UsageError as error:
            raise PlanError(f"'fold': {error.found}", where=plan_file, remedy=error.remedy) from error
        self._check_folder(Path(plan_file))

    @property
    def journal(self) -> Path:
        """The file that the processes share."""
        return self.folder / JOURNAL

    def run(self, number: int) -> Run:
        """The run folder of a trial."""
        return Run(self.folder / "trials" / f"{number:04d}")

    def trials(self) -> list[Trial]:
        """Every trial so far, by number; none before the search has begun. Raises OutputError."""
        if not self.journal.exists():
            return []
        return [_plain(one) for one in self._study().get_trials(deepcopy=False)]

    def best(self) -> Trial | None:
        """The done trial of the best value, the earlier of equals."""
        sign = -1 if self.plan.direction == "maximize" else 1
        done = [one for one in self.trials() if one.state == "done" and one.value is not None]
        return min(done, key=lambda one: (sign * (one.value or 0.0), one.number), default=None)

    def carry_out(self, train: TrainFunction | None = None, tell: Tell = lambda *_: None) -> None:
        """Train trials until the plan's number is reached, beside other processes that do the same.

        Raises OutputError where the folder cannot be written. A trial that fails costs its row.
        """
        train = train or self._train
        with locked(self.folder / LOCK, *BUSY, patience=60.0):
            if not (self.folder / PLAN).exists() or load_plan(self.folder / PLAN) != self.plan:
                atomic_write_text(self.folder / PLAN, self.plan.yaml())
        while True:
            with ExitStack() as held:
                with locked(self.folder / LOCK, *BUSY, patience=60.0):
                    study = self._study()
                    trial = self._orphan(study, held) or self._next(study, held)
                if trial is None:
                    return
                self._do(study, trial, train, tell)

    def _study(self) -> optuna.Study:
        return open_journal(self.journal, self.plan.name, self.plan.direction)

    def _next(self, study: optuna.Study, held: ExitStack) -> optuna.Trial | None:
        """A new trial, locked; None where there are enough. Only under the search's lock."""
        number = len(study.get_trials(deepcopy=False))
        if number >= self.plan.trials:
            return None
        held.enter_context(self._held(number))
        # Seeded by the trial's own number: a sampler with one seed would draw the same in every process.
        study.sampler = optuna.samplers.TPESampler(seed=1000 * self.plan.seed + number)
        return study.ask(distributions(self.plan.search))

    def _orphan(self, study: optuna.Study, held: ExitStack) -> optuna.Trial | None:
        """A trial whose process ended before it was told, locked; those past mending are marked as failed."""
        for one in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            with ExitStack() as mine:
                try:
                    mine.enter_context(self._held(one.number))
                except OutputError:
                    continue  # somebody trains it
                trial = optuna.Trial(study, one._trial_id)
                taken_up = int(one.user_attrs.get(TAKEN_UP, 0))
                if set(one.params) != set(self.plan.search):
                    _fail(study, trial, "its process was killed as it began")
                elif taken_up >= OFTEN:
                    _fail(study, trial, f"its process was killed {taken_up + 1} times")
                else:
                    trial.set_user_attr(TAKEN_UP, taken_up + 1)
                    held.push(mine.pop_all())
                    return trial
        return None

    @contextmanager
    def _held(self, number: int) -> Iterator[None]:
        with locked(self.folder / "locks" / f"{number:04d}", *BUSY):
            yield

    def _do(self, study: optuna.Study, trial: optuna.Trial, train: TrainFunction, tell: Tell) -> None:
        """Train one trial, and tell the journal how it ended."""
        number, run, plan = trial.number, self.run(trial.number), self.plan
        resume = run.description.exists() and run.recipe.exists() and run.split.exists()
        if not resume:
            for path in (run.description, run.recipe):  # of a process that was killed as it began
                path.unlink(missing_ok=True)
        words = ", ".join(f"{key} {_short(value)}" for key, value in trial.params.items())
        tell(number, "goes on" if resume else "begins", words)
        pruner, began = _pruner(plan), time.monotonic()
        already = set(study.get_trials(deepcopy=False)[number].intermediate_values)

        def report(epoch: int, step: int, steps: int, ended: dict[str, Any] | None) -> None:
            if ended is None or ended["validation"][plan.measure] is None:
                return
            if epoch not in already:
                trial.report(float(ended["validation"][plan.measure]), epoch)
            frozen = study.get_trials(deepcopy=False)[number]
            if epoch + 1 < epochs and pruner.prune(study, frozen):
                raise Pruned

        try:
            recipe = plan.recipe_of(trial.params)
            epochs = recipe.epochs
            train(recipe, run.folder, resume, report)
            value, epoch = measured(run, plan)
        except Pruned:
            trial.set_user_attr(SECONDS, time.monotonic() - began)
            study.tell(trial, state=TrialState.PRUNED)
            tell(number, "pruned", "")
        except SonosegError as error:
            _fail(study, trial, error.found)
            tell(number, "failed", str(error))
        else:
            trial.set_user_attr(EPOCH, epoch)
            trial.set_user_attr(SECONDS, time.monotonic() - began)
            study.tell(trial, value)
            tell(number, "done", f"{plan.measure} {value:.4f} at epoch {epoch}")

    def _train(self, recipe: Recipe, out: Path, resume: bool, report: Report) -> None:
        from sonoseg.training.train import train

        train(recipe, self.prepared, self.split, out, fold=self.plan.fold, resume=resume, report=report)

    def _check_folder(self, plan_file: Path) -> None:
        if self.folder.exists() and not self.folder.is_dir():
            raise OutputError(
                "this is a file, not a folder", where=self.folder, remedy="Choose another --out"
            )
        stored = self.folder / PLAN
        if self.folder.exists() and any(path.name != LOCK for path in self.folder.iterdir()):
            if not stored.exists() and (self.folder / LOCK).exists():
                # Another process that begins holds the lock while it writes the plan: look again after that.
                with locked(self.folder / LOCK, *BUSY, patience=60.0):
                    pass
            if not stored.exists():
                raise OutputError(
                    f"the folder is not empty, and holds no search ({PLAN} is missing)",
                    where=self.folder,
                    remedy="Choose another --out",
                )
        if not stored.exists():
            return
        changed = what_changed(load_plan(stored), self.plan)
        if changed:
            raise PlanError(
                f"the search in {self.folder} was begun with another plan: {changed}",
                where=plan_file,
                remedy="Only 'trials' may grow; or choose another --out",
            )


def measured(run: Run, plan: TunePlan) -> tuple[float, int]:
    """The plan's measure on validation at the epoch whose weights were kept, and that epoch.

    Raises SonosegError where the log has no such figure.
    """
    lines = [json.loads(line) for line in run.log.read_text("utf-8").splitlines()]
    entries = [one for one in lines if one["split"] == "validation"]
    kept = max(entries, key=lambda one: (one["dice"] or 0.0, -one["epoch"]))
    value = kept[plan.measure]
    if value is None or not math.isfinite(value):
        raise SonosegError(f"validation has no figure for '{plan.measure}'", where=run.log)
    return float(value), int(kept["epoch"])


def _fail(study: optuna.Study, trial: optuna.Trial, reason: str) -> None:
    trial.set_user_attr(REASON, reason)
    study.tell(trial, state=TrialState.FAIL)


def _pruner(plan: TunePlan) -> optuna.pruners.BasePruner:
    prune = plan.prune
    if prune.kind == "none":
        return optuna.pruners.NopPruner()
    if prune.kind == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=prune.startup, n_warmup_steps=prune.after - 1)
    return optuna.pruners.SuccessiveHalvingPruner(min_resource=prune.after, reduction_factor=3)


def _plain(one: FrozenTrial) -> Trial:
    states: dict[TrialState, State] = {TrialState.COMPLETE: "done", TrialState.PRUNED: "pruned"}
    states |= {TrialState.FAIL: "failed"}
    attributes = one.user_attrs
    return Trial(
        number=one.number,
        state=states.get(one.state, "running"),
        values=dict(one.params),
        value=one.value if one.state is TrialState.COMPLETE else None,
        epoch=attributes.get(EPOCH),
        epochs=len(one.intermediate_values),
        seconds=float(attributes.get(SECONDS, 0.0)),
        reason=str(attributes.get(REASON, "")),
    )


def _short(value: Value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
