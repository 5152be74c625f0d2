"""The model card: a checked JSON file that describes a model, beside its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError

from sonoseg._util.documents import parse_json
from sonoseg._util.files import atomic_write_text
from sonoseg._util.validation import StrictModel, describe
from sonoseg.errors import ModelError

FORMAT: Final = "sonoseg-model/2"


class Preprocessing(StrictModel):
    """How an image becomes the network's input: resized to its grid, then (grey / 255 - mean) / std.

    size: side of the square grid, pixels.
    fit: "stretch" fills the square, "letterbox" keeps the aspect and pads with black.
    channels: 1, or 3 for grey repeated.
    """

    size: Annotated[int, Field(ge=8)] = 256
    fit: Literal["stretch", "letterbox"] = "stretch"
    channels: Literal[1, 3] = 1
    mean: float = 0.0
    std: Annotated[float, Field(gt=0)] = 1.0


class Postprocessing(StrictModel):
    """Steps from the thresholded mask to the processed one.

    min_area: components smaller than this fraction of the image are removed, 0..1.
    fill_holes: holes inside a component are filled.
    min_mean_probability: components of a lower mean probability are removed, 0..1.
    min_relative_probability: of several components, those are removed whose mean probability is below this
        fraction of the highest one, 0..1; 0 keeps all.
    keep_largest: only the largest component is kept.
    """

    min_area: Annotated[float, Field(ge=0, lt=1)] = 0.001
    fill_holes: bool = True
    min_mean_probability: Annotated[float, Field(ge=0, le=1)] = 0.0
    min_relative_probability: Annotated[float, Field(ge=0, le=1)] = 0.0
    keep_largest: bool = False


class TrainingSet(StrictModel):
    """A data set that the model was trained on, with the citation that its licence requires.

    images: how many of its images were used in this training.
    start: none were, but the initial weights had been trained on it.
    """

    name: str
    title: str = ""
    licence: str = ""
    citation: str = ""
    images: int = 0
    start: bool = False


class CardResult(StrictModel):
    """One measured figure, with its 95 % interval and the command that produced it."""

    measure: str
    value: float
    low: float | None = None
    high: float | None = None
    n: int
    on: str
    command: str = ""


MAX_DICE_LOSS: dict[str, float] = {"fp32": 0.0, "bf16": 0.002, "int8": 0.005}
"""Largest loss of mean Dice on validation images at which `--precision auto` may choose a precision."""


class LowerPrecision(StrictModel):
    """The cost of a precision below float32, measured image by image on validation images.

    loss: mean lesion Dice in float32 minus that in this precision, on `n` lesion images; negative is a gain.
    """

    runtime: Literal["onnx", "openvino", "torch"]
    precision: Literal["bf16", "int8"]
    loss: float
    n: Annotated[int, Field(ge=1)]
    on: str
    command: str = ""


FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$")]
"""A file in the model's own folder: a card from a stranger names none elsewhere, and no hidden one."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
GateName = Annotated[str, Field(pattern=r"^attention_[1-9][0-9]?$")]


class TrainingRange(StrictModel):
    """What the training images are like, by which others are marked as unlike them.

    images: of the training part. share: the fraction of them within the limit of the training distance, when
    left out of its fit. largest_lesion: the largest lesion's share of its image's area, 0..1.
    """

    images: Annotated[int, Field(ge=1)]
    share: Annotated[float, Field(gt=0, lt=1)]
    largest_lesion: Annotated[float, Field(gt=0, le=1)]
    command: str = ""


class ModelCard(StrictModel):
    """The content of a model folder's card.json.

    threshold: pixels of at least this probability are lesion; chosen on validation images.
    temperature: the logit is divided by it before the sigmoid; fitted on validation images.
    network: the options that the network was built from (NetworkOptions).
    attention: names of the ONNX outputs with attention coefficients, nearest the bottleneck first:
        "attention_1" and so on, since they become parts of file names.
    precisions: the measured cost of each precision below float32.
    training_range: what the training images are like; None where it was not measured.
    sha256: the hash of each file beside the card, by a plain file name.
    """

    format: Literal["sonoseg-model/2"] = FORMAT
    name: str
    created: str = ""
    sonoseg: str = ""
    preprocessing: Preprocessing = Preprocessing()
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    temperature: Annotated[float, Field(gt=0)] = 1.0
    postprocessing: Postprocessing = Postprocessing()
    network: dict[str, Any] = Field({})
    attention: list[GateName] = Field([])
    data: list[TrainingSet] = Field([])
    training: dict[str, Any] = Field({})
    results: list[CardResult] = Field([])
    precisions: list[LowerPrecision] = Field([])
    training_range: TrainingRange | None = None
    limits: list[str] = Field([])
    sha256: dict[FileName, Sha256] = Field({})

    def settings(self) -> dict[str, Any]:
        """Return what decides a mask, given the weights, as JSON values by the card's own keys."""
        keys = {"network", "preprocessing", "threshold", "temperature", "postprocessing"}
        return self.model_dump(mode="json", include=keys)

    def allows(self, runtime: str, precision: str) -> bool:
        """Whether this precision was measured with this runtime, and loses at most MAX_DICE_LOSS."""
        return any(
            one.runtime == runtime and one.precision == precision and one.loss <= MAX_DICE_LOSS[precision]
            for one in self.precisions
        )

    @classmethod
    def read(cls, path: Path) -> ModelCard:
        """Read and check card.json. Raises ModelError, naming the wrong key."""
        try:
            values = parse_json(path.read_text(encoding="utf-8"))
            _check_format(values, path)
            return cls.model_validate(values)
        except FileNotFoundError as error:
            raise ModelError(
                "not a model folder: it has no card.json",
                where=path.parent,
                remedy="Give the 'model' folder of a training run, or leave --model out for the shipped one",
            ) from error
        except ValidationError as error:
            raise ModelError(
                f"the model card is invalid: {describe(error, cls).problem}",
                where=path,
                remedy="Restore the card, or export the model again from its training run",
            ) from error
        except (OSError, ValueError) as error:
            raise ModelError(f"the model card cannot be read ({error})", where=path) from error

    def write(self, path: Path) -> None:
        """Write card.json, atomically."""
        atomic_write_text(path, self.model_dump_json(indent=2) + "\n")


def _check_format(values: Any, path: Path) -> None:
    """Refuse a card of another version of the format, before its keys are looked at."""
    found = values.get("format") if isinstance(values, dict) else None
    if isinstance(found, str) and found != FORMAT and found.startswith("sonoseg-model/"):
        raise ModelError(
            f"the card's key 'format' is {found}, and this version of sonoseg reads {FORMAT}",
            where=path,
            remedy="Train the model again, or use the version of sonoseg that wrote it "
            f"({values.get('sonoseg') or 'unknown'})",
        )
