"""A prepared set small enough to hold in memory, and predictors that conform to the real ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sonoseg.errors import DatasetError
from sonoseg.image.calibration import Spacing
from sonoseg.image.frame import Frame
from sonoseg.inference.segmentation import Segmentation

SHAPE = (60, 80)


@dataclass
class SmallSet:
    """What the evaluation asks of a PreparedSet, from arrays."""

    table: pd.DataFrame
    masks: dict[str, np.ndarray]
    fingerprint: str = "f" * 64
    folder: Path = Path("small-set")
    sources: list[dict[str, Any]] = field(
        default_factory=lambda: [{"name": "toy", "title": "Toys", "licence": "none", "citation": "Nobody."}]
    )

    @property
    def ids(self) -> list[str]:
        return [str(name) for name in self.table.index]

    def rows(self, ids: Iterable[str]) -> np.ndarray:
        found = self.table.index.get_indexer(pd.Index(list(ids)))
        if (found < 0).any():
            raise DatasetError("no image has that id", where=self.folder)
        return found

    def frame(self, name: str) -> Frame:
        row, column = self.table.loc[name, ["spacing_row", "spacing_column"]].tolist()
        spacing = Spacing(row, column) if np.isfinite(row) else None
        return Frame(np.full(self.masks[name].shape, 90, np.uint8), spacing, name=name)

    def mask(self, name: str) -> np.ndarray:
        return self.masks[name]


def disc(top: float, left: float, radius: float, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return np.hypot(rows - top, columns - left) <= radius


def build(images: list[dict[str, Any]]) -> SmallSet:
    """images: id, mask, and any column of the table that is not the default."""
    masks = {one["id"]: one["mask"] for one in images}
    default = {
        "set": "toy",
        "label": "benign",
        "patient": "",
        "duplicates": "",
        "objection": "",
        "marks": "",
        "spacing_row": np.nan,
        "spacing_column": np.nan,
    }
    table = pd.DataFrame(
        [
            default
            | {"group": f"toy:{one['id']}", "lesion_area_px": int(one["mask"].sum())}
            | {"lesion_share": float(one["mask"].mean())}
            | {key: value for key, value in one.items() if key != "mask"}
            for one in images
        ]
    ).set_index("id")
    return SmallSet(table, masks)


class Scripted:
    """Predicts what is given: by name a probability (H, W); the processed mask drops what `clean` drops."""

    def __init__(
        self,
        answer: Callable[[str], np.ndarray],
        threshold: float = 0.5,
        clean: Callable[[np.ndarray], np.ndarray] = lambda mask: mask,
    ) -> None:
        self.answer, self.threshold, self.clean = answer, threshold, clean
        self.held = 0

    def predict_many(self, images: Iterable[Frame], batch: int = 1) -> Iterator[Segmentation]:
        for frame in images:
            probability = self.answer(frame.name).astype(np.float32)
            raw = probability >= np.float32(self.threshold)
            mask = self.clean(raw)
            yield Segmentation(frame, probability, raw, mask, self.threshold, None, "scripted (0)", "none")


@pytest.fixture
def make_set() -> Callable[[list[dict[str, Any]]], SmallSet]:
    """Builds a small prepared set from a list of images."""
    return build


@pytest.fixture
def scripted() -> type[Scripted]:
    """A predictor of given probabilities."""
    return Scripted


@pytest.fixture
def make_disc() -> Callable[..., np.ndarray]:
    """A disc as a mask: top, left, radius."""
    return disc


@pytest.fixture
def mixed() -> SmallSet:
    """Twelve lesions of rising size, two a group, some marked, some with a spacing; four normals."""
    images: list[dict[str, Any]] = [
        {
            "id": f"toy/lesion{n:02d}",
            "mask": disc(30, 40, 4 + 1.5 * n),
            "label": "benign" if n % 2 else "malignant",
            "group": f"toy:g{n // 2}",
            "marks": "measurement text" if n % 4 == 0 else "text" if n % 4 == 1 else "",
            "spacing_row": 0.1 if n < 6 else np.nan,
            "spacing_column": (0.1 if n < 3 else 0.2) if n < 6 else np.nan,
        }
        for n in range(12)
    ]
    images += [{"id": f"toy/normal{n}", "mask": np.zeros(SHAPE, bool), "label": "normal"} for n in range(4)]
    return build(images)


@pytest.fixture
def shifted(mixed: SmallSet) -> Scripted:
    """Finds each lesion moved by three columns, misses the smallest, and sees one normal full of lesion."""

    def answer(name: str) -> np.ndarray:
        if name == "toy/normal1":
            return np.where(disc(20, 20, 8), 0.9, 0.02)
        if name == "toy/lesion00":
            return np.full(SHAPE, 0.05)
        return np.where(np.roll(mixed.mask(name), 3, axis=1), 0.8, 0.02)

    return Scripted(answer)
