"""Queries of a PACS and their matches, level by level (PS3.4 C.6.2, Study Root)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice

from pydantic import Field, model_validator

from sonoseg._util.validation import StrictModel

UID = r"[0-9]+(\.[0-9]+)*"

UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


class QueryLevel(StrEnum):
    """The level of a query: its matches are studies, series or instances."""

    STUDY = "study"
    SERIES = "series"
    INSTANCE = "instance"

    @property
    def depth(self) -> int:
        """The number of levels above."""
        return list(QueryLevel).index(self)


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
"""The attributes requested at each level besides the UIDs. The patient's name is never requested."""


class Query(StrictModel):
    """The matching keys of a query; None matches everything.

    patient, accession: patient ID and accession number, with the wildcards * and ? (PS3.4 C.2.2.2.4).
    date: study date YYYYMMDD, or a range YYYYMMDD-YYYYMMDD, open on either side (PS3.4 C.2.2.2.5).
    modality: for example US. study, series, instance: one UID each.
    limit: most matches.
    """

    level: QueryLevel = QueryLevel.STUDY
    patient: str | None = None
    accession: str | None = None
    date: str | None = Field(None, pattern=r"^([0-9]{8}|[0-9]{8}-([0-9]{8})?|-[0-9]{8})$")
    modality: str | None = Field(None, pattern=r"^[A-Z0-9_ ]{1,16}$")
    study: str | None = Field(None, pattern=f"^{UID}$", max_length=64)
    series: str | None = Field(None, pattern=f"^{UID}$", max_length=64)
    instance: str | None = Field(None, pattern=f"^{UID}$", max_length=64)
    limit: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _deep_enough(self) -> Query:
        if self.series is not None and self.level is QueryLevel.STUDY:
            raise ValueError("a series UID needs the level series or instance")
        if self.instance is not None and self.level is not QueryLevel.INSTANCE:
            raise ValueError("an instance UID needs the level instance")
        return self


@dataclass(frozen=True)
class QueryMatch:
    """A matching study, series or instance.

    values: attributes of RETURNED by keyword, as text, for example {"StudyDate": "20240131"}.
    """

    level: QueryLevel
    study: str
    series: str | None = None
    instance: str | None = None
    values: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, level: QueryLevel, keys: dict[str, str], text: Callable[[str], str]) -> QueryMatch:
        """Make a match from a response. text: its value of a keyword, "" if absent; keys: those requested."""
        uids: list[str | None] = [text(uid) or keys.get(uid) or None for uid in UIDS[: level.depth + 1]]
        study, series, instance = (*uids, None, None)[:3]
        values = {keyword: value for keyword in RETURNED[level] if (value := text(keyword))}
        return cls(level, study or "", series, instance, values)


Search = Callable[[QueryLevel, dict[str, str]], Iterator[QueryMatch]]
"""A search of a PACS at one level, with the matching keys by keyword."""


def is_uid(text: object) -> bool:
    """Return whether a peer's text is a UID (PS3.5 9.1) and therefore safe as a file name."""
    return isinstance(text, str) and len(text) <= 64 and re.fullmatch(UID, text) is not None


def search_levels(query: Query, search: Search) -> Iterator[QueryMatch]:
    """Yield the matches of a query, searching from the study level down.

    A PACS needs the UIDs of the levels above (PS3.4 C.4.1.2.1), so unknown ones are searched first. Matches
    without valid UIDs and duplicates are dropped.
    """
    return islice(_search_levels(query, search), query.limit)


def _search_levels(query: Query, search: Search) -> Iterator[QueryMatch]:
    if query.level is QueryLevel.STUDY:
        yield from _unique(search(QueryLevel.STUDY, _study_keys(query)))
        return
    for study in _studies(query, search):
        keys = {"StudyInstanceUID": study}
        if query.level is QueryLevel.SERIES:
            yield from _unique(search(QueryLevel.SERIES, keys | _series_keys(query)))
            continue
        for series in _series(query, keys, search):
            instance = _given({"SOPInstanceUID": query.instance})
            yield from _unique(search(QueryLevel.INSTANCE, keys | {"SeriesInstanceUID": series} | instance))


def _studies(query: Query, search: Search) -> list[str]:
    # A list: an association handles one search at a time.
    if query.study and not (query.patient or query.accession or query.date):
        return [query.study]
    return [match.study for match in _unique(search(QueryLevel.STUDY, _study_keys(query)))]


def _series(query: Query, keys: dict[str, str], search: Search) -> list[str]:
    if query.series and not query.modality:
        return [query.series]
    matches = _unique(search(QueryLevel.SERIES, keys | _series_keys(query)))
    return [match.series or "" for match in matches]


def _study_keys(query: Query) -> dict[str, str]:
    return _given(
        {
            "StudyInstanceUID": query.study,
            "PatientID": query.patient,
            "AccessionNumber": query.accession,
            "StudyDate": query.date,
            "ModalitiesInStudy": query.modality,
        }
    )


def _series_keys(query: Query) -> dict[str, str]:
    return _given({"SeriesInstanceUID": query.series, "Modality": query.modality})


def _given(keys: dict[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in keys.items() if value}


def _unique(matches: Iterable[QueryMatch]) -> Iterator[QueryMatch]:
    seen: set[tuple[str, str | None, str | None]] = set()
    for match in matches:
        uids = (match.study, match.series, match.instance)
        if all(is_uid(uid) for uid in uids[: match.level.depth + 1]) and uids not in seen:
            seen.add(uids)
            yield match
