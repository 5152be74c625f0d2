"""What both ways of asking share: down the levels of an archive, and what of it is still to be fetched."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby, islice
from pathlib import Path

from sonoseg.pacs.client import Fetched, FetchOutcome, Query, QueryLevel, QueryMatch

# The UID of an answer becomes the name of a file: nothing but digits and dots (PS3.5 section 9.1).
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")

RETURNED = {
    QueryLevel.STUDY: (
        "PatientID",
        "AccessionNumber",
        "StudyDate",
        "StudyTime",
        "StudyDescription",
        "ModalitiesInStudy",
        "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances",
    ),
    QueryLevel.SERIES: ("Modality", "SeriesNumber", "SeriesDescription", "NumberOfSeriesRelatedInstances"),
    QueryLevel.INSTANCE: ("SOPClassUID", "InstanceNumber", "NumberOfFrames", "Rows", "Columns"),
}
"""The attributes asked for at each level, beside its UIDs. The patient's name is not among them."""

Ask = Callable[[QueryLevel, dict[str, str]], Iterator[QueryMatch]]
"""Ask an archive at one level, with the keys to match by keyword."""


def is_uid(text: object) -> bool:
    """Whether a peer's text is a UID by form, and so may name a file."""
    return isinstance(text, str) and len(text) <= 64 and _UID.fullmatch(text) is not None


def walk(query: Query, ask: Ask) -> Iterator[QueryMatch]:
    """What matches a query, asked level by level from the study down.

    Archives must answer only where the UIDs of the levels above are given (PS3.4 C.4.1.2.1): what is not
    known is asked for first. An answer without its UIDs is left out; none comes twice.
    """
    return islice(_walk(query, ask), query.limit)


def _walk(query: Query, ask: Ask) -> Iterator[QueryMatch]:
    if query.level is QueryLevel.STUDY:
        yield from _once(ask(QueryLevel.STUDY, _study_keys(query)))
        return
    for study in _studies(query, ask):
        keys = {"StudyInstanceUID": study}
        if query.level is QueryLevel.SERIES:
            yield from _once(ask(QueryLevel.SERIES, keys | _series_keys(query)))
            continue
        for series in _series(query, keys, ask):
            more = {"SOPInstanceUID": query.instance} if query.instance else {}
            yield from _once(ask(QueryLevel.INSTANCE, keys | {"SeriesInstanceUID": series} | more))


def _studies(query: Query, ask: Ask) -> list[str]:
    # As a list: one association answers one question at a time.
    if query.study and not (query.patient or query.accession or query.date):
        return [query.study]
    return [found.study for found in _once(ask(QueryLevel.STUDY, _study_keys(query)))]


def _series(query: Query, keys: dict[str, str], ask: Ask) -> list[str]:
    if query.series and not query.modality:
        return [query.series]
    return [found.series or "" for found in _once(ask(QueryLevel.SERIES, keys | _series_keys(query)))]


def _study_keys(query: Query) -> dict[str, str]:
    keys = {
        "StudyInstanceUID": query.study,
        "PatientID": query.patient,
        "AccessionNumber": query.accession,
        "StudyDate": query.date,
        "ModalitiesInStudy": query.modality,
    }
    return {key: value for key, value in keys.items() if value}


def _series_keys(query: Query) -> dict[str, str]:
    keys = {"SeriesInstanceUID": query.series, "Modality": query.modality}
    return {key: value for key, value in keys.items() if value}


def _once(answers: Iterable[QueryMatch]) -> Iterator[QueryMatch]:
    seen: set[tuple[str, str | None, str | None]] = set()
    for found in answers:
        uids = (found.study, found.series, found.instance)
        wanted = uids[: list(QueryLevel).index(found.level) + 1]
        if all(is_uid(uid) for uid in wanted) and uids not in seen:
            seen.add(uids)
            yield found


def of_series(found: Iterable[QueryMatch], folder: Path) -> Iterator[tuple[list[QueryMatch], list[Fetched]]]:
    """Instances, series by series: those still to be fetched, and those whose file is there already."""
    for _, group in groupby(found, key=lambda item: (item.study, item.series)):
        missing: list[QueryMatch] = []
        there: list[Fetched] = []
        for item in group:
            path = place(folder, item.instance or "")
            if path.exists():
                there.append(Fetched(item.instance or "", FetchOutcome.THERE, path))
            else:
                missing.append(item)
        yield missing, there


def place(folder: Path, instance: str) -> Path:
    """Where an instance's file is."""
    return folder / f"{instance}.dcm"
