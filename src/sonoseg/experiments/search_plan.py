"""A search's plan: which values of a recipe are tried, in which ranges, and by what a trial is judged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import Field, field_validator, model_validator

from sonoseg._util.validation import StrictModel
from sonoseg.errors import PlanError, RecipeError
from sonoseg.experiments.plan import Changes, Number, Word, change, read_plan
from sonoseg.training.recipe import Recipe, load_recipe

DOCS: Final = "docs/tune.md"
Measure = Literal["dice", "iou", "loss", "missed", "false_positive_rate"]
LOWER_IS_BETTER: Final = ("loss", "missed", "false_positive_rate")
Value = str | int | float | bool
"""A trial's value of one key, as Optuna keeps it; a choice is its YAML text."""


class Range(StrictModel):
    """Numbers from `low` to `high`, both among them; whole ones where both ends are.

    log: spread over orders of magnitude. step: between neighbours, from `low` on.
    """

    low: int | float
    high: int | float
    log: bool = False
    step: Annotated[int | float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Range:
        if self.low >= self.high:
            raise ValueError(f"low is {self.low:g} and high {self.high:g}: low must be the smaller")
        if self.log and self.low <= 0:
            raise ValueError(f"a log range starts above 0, this one at {self.low:g}")
        if self.log and self.step is not None:
            raise ValueError("a log range has no step")
        if self.whole and self.step is not None and not isinstance(self.step, int):
            raise ValueError(
                f"whole numbers with a step of {self.step:g}: write the ends as 1.0, or a whole step"
            )
        return self

    @property
    def whole(self) -> bool:
        """Whether its numbers are whole."""
        return isinstance(self.low, int) and isinstance(self.high, int)


class Prune(StrictModel):
    """When a trial is ended early. startup: trials that end by themselves first. after: epochs each is given.

    median: worse than the median of the others at the same epoch. halving: not in the best third at 1, 3, 9,
    ... times `after` epochs (successive halving as Li et al. 2020 do it for several processes).
    """

    kind: Literal["none", "median", "halving"] = "median"
    startup: Annotated[int, Field(ge=0)] = 5
    after: Annotated[int, Field(ge=1)] = 2


class TunePlan(StrictModel):
    """Trials of one recipe on one fold; every trial is trained with the same seed.

    set: changes to the recipe for all trials. search: what differs, by the recipe's dotted keys: a range, or
    a list of choices. seed: of every training, and of the draws.
    """

    name: Word
    recipe: str
    data: Path
    split: Path
    fold: Number = 0
    seed: Number = 0
    set: Changes = {}
    search: Annotated[dict[str, Range | list[Any]], Field(min_length=1)]
    trials: Annotated[int, Field(ge=1)] = 20
    measure: Measure = "dice"
    prune: Prune = Prune()

    @field_validator("set", mode="before")
    @classmethod
    def _nothing_is_no_change(cls, value: Any) -> Any:
        return {} if value is None else value

    @field_validator("search", mode="before")
    @classmethod
    def _ranges_or_choices(cls, value: Any) -> Any:
        for key, one in value.items() if isinstance(value, dict) else ():
            if not isinstance(one, dict | list) or (isinstance(one, list) and len(one) < 2):
                raise ValueError(
                    f"'{key}' is a range, as {{low: 1, high: 8}}, or a list of two choices or more"
                )
        return value

    @field_validator("search")
    @classmethod
    def _choices_differ(cls, value: dict[str, Any]) -> dict[str, Any]:
        for key, one in value.items():
            texts = [as_text(choice) for choice in one] if isinstance(one, list) else []
            if len(set(texts)) < len(texts):
                raise ValueError(f"a choice of '{key}' is there twice")
        return value

    @property
    def direction(self) -> Literal["minimize", "maximize"]:
        """Where the better values of the measure lie, in Optuna's words."""
        return "minimize" if self.measure in LOWER_IS_BETTER else "maximize"

    def yaml(self) -> str:
        """The plan as YAML; `load_plan` reads it back equal."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    def recipe_of(self, values: dict[str, Value]) -> Recipe:
        """The recipe of a trial with these values. Raises RecipeError."""
        changes = [change(key, value) for key, value in self.set.items()]
        for key, value in values.items():
            chosen = isinstance(self.search[key], list)
            changes.append(f"{key}={value}" if chosen else change(key, value))
        # A preset starts the network afresh: whatever else is said of the network comes after it.
        changes.sort(key=lambda text: not text.startswith("network.preset="))
        return load_recipe(self.recipe, [*changes, f"seed={self.seed}"])


def load_plan(path: str | Path) -> TunePlan:
    """Read a plan, its paths made absolute, and try the ends of every range and every choice as a recipe.

    Nothing but the plan and the recipe is opened. Raises PlanError, naming the wrong key; RecipeError.
    """
    path = Path(path)
    plan = read_plan(path, TunePlan, DOCS)
    folder = path.resolve().parent
    recipe = str(folder / plan.recipe) if Path(plan.recipe).suffix in {".yaml", ".yml"} else plan.recipe
    paths = {"data": folder / plan.data, "split": folder / plan.split}
    plan = plan.model_copy(update={"recipe": recipe, **paths})
    _try(plan, path)
    return plan


def what_changed(old: TunePlan, new: TunePlan) -> str | None:
    """What of `old` is not so in `new`, as a clause; None where `new` at most has more trials."""
    for key in TunePlan.model_fields:
        before, after = getattr(old, key), getattr(new, key)
        if key == "trials" and after >= before:
            continue
        if before != after:
            return f"'{key}' was {before!s} and is {after!s}"
    return None


def as_text(value: Any) -> str:
    """A choice as the YAML text that `sonoseg train --set` takes."""
    return change("", value).removeprefix("=")


def _try(plan: TunePlan, where: Path) -> None:
    load_recipe(plan.recipe)  # its own faults are not the search's
    for section, keys in (("set", plan.set), ("search", plan.search)):
        if "seed" in keys:
            raise PlanError(
                f"'{section}' holds the seed",
                where=where,
                remedy="One seed for all trials stands under 'seed'",
            )
    both = [key for key in plan.search if key in plan.set]
    if both:
        raise PlanError(f"'{both[0]}' is both in 'set' and in 'search'", where=where, remedy="Leave one out")
    first = {key: _tried(one)[0] for key, one in plan.search.items()}
    for key, one in plan.search.items():
        for value in _tried(one):
            try:
                plan.recipe_of(first | {key: value})
            except RecipeError as error:
                raise PlanError(
                    f"search.{key} with {value}: {error.found}", where=where, remedy=error.remedy
                ) from error


def _tried(one: Range | list[Any]) -> list[Value]:
    return [one.low, one.high] if isinstance(one, Range) else [as_text(choice) for choice in one]
