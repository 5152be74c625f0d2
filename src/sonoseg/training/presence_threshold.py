"""The presence head's decision: how sure it must be of a lesion before any is drawn.

A network whose mask learns from images with a lesion alone (`loss.normals: 0`) draws the most lesion-like
place of every image; whether there is a lesion is the presence head's to say. As trained, its word is a
factor on every probability: a head that is half sure makes outlines shrink, on a centre not seen most of all.
Here it becomes a decision at a level of its own: above it the mask is as the decoder draws it, below it the
image stays empty.

The level is read off validation images with a lesion, as the one that most of them reach. Nothing but the
head's last layer changes, so every file format and runtime takes the model as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from sonoseg._util.text import first_line
from sonoseg.data.prepared_set import PreparedSet
from sonoseg.errors import ModelError, UsageError
from sonoseg.model.model import Model, check_target
from sonoseg.networks.attention_unet import AttentionUNet
from sonoseg.networks.options import NetworkOptions
from sonoseg.networks.presence_head import PresenceHead
from sonoseg.networks.presets import build
from sonoseg.training.batches import TrainingImages
from sonoseg.training.model_writing import export_model
from sonoseg.training.recipe import Recipe

Track = Callable[[Iterable[int], str, int | None], Iterable[int]]

STEEPNESS: Final = 4.0
"""The head's logit is multiplied by this: odds of e times the level's decide clearly, and the order of
images by their peaks stays what it was."""


@dataclass(frozen=True)
class Decision:
    """What was chosen, and what it does on the images it was chosen by.

    level: the probability of a lesion at which images begin to be drawn on. keep: the share of the images
    with a lesion that were to reach it. lesions, normals: how many there were. normals_above: the share of
    the normals that reach the level too; None without any.
    """

    level: float
    keep: float
    lesions: int
    normals: int
    normals_above: float | None

    def as_dict(self) -> dict[str, Any]:
        """For the card and for a program to read."""
        return {**vars(self), "steepness": STEEPNESS}


def choose_level(logits: NDArray[np.float32], lesion: NDArray[np.bool_], keep: float) -> Decision:
    """A level that `keep` of the images with a lesion reach, and as few more as can be.

    Halfway, in logits, between the last that has to and the next below it, so that no image stands at the
    border, where an engine's last digits would decide; at the last one where there is none below.
    logits: (N,), the head's. lesion: bool (N,). keep: above 0, up to 1. Raises UsageError without a lesion.
    """
    own, normal = np.sort(logits[lesion])[::-1], logits[~lesion]
    if not own.size:
        raise UsageError("no image has a lesion", remedy="Give a part of the set that has some")
    last = max(1, int(np.ceil(keep * own.size - 1e-9)))
    level = float((own[last - 1] + own[min(last, own.size - 1)]) / 2)
    above = float((normal >= level).mean()) if normal.size else None
    return Decision(float(1 / (1 + np.exp(-level))), keep, own.size, normal.size, above)


def presence_logits(
    model: Model, prepared: PreparedSet, ids: list[str], track: Track | None = None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The presence head's logits (N,) of some images of a prepared set, and whether each has a lesion.

    track: passes the batches through under a progress bar. Raises ModelError where the network has no
    such head, DatasetError.
    """
    network, recipe = _network(model)
    images = TrainingImages.of(prepared, ids, recipe.data, "validation")
    heard: list[torch.Tensor] = []
    there: list[torch.Tensor] = []
    starts = range(0, len(images), 16)
    with torch.inference_mode():
        for first in track(starts, "presence", len(starts)) if track else starts:
            pairs = images.take(np.arange(first, min(first + 16, len(images))))
            scaled = ((pairs[:, :1] - recipe.data.mean) / recipe.data.std).expand(
                -1, recipe.network.channels, -1, -1
            )
            presence = network(scaled).presence
            assert presence is not None
            heard.append(presence)
            there.append(pairs[:, 1].amax((1, 2)) > 0)
    return torch.cat(heard).numpy(), torch.cat(there).numpy()


def decide_presence(model: Model, decision: Decision, to: Path, *, overwrite: bool = False) -> Model:
    """Write a new model folder in which the presence head decides at the level.

    Figures of before are left out, and the temperature is 1 again: calibrate and measure the new model.
    Raises ModelError, OutputError.
    """
    check_target(to, overwrite)
    network, recipe = _network(model)
    assert network.presence is not None
    judge = network.presence.judge
    with torch.no_grad():
        level = np.log(decision.level / (1 - decision.level))
        judge.bias.sub_(float(level)).mul_(STEEPNESS)
        judge.weight.mul_(STEEPNESS)
    card = model.card
    return export_model(
        network,
        recipe.model_copy(update={"postprocessing": card.postprocessing, "name": card.name}),
        to,
        threshold=card.threshold,
        data=card.data,
        training={**card.training, "presence": decision.as_dict()},
        results=[],
    )


def _network(model: Model) -> tuple[AttentionUNet, Recipe]:
    """The model's network in float32, and the recipe on its card."""
    try:
        network = build(NetworkOptions.model_validate(model.card.network))
        network.load_state_dict(load_file(model.weights_path))
        recipe = Recipe.model_validate(model.card.training["recipe"])
    except Exception as error:  # pydantic's, safetensors' and torch's own
        raise ModelError(
            f"its weights or its recipe do not fit its network ({first_line(error)})",
            where=model.folder,
            remedy="Copy the folder again, or take the training run's own",
        ) from error
    if not isinstance(network, AttentionUNet) or not isinstance(network.presence, PresenceHead):
        raise ModelError(
            "the network has no presence head", where=model.folder, remedy="Train with network.presence=true"
        )
    return network.eval(), recipe
