"""What the writers share: one entry a picture, one a refused file, and what the run was."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sonoseg import __version__
from sonoseg.findings.lesions import Findings
from sonoseg.imaging.frame import Spacing
from sonoseg.inference.predictor import Predictor


@dataclass(frozen=True)
class About:
    """Where results come from: the command, the versions, the model and how it was applied."""

    command: str
    model: str
    model_hash: str
    threshold: float
    temperature: float
    postprocessing: dict[str, Any]
    runtime: str
    sonoseg: str = __version__

    @classmethod
    def of(cls, predictor: Predictor, command: str) -> About:
        """What a predictor is, for `command` ("sonoseg predict")."""
        card = predictor.model.card
        return cls(
            command=command,
            model=card.name,
            model_hash=predictor.model.hash,
            threshold=predictor.threshold,
            temperature=card.temperature,
            postprocessing=predictor.postprocessing.model_dump(),
            runtime=predictor.runtime,
        )


@dataclass(frozen=True)
class Entry:
    """One picture's results.

    name: as result_names gives it. file: the picture, as the user named it.
    shape: (H, W) pixels. spacing: mm per pixel, or None.
    files: paths of what was written for it, relative to the results folder, by kind ("mask", "overlay" ...).
    thumbnail: JPEG bytes of the overlay, small.
    """

    name: str
    file: str
    shape: tuple[int, int]
    spacing: Spacing | None
    findings: Findings
    files: dict[str, str] = field(default_factory=dict)
    thumbnail: bytes = b""


@dataclass(frozen=True)
class Refused:
    """One file that could not be used, and why."""

    file: str
    reason: str
