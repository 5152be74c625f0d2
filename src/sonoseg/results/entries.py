"""What the writers share: one entry an image, one a refused file, and what the run was."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter

from sonoseg import __version__
from sonoseg._util.files import sha256_file
from sonoseg.image.calibration import Scale
from sonoseg.inference.predictor import Predictor
from sonoseg.lesions.measurement import Findings


@dataclass(frozen=True)
class RunInfo:
    """Where results come from: the command, the versions, the model and how it was applied.

    options: what else the user asked for that shapes the results, by the option's name.
    """

    command: str
    model: str
    model_hash: str
    threshold: float
    temperature: float
    postprocessing: dict[str, Any]
    runtime: str
    engine: str = ""
    precision: str = ""
    sonoseg: str = __version__
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, predictor: Predictor, command: str, options: Mapping[str, Any] | None = None) -> RunInfo:
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
            engine=predictor.engine,
            precision=predictor.precision,
            options=dict(options or {}),
        )

    def fingerprint(self) -> dict[str, Any]:
        """What must be equal for two runs to give equal results, flat: one value a name."""
        flat: dict[str, Any] = {}
        for name, value in asdict(self).items():
            if isinstance(value, dict):
                flat |= {f"{name}.{key}": each for key, each in value.items()}
            else:
                flat[name] = value
        return flat


@dataclass(frozen=True)
class SourceFile:
    """A file as it was when it was read: its SHA-256, its size in bytes, its time of change."""

    sha256: str
    bytes: int
    changed_ns: int

    @classmethod
    def of(cls, path: Path) -> SourceFile:
        """Look at a file and hash it. Raises OSError."""
        seen = path.stat()
        return cls(sha256_file(path), seen.st_size, seen.st_mtime_ns)

    def still(self, path: Path) -> bool:
        """Whether the file is the one it was; hashed again only where its size is and its time is not."""
        try:
            seen = path.stat()
            if seen.st_size != self.bytes:
                return False
            return seen.st_mtime_ns == self.changed_ns or sha256_file(path) == self.sha256
        except OSError:
            return False


@dataclass(frozen=True)
class Written:
    """One file that was written: its path relative to the results folder, with /; its SHA-256; its bytes."""

    path: str
    sha256: str
    bytes: int

    def there(self, folder: Path) -> bool:
        """Whether the file is in this results folder, with its size."""
        try:
            return (folder / self.path).stat().st_size == self.bytes
        except OSError:
            return False


@dataclass(frozen=True)
class Preview:
    """A small view for the page: the image as JPEG, and over it what was found, as SVG path data.

    width, height: of the JPEG in pixels. The paths' grid is twice as fine: see svg.svg_path.
    outline: around each lesion, in their order. band: where the border is in doubt, "" where unknown.
    scale: the JPEG's pixels per pixel of the image, (down, right).
    """

    jpeg: bytes
    width: int
    height: int
    outline: str = ""
    band: str = ""
    scale: tuple[float, float] = (1.0, 1.0)


@dataclass(frozen=True)
class ImageEntry:
    """One image's results.

    name: as result_names gives it. file: the image, as the user named it. frame: its number in a clip.
    kind: "dicom" or "raster".
    shape: (H, W) pixels. scale: the spacing of the whole image, who says so, and why there is none; each
    lesion has its own.
    uncertainty: of the whole result, 0 sure .. 1 in doubt; NaN where unknown.
    files: what was written for it, by kind ("mask", "overlay" ...).
    preview: for the page. source: the file it came from, None where there is none.
    coco: its annotations, where they were asked for. faults: what could not be written for it, and why.
    """

    # How a journal keeps one: bytes as base64, and NaN as NaN.
    __pydantic_config__ = ConfigDict(
        ser_json_bytes="base64", val_json_bytes="base64", ser_json_inf_nan="constants"
    )

    name: str
    file: str
    shape: tuple[int, int]
    scale: Scale
    findings: Findings
    uncertainty: float = math.nan
    files: dict[str, Written] = field(default_factory=dict)
    preview: Preview | None = None
    frame: int | None = None
    source: SourceFile | None = None
    kind: str = "raster"
    coco: dict[str, Any] | None = None
    faults: tuple[str, ...] = ()

    @property
    def paths(self) -> dict[str, str]:
        """The paths of its files by kind."""
        return {kind: one.path for kind, one in self.files.items()}

    def to_json(self) -> bytes:
        """One line of JSON, from which `from_json` makes an equal entry."""
        return _adapter().dump_json(self)

    @classmethod
    def from_json(cls, line: bytes) -> ImageEntry:
        """Raises ValueError for anything else than what `to_json` gives."""
        return _adapter().validate_json(line)


@dataclass(frozen=True)
class Objects:
    """What was written for all frames of one clip together. file, files, faults: as an Entry's."""

    file: str
    files: dict[str, Written] = field(default_factory=dict)
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class RefusedFile:
    """One file that could not be used, or not for all that was asked, and why. name: of its results."""

    file: str
    reason: str
    name: str = ""


@cache
def _adapter() -> TypeAdapter[ImageEntry]:
    return TypeAdapter(ImageEntry)
