"""Load, save and check a model folder."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path

from sonoseg._util.files import atomic_path, sha256_file
from sonoseg.errors import ModelError, OutputError
from sonoseg.model.card import ModelCard

CARD, ONNX, INT8, WEIGHTS = "card.json", "model.onnx", "model.int8.onnx", "weights.safetensors"


def check_target(to: Path, overwrite: bool) -> None:
    """See, before any work is done, that a model may be written to the folder. Raises OutputError."""
    if to.exists() and not to.is_dir():
        raise OutputError("this is a file, not a folder", where=to, remedy="Choose another --out")
    if (to / CARD).exists() and not overwrite:
        raise OutputError(
            "a model is here already", where=to, remedy="Replace it with --overwrite, or choose another --out"
        )


@dataclass(frozen=True)
class Model:
    """A folder of card.json, model.onnx and weights.safetensors, its card read and its hashes checked.

    model.int8.onnx may lie beside them (see sonoseg.model.export.int8).
    """

    folder: Path
    card: ModelCard

    @classmethod
    def load(cls, path: str | Path | None = None, *, verify: bool = True) -> Model:
        """Read a model folder, or the training run that holds one; None is the model that ships.

        Raises ModelError where a file is missing or does not match its hash on the card.
        """
        folder = shipped() if path is None else Path(path)
        if not (folder / CARD).exists() and (folder / "model" / CARD).exists():
            folder = folder / "model"
        model = cls(folder, ModelCard.read(folder / CARD))
        if verify:
            model.verify()
        return model

    def verify(self) -> None:
        """Raise ModelError where a file of the card is missing or has changed."""
        for name, expected in self.card.sha256.items():
            path = self.folder / name
            if not path.is_file():
                raise ModelError(
                    "the card names this file, and it is missing", where=path, remedy="Copy the whole folder"
                )
            if sha256_file(path) != expected:
                raise ModelError(
                    "the file is not the one its card describes (SHA-256 differs)",
                    where=path,
                    remedy="Copy the folder again, or export the model again from its training run",
                )

    def copy(self, to: str | Path, card: ModelCard, *, overwrite: bool = False) -> Model:
        """The same files in another folder with another card, which is written last; gives that model.

        `to` may be this model's own folder. Raises OutputError where a model is there and not `overwrite`, or
        nothing can be written.
        """
        to = Path(to)
        check_target(to, overwrite)
        there = [name for name in (ONNX, INT8, WEIGHTS) if (self.folder / name).is_file()]
        for name in dict.fromkeys((*self.card.sha256, *there)):
            if not (to / name).exists() or not (to / name).samefile(self.folder / name):
                with atomic_path(to / name) as temporary:
                    shutil.copyfile(self.folder / name, temporary)
        card.write(to / CARD)
        return Model(to, card)

    @property
    def onnx_path(self) -> Path:
        """The file to predict with. Raises ModelError where the folder has none."""
        return self._needs(ONNX)

    @property
    def int8_path(self) -> Path:
        """The same network in integers of 8 bits. Raises ModelError where the folder has none."""
        path = self.folder / INT8
        if not path.is_file():
            raise ModelError(
                f"this model has no network in int8 ({INT8})",
                where=self.folder,
                remedy="Make one with sonoseg export --precision int8, or choose another --precision",
            )
        return path

    @property
    def weights_path(self) -> Path:
        """The weights to train on, as safetensors. Raises ModelError where the folder has none."""
        return self._needs(WEIGHTS)

    @cached_property
    def hash(self) -> str:
        """The first 12 hexadecimal digits of the SHA-256 of model.onnx: names the numbers in every result."""
        return (self.card.sha256.get(ONNX) or sha256_file(self.onnx_path))[:12]

    def _needs(self, name: str) -> Path:
        path = self.folder / name
        if not path.is_file():
            raise ModelError("the model folder lacks this file", where=path, remedy="Copy the whole folder")
        return path


def shipped() -> Path:
    """The folder of the model that ships in the package."""
    return Path(str(files("sonoseg.model") / "weights"))
