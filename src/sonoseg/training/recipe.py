"""Recipes: all settings of a training run apart from its data, as one checked file."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError

from sonoseg._util.documents import parse_yaml
from sonoseg._util.validation import StrictModel, describe, suggestion
from sonoseg.errors import RecipeError
from sonoseg.model.card import Postprocessing
from sonoseg.networks.options import NetworkOptions
from sonoseg.networks.presets import PRESETS

Share = Annotated[float, Field(ge=0, le=1)]


class DataOptions(StrictModel):
    """The network's input, and how often each image is shown."""

    size: Annotated[int, Field(ge=16)] = Field(256, description="side of the network's square input, pixels")
    fit: Literal["stretch", "letterbox"] = Field("stretch", description="how an image fills the square")
    mean: float = Field(0.0, description="subtracted from grey in 0..1")
    std: Annotated[float, Field(gt=0)] = Field(1.0, description="then divided by")
    normals: Annotated[int, Field(ge=0)] = Field(
        1, description="how often an epoch shows each image without a lesion; 0 leaves them out"
    )
    times: dict[str, Annotated[int, Field(ge=0)]] = Field(
        {}, description="how often an epoch shows each image of a set, by its name; 1 where none is given"
    )


class OptimiserOptions(StrictModel):
    """The optimiser and its learning-rate schedule."""

    kind: Literal["adam", "adamw", "sgd"] = "adam"
    rate: Annotated[float, Field(gt=0)] = 1e-3
    encoder_rate: Annotated[float, Field(gt=0)] = Field(
        1.0,
        description="the encoder's learning rate as a fraction of `rate`",
    )
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    schedule: Literal["constant", "cosine"] = "constant"
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0
    clip: Annotated[float, Field(ge=0)] = Field(
        0.0, description="largest norm of the gradient; 0 does not clip"
    )
    ema: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="decay of the averaged weights; 0 does not average"
    )


class LossOptions(StrictModel):
    """The loss function and its weights."""

    kind: Literal["bce", "dice-bce", "focal-tversky"] = "bce"
    sides: Annotated[float, Field(ge=0)] = Field(
        0.5, description="deep supervision: weight of a coarser output relative to the one before"
    )
    normals: Annotated[float, Field(ge=0)] = Field(
        1.0, description="weight of the mask's loss on images without a lesion"
    )
    presence: Annotated[float, Field(ge=0)] = Field(
        0.25, description="weight of the presence head's own cross-entropy, where the network has one"
    )


class AugmentationOptions(StrictModel):
    """Ranges from which each image's augmentation is drawn; all zero is no augmentation.

    Ultrasound images have a direction, depth: no vertical flips, small rotations only.
    """

    flip: Share = Field(0.0, description="chance of a left-right flip")
    rotate: Annotated[float, Field(ge=0, le=45)] = Field(0.0, description="degrees, either way")
    scale: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="log-uniform in 1/(1+x)..1+x")
    stretch: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="the same for the aspect")
    shift: Share = Field(0.0, description="fraction of the side, either way")
    brightness: Share = Field(0.0, description="grey added, -x..x of full scale")
    contrast: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="factor 1-x..1+x about the mean")
    gamma: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="exponent 1/(1+x)..1+x")
    gain: Annotated[float, Field(ge=0)] = Field(
        0.0,
        description="factor 1/(1+x)..1+x at the lower border, its inverse above; half as much across",
    )
    speckle: Share = Field(0.0, description="largest standard deviation of multiplied noise")
    blur: Annotated[float, Field(ge=0)] = Field(0.0, description="largest standard deviation, pixels")
    mix: Share = Field(
        0.0, description="chance that low spatial frequencies take the amplitudes of another image"
    )
    lesion_removal: Share = Field(
        0.0, description="chance of healthy tissue copied over all lesions, or as often over healthy tissue"
    )
    lesion_insertion: Share = Field(
        0.0, description="chance that an image without a lesion receives the lesions of another image"
    )
    crop: Share = Field(0.0, description="chance of black outside a window that keeps the lesions whole")
    erase: Share = Field(
        0.0, description="chance of black outside a window of the same shapes without a lesion: a normal"
    )
    marks: Share = Field(0.0, description="chance of callipers, text, boxes or a pictogram drawn on")

    @property
    def active(self) -> bool:
        """Whether any augmentation is switched on."""
        return any(self.model_dump().values())


class Recipe(StrictModel):
    """One training run, apart from its data: network, loss, optimiser, augmentation, length, seed."""

    name: str
    network: NetworkOptions
    start: str = Field(
        "random",
        description="initial weights: random; imagenet (the encoder's); shipped (the model in the "
        "package); or a "
        "model's folder",
    )
    data: DataOptions = DataOptions()
    batch: Annotated[int, Field(ge=1)] = Field(8, description="images per step, over all processes")
    epochs: Annotated[int, Field(ge=1)] = 20
    loss: LossOptions = LossOptions()
    optimiser: OptimiserOptions = OptimiserOptions()
    augmentation: AugmentationOptions = AugmentationOptions()
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="of the computation; auto is bf16 where the device supports it, else fp32"
    )
    seed: Annotated[int, Field(ge=0)] = 0
    checkpoint_minutes: Annotated[float, Field(gt=0)] = Field(
        5.0, description="minutes between checkpoints; one is also saved after each epoch"
    )
    postprocessing: Postprocessing = Postprocessing()
    threshold: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="by default the one of the best mean lesion Dice on validation images"
    )
    store: Literal["float32", "float16"] = Field(
        "float32",
        description="precision of the stored weights; float16 rounds those of convolutions and linear layers "
        "in every file of the model, before the threshold is chosen, and halves weights.safetensors",
    )

    def yaml(self) -> str:
        """Return the resolved recipe as YAML; `load_recipe` reads it back equal."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def recipe_names() -> list[str]:
    """Return the names of the recipes in the package."""
    folder = files("sonoseg.training") / "recipes"
    return sorted(Path(item.name).stem for item in folder.iterdir() if item.name.endswith(".yaml"))


def load_recipe(recipe: str | Path, changes: list[str] | tuple[str, ...] = ()) -> Recipe:
    """Read a recipe by name, or a YAML file, and apply changes of the form "key.key=value".

    `network.preset=NAME` selects a preset; further network keys change single values of it.
    Raises RecipeError, with the path of the wrong key and the closest valid one.
    """
    text, where = _source(str(recipe))
    try:
        values = parse_yaml(text)
    except ValueError as error:
        raise RecipeError(f"the recipe cannot be read ({error})", where=where) from error
    if not isinstance(values, dict):
        raise RecipeError("the recipe is not a mapping of keys to values", where=where)
    for change in changes:
        _apply(values, change)
    network = values.get("network")
    if not isinstance(network, dict):
        raise RecipeError("'network' is not a mapping of options, such as {preset: seed}", where=where)
    preset = network.pop("preset", None)
    if preset is not None and preset not in list(PRESETS):
        raise RecipeError(
            f"unknown preset '{preset}'", where=where, remedy=suggestion(str(preset), list(PRESETS))
        )
    base = PRESETS[preset].model_dump() if preset else {}
    values["network"] = base | network
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        invalid = describe(error, Recipe)
        remedy = invalid.remedy or "See docs/training.md for every key"
        raise RecipeError(invalid.problem, where=where, remedy=remedy) from error


def _source(recipe: str) -> tuple[str, str]:
    path = Path(recipe)
    if recipe in recipe_names():
        packaged = files("sonoseg.training") / "recipes" / f"{recipe}.yaml"
        return packaged.read_text("utf-8"), f"recipe {recipe}"
    if path.suffix in {".yaml", ".yml"}:
        try:
            return path.read_text("utf-8"), str(path)
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"the recipe cannot be read ({error})", where=path) from error
    raise RecipeError(f"unknown recipe '{recipe}'", remedy=suggestion(recipe, recipe_names()))


def _apply(values: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    if not equals or not key:
        raise RecipeError(f"'{change}' has no '='", where="--set", remedy="Write it as key.key=value")
    try:
        value = parse_yaml(text)
    except ValueError as error:
        raise RecipeError(f"the value cannot be read ({error})", where=f"--set {key}") from error
    *sections, last = key.strip().split(".")
    target = values
    for section in sections:
        target = target.setdefault(section, {})
        if not isinstance(target, dict):
            raise RecipeError(f"'{section}' has no keys of its own", where=f"--set {key}")
    # A new preset replaces the recipe's changes to the old one.
    if sections == ["network"] and last == "preset":
        target.clear()
    if not sections and isinstance(value, dict) and isinstance(target.get(last), dict):
        target[last] |= value
    else:
        target[last] = value
