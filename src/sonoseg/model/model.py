"""A model folder: load, check and copy it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path

from sonoseg._util.canonical_json import json_sha256
from sonoseg._util.files import atomic_path, sha256_file
from sonoseg.errors import ModelError, OutputError
from sonoseg.model.card import ModelCard
from sonoseg.model.training_distance import TRAINING_DISTANCE, TrainingDistance

CARD, ONNX, INT8, WEIGHTS = "card.json", "model.onnx", "model.int8.onnx", "weights.safetensors"

HASH_FORMAT = "sonoseg-model-hash/1"
"""Part of a model's hash; a new number where the keys that it covers change."""


def check_target(to: Path, overwrite: bool) -> None:
    """Check, before any work, that a model may be written to the folder. Raises OutputError."""
    if to.exists() and not to.is_dir():
        raise OutputError("not a folder but a file", where=to, remedy="Choose another --out")
    if (to / CARD).exists() and not overwrite:
        raise OutputError(
            "the folder holds a model",
            where=to,
            remedy="Replace it with --overwrite, or choose another --out",
        )


@dataclass(frozen=True)
class Model:
    """A folder of card.json, model.onnx and weights.safetensors.

    Optional are model.int8.onnx, and training-distance.npz, which marks images unlike the training data.
    """

    folder: Path
    card: ModelCard

    @classmethod
    def load(cls, path: str | Path | None = None, *, verify: bool = True) -> Model:
        """Read a model folder, or that of a training run; by default the shipped model.

        verify: check the hashes of the card.
        Raises ModelError where a file is missing, is a link out of the folder, or does not match its hash.
        """
        folder = shipped() if path is None else Path(path)
        if not (folder / CARD).exists() and (folder / "model" / CARD).exists():
            folder = folder / "model"
        _check_link(folder, CARD)
        model = cls(folder, ModelCard.read(folder / CARD))
        for name in model._names:
            _check_link(folder, name)
        if verify:
            model.verify()
        return model

    def verify(self) -> None:
        """Raise ModelError where a file of the card is missing or has changed."""
        for name, expected in self.card.sha256.items():
            path = self.folder / name
            if not path.is_file():
                raise ModelError("the file is missing", where=path, remedy="Copy the whole model folder")
            if sha256_file(path) != expected:
                raise ModelError(
                    "the file differs from its card (SHA-256)",
                    where=path,
                    remedy="Copy the folder again, or export the model again from its training run",
                )

    def copy(self, to: str | Path, card: ModelCard, *, overwrite: bool = False) -> Model:
        """Copy the files to another folder with another card, and return that model.

        `to` may be this model's own folder. Raises OutputError where it holds a model, unless `overwrite`.
        """
        to = Path(to)
        check_target(to, overwrite)
        for name in self._names:
            if not (to / name).exists() or not (to / name).samefile(self.folder / name):
                with atomic_path(to / name) as temporary:
                    shutil.copyfile(self.folder / name, temporary)
        card.write(to / CARD)
        return Model(to, card)

    @property
    def _names(self) -> list[str]:
        """The files beside the card: those that it names, and the known ones that exist."""
        existing = [
            name for name in (ONNX, INT8, WEIGHTS, TRAINING_DISTANCE) if (self.folder / name).is_file()
        ]
        return list(dict.fromkeys((*self.card.sha256, *existing)))

    @property
    def onnx_path(self) -> Path:
        """The ONNX file for inference. Raises ModelError where the folder has none."""
        return self._existing(ONNX)

    @property
    def int8_path(self) -> Path:
        """The int8 network. Raises ModelError where the folder has none."""
        path = self.folder / INT8
        if not path.is_file():
            raise ModelError(
                f"the model has no int8 network ({INT8})",
                where=self.folder,
                remedy="Make one with sonoseg export --precision int8, or choose another --precision",
            )
        return path

    @property
    def weights_path(self) -> Path:
        """The weights as safetensors. Raises ModelError where the folder has none."""
        return self._existing(WEIGHTS)

    @cached_property
    def training_distance(self) -> TrainingDistance | None:
        """The distribution of the training images; None where it was not fitted. Raises ModelError."""
        path = self.folder / TRAINING_DISTANCE
        return TrainingDistance.load(path) if TRAINING_DISTANCE in self.card.sha256 else None

    @cached_property
    def hash(self) -> str:
        """The first 12 hexadecimal digits of a SHA-256 that every result names.

        It covers model.onnx and the card's settings: a model with another threshold is another model. What
        only describes the model, such as its name, results and limits, is no part of it.
        """
        values = {"format": HASH_FORMAT, ONNX: self.file_sha256(ONNX), **self.card.settings()}
        return json_sha256(values)[:12]

    def file_sha256(self, name: str) -> str:
        """Return the SHA-256 of a file of the folder. Raises ModelError where it is missing."""
        return self.card.sha256.get(name) or sha256_file(self._existing(name))

    def _existing(self, name: str) -> Path:
        path = self.folder / name
        if not path.is_file():
            raise ModelError("the file is missing", where=path, remedy="Copy the whole model folder")
        return path


def _check_link(folder: Path, name: str) -> None:
    """Raise ModelError where a file of a model is a link to a file outside its folder."""
    path = folder / name
    if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
        raise ModelError(
            "the file is a link out of the model folder",
            where=path,
            remedy="Copy the model with the files that its links name: cp -rL",
        )


def shipped() -> Path:
    """Return the folder of the model in the package."""
    return Path(str(files("sonoseg.model") / "weights"))
