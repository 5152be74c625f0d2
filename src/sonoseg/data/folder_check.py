"""Check the files of a data set: counts against the published ones, faults, known problems, notes."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sonoseg.data.catalogue import CATALOGUE
from sonoseg.data.inspection import Inspection, inspect_record
from sonoseg.data.near_duplicates import identical_groups, near_duplicate_pairs
from sonoseg.data.parallel import parallel, silent
from sonoseg.data.record import LABELS, DataSource, IdFault, id_faults
from sonoseg.errors import SonosegWarning

Level = Literal["fault", "known", "note"]
Track = Callable[[Iterable[Any], str, int], Iterator[Any]]


@dataclass(frozen=True)
class CheckFinding:
    """One finding of a check.

    level: "fault": the set must not be used as it is; "known": a published problem that the reader handles;
        "note": harmless, or for a person to judge.
    kind: the category. text: its meaning. images: the ids concerned, or the files.
    """

    level: Level
    kind: str
    text: str
    images: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckReport:
    """The findings of `check` in one set. counts: name -> (found, published or None)."""

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
    """Read every file of `sources` and return one report per set.

    Duplicates are searched across all sets together. Nothing is written, nothing raised for a bad file.
    """
    records = [record for source in sources for record in source.records]
    inspected = parallel(inspect_record, records, threads)
    with warnings.catch_warnings():  # they are findings
        warnings.simplefilter("ignore", SonosegWarning)
        inspections: list[Inspection] = list((track or silent)(inspected, "images", len(records)))
    duplicates = _duplicate_findings(inspections)
    ids = id_faults(sources)
    reports = []
    for source in sources:
        own = [inspection for inspection in inspections if inspection.record.set == source.name]
        reports.append(
            CheckReport(
                source.name,
                source.kind,
                source.folder,
                _counts(source),
                (
                    *_faults(source, own, ids),
                    *duplicates.get(source.name, []),
                    *_known(own),
                    *_notes(own),
                    *(CheckFinding("note", "not read", text) for text in source.ignored),
                ),
            )
        )
    return reports


def _counts(source: DataSource) -> dict[str, tuple[int, int | None]]:
    found = count_images(source)
    entry = CATALOGUE.get(source.kind)
    published = entry.counts if entry else {}
    names = [*found, *(name for name in published if name not in found)]
    return {name: (found.get(name, 0), published.get(name)) for name in names}


def _faults(
    source: DataSource, inspections: Sequence[Inspection], ids: Sequence[IdFault]
) -> list[CheckFinding]:
    findings = []
    wrong = [
        f"{f} {name}, {p} were published" for name, (f, p) in _counts(source).items() if p not in (None, f)
    ]
    if wrong:
        findings.append(CheckFinding("fault", "counts", "; ".join(wrong)))
    findings += [
        CheckFinding("fault", "ids", f"{fault.text}. {fault.remedy}", fault.ids)
        for fault in ids
        if fault.ids[0] in {record.id for record in source.records}
    ]
    findings += _by_kind("fault", [(x.record.id, x.faults) for x in inspections])
    if source.unmatched_masks:
        findings.append(
            CheckFinding(
                "fault", "stray masks", "masks without an image", tuple(map(str, source.unmatched_masks))
            )
        )
    return findings


def _by_kind(level: Level, found: Iterable[tuple[str, Sequence[tuple[str, str]]]]) -> Iterator[CheckFinding]:
    """Yield a finding for each kind of (kind, text) among those of each id, with the first text."""
    kinds: dict[str, list[tuple[str, str]]] = {}
    for name, pairs in found:
        for kind, text in pairs:
            kinds.setdefault(kind, []).append((name, text))
    for kind, cases in kinds.items():
        text = cases[0][1] if len(cases) == 1 else f"{cases[0][1]} (and {len(cases) - 1} more)"
        yield CheckFinding(level, kind, text, tuple(name for name, _ in cases))


def _duplicate_findings(inspections: Sequence[Inspection]) -> dict[str, list[CheckFinding]]:
    """Findings on identical and near-identical images, by the set that holds the first of each pair."""
    same = {
        pair
        for group in identical_groups([inspection.pixels for inspection in inspections])
        for pair in combinations(group, 2)
    }
    thumbs = (
        np.stack([inspection.thumbnail for inspection in inspections])
        if inspections
        else np.zeros((0, 1), np.float32)
    )
    near = [(i, j) for i, j, _ in near_duplicate_pairs(thumbs) if (i, j) not in same]
    found: dict[tuple[str, Level, str, str], list[str]] = {}
    for i, j in [*sorted(same), *near]:
        first, second = inspections[i].record, inspections[j].record
        level, kind, text = _judge_pair(inspections[i], inspections[j], exact=(i, j) in same)
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
        return "note", kind, "near-duplicates in different classes: compare them side by side"
    if a.group == b.group:
        return "note", kind, "pairs of one patient or group; a split keeps them together"
    return "note", kind, "pairs that a split would not keep together: give them one group"


def _known(inspections: Sequence[Inspection]) -> list[CheckFinding]:
    findings = []
    groups: dict[str, list[str]] = {}
    for inspection in inspections:
        if inspection.record.duplicates:
            groups.setdefault(inspection.record.duplicates, []).append(inspection.record.id)
    if groups:
        names = tuple(name for group in groups.values() for name in group)
        text = f"{len(groups)} groups of duplicates cover {len(names)} images; splits keep each together"
        findings.append(CheckFinding("known", "duplicate groups", text, names))
    for kind, words in (
        ("objections", {inspection.record.id: inspection.record.objection for inspection in inspections}),
        ("drawn marks", {inspection.record.id: inspection.record.marks for inspection in inspections}),
    ):
        counts = Counter(word for text in words.values() for word in text.split())
        if counts:
            text = ", ".join(f"{word} {count}" for word, count in counts.most_common())
            findings.append(
                CheckFinding("known", kind, text, tuple(name for name, text in words.items() if text))
            )
    unusable = [inspection.record for inspection in inspections if inspection.record.unusable]
    if unusable:
        text = f"left out when the set is prepared: {unusable[0].unusable}"
        findings.append(
            CheckFinding("known", "unusable images", text, tuple(record.id for record in unusable))
        )
    return findings


def _notes(inspections: Sequence[Inspection]) -> list[CheckFinding]:
    cases: list[tuple[str, str, list[str]]] = [
        (
            "several masks",
            "the union of the masks is used",
            [x.record.id for x in inspections if len(x.record.masks) > 1],
        ),
        (
            "colour images",
            "stored in colour; read as grey",
            [x.record.id for x in inspections if x.image_mode not in ("", "1", "L", "I", "I;16", "F")],
        ),
        (
            "grey masks",
            "more than two values; all labels are lesion, of grey levels the upper half",
            [x.record.id for x in inspections if x.grey],
        ),
        (
            "no class",
            "of unknown class, with an empty mask: they count as images without a lesion",
            [x.record.id for x in inspections if x.record.label == "unknown" and x.area == 0],
        ),
        (
            "very large lesions",
            "the mask covers nine tenths of the image or more: possibly inverted",
            [x.record.id for x in inspections if x.area is not None and x.area >= 0.9],
        ),
    ]
    warned: dict[str, tuple[str, list[str]]] = {}
    for x in inspections:
        for text in x.warnings:
            warned.setdefault(re.sub(r"\d+", "", text), (text, []))[1].append(x.record.id)
    cases += [("warning", text, names) for text, names in warned.values()]
    for mode in sorted({mode for x in inspections for mode in x.modes} - {"", "1", "L"}):
        names = [x.record.id for x in inspections if mode in x.modes]
        cases.append((f"{mode} masks", f"masks stored as {mode}; the brightest channel counts", names))
    findings = [CheckFinding("note", kind, text, tuple(names)) for kind, text, names in cases if names]
    return [*findings, *_by_kind("note", [(x.record.id, x.notes) for x in inspections])]
