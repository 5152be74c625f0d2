"""The model card: everything that a model is, beside its numbers, as a checked JSON file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sonoseg._util.files import atomic_write_text
from sonoseg.errors import ModelError


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Preprocessing(_Part):
    """How an image becomes the network's input: (grey / 255 - mean) / std on the network's grid."""

    size: Annotated[int, Field(ge=8)] = 256
    fit: Literal["stretch", "letterbox"] = "stretch"
    channels: Literal[1, 3] = 1
    mean: float = 0.0
    std: Annotated[float, Field(gt=0)] = 1.0


class Postprocessing(_Part):
    """What turns the thresholded mask into the processed one.

    min_area: components below this share of the image are removed as specks, 0..1.
    fill_holes: holes inside a component are filled.
    min_sureness: components of a mean probability below this are removed, 0..1.
    beside_surest: of several components those stay whose mean probability is at least this share of that of
        the surest one, 0..1; 0 keeps all.
    keep_largest: only the largest component stays.
    """

    min_area: Annotated[float, Field(ge=0, lt=1)] = 0.001
    fill_holes: bool = True
    min_sureness: Annotated[float, Field(ge=0, le=1)] = 0.0
    beside_surest: Annotated[float, Field(ge=0, le=1)] = 0.0
    keep_largest: bool = False


class TrainingSet(_Part):
    """One set that the model was trained on, with what its licence asks for.

    images: how many of its images were shown in this training.
    start: none were, but the weights that training started from had been learned on it.
    """

    name: str
    title: str = ""
    licence: str = ""
    citation: str = ""
    images: int = 0
    start: bool = False


class CardResult(_Part):
    """One figure, with its 95 % interval and the command that made it."""

    measure: str
    value: float
    low: float | None = None
    high: float | None = None
    n: int
    on: str
    command: str = ""


LOSS_BAR: dict[str, float] = {"fp32": 0.0, "bf16": 0.002, "int8": 0.005}
"""How much mean Dice on validation images a precision may cost, to be chosen without being asked for."""


class LowerPrecision(_Part):
    """A precision below float32, measured against it on validation images, image by image.

    loss: mean lesion Dice in float32 minus that in this precision, on `n` lesion images; negative is a gain.
    """

    runtime: Literal["onnx", "openvino", "torch"]
    precision: Literal["bf16", "int8"]
    loss: float
    n: Annotated[int, Field(ge=1)]
    on: str
    command: str = ""


class ModelCard(_Part):
    """A model folder's card.json.

    threshold: a place is lesion where its probability is at least this; chosen on validation images.
    temperature: the logit is divided by it before the sigmoid; fitted on validation images.
    attention: the names of the ONNX outputs that carry attention coefficients, nearest the bottleneck first.
    network: the options the network was built from.
    precisions: the precisions below float32 that were measured, with what each costs.
    sha256: the hash of each file beside the card.
    """

    format: Literal["sonoseg-model/1"] = "sonoseg-model/1"
    name: str
    created: str = ""
    sonoseg: str = ""
    preprocessing: Preprocessing = Preprocessing()
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    temperature: Annotated[float, Field(gt=0)] = 1.0
    postprocessing: Postprocessing = Postprocessing()
    network: dict[str, Any] = {}
    attention: list[str] = []
    data: list[TrainingSet] = []
    training: dict[str, Any] = {}
    results: list[CardResult] = []
    precisions: list[LowerPrecision] = []
    limits: list[str] = []
    sha256: dict[str, str] = {}

    def allows(self, runtime: str, precision: str) -> bool:
        """Whether this precision was measured with this runtime, and costs no more Dice than LOSS_BAR."""
        return any(
            one.runtime == runtime and one.precision == precision and one.loss <= LOSS_BAR[precision]
            for one in self.precisions
        )

    @classmethod
    def read(cls, path: Path) -> ModelCard:
        """Read card.json. Raises ModelError, naming the wrong key, where it is no card of ours."""
        try:
            return cls.model_validate(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError as error:
            raise ModelError(
                "no card.json: not a model folder",
                where=path.parent,
                remedy="Give the 'model' folder of a training run, or leave --model out for the shipped one",
            ) from error
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise ModelError(f"not a readable model card ({error})", where=path) from error
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            raise ModelError(
                f"the card's key '{key}': {first['msg']}",
                where=path,
                remedy="Restore the card, or export the model again from its training run",
            ) from error

    def write(self, path: Path) -> None:
        """Write card.json, atomically."""
        atomic_write_text(path, self.model_dump_json(indent=2) + "\n")
