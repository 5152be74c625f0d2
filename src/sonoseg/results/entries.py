"""The results of a run as data: the run, an entry for each image, and the refused files."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter

from sonoseg import __version__
from sonoseg._util.files import sha256_file
from sonoseg.dicom.reading.acquisition import Acquisition
from sonoseg.image.calibration import LocalSpacing, cautions
from sonoseg.inference.predictor import Predictor
from sonoseg.lesions.measurement import UNLIKE_TRAINING, Findings
from sonoseg.results.preview import Preview


@dataclass(frozen=True)
class RunInfo:
    """The provenance of results: the command, the versions, the model and its settings.

    settings_hash: as in Segmentation.
    options: further options of the command that change the results, by name.
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
    settings_hash: str = ""
    sonoseg: str = __version__
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, predictor: Predictor, command: str, options: Mapping[str, Any] | None = None) -> RunInfo:
        """Describe a predictor. command: such as "sonoseg predict"."""
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
            settings_hash=predictor.settings_hash,
            options=dict(options or {}),
        )

    def fingerprint(self) -> dict[str, Any]:
        """List what must be equal for two runs to give equal results, as a flat dictionary."""
        flat: dict[str, Any] = {}
        for name, value in asdict(self).items():
            if isinstance(value, dict):
                flat |= {f"{name}.{key}": each for key, each in value.items()}
            else:
                flat[name] = value
        return flat


@dataclass(frozen=True)
class SourceFile:
    """The state of an input file when it was read: SHA-256, size in bytes, modification time in ns."""

    sha256: str
    bytes: int
    changed_ns: int

    @classmethod
    def of(cls, path: Path) -> SourceFile:
        """Hash a file. Raises OSError."""
        seen = path.stat()
        return cls(sha256_file(path), seen.st_size, seen.st_mtime_ns)

    def unchanged(self, path: Path) -> bool:
        """Whether the file is unchanged; it is hashed only where its size is equal and its time is not."""
        try:
            seen = path.stat()
            if seen.st_size != self.bytes:
                return False
            return seen.st_mtime_ns == self.changed_ns or sha256_file(path) == self.sha256
        except OSError:
            return False


@dataclass(frozen=True)
class OutputFile:
    """An output file: its path relative to the results folder, with /; its SHA-256; its size in bytes."""

    path: str
    sha256: str
    bytes: int

    def __post_init__(self) -> None:
        """Raise ValueError for a path that leaves the folder: a journal may come from anybody."""
        if Path(self.path).is_absolute() or ".." in Path(self.path).parts:
            raise ValueError(f"the path {self.path!r} is not within the results folder")

    def exists(self, folder: Path) -> bool:
        """Whether the file is in this results folder, with its size."""
        try:
            return (folder / self.path).stat().st_size == self.bytes
        except OSError:
            return False


@dataclass(frozen=True)
class ImageEntry:
    """The results of one image.

    name: from `result_names`. file: the image, as the user named it. frame: its number in a clip.
    kind: "dicom" or "raster".
    shape: (H, W) pixels. scale: the pixel spacing of the whole image with its origin, or the reason why it
    has none; each lesion has its own.
    uncertainty: of the whole result, 0 certain to 1 uncertain; NaN where unknown.
    files: the output files, by kind ("mask", "overlay" ...).
    preview: for the report. source: the input file, None where there is none.
    coco: its annotations, where requested. acquisition: of a DICOM file, unless the run is anonymous.
    faults: the files that could not be written, with the reason.
    """

    # In the journal, bytes are base64 and NaN stays NaN.
    __pydantic_config__ = ConfigDict(
        ser_json_bytes="base64", val_json_bytes="base64", ser_json_inf_nan="constants"
    )

    name: str
    file: str
    shape: tuple[int, int]
    local_spacing: LocalSpacing
    findings: Findings
    uncertainty: float = math.nan
    files: dict[str, OutputFile] = field(default_factory=dict)
    preview: Preview | None = None
    frame: int | None = None
    source: SourceFile | None = None
    kind: str = "raster"
    coco: dict[str, Any] | None = None
    acquisition: Acquisition | None = None
    faults: tuple[str, ...] = ()

    @property
    def paths(self) -> dict[str, str]:
        """The paths of the output files, by kind."""
        return {kind: one.path for kind, one in self.files.items()}

    def to_json(self) -> bytes:
        """Serialise; `from_json` gives an equal entry."""
        return _adapter().dump_json(self)

    @classmethod
    def from_json(cls, line: bytes) -> ImageEntry:
        """Deserialise. Raises ValueError for anything but the output of `to_json`."""
        return _adapter().validate_json(line)


@dataclass(frozen=True)
class SourceObjects:
    """The output files for all frames of one clip together. file, files, faults: as in ImageEntry."""

    file: str
    files: dict[str, OutputFile] = field(default_factory=dict)
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class RefusedFile:
    """An input file that was refused, or an output that could not be written. name: of its results."""

    file: str
    reason: str
    name: str = ""


@cache
def _adapter() -> TypeAdapter[ImageEntry]:
    return TypeAdapter(ImageEntry)


@dataclass(frozen=True)
class ResultCounts:
    """Counts over a run.

    without: images without a lesion. not_assessed: further ones, without contrast.
    in_mm: lesions measured in mm.
    given, tabled: lesions whose pixel spacing comes from --spacing, or from a table of spacings.
    reasons: why lesions are not in mm, with the number of each.
    with_caution: origins of pixel spacings that need caution, with the number of lesions of each.
    unlike_training: images unlike the training data.
    """

    images: int = 0
    lesions: int = 0
    without: int = 0
    in_mm: int = 0
    given: int = 0
    tabled: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    with_caution: dict[str, int] = field(default_factory=dict)
    not_assessed: int = 0
    unlike_training: int = 0

    @classmethod
    def of(cls, entries: Iterable[ImageEntry]) -> ResultCounts:
        """Count entries in one pass."""
        images = lesions = without = not_assessed = in_mm = unlike = 0
        origins: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        for entry in entries:
            found = entry.findings.lesions
            images += 1
            lesions += len(found)
            without += not found and entry.findings.assessable
            not_assessed += not found and not entry.findings.assessable
            unlike += UNLIKE_TRAINING in entry.findings.warnings
            in_mm += sum(lesion.unit == "mm" for lesion in found)
            origins.update(lesion.local_spacing.origin for lesion in found)
            reasons.update(lesion.local_spacing.reason for lesion in found if lesion.unit == "px")
        with_caution = {origin: count for origin, count in origins.items() if cautions(origin)}
        return cls(
            images,
            lesions,
            without,
            in_mm,
            origins["given"],
            origins["table"],
            dict(reasons),
            with_caution,
            not_assessed,
            unlike,
        )


@dataclass(frozen=True)
class Results:
    """The results of a run, read one image at a time, as often as needed.

    entries: returns a new iterator over the entries, in the order of the results.
    refused: the refused files. referred: the names of the images that are referred for review; None where
    that was not requested.
    """

    about: RunInfo
    entries: Callable[[], Iterable[ImageEntry]]
    refused: Sequence[RefusedFile] = ()
    referred: frozenset[str] | None = None
    counts: ResultCounts = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", ResultCounts.of(self.entries()))
