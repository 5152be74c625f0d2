"""Damage sound files: bytes flipped, cut, doubled and moved, extreme numbers, elements and words edited."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

ODD = (
    0,
    1,
    2,
    7,
    0x7F,
    0x80,
    0xFF,
    0x100,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x10000,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
)

VALUES: dict[str, tuple[object, ...]] = {
    "Rows": (0, 1, 16, 17, 65535),
    "Columns": (0, 1, 16, 17, 65535),
    "NumberOfFrames": (0, -1, 1, 2, 99999999),
    "BitsAllocated": (0, 1, 7, 8, 12, 16, 32, 64),
    "BitsStored": (0, 1, 5, 8, 12, 16, 17),
    "HighBit": (0, 3, 7, 11, 15, 31),
    "SamplesPerPixel": (0, 1, 2, 3, 4),
    "PlanarConfiguration": (0, 1, 2),
    "PixelRepresentation": (0, 1, 2),
    "PhotometricInterpretation": (
        "MONOCHROME1", "MONOCHROME2", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420", "YBR_RCT",
        "PALETTE COLOR", "HSV", "",
    ),
    "WindowCenter": ("0", "-1e300", "40", "1e308"),
    "WindowWidth": ("0", "-5", "1", "1e308"),
    "RescaleSlope": ("0", "-1", "1e300"),
    "RescaleIntercept": ("0", "-1024", "1e308"),
    "Modality": ("US", "CT", "", "X" * 16),
    "PixelSpacing": ([0.1, 0.1], [0, 0], [-1, 1e300], [0.1]),
    "FrameNumbersOfInterest": (0, 1, 99999),
    "RepresentativeFrameNumber": (0, 1, 65535),
}  # fmt: skip
REGION: dict[str, tuple[object, ...]] = {
    "RegionSpatialFormat": (0, 1, 5),
    "RegionDataType": (0, 1, 2, 18),
    "RegionLocationMinX0": (0, 5, 100000),
    "RegionLocationMaxX1": (0, 50, 4294967295),
    "RegionLocationMinY0": (0, 5, 100000),
    "RegionLocationMaxY1": (0, 50, 4294967295),
    "PhysicalUnitsXDirection": (0, 3, 4),
    "PhysicalDeltaX": (0.0, -0.1, 1e-300, float("nan"), float("inf"), 0.01),
    "PhysicalDeltaY": (0.0, -0.1, 1e-300, float("nan"), float("inf"), 0.01),
}  # fmt: skip

WORDS = (
    "", "0", "-1", "1e999", "-0.0", "1e-320", "NaN", "Infinity", "null", "true", '""', "[]", "{}", "[[]]",
    '"=1"', "9" * 400, "99999999999999999999", "0x10", "1,5", "1.5.2", "\ufeff", "\u202e", "e\u0301", "\\",
    '"\\ud800"', "../x", "/", "a\\b", "\0", "\r", ";", "\t", ",,,,", '"', "sep=;\n", "x" * 3000, "&a [*a]",
    "!!python/name:os.system", "---", "<<: *a", "2024-13-45",
)  # fmt: skip
"""What replaces a word of a text: JSON, YAML or CSV."""

ENCODINGS = ("utf-8-sig", "utf-16", "utf-16-be", "utf-32", "cp1252", "mac-roman")


@dataclass(frozen=True)
class Sample:
    """A sound file.

    name: as messages call it. data: its bytes. file: its path in the reader's folder.
    """

    name: str
    data: bytes
    file: str = "mutant"
    secrets: frozenset[str] = field(default_factory=frozenset)

    @property
    def is_dicom(self) -> bool:
        """Whether the file begins as DICOM does."""
        return self.data[128:132] == b"DICM"

    @property
    def is_text(self) -> bool:
        """Whether it is JSON, YAML or CSV."""
        return self.file.endswith((".json", ".yaml", ".csv"))


def with_secrets(name: str, data: bytes, file: str = "mutant") -> Sample:
    """Return a sample with the identifying values of its patient, which no message may contain."""
    import pydicom

    secrets: set[str] = set()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)
        for keyword in ("PatientName", "PatientID", "InstitutionName", "ReferringPhysicianName"):
            secrets |= {word for word in str(dataset.get(keyword, "")).split("^") if len(word) > 4}
    except Exception:  # the samples hold broken files too
        secrets = set()
    return Sample(name, data, file, frozenset(secrets))


def mutate(sample: Sample, other: Sample, rng: np.random.Generator) -> bytes:
    """Return a damaged copy of a sample. other: a sample of which parts may be inserted."""
    if sample.is_dicom and rng.random() < 0.25 and (edited := _edited(sample, rng)):
        return edited
    if sample.is_text and rng.random() < 0.7:
        return _edited_text(sample, other, rng)
    data = bytearray(sample.data)
    for _ in range(rng.integers(1, 4)):
        if not data:
            break
        WAYS[rng.integers(len(WAYS))](data, other.data or b"\0", rng)
    return bytes(data)


def _place(data: bytearray, rng: np.random.Generator) -> int:
    """Choose a position, mostly in the header."""
    return int(rng.integers(min(len(data), 4096) if rng.random() < 0.4 else len(data)))


def _flip(data: bytearray, other: bytes, rng: np.random.Generator) -> None:
    for _ in range(rng.integers(1, 9)):
        data[_place(data, rng)] ^= 1 << int(rng.integers(8))


def _noise(data: bytearray, other: bytes, rng: np.random.Generator) -> None:
    place = _place(data, rng)
    data[place : place + 8] = rng.bytes(int(rng.integers(1, 9)))


def _number(data: bytearray, other: bytes, rng: np.random.Generator) -> None:
    place, width = _place(data, rng), (2, 4)[rng.integers(2)]
    value = int(ODD[rng.integers(len(ODD))]) & (256**width - 1)
    data[place : place + width] = value.to_bytes(width, ("little", "big")[rng.integers(2)])


def _cut(data: bytearray, other: bytes, rng: np.random.Generator) -> None:
    del data[_place(data, rng) :]


def _lose(data: bytearray, other: bytes, rng: np.random.Generator) -> None:
    place = _place(data, rng)
    del data[place : place + int(rng.integers(1, 40))]


def _double(data: bytearray, other: bytes, rng: np.random.Generator) -> None:
    place, length = _place(data, rng), int(rng.integers(1, 400))
    data[place:place] = data[place : place + length] * int(rng.integers(1, 4))


def _splice(data: bytearray, other: bytes, rng: np.random.Generator) -> None:
    place, start = _place(data, rng), int(rng.integers(len(other)))
    data[place : place + 200] = other[start : start + int(rng.integers(1, 400))]


WAYS: tuple[Callable[[bytearray, bytes, np.random.Generator], None], ...] = (
    _flip, _noise, _number, _cut, _lose, _double, _splice
)  # fmt: skip


def _edited(sample: Sample, rng: np.random.Generator) -> bytes | None:
    """Return a valid file with one to three elements set to unusual values or removed."""
    import pydicom

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's on what we write on purpose
        try:
            dataset = pydicom.dcmread(io.BytesIO(sample.data))
            for _ in range(rng.integers(1, 4)):
                regions = dataset.get("SequenceOfUltrasoundRegions") or []
                target, table = (regions[0], REGION) if regions and rng.random() < 0.4 else (dataset, VALUES)
                keyword = list(table)[rng.integers(len(table))]
                values = table[keyword]
                choice = int(rng.integers(len(values) + 1))
                if choice < len(values):
                    setattr(target, keyword, values[choice])
                elif keyword in target:
                    delattr(target, keyword)
            stream = io.BytesIO()
            dataset.save_as(stream)
        except Exception:  # what pydicom cannot write is no mutant
            return None
    return stream.getvalue()


def _edited_text(sample: Sample, other: Sample, rng: np.random.Generator) -> bytes:
    """Return a text with one to three words, lines or separators changed, or in another encoding."""
    text = sample.data.decode("utf-8")
    for _ in range(rng.integers(1, 4)):
        parts = re.split(r'("(?:[^"\\]|\\.)*"|[\w.+-]+|\n)', text)
        way, place = int(rng.integers(6)), int(rng.integers(len(parts)))
        if way <= 1:
            parts[place] = WORDS[rng.integers(len(WORDS))]
        elif way == 2:
            parts[place : place + int(rng.integers(1, 8))] = []
        elif way == 3:
            parts[place:place] = parts[place : place + int(rng.integers(1, 30))] * int(rng.integers(1, 4))
        elif way == 4:
            strange = re.split(r"(\W)", other.data.decode("utf-8", "replace")[:4000])
            parts[place] = strange[rng.integers(len(strange))]
        else:
            old, new = rng.choice(list(',;:\t\n"[{ '), 2, replace=False)
            parts = [part.replace(str(old), str(new)) for part in parts]
        text = "".join(parts)
    if rng.random() < 0.1:
        return text.encode(ENCODINGS[rng.integers(len(ENCODINGS))], "replace")
    return text.encode("utf-8", "replace")
