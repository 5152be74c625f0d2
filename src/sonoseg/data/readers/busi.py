"""BUSI's published layout: benign/, malignant/, normal/ with "benign (1).png" and "benign (1)_mask.png"."""

from __future__ import annotations

import csv
import re
from functools import cache
from importlib.resources import files
from pathlib import Path

from sonoseg.data.record import DataSource, Record, folders_near, image_files_in, natural_key

CLASSES = ("benign", "malignant", "normal")
_MASK = re.compile(r"^(?P<image>.+)_mask(_\d+)?$")
_IMAGE = re.compile(r"^(benign|malignant|normal) \(\d+\)$")


def find(folder: Path) -> Path | None:
    """The folder with BUSI's three classes: `folder` or one right inside it; None where it is not BUSI."""
    for candidate in folders_near(folder):
        benign = candidate / "benign"
        if benign.is_dir() and any(_IMAGE.match(path.stem) for path in benign.iterdir()):
            return candidate
    return None


def read(folder: Path, name: str = "busi") -> DataSource:
    """Read the images of BUSI; duplicate groups, objections and marks come from the shipped facts."""
    facts = known_problems()
    records: list[Record] = []
    unmatched_masks: list[Path] = []
    for label in CLASSES:
        if not (folder / label).is_dir():
            continue
        masks: dict[str, list[Path]] = {}
        images: list[Path] = []
        for path in image_files_in(folder / label):
            if match := _MASK.match(path.stem):
                masks.setdefault(match["image"], []).append(path)
            else:
                images.append(path)
        for image in images:
            fact = facts.get(image.stem, {})
            group = f"{name}:{fact.get('group_id') or image.stem}"
            records.append(
                Record(
                    id=f"{name}/{image.stem}",
                    set=name,
                    image=image,
                    masks=tuple(masks.pop(image.stem, ())),
                    label=label,
                    group=group,
                    duplicates=group if int(fact.get("group_size") or 1) > 1 else "",
                    objection=fact.get("objection", ""),
                    marks=fact.get("annotation", "").replace("&", " "),
                )
            )
        unmatched_masks += [path for paths in masks.values() for path in paths]
    records.sort(key=lambda record: natural_key(record.id))
    return DataSource(name, "busi", folder, tuple(records), tuple(unmatched_masks))


@cache
def known_problems() -> dict[str, dict[str, str]]:
    """Facts about BUSI's images by their stem: group_id, group_size, objection, annotation.

    Source: the list published with Pawlowska et al., "Letter to the Editor. Re: Dataset of breast
    ultrasound images", Data in Brief 48 (2023) 109247.
    """
    table = files("sonoseg.data").joinpath("facts", "busi_known_problems.csv").read_text("utf-8")
    return {row["image"]: row for row in csv.DictReader(table.splitlines())}
