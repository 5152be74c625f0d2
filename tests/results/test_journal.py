"""The journal: it survives interruption, and refuses to resume another run."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from sonoseg.errors import OutputError
from sonoseg.image.calibration import Spacing
from sonoseg.results.entries import ImageEntry, OutputFile, SourceObjects
from sonoseg.results.journal import Journal, recorded_fingerprint

PRINT = {"command": "sonoseg predict", "threshold": 0.4, "postprocessing.min_area": 0.001}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


@pytest.fixture
def entries(make: SimpleNamespace) -> list[ImageEntry]:
    return [
        make.entry("a", (5, 5, 10, 20), (30, 40, 20, 30), spacing=Spacing(0.1, 0.2)),
        make.entry("none"),
        make.entry('odd, "name"\nü', (0, 0, 6, 6), frame=3, uncertainty=float("nan"), preview=None),
    ]


def names(entries: list[ImageEntry]) -> list[str]:
    return [entry.name for entry in entries]


def test_entries_come_back_equal(path: Path, entries: list[ImageEntry]) -> None:
    with Journal(path, PRINT) as journal:
        for entry in entries:
            journal.add(entry)
        again = list(journal.entries(names(entries)))
    assert again[:2] == entries[:2]  # every float, every byte
    assert again[2].uncertainty != again[2].uncertainty
    assert replace(again[2], uncertainty=0.0) == replace(entries[2], uncertainty=0.0)
    with Journal(path, PRINT, resume=True) as journal:
        assert list(journal.entries(names(entries)))[:2] == entries[:2]
        assert len(journal) == 3


def test_entries_follow_the_requested_order(path: Path, entries: list[ImageEntry]) -> None:
    with Journal(path, PRINT) as journal:
        for entry in entries:
            journal.add(entry)
        assert [one.name for one in journal.entries(["none", "nobody", "a"])] == ["none", "a"]


def test_last_entry_of_a_name_counts_and_can_be_removed(path: Path, entries: list[ImageEntry]) -> None:
    with Journal(path, PRINT) as journal:
        journal.add(entries[0])
        journal.add(replace(entries[0], file="newer.png"))
    with Journal(path, PRINT, resume=True) as journal:
        assert journal.get("a").file == "newer.png"
        journal.remove("a")
        assert "a" not in journal
        assert list(journal.entries(["a"])) == []


def test_torn_write_loses_at_most_the_last_image(path: Path, entries: list[ImageEntry]) -> None:
    wal, copy = path.with_name("journal.sqlite-wal"), path.with_name("copy.sqlite")
    states = []
    with Journal(path, PRINT) as journal:
        journal.add_session({"started": "now", "images": 3})
        for entry in entries:
            journal.add(replace(entry, preview=None))
            states.append((path.read_bytes(), wal.read_bytes()))
    main, whole = states[-1]
    ends = [len(log) for _, log in states]
    assert all(state == main for state, _ in states)  # nothing but the log grows
    for end, cut in [(end, end - step) for end in ends for step in (0, 1, 9, 3000)]:
        copy.write_bytes(main)
        copy.with_name("copy.sqlite-wal").write_bytes(whole[:cut])
        with Journal(copy, PRINT, resume=True) as journal:
            done = sum(end <= cut for end in ends)
            assert cut > end - 1 or done == ends.index(end)
            assert [one.name for one in journal.entries(names(entries))] == names(entries)[:done]
            assert len(journal.sessions) == 1
            journal.add(entries[2])
        with Journal(copy, PRINT, resume=True) as journal:
            assert len(journal) == min(done + 1, 3)


def test_other_settings_are_refused_by_name(path: Path) -> None:
    Journal(path, PRINT).close()
    before = path.read_bytes()
    with pytest.raises(OutputError, match=r"threshold was 0\.4 and is 0\.5") as caught:
        Journal(path, PRINT | {"threshold": 0.5}, resume=True)
    assert "min_area" not in str(caught.value)
    with pytest.raises(OutputError, match=r"tta was None and is 'flip'"):
        Journal(path, PRINT | {"tta": "flip"}, resume=True)
    assert path.read_bytes() == before


def test_other_files_are_left_alone(path: Path) -> None:
    path.write_bytes(b"mine\n")
    with pytest.raises(OutputError, match="not a journal"):
        Journal(path, PRINT, resume=True)
    assert path.read_bytes() == b"mine\n"
    assert recorded_fingerprint(path) == {}


def test_missing_journal_is_created(path: Path) -> None:
    assert recorded_fingerprint(path) == {}
    Journal(path, PRINT, resume=True).close()
    assert recorded_fingerprint(path) == PRINT


def test_objects_of_a_clip_come_back(path: Path) -> None:
    objects = SourceObjects(
        "in/clip.dcm", {"seg": OutputFile("dicom/clip_seg.dcm", "0" * 64, 7)}, ("no sr.",)
    )
    with Journal(path, PRINT) as journal:
        journal.add_objects(objects)
    with Journal(path, PRINT, resume=True) as journal:
        assert journal.objects == {"in/clip.dcm": objects}


def test_full_disk_is_reported(path: Path, entries: list[ImageEntry]) -> None:
    with Journal(path, PRINT) as journal:
        with journal._ledger.change() as connection:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(OutputError, match="disk is full") as caught:
            journal.add(replace(entries[0], file="x" * 50_000))
        assert caught.value.where == str(path)
        assert "a" not in journal


def test_two_runs_do_not_write_into_one_journal(path: Path) -> None:
    with Journal(path, PRINT) as journal:
        journal.add_session({"images": 1})
        for resume in (False, True):
            with pytest.raises(OutputError, match="another process"):
                Journal(path, PRINT, resume=resume)
        assert journal.sessions == [{"images": 1}]
    Journal(path, PRINT, resume=True).close()


def test_entries_are_json_for_other_programs(path: Path, entries: list[ImageEntry]) -> None:
    with Journal(path, PRINT) as journal:
        journal.add(entries[0])
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT json_extract(entry, '$.name') FROM images").fetchall() == [("a",)]
    connection.close()


@pytest.mark.parametrize("path_", ["../x", "/etc/passwd", "masks/../../x"])
def test_an_output_lies_within_the_folder(path_: str) -> None:
    with pytest.raises(ValueError, match="not within the results folder"):
        OutputFile(path_, "", 0)


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("UPDATE run SET fingerprint = ?", "[" * 200_000),
        ("UPDATE run SET fingerprint = ?", "3"),
        ("UPDATE images SET entry = ?", "{}"),
        ("UPDATE images SET entry = replace(entry, 'masks/a.png', ?)", "../../escaped"),
        ("INSERT INTO objects VALUES ('a', ?)", '{"file": "a", "files": {"seg": {"path": "/x"}}}'),
        ("INSERT INTO sessions (content) VALUES (?)", "3"),
    ],
)
def test_a_journal_from_a_stranger_is_damaged(
    path: Path, entries: list[ImageEntry], statement: str, value: str
) -> None:
    with Journal(path, PRINT) as journal:
        journal.add(replace(entries[0], files={"mask": OutputFile("masks/a.png", "0", 1)}))
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement, (value,))
    connection.close()
    with (
        pytest.raises(OutputError, match=r"not a journal of results of sonoseg, or damaged"),
        Journal(path, PRINT, resume=True) as journal,
    ):
        journal.get("a"), journal.objects, journal.sessions
