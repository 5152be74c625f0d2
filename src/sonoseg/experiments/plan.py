"""A plan of runs: what is varied, over which folds and seeds, and on what each run is measured."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, Field, StringConstraints, ValidationError, field_validator

from sonoseg._util.validation import StrictModel, describe
from sonoseg.errors import PlanError, RecipeError
from sonoseg.training.recipe import Recipe, load_recipe

AS_IT_IS = "as-it-is"
"""The one variant of a plan that names none."""

T = TypeVar("T")
Kind = TypeVar("Kind", bound=BaseModel)


def _check_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ValueError("a name is made of letters, digits, '.', '_' and '-', and becomes a folder")
    return name


Word = Annotated[str, StringConstraints(max_length=60), AfterValidator(_check_name)]
"""A name that is also a folder's name."""
Number = Annotated[int, Field(ge=0)]
Changes = dict[str, Any]
"""Values of a recipe by their dotted keys, as `sonoseg train --set` takes them."""


class PlannedEvaluation(StrictModel):
    """On what each run is measured, by `sonoseg evaluate`.

    data, split: none is the plan's own; a set of its own without a split is measured as a whole.
    fold: "same" is the run's own fold; a number is that fold of `split` for every run.
    part: none is the test part where there is a split, else all.
    """

    name: Word
    data: Path | None = None
    split: Path | None = None
    fold: Literal["same"] | Number = "same"
    part: Literal["test", "validation", "all"] | None = None
    sets: list[str] = []
    tta: Literal["none", "flip", "scales", "full"] = "none"
    threshold: Annotated[float, Field(ge=0.001, le=0.999)] | None = None


class ExperimentPlan(StrictModel):
    """Every variant is trained with every seed on every fold; the first variant is the reference.

    set: changes to the recipe for all runs. variants: further changes, by the variant's name.
    """

    name: Word
    recipe: str
    data: Path
    split: Path
    folds: Annotated[list[Number], Field(min_length=1)] = [0]
    seeds: Annotated[list[Number], Field(min_length=1)] = [0]
    set: Changes = {}
    variants: Annotated[dict[Word, Changes], Field(min_length=1)] = {AS_IT_IS: {}}
    evaluate: Annotated[list[PlannedEvaluation], Field(min_length=1)] = [PlannedEvaluation(name="test")]

    @field_validator("set", mode="before")
    @classmethod
    def _nothing_is_no_change(cls, value: Any) -> Any:
        return {} if value is None else value

    @field_validator("variants", mode="before")
    @classmethod
    def _nothing_is_no_variant(cls, value: Any) -> Any:
        if value in (None, {}):
            return {AS_IT_IS: {}}
        if isinstance(value, dict):
            return {name: {} if changes is None else changes for name, changes in value.items()}
        return value

    @field_validator("folds", "seeds")
    @classmethod
    def _each_once(cls, value: list[int]) -> list[int]:
        return _once(value)

    @field_validator("variants", "evaluate")
    @classmethod
    def _names_differ(cls, value: T) -> T:
        names = [one if isinstance(one, str) else one.name for one in value]  # type: ignore[attr-defined]
        # Each names a folder, and some file systems do not tell large letters from small ones.
        _once([name.lower() for name in names])
        return value

    @property
    def reference(self) -> str:
        """The variant with which the others are compared."""
        return next(iter(self.variants))

    def yaml(self) -> str:
        """The plan as YAML; `load_plan` reads it back equal."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def load_plan(path: str | Path) -> ExperimentPlan:
    """Read a plan; its paths, relative to the plan's file, become absolute, and defaults are filled in.

    Nothing but the plan is opened. Raises PlanError, with the wrong key's path and the nearest right one.
    """
    path = Path(path)
    return _completed(read_plan(path, ExperimentPlan, "docs/study.md"), path.resolve().parent)


def read_plan(path: Path, kind: type[Kind], docs: str) -> Kind:
    """A plan of some kind as its YAML has it. docs: the page that describes it. Raises PlanError."""
    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PlanError(f"the plan cannot be read ({reason})", where=path) from error
    except yaml.YAMLError as error:
        raise PlanError(f"no readable YAML ({' '.join(str(error).split())})", where=path) from error
    if not isinstance(values, dict):
        raise PlanError("a plan is a mapping of keys to values", where=path, remedy=f"See {docs}")
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        invalid = describe(error, kind)
        raise PlanError(
            invalid.problem, where=path, remedy=invalid.remedy or f"See {docs} for every key"
        ) from error


def recipes_of(plan: ExperimentPlan, where: str | Path) -> dict[str, Recipe]:
    """Each variant's recipe, resolved, without its seed. where: the plan's file, for the errors.

    A variant's value stands above that of `set`; a preset comes before the other values of the network.
    Raises PlanError that names the variant and the wrong key, RecipeError for a recipe that is not there.
    """
    load_recipe(plan.recipe)  # its own faults are not the variants'
    found: dict[str, Recipe] = {}
    for name, changes in plan.variants.items():
        for section, own in (("set", plan.set), (f"variants.{name}", changes)):
            if "seed" in own:
                raise PlanError(
                    f"'{section}' changes the seed", where=where, remedy="Name the seeds under 'seeds'"
                )
        merged = plan.set | changes
        ordered = sorted(merged, key=lambda key: key != "network.preset")
        try:
            found[name] = load_recipe(plan.recipe, [change(key, merged[key]) for key in ordered])
        except RecipeError as error:
            raise PlanError(f"variant '{name}': {error.found}", where=where, remedy=error.remedy) from error
    return found


def what_changed(old: ExperimentPlan, new: ExperimentPlan) -> str | None:
    """What of `old` is no longer so in `new`, as a clause; None where `new` only adds runs."""
    for key in ("name", "recipe", "data", "split", "set"):
        if getattr(old, key) != getattr(new, key):
            return f"'{key}' was {_shown(getattr(old, key))} and is {_shown(getattr(new, key))}"
    for key in ("folds", "seeds"):
        gone = [number for number in getattr(old, key) if number not in getattr(new, key)]
        if gone:
            return f"'{key}' no longer holds {gone[0]}"
    if old.reference != new.reference:
        return f"the first variant was '{old.reference}' and is '{new.reference}'"
    mine = {one.name: one for one in new.evaluate}
    pairs: list[tuple[str, Any, Any]] = [
        *((f"variants.{name}", changes, new.variants.get(name)) for name, changes in old.variants.items()),
        *((f"evaluate.{one.name}", one, mine.get(one.name)) for one in old.evaluate),
    ]
    for key, before, after in pairs:
        if after is None:
            return f"'{key}' is gone"
        if before != after:
            return f"'{key}' was {_shown(before)} and is {_shown(after)}"
    return None


def _completed(plan: ExperimentPlan, folder: Path) -> ExperimentPlan:
    """The plan with absolute paths, and each evaluation with its data, split and part."""
    recipe = plan.recipe
    if Path(recipe).suffix in {".yaml", ".yml"}:
        recipe = str(folder / recipe)
    own = folder / plan.data
    evaluations = []
    for one in plan.evaluate:
        data = own if one.data is None else folder / one.data
        split = None if one.split is None else folder / one.split
        if split is None and data == own:
            split = folder / plan.split
        part = one.part or ("all" if split is None else "test")
        evaluations.append(one.model_copy(update={"data": data, "split": split, "part": part}))
    paths = {"data": own, "split": folder / plan.split}
    return plan.model_copy(update={"recipe": recipe, "evaluate": evaluations, **paths})


def change(key: str, value: Any) -> str:
    """A change as `load_recipe` takes it."""
    # One line, without the mark that YAML sets behind a bare value.
    text = yaml.safe_dump(value, default_flow_style=True, width=float("inf"))
    return f"{key}={text.removesuffix('...' + chr(10)).strip()}"


def _once(values: list[T]) -> list[T]:
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{value} is there twice")
    return values


def _shown(value: Any) -> str:
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", exclude_defaults=True)
    return str(value) if isinstance(value, Path) else repr(value)
