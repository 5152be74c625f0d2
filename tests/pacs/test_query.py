"""Down the levels of an archive, against archives that answer oddly."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sonoseg.pacs.query import Query, QueryLevel, QueryMatch, is_uid, search_levels

Keys = dict[str, str]


class Odd:
    """An archive of two studies with two series of two images, which counts what it is asked."""

    def __init__(self, *extra: QueryMatch) -> None:
        self.asked: list[tuple[QueryLevel, Keys]] = []
        self.extra = extra

    def __call__(self, level: QueryLevel, keys: Keys) -> Iterator[QueryMatch]:
        self.asked.append((level, keys))
        for study in ("1", "2"):
            if keys.get("StudyInstanceUID", study) != study:
                continue
            if level is QueryLevel.STUDY:
                yield QueryMatch(level, study)
                continue
            for series in (f"{study}.1", f"{study}.2"):
                if keys.get("SeriesInstanceUID", series) != series:
                    continue
                if level is QueryLevel.SERIES:
                    yield QueryMatch(level, study, series)
                    continue
                for instance in (f"{series}.1", f"{series}.2"):
                    if keys.get("SOPInstanceUID", instance) == instance:
                        yield QueryMatch(level, study, series, instance)
        yield from (found for found in self.extra if found.level is level)


def test_levels_below_are_asked_for_with_the_uids_above() -> None:
    odd = Odd()
    found = list(search_levels(Query(level=QueryLevel.INSTANCE, patient="P"), odd))
    assert len({item.instance for item in found}) == len(found) == 8
    for level, keys in odd.asked:
        if level is not QueryLevel.STUDY:
            assert "StudyInstanceUID" in keys
        if level is QueryLevel.INSTANCE:
            assert "SeriesInstanceUID" in keys
        assert ("PatientID" in keys) == (level is QueryLevel.STUDY)


def test_what_is_known_is_not_asked_for() -> None:
    odd = Odd()
    (found,) = search_levels(Query(level=QueryLevel.INSTANCE, study="1", series="1.2", instance="1.2.1"), odd)
    assert found.instance == "1.2.1"
    assert [level for level, _ in odd.asked] == [QueryLevel.INSTANCE]


def test_no_question_after_the_limit() -> None:
    odd = Odd()
    assert len(list(search_levels(Query(level=QueryLevel.INSTANCE, limit=2), odd))) == 2
    assert len([level for level, _ in odd.asked if level is QueryLevel.INSTANCE]) == 1


@pytest.mark.parametrize(
    "extra",
    [
        QueryMatch(QueryLevel.INSTANCE, "1", "1.1", "1.1.1"),  # twice
        QueryMatch(QueryLevel.INSTANCE, "1", "1.1", None),
        QueryMatch(QueryLevel.INSTANCE, "1", "1.1", "../../escape"),
        QueryMatch(QueryLevel.INSTANCE, "1", "1.1", "1." * 40),
        QueryMatch(QueryLevel.INSTANCE, "", "1.1", "1.1.9"),
    ],
)
def test_odd_answers_are_left_out(extra: QueryMatch) -> None:
    found = list(search_levels(Query(level=QueryLevel.INSTANCE, study="1", series="1.1"), Odd(extra)))
    assert [item.instance for item in found] == ["1.1.1", "1.1.2"]


def test_uids() -> None:
    assert is_uid("1.2.840.10008.1")
    assert not any(
        is_uid(odd) for odd in ("", ".1", "1..2", "1.2.", "1/2", "a", "1" * 65, None, 1.2, "1.2\n")
    )
