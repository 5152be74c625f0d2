"""Plans of experiments: variants over folds and seeds, or a search over values of a recipe."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from sonoseg._util.documents import parse_yaml
from sonoseg._util.validation import StrictModel, describe
from sonoseg.errors import PlanError, RecipeError
from sonoseg.training.recipe import Recipe, load_recipe

DOCS: Final = "docs/experiments.md"
AS_IT_IS: Final = "as-it-is"
"""The one variant of a plan that names none."""

T = TypeVar("T")


def _check_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ValueError("a name consists of letters, digits, '.', '_' and '-', since it becomes a folder")
    return name


FolderName = Annotated[str, StringConstraints(max_length=60), AfterValidator(_check_name)]
Number = Annotated[int, Field(ge=0)]
Changes = dict[str, Any]
"""Values of a recipe by their dotted keys, as `sonoseg train --set` takes them."""

Metric = Literal["dice", "iou", "loss", "missed", "false_positive_rate"]
LOWER_IS_BETTER: Final = ("loss", "missed", "false_positive_rate")
Value = str | int | float | bool
"""A trial's value of one key, as Optuna stores it; a choice is its YAML text."""


@dataclass(frozen=True)
class Cell:
    """One training of a plan. variant: a variant's name, or that of a trial."""

    variant: str
    fold: int
    seed: int

    @property
    def path(self) -> str:
        """Where its folders lie below `runs/` and `evaluations/NAME/`."""
        return f"{self.variant}/fold{self.fold}-seed{self.seed}"


class PlannedEvaluation(StrictModel):
    """What each run is evaluated on, as by `sonoseg evaluate`.

    data, split: the plan's own where None; another prepared set without a split is measured as a whole.
    fold: "same" is the run's own fold; a number is that fold of `split` for every run.
    part: the test part where there is a split, else all.
    """

    name: FolderName
    data: Path | None = None
    split: Path | None = None
    fold: Literal["same"] | Number = "same"
    part: Literal["test", "validation", "all"] | None = None
    sets: list[str] = []
    tta: Literal["none", "flip", "scales", "full"] = "none"
    threshold: Annotated[float, Field(ge=0.001, le=0.999)] | None = None


class ExperimentPlan(StrictModel):
    """What every plan says.

    set: changes to the recipe for all runs.
    """

    name: FolderName
    recipe: str
    data: Path
    split: Path
    set: Changes = {}

    @field_validator("set", mode="before")
    @classmethod
    def _none_is_no_change(cls, value: Any) -> Any:
        return {} if value is None else value

    def yaml(self) -> str:
        """The plan as YAML; `load_plan` reads it back equal."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    def with_absolute_paths(self, folder: Path) -> ExperimentPlan:
        """The plan with its paths, relative to `folder`, made absolute."""
        recipe = self.recipe
        if Path(recipe).suffix in {".yaml", ".yml"}:
            recipe = str(folder / recipe)
        return self.model_copy(
            update={"recipe": recipe, "data": folder / self.data, "split": folder / self.split}
        )

    def recipe_with(self, changes: list[str]) -> Recipe:
        """The plan's recipe with changes of the form key=value, a preset of the network first."""
        return load_recipe(
            self.recipe, sorted(changes, key=lambda text: not text.startswith("network.preset="))
        )


class VariantPlan(ExperimentPlan):
    """Every variant is trained with every seed on every fold; the first variant is the reference.

    variants: changes to the recipe beside those of `set`, by the variant's name.
    mean: evaluations, such as one for each centre, whose unweighted mean the table adds.
    """

    folds: Annotated[list[Number], Field(min_length=1)] = [0]
    seeds: Annotated[list[Number], Field(min_length=1)] = [0]
    variants: Annotated[dict[FolderName, Changes], Field(min_length=1)] = {AS_IT_IS: {}}
    evaluate: Annotated[list[PlannedEvaluation], Field(min_length=1)] = [PlannedEvaluation(name="test")]
    mean: list[FolderName] = []

    @field_validator("variants", mode="before")
    @classmethod
    def _none_is_as_it_is(cls, value: Any) -> Any:
        if value in (None, {}):
            return {AS_IT_IS: {}}
        if isinstance(value, dict):
            return {name: {} if changes is None else changes for name, changes in value.items()}
        return value

    @field_validator("folds", "seeds")
    @classmethod
    def _numbers_differ(cls, value: list[int]) -> list[int]:
        return _unique(value)

    @field_validator("variants", "evaluate")
    @classmethod
    def _names_differ(cls, value: T) -> T:
        names = [one if isinstance(one, str) else one.name for one in value]  # type: ignore[attr-defined]
        _unique([name.lower() for name in names])  # each names a folder: not every file system minds case
        return value

    @model_validator(mode="after")
    def _mean_is_of_evaluations(self) -> VariantPlan:
        known = [one.name for one in self.evaluate]
        for name in _unique(self.mean):
            if name not in known:
                raise ValueError(f"'mean' names '{name}', which 'evaluate' does not: {', '.join(known)}")
        if len(self.mean) == 1:
            raise ValueError("'mean' names one evaluation: name two or more")
        return self

    @property
    def reference(self) -> str:
        """The variant with which the others are compared."""
        return next(iter(self.variants))

    @property
    def cells(self) -> list[Cell]:
        """Every training, all variants of a seed before the next seed.

        So an unfinished experiment compares its variants on the same folds and seeds.
        """
        return [
            Cell(name, fold, seed) for seed in self.seeds for fold in self.folds for name in self.variants
        ]

    def with_absolute_paths(self, folder: Path) -> VariantPlan:
        """The plan with absolute paths, and with the data, split and part of each evaluation filled in."""
        own, split = folder / self.data, folder / self.split
        evaluations = []
        for one in self.evaluate:
            data = own if one.data is None else folder / one.data
            parts = None if one.split is None else folder / one.split
            if parts is None and data == own:
                parts = split
            part = one.part or ("all" if parts is None else "test")
            evaluations.append(one.model_copy(update={"data": data, "split": parts, "part": part}))
        plan = super().with_absolute_paths(folder).model_copy(update={"evaluate": evaluations})
        assert isinstance(plan, VariantPlan)
        return plan

    def recipes(self, where: str | Path) -> dict[str, Recipe]:
        """Each variant's recipe, resolved, without its seed; a variant's value overrides that of `set`.

        where: the plan's file, for the errors.
        Raises PlanError with the variant and the wrong key, RecipeError for a recipe that does not exist.
        """
        load_recipe(self.recipe)  # an error of its own is not a variant's
        found: dict[str, Recipe] = {}
        for name, own in self.variants.items():
            for section, changes in (("set", self.set), (f"variants.{name}", own)):
                if "seed" in changes:
                    raise PlanError(
                        f"'{section}' changes the seed", where=where, remedy="Name the seeds under 'seeds'"
                    )
            try:
                merged = self.set | own
                found[name] = self.recipe_with([change(key, value) for key, value in merged.items()])
            except RecipeError as error:
                raise PlanError(
                    f"variant '{name}': {error.found}", where=where, remedy=error.remedy
                ) from error
        return found


class Range(StrictModel):
    """Numbers from `low` to `high`, both included; integers where both ends are integers.

    log: spread over orders of magnitude. step: between neighbours, from `low` on.
    """

    low: int | float
    high: int | float
    log: bool = False
    step: Annotated[int | float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _is_consistent(self) -> Range:
        if self.low >= self.high:
            raise ValueError(f"low is {self.low:g} and high {self.high:g}: low must be the smaller")
        if self.log and self.low <= 0:
            raise ValueError(f"a log range starts above 0, this one at {self.low:g}")
        if self.log and self.step is not None:
            raise ValueError("a log range has no step")
        if self.integers and self.step is not None and not isinstance(self.step, int):
            raise ValueError(
                f"integers with a step of {self.step:g}: write the ends as 1.0, or an integer step"
            )
        return self

    @property
    def integers(self) -> bool:
        """Whether its numbers are integers."""
        return isinstance(self.low, int) and isinstance(self.high, int)


class Prune(StrictModel):
    """When a trial is stopped early.

    startup: trials that are trained in full first. after: epochs that each is given.
    median: worse than the median of the others at the same epoch. halving: not in the best third at 1, 3, 9,
    ... times `after` epochs (asynchronous successive halving, Li et al. 2020).
    """

    kind: Literal["none", "median", "halving"] = "median"
    startup: Annotated[int, Field(ge=0)] = 5
    after: Annotated[int, Field(ge=1)] = 2


class SearchPlan(ExperimentPlan):
    """Trials of one recipe on one fold, all with the same seed; Optuna proposes their values.

    search: by the recipe's dotted keys, a range or a list of choices. seed: of every training and of the
    sampler. metric: of the validation part, by which trials are compared.
    """

    fold: Number = 0
    seed: Number = 0
    search: Annotated[dict[str, Range | list[Any]], Field(min_length=1)]
    trials: Annotated[int, Field(ge=1)] = 20
    metric: Metric = "dice"
    prune: Prune = Prune()

    @field_validator("search", mode="before")
    @classmethod
    def _ranges_or_choices(cls, value: Any) -> Any:
        for key, one in value.items() if isinstance(value, dict) else ():
            if not isinstance(one, dict | list) or (isinstance(one, list) and len(one) < 2):
                raise ValueError(
                    f"'{key}' must be a range, as {{low: 1, high: 8}}, or a list of two choices or more"
                )
        return value

    @field_validator("search")
    @classmethod
    def _choices_differ(cls, value: dict[str, Any]) -> dict[str, Any]:
        for key, one in value.items():
            texts = [as_text(choice) for choice in one] if isinstance(one, list) else []
            if len(set(texts)) < len(texts):
                raise ValueError(f"a choice of '{key}' is given twice")
        return value

    @property
    def direction(self) -> Literal["minimize", "maximize"]:
        """Where the better values of the metric lie, by Optuna's names."""
        return "minimize" if self.metric in LOWER_IS_BETTER else "maximize"

    def cell(self, number: int) -> Cell:
        """The training of a trial."""
        return Cell(f"trial-{number:04d}", self.fold, self.seed)

    def recipe_of(self, values: dict[str, Value]) -> Recipe:
        """The recipe of a trial with these values. Raises RecipeError."""
        changes = [change(key, value) for key, value in self.set.items()]
        for key, value in values.items():
            chosen = isinstance(self.search[key], list)
            changes.append(f"{key}={value}" if chosen else change(key, value))
        return self.recipe_with(changes).model_copy(update={"seed": self.seed})

    def recipes(self, where: str | Path) -> dict[str, Recipe]:
        """No recipe is known before its trial: try the ends of every range and every choice as one.

        where: the plan's file, for the errors. Raises PlanError with the wrong key; RecipeError.
        """
        load_recipe(self.recipe)  # an error of its own is not the search's
        for section, keys in (("set", self.set), ("search", self.search)):
            if "seed" in keys:
                raise PlanError(
                    f"'{section}' changes the seed", where=where, remedy="Give one seed for all under 'seed'"
                )
        both = [key for key in self.search if key in self.set]
        if both:
            raise PlanError(
                f"'{both[0]}' is both in 'set' and in 'search'", where=where, remedy="Remove one of them"
            )
        first = {key: next(_extremes(one)) for key, one in self.search.items()}
        for key, one in self.search.items():
            for value in _extremes(one):
                try:
                    self.recipe_of(first | {key: value})
                except RecipeError as error:
                    raise PlanError(
                        f"search.{key} with {value}: {error.found}", where=where, remedy=error.remedy
                    ) from error
        return {}


def load_plan(path: str | Path) -> VariantPlan | SearchPlan:
    """Read a plan, a search where it has the key `search`, with absolute paths and defaults filled in.

    Only the plan is opened. Raises PlanError with the wrong key's path and the nearest right one.
    """
    path = Path(path)
    try:
        values = parse_yaml(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PlanError(f"the plan cannot be read ({reason})", where=path) from error
    if not isinstance(values, dict):
        raise PlanError("a plan is a mapping of keys to values", where=path, remedy=f"See {DOCS}")
    kind = SearchPlan if "search" in values else VariantPlan
    try:
        plan = kind.model_validate(values).with_absolute_paths(path.resolve().parent)
    except ValidationError as error:
        invalid = describe(error, kind)
        raise PlanError(
            invalid.problem, where=path, remedy=invalid.remedy or f"See {DOCS} for every key"
        ) from error
    assert isinstance(plan, VariantPlan | SearchPlan)
    return plan


def what_changed(old: ExperimentPlan, new: ExperimentPlan) -> str | None:
    """What of `old` differs in `new`, as a clause; None where `new` only adds runs or trials."""
    if isinstance(old, VariantPlan) and isinstance(new, VariantPlan):
        return _changed_variants(old, new)
    if type(old) is not type(new):
        kinds = ("a search" if isinstance(one, SearchPlan) else "a plan of variants" for one in (old, new))
        return "it was {} and is {}".format(*kinds)
    for key in type(new).model_fields:
        before, after = getattr(old, key), getattr(new, key)
        if before != after and not (key == "trials" and after > before):
            return _changed(key, before, after)
    return None


def _changed_variants(old: VariantPlan, new: VariantPlan) -> str | None:
    for key in ("name", "recipe", "data", "split", "set"):
        if getattr(old, key) != getattr(new, key):
            return _changed(key, getattr(old, key), getattr(new, key))
    for key in ("folds", "seeds"):
        removed = [number for number in getattr(old, key) if number not in getattr(new, key)]
        if removed:
            return f"'{key}' no longer contains {removed[0]}"
    if old.reference != new.reference:
        return f"the first variant was '{old.reference}' and is '{new.reference}'"
    evaluations = {one.name: one for one in new.evaluate}
    pairs: list[tuple[str, Any, Any]] = [
        *((f"variants.{name}", changes, new.variants.get(name)) for name, changes in old.variants.items()),
        *((f"evaluate.{one.name}", one, evaluations.get(one.name)) for one in old.evaluate),
    ]
    for key, before, after in pairs:
        if after is None:
            return f"'{key}' was removed"
        if before != after:
            return _changed(key, before, after)
    return None


def _changed(key: str, before: Any, after: Any) -> str:
    def shown(value: Any) -> str:
        if isinstance(value, BaseModel):
            value = value.model_dump(mode="json", exclude_defaults=True)
        return str(value) if isinstance(value, Path) else repr(value)

    return f"'{key}' was {shown(before)} and is {shown(after)}"


def change(key: str, value: Any) -> str:
    """A change as `load_recipe` takes it."""
    # One line, without the mark that YAML sets behind a bare value.
    text = yaml.safe_dump(value, default_flow_style=True, width=float("inf"))
    return f"{key}={text.removesuffix('...' + chr(10)).strip()}"


def as_text(value: Any) -> str:
    """A choice as the YAML text that `sonoseg train --set` takes."""
    return change("", value).removeprefix("=")


def short(value: Any) -> str:
    """A trial's value of a key, with four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _extremes(one: Range | list[Any]) -> Iterator[Value]:
    yield from (one.low, one.high) if isinstance(one, Range) else (as_text(choice) for choice in one)


def _unique(values: list[T]) -> list[T]:
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{value} is given twice")
    return values
