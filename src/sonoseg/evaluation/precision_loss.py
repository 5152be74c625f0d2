"""The loss of lesion Dice at precisions below float32, image by image on validation images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sonoseg.errors import DatasetError, MissingExtra, ModelError, UsageError
from sonoseg.evaluation.bootstrap import bootstrap_means
from sonoseg.evaluation.policy import POLICY
from sonoseg.inference.predictor import Predictor
from sonoseg.metrics.overlap import dice
from sonoseg.model.card import MAX_DICE_LOSS

if TYPE_CHECKING:
    from sonoseg.data.prepared_set import PreparedSet
    from sonoseg.model.model import Model

CANDIDATES = (
    ("onnx", "int8"),
    ("openvino", "fp32"),
    ("openvino", "bf16"),
    ("openvino", "int8"),
    ("torch", "fp32"),
    ("torch", "bf16"),
)
REFERENCE = ("onnx", "fp32")


@dataclass(frozen=True)
class Loss:
    """One runtime and precision against ONNX Runtime in float32.

    name: runtime with version. dice: mean lesion Dice, 0..1.
    loss: the reference's mean Dice minus this one, with a 95 % interval over groups; n lesion images.
    largest: the largest loss of one image. probability: the largest difference of a probability.
    """

    runtime: str
    precision: str
    name: str
    dice: float
    loss: float
    low: float
    high: float
    largest: float
    probability: float
    n: int

    @property
    def bar(self) -> float:
        """The largest loss allowed for this precision."""
        return MAX_DICE_LOSS[self.precision]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {key: _plain(value) for key, value in self.__dict__.items()} | {"bar": self.bar}


def candidates(model: Model) -> tuple[list[tuple[str, str, Predictor]], list[str]]:
    """The runtimes available here, as (runtime, precision, Predictor), and why others are not."""
    found, absent = [], []
    for runtime, precision in CANDIDATES:
        try:
            found.append((runtime, precision, Predictor(model, runtime=runtime, precision=precision)))
        except (MissingExtra, ModelError, UsageError) as error:
            absent.append(f"{runtime} {precision}: {error.found}")
    return found, absent


def measure_losses(
    model: Model,
    prepared: PreparedSet,
    ids: Sequence[str],
    chosen: Sequence[tuple[str, str, Predictor]],
    *,
    track: Callable[[Iterable[str], str, int | None], Iterator[str]] | None = None,
) -> tuple[float, list[Loss]]:
    """The reference's mean lesion Dice, and the loss of each of `chosen`.

    Masks are on the image's own grid and post-processed, as by `sonoseg predict`. Images without a lesion are
    ignored. Raises DatasetError where none has one.
    """
    table = prepared.table.loc[list(ids)]
    has_lesion = table["lesion_area_px"].to_numpy(float) > 0
    lesions = [name for name, has in zip(ids, has_lesion, strict=True) if has]
    if not lesions:
        raise DatasetError("no image with a lesion among these", where=prepared.folder)
    everyone = [Predictor(model, runtime=REFERENCE[0], precision=REFERENCE[1]), *(one[2] for one in chosen)]
    scores = np.empty((len(lesions), len(everyone)))
    furthest = np.zeros((len(lesions), len(everyone)))
    tracked = track(lesions, "measuring", len(lesions)) if track else iter(lesions)
    for row, name in enumerate(tracked):
        frame, true = prepared.frame(name), prepared.mask(name)
        found = [predictor.predict(frame) for predictor in everyone]
        scores[row] = [dice(true, one.mask) for one in found]
        furthest[row] = [float(np.abs(one.probability - found[0].probability).max()) for one in found]
    losses = scores[:, :1] - scores[:, 1:]
    groups = table.loc[lesions, "group"].to_list()
    intervals = bootstrap_means(losses, groups, resamples=POLICY.resamples, seed=POLICY.seed)
    return float(scores[:, 0].mean()), [
        Loss(
            runtime=runtime,
            precision=precision,
            name=predictor.runtime,
            dice=float(scores[:, k + 1].mean()),
            loss=one.mean,
            low=one.low,
            high=one.high,
            largest=float(losses[:, k].max()),
            probability=float(furthest[:, k + 1].max()),
            n=len(lesions),
        )
        for k, ((runtime, precision, predictor), one) in enumerate(zip(chosen, intervals, strict=True))
    ]


def _plain(value: Any) -> Any:
    return round(value, 6) if isinstance(value, float) else value
