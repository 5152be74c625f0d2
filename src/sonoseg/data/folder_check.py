"""Explaining a folder: what is there, what should be, what is wrong and what is merely worth knowing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sonoseg.data.catalogue import CATALOGUE
from sonoseg.data.inspection import Inspection, look_at
from sonoseg.data.near_duplicates import alike, identical
from sonoseg.data.parallel import parallel, silent
from sonoseg.data.record import LABELS, DataSource

Level = Literal["fault", "known", "note"]
Track = Callable[[Iterable[Any], str, int], Iterator[Any]]


@dataclass(frozen=True)
class CheckFinding:
    """One thing found.

    level: "fault": the set cannot be trusted as it is; "known": published with the set, and dealt with
        by our reader; "note": harmless, or for a person to judge.
    kind: what sort of thing. text: what it means. images: the ids it touches, or the files.
    """

    level: Level
    kind: str
    text: str
    images: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckReport:
    """What `check` found in one set. counts: name -> (found, published; None where nothing is)."""

    name: str
    kind: str
    folder: Path
    counts: dict[str, tuple[int, int | None]]
    findings: tuple[CheckFinding, ...]

    @property
    def faults(self) -> int:
        """The number of findings that are faults."""
        return sum(finding.level == "fault" for finding in self.findings)


def count_images(source: DataSource) -> dict[str, int]:
    """Images, mask files, patients (where the set names any) and images by class."""
    records = source.records
    patients = {record.patient for record in records if record.patient}
    labels = Counter(record.label for record in records)
    counts = {"images": len(records), "masks": sum(len(record.masks) for record in records)}
    if patients:
        counts["patients"] = len(patients)
    return counts | {label: labels[label] for label in LABELS if labels[label]}


def check(
    sources: Sequence[DataSource], *, threads: int | None = None, track: Track | None = None
) -> list[CheckReport]:
    """Look at every file of `sources` and report, one report a set.

    Copies are looked for across all sets together. Nothing is written, nothing raised for a bad file.
    """
    records = [record for source in sources for record in source.records]
    looked = parallel(look_at, records, threads)
    looks: list[Inspection] = list((track or silent)(looked, "images", len(records)))
    copies = _copies(looks)
    reports = []
    for source in sources:
        own = [look for look in looks if look.record.set == source.name]
        reports.append(
            CheckReport(
                source.name,
                source.kind,
                source.folder,
                _counts(source),
                (*_faults(source, own), *copies.get(source.name, []), *_known(own), *_notes(own)),
            )
        )
    return reports


def _counts(source: DataSource) -> dict[str, tuple[int, int | None]]:
    found = count_images(source)
    entry = CATALOGUE.get(source.kind)
    published = entry.counts if entry else {}
    names = [*found, *(name for name in published if name not in found)]
    return {name: (found.get(name, 0), published.get(name)) for name in names}


def _faults(source: DataSource, looks: Sequence[Inspection]) -> list[CheckFinding]:
    findings = []
    wrong = [
        f"{f} {name} where {p} were published"
        for name, (f, p) in _counts(source).items()
        if p not in (None, f)
    ]
    if wrong:
        findings.append(CheckFinding("fault", "counts", "; ".join(wrong)))
    kinds: dict[str, list[tuple[str, str]]] = {}
    for look in looks:
        for kind, what in look.faults:
            kinds.setdefault(kind, []).append((look.record.id, what))
    for kind, cases in kinds.items():
        text = cases[0][1] if len(cases) == 1 else f"{cases[0][1]} (and {len(cases) - 1} more)"
        findings.append(CheckFinding("fault", kind, text, tuple(name for name, _ in cases)))
    if source.strays:
        findings.append(
            CheckFinding("fault", "stray masks", "masks without an image", tuple(map(str, source.strays)))
        )
    return findings


def _copies(looks: Sequence[Inspection]) -> dict[str, list[CheckFinding]]:
    """Findings on identical and near-identical images, by the set that holds the first of each pair."""
    same = {pair for group in identical([look.pixels for look in looks]) for pair in combinations(group, 2)}
    thumbs = np.stack([look.thumb for look in looks]) if looks else np.zeros((0, 1), np.float32)
    near = [(i, j) for i, j, _ in alike(thumbs) if (i, j) not in same]
    found: dict[tuple[str, Level, str, str], list[str]] = {}
    for i, j in [*sorted(same), *near]:
        first, second = looks[i].record, looks[j].record
        level, kind, text = _judge_pair(looks[i], looks[j], exact=(i, j) in same)
        found.setdefault((first.set, level, kind, text), []).append(f"{first.id} = {second.id}")
    by_set: dict[str, list[CheckFinding]] = {}
    for (name, level, kind, text), pairs in found.items():
        by_set.setdefault(name, []).append(CheckFinding(level, kind, text, tuple(pairs)))
    return by_set


def _judge_pair(first: Inspection, second: Inspection, *, exact: bool) -> tuple[Level, str, str]:
    a, b = first.record, second.record
    kind = "identical images" if exact else "near-identical images"
    if a.duplicates and a.duplicates == b.duplicates:
        return (
            "known",
            kind,
            "pairs of one listed group of duplicates; a split keeps them together",
        )
    if a.label != b.label and exact:
        return "fault", kind, "the same pixels in different classes: one class must be wrong"
    if a.label != b.label:
        return "note", kind, "much the same image in different classes: look at them side by side"
    if a.group == b.group:
        return "note", kind, "pairs of one patient or group; a split keeps them together"
    return "note", kind, "pairs that a split would not keep together: give them one group"


def _known(looks: Sequence[Inspection]) -> list[CheckFinding]:
    findings = []
    groups: dict[str, list[str]] = {}
    for look in looks:
        if look.record.duplicates:
            groups.setdefault(look.record.duplicates, []).append(look.record.id)
    if groups:
        names = tuple(name for group in groups.values() for name in group)
        text = f"{len(groups)} groups of duplicates cover {len(names)} images; splits keep each together"
        findings.append(CheckFinding("known", "duplicate groups", text, names))
    for kind, words in (
        ("objections", {look.record.id: look.record.objection for look in looks}),
        ("drawn marks", {look.record.id: look.record.marks for look in looks}),
    ):
        counts = Counter(word for text in words.values() for word in text.split())
        if counts:
            text = ", ".join(f"{word} {count}" for word, count in counts.most_common())
            findings.append(
                CheckFinding("known", kind, text, tuple(name for name, text in words.items() if text))
            )
    unusable = [look.record for look in looks if look.record.unusable]
    if unusable:
        text = f"left out when the set is prepared: {unusable[0].unusable}"
        findings.append(
            CheckFinding("known", "unusable images", text, tuple(record.id for record in unusable))
        )
    return findings


def _notes(looks: Sequence[Inspection]) -> list[CheckFinding]:
    cases: list[tuple[str, str, list[str]]] = [
        ("several masks", "their masks are joined", [x.record.id for x in looks if len(x.record.masks) > 1]),
        (
            "colour images",
            "stored in colour; read as grey",
            [x.record.id for x in looks if x.image_mode not in ("", "1", "L", "I", "I;16", "F")],
        ),
        (
            "grey masks",
            "more than two values; lesion from half of the largest on",
            [x.record.id for x in looks if x.grey],
        ),
        (
            "no class",
            "of unknown class, with an empty mask: they count as images without a lesion",
            [x.record.id for x in looks if x.record.label == "unknown" and x.area == 0],
        ),
        (
            "very large lesions",
            "the mask covers nine tenths of the image or more: is it inverted?",
            [x.record.id for x in looks if x.area is not None and x.area >= 0.9],
        ),
    ]
    for mode in sorted({mode for x in looks for mode in x.modes} - {"1", "L"}):
        names = [x.record.id for x in looks if mode in x.modes]
        cases.append((f"{mode} masks", f"masks stored as {mode}; the brightest channel counts", names))
    return [CheckFinding("note", kind, text, tuple(names)) for kind, text, names in cases if names]
