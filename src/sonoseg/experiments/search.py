"""A search: Optuna proposes the values of each trial, which is trained and compared on the validation part.

Every process that runs the same command works on the same search. Each holds a lock on the trials it trains,
which the system releases when it ends, however it ends. A trial that is neither finished nor locked is an
orphan: the next process that finds it resumes it from its last checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import optuna
from optuna.trial import FrozenTrial, TrialState

from sonoseg._util.documents import parse_json
from sonoseg._util.locks import locked
from sonoseg.errors import OutputError, SonosegError, TrainingError
from sonoseg.experiments.executor import BUSY, Executor, Outcome, Task, last_lines
from sonoseg.experiments.experiment_folder import LOCK, PATIENCE, ExperimentFolder, clear
from sonoseg.experiments.plan import SearchPlan, Value, short
from sonoseg.experiments.trial_storage import distributions, open_journal
from sonoseg.training.run_folder import Run

JOURNAL: Final = "journal.log"
REASON, SECONDS, EPOCH, RESUMED = "reason", "seconds", "epoch", "resumed"
"""What a trial stores beside its values."""

RESUMES: Final = 2
"""How often a trial is resumed; then, one whose process was killed each time is marked as failed."""

State = Literal["done", "pruned", "failed", "running"]
OnTrial = Callable[[Task, Outcome | None, str], None]


@dataclass(frozen=True)
class Trial:
    """A trial as the table shows it. value: of the metric, at its best epoch; None where there is none."""

    number: int
    state: State
    values: dict[str, Value]
    value: float | None
    epoch: int | None
    epochs: int
    seconds: float
    reason: str


@dataclass(eq=False)
class _Running:
    """A trial that this process trains.

    reported: epochs that Optuna knows. pruned: the epoch after which it is pruned. log: its state when read.
    """

    trial: optuna.Trial
    run: Run
    epochs: int
    held: ExitStack
    reported: set[int]
    pruned: int | None = None
    log: tuple[int, int] = (0, 0)


class Search:
    """The trials of an experiment whose plan is a search. Raises OutputError where its journal is damaged."""

    def __init__(self, experiment: ExperimentFolder) -> None:
        assert isinstance(experiment.plan, SearchPlan)
        self.experiment, self.plan = experiment, experiment.plan
        self.journal = experiment.folder / JOURNAL
        self._running: dict[str, _Running] = {}

    def trials(self) -> list[Trial]:
        """Every trial so far, by number; none before the search has started. Raises OutputError."""
        if not self.journal.exists():
            return []
        return [_trial(one) for one in self._study().get_trials(deepcopy=False)]

    def train(self, executor: Executor, on_change: OnTrial = lambda *_: None) -> list[Outcome]:
        """Train trials until the plan's number is reached, beside other processes that do the same.

        Returns an outcome for each trial of this process; a pruned one is "stopped".
        Raises OutputError where the folder cannot be written.
        """
        outcomes: list[Outcome] = []
        with self._lock():
            self.experiment.begin()
            study = self._study()

        def changed(task: Task, outcome: Outcome | None) -> None:
            if outcome is not None:
                outcome = self._finish(study, outcome)
                outcomes.append(outcome)
            ended = sum(one.state.is_finished() for one in study.get_trials(deepcopy=False))
            on_change(task, outcome, f"{ended}/{self.plan.trials}")

        try:
            executor.run(self._tasks(study), changed, lambda task: self._should_prune(study, task))
        finally:
            for one in self._running.values():  # interrupted: they can be resumed
                one.held.close()
            self._running.clear()
        return outcomes

    def _lock(self) -> Any:
        return locked(self.experiment.folder / LOCK, *BUSY, patience=PATIENCE)

    def _study(self) -> optuna.Study:
        return open_journal(self.journal, self.plan.name, self.plan.direction)

    def _tasks(self, study: optuna.Study) -> Iterator[Task]:
        """A task for each orphan or new trial, locked."""
        while True:
            with ExitStack() as held:
                with self._lock():
                    found = self._orphan(study, held) or self._new(study, held)
                if found is None:
                    return
                trial, lock = found
                cell = self.plan.cell(trial.number)
                note = ", ".join(f"{key} {short(value)}" for key, value in trial.params.items())
                try:
                    recipe = self.plan.recipe_of(trial.params)
                except SonosegError as error:  # two values that do not fit each other
                    _fail(study, trial, error.found)
                    continue
                self.experiment.keep_recipe(cell.variant, recipe)
                run = self.experiment.run(cell)
                clear(run)
                task = replace(self.experiment.training(cell, note), locks=(lock,))
                known = set(study.get_trials(deepcopy=False)[trial.number].intermediate_values)
                self._running[task.name] = _Running(trial, run, recipe.epochs, held.pop_all(), known)
            yield task

    def _new(self, study: optuna.Study, held: ExitStack) -> tuple[optuna.Trial, int] | None:
        """A new trial and its lock; None where there are enough. Only under the search's lock."""
        number = len(study.get_trials(deepcopy=False))
        if number >= self.plan.trials:
            return None
        lock = held.enter_context(self._trial_lock(number))
        # Seeded by the trial's number: a sampler with one seed would draw the same in every process.
        study.sampler = optuna.samplers.TPESampler(seed=1000 * self.plan.seed + number)
        return study.ask(distributions(self.plan.search)), lock

    def _orphan(self, study: optuna.Study, held: ExitStack) -> tuple[optuna.Trial, int] | None:
        """A trial whose process ended before it, and its lock; some are marked as failed instead."""
        for one in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            with ExitStack() as mine:
                try:
                    lock = mine.enter_context(self._trial_lock(one.number))
                except OutputError:
                    continue  # another process trains it
                trial = optuna.Trial(study, one._trial_id)
                resumed = int(one.user_attrs.get(RESUMED, 0))
                if set(one.params) != set(self.plan.search):
                    _fail(study, trial, "its process was killed as it started")
                elif resumed >= RESUMES:
                    _fail(study, trial, f"its process was killed {resumed + 1} times")
                else:
                    trial.set_user_attr(RESUMED, resumed + 1)
                    held.push(mine.pop_all())
                    return trial, lock
        return None

    def _trial_lock(self, number: int) -> Any:
        return locked(self.experiment.folder / "locks" / f"{number:04d}", *BUSY)

    def _should_prune(self, study: optuna.Study, task: Task) -> str:
        """Report new epochs of a trial to Optuna; the reason to stop it, "" for none."""
        one = self._running[task.name]
        with suppress(OSError, TrainingError):  # not written yet, or not readable now: at the next poll
            stat = one.run.log.stat()
            if (stat.st_mtime_ns, stat.st_size) != one.log:
                self._report(study, one)
                one.log = (stat.st_mtime_ns, stat.st_size)
        return "" if one.pruned is None else f"pruned after epoch {one.pruned}"

    def _report(self, study: optuna.Study, one: _Running) -> None:
        for entry in _validation(one.run):
            epoch, value = entry["epoch"] - 1, entry.get(self.plan.metric)
            if one.pruned is not None or value is None or epoch in one.reported:
                continue
            one.trial.report(float(value), epoch)
            one.reported.add(epoch)
            frozen = study.get_trials(deepcopy=False)[one.trial.number]
            if epoch + 1 < one.epochs and _pruner(self.plan).prune(study, frozen):
                one.pruned = epoch + 1

    def _finish(self, study: optuna.Study, outcome: Outcome) -> Outcome:
        """Store how a trial ended; the outcome with its result, or with the error of its log."""
        one = self._running.pop(outcome.task.name)
        with one.held:
            one.trial.set_user_attr(SECONDS, outcome.seconds)
            if outcome.end == "failed":
                return _failed(study, one.trial, outcome, _error_in(outcome))
            try:
                self._report(study, one)  # epochs since the last poll: pruning must not depend on its timing
                if one.pruned is not None:
                    study.tell(one.trial, state=TrialState.PRUNED)
                    return replace(outcome, end="stopped", reason=f"pruned after epoch {one.pruned}")
                value, epoch = validation_value(one.run, self.plan)
            except SonosegError as error:
                return _failed(study, one.trial, outcome, error.found)
            one.trial.set_user_attr(EPOCH, epoch)
            study.tell(one.trial, value)
            return replace(outcome, reason=f"{self.plan.metric} {value:.4f} at epoch {epoch}")


def validation_value(run: Run, plan: SearchPlan) -> tuple[float, int]:
    """The plan's metric on validation at the epoch whose weights were kept, and that epoch.

    Raises TrainingError where the log has no such figure.
    """
    kept = max(_validation(run), key=lambda one: (one["dice"] or 0.0, -one["epoch"]), default={})
    value = kept.get(plan.metric)
    if value is None or not math.isfinite(value):
        raise TrainingError(f"the validation part has no '{plan.metric}'", where=run.log)
    return float(value), int(kept["epoch"])


def _validation(run: Run) -> list[dict[str, Any]]:
    """The log's entries of the validation part."""
    try:
        entries = [parse_json(line) for line in run.log.read_text("utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise TrainingError(f"the log cannot be read ({error})", where=run.log) from error
    return [one for one in entries if one["split"] == "validation"]


def _error_in(outcome: Outcome) -> str:
    """The error that a task's process printed last, else how it ended."""
    errors = [line for line in last_lines(outcome.task.log) if line.startswith("error: ")]
    return errors[-1].removeprefix("error: ") if errors else outcome.reason


def _failed(study: optuna.Study, trial: optuna.Trial, outcome: Outcome, reason: str) -> Outcome:
    _fail(study, trial, reason)
    return replace(outcome, end="failed", reason=reason)


def _fail(study: optuna.Study, trial: optuna.Trial, reason: str) -> None:
    trial.set_user_attr(REASON, reason)
    study.tell(trial, state=TrialState.FAIL)


def _pruner(plan: SearchPlan) -> optuna.pruners.BasePruner:
    prune = plan.prune
    if prune.kind == "none":
        return optuna.pruners.NopPruner()
    if prune.kind == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=prune.startup, n_warmup_steps=prune.after - 1)
    return optuna.pruners.SuccessiveHalvingPruner(min_resource=prune.after, reduction_factor=3)


def _trial(one: FrozenTrial) -> Trial:
    states: dict[TrialState, State] = {TrialState.COMPLETE: "done", TrialState.PRUNED: "pruned"}
    states |= {TrialState.FAIL: "failed"}
    stored = one.user_attrs
    return Trial(
        number=one.number,
        state=states.get(one.state, "running"),
        values=dict(one.params),
        value=one.value if one.state is TrialState.COMPLETE else None,
        epoch=stored.get(EPOCH),
        epochs=len(one.intermediate_values),
        seconds=float(stored.get(SECONDS, 0.0)),
        reason=str(stored.get(REASON, "")),
    )
