"""The presence head's threshold: below it an image stays empty.

A network whose mask is trained on images with a lesion alone (`loss.normals: 0`) segments the most
lesion-like region of every image; the presence head decides whether there is a lesion. As trained, its
probability multiplies every pixel's, so an uncertain head shrinks the outline, most of all on images of
another centre. With a threshold it decides: above it the mask is the decoder's, below it the image is empty.

The threshold is chosen on validation images, as the one that most images with a lesion reach. Only the head's
last layer changes, so every file format and runtime takes the model as before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from sonoseg.data.prepared_set import PreparedSet
from sonoseg.errors import ModelError, UsageError
from sonoseg.model.model import Model, check_target
from sonoseg.model.network_weights import load_network
from sonoseg.networks.attention_unet import AttentionUNet
from sonoseg.training.batches import TrainingImages, network_input
from sonoseg.training.model_writing import write_model
from sonoseg.training.recipe import Recipe

Track = Callable[[Iterable[int], str, int | None], Iterable[int]]

STEEPNESS: Final = 4.0
"""Factor on the head's logit: odds of e times the threshold's decide clearly, and the order of images by
their maximum probability is kept."""


@dataclass(frozen=True)
class PresenceThreshold:
    """A threshold of the presence head, with its effect on the images it was chosen on.

    threshold: probability of a lesion from which an image is segmented. keep: fraction of the images with a
    lesion that had to reach it. lesions, normals: how many images there were with and without one.
    normals_above: fraction of the normals that reach it; None without normals.
    """

    threshold: float
    keep: float
    lesions: int
    normals: int
    normals_above: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return the values for the card and for JSON."""
        return {**vars(self), "steepness": STEEPNESS}


def choose_presence_threshold(
    logits: NDArray[np.float32], lesion: NDArray[np.bool_], keep: float
) -> PresenceThreshold:
    """Return the highest threshold that the fraction `keep` of the images with a lesion reaches.

    It lies midway, in logits, between the last image that has to reach it and the next below, so that no
    image lies on it, where an engine's rounding would decide; where none is below, on that last image.
    logits: (N,), the head's. lesion: bool (N,). keep: above 0, up to 1. Raises UsageError without a lesion.
    """
    own, normal = np.sort(logits[lesion])[::-1], logits[~lesion]
    if not own.size:
        raise UsageError("no image has a lesion", remedy="Choose another fold or set")
    last = max(1, int(np.ceil(keep * own.size - 1e-9)))
    cut = float((own[last - 1] + own[min(last, own.size - 1)]) / 2)
    above = float((normal >= cut).mean()) if normal.size else None
    return PresenceThreshold(float(1 / (1 + np.exp(-cut))), keep, own.size, normal.size, above)


def presence_logits(
    model: Model, prepared: PreparedSet, ids: list[str], track: Track | None = None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the presence head's logits (N,) of images of a prepared set, and whether each has a lesion.

    track: wraps the batches in a progress bar.
    Raises ModelError for a network without the head, DatasetError.
    """
    network, recipe = _network(model)
    images = TrainingImages.of(prepared, ids, recipe.data, "validation")
    logits: list[torch.Tensor] = []
    lesion: list[torch.Tensor] = []
    starts = range(0, len(images), 16)
    with torch.inference_mode():
        for first in track(starts, "presence", len(starts)) if track else starts:
            pairs = images.take(np.arange(first, min(first + 16, len(images))))
            presence = network(network_input(pairs, recipe)).presence
            assert presence is not None
            logits.append(presence)
            lesion.append(pairs[:, 1].amax((1, 2)) > 0)
    return torch.cat(logits).numpy(), torch.cat(lesion).numpy()


def apply_presence_threshold(
    model: Model, chosen: PresenceThreshold, to: Path, *, overwrite: bool = False
) -> Model:
    """Write a new model folder in which the presence head decides at the threshold.

    The old results are left out and the temperature is reset to 1: calibrate and evaluate the new model.
    Raises ModelError, OutputError.
    """
    check_target(to, overwrite)
    network, recipe = _network(model)
    assert network.presence is not None
    judge = network.presence.judge
    with torch.no_grad():
        judge.bias.sub_(float(np.log(chosen.threshold / (1 - chosen.threshold)))).mul_(STEEPNESS)
        judge.weight.mul_(STEEPNESS)
    card = model.card
    return write_model(
        network,
        recipe.model_copy(update={"postprocessing": card.postprocessing, "name": card.name}),
        to,
        threshold=card.threshold,
        data=card.data,
        training={**card.training, "presence": chosen.as_dict()},
        results=[],
    )


def _network(model: Model) -> tuple[AttentionUNet, Recipe]:
    """Return the model's network, which must have a presence head, and the recipe on its card."""
    network = load_network(model)
    if not isinstance(network, AttentionUNet) or network.presence is None:
        raise ModelError(
            "the network has no presence head", where=model.folder, remedy="Train with network.presence=true"
        )
    try:
        return network, Recipe.model_validate(model.card.training.get("recipe"))
    except ValidationError as error:
        raise ModelError(
            "the recipe on the card is invalid", where=model.folder, remedy="Use the training run's own model"
        ) from error
