"""The journal: read back whole whatever cut it short, and never taken for that of another run."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from sonoseg.errors import OutputError
from sonoseg.image.frame import Spacing
from sonoseg.results.entries import ImageEntry, Objects, Written
from sonoseg.results.journal import Journal, begun_with

PRINT = {"command": "sonoseg predict", "threshold": 0.4, "postprocessing.min_area": 0.001}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


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
    with Journal.start(path, PRINT) as journal:
        for entry in entries:
            journal.add(entry)
        again = list(journal.entries(names(entries)))
    assert again[:2] == entries[:2]  # every float, every byte
    assert again[2].uncertainty != again[2].uncertainty
    assert replace(again[2], uncertainty=0.0) == replace(entries[2], uncertainty=0.0)
    with Journal.resume(path, PRINT) as journal:
        assert list(journal.entries(names(entries)))[:2] == entries[:2]
        assert len(journal) == 3


def test_the_order_is_that_of_the_asking(path: Path, entries: list[ImageEntry]) -> None:
    with Journal.start(path, PRINT) as journal:
        for entry in entries:
            journal.add(entry)
        assert [one.name for one in journal.entries(["none", "nobody", "a"])] == ["none", "a"]


def test_the_last_of_a_name_counts_and_one_can_be_left_out(path: Path, entries: list[ImageEntry]) -> None:
    with Journal.start(path, PRINT) as journal:
        journal.add(entries[0])
        journal.add(replace(entries[0], file="newer.png"))
    with Journal.resume(path, PRINT) as journal:
        assert journal.get("a").file == "newer.png"
        journal.forget("a")
        assert "a" not in journal
        assert list(journal.entries(["a"])) == []


def test_cut_at_any_byte_it_keeps_every_whole_line(path: Path, entries: list[ImageEntry]) -> None:
    with Journal.start(path, PRINT) as journal:
        journal.session({"started": "now", "images": 3})
        for entry in entries:
            journal.add(replace(entry, preview=None))
    whole = path.read_bytes()
    ends = [place + 1 for place, byte in enumerate(whole) if byte == 10]
    head, session, *rest = ends
    for cut in {0, 1, 5, head - 1, head, *(end + step for end in ends for step in (-2, -1, 0, 1, 9))}:
        path.write_bytes(whole[:cut])
        if 10 < cut < head:
            with pytest.raises(OutputError, match="first line is damaged"):
                Journal.resume(path, PRINT)
            continue
        with Journal.resume(path, PRINT) as journal:
            done = sum(end <= cut for end in rest)
            assert len(journal) == done
            assert len(journal.sessions) == (cut >= session)
            journal.add(entries[2])  # what follows is a line of its own
            assert [one.name for one in journal.entries(names(entries)[:done])] == names(entries)[:done]
        with Journal.resume(path, PRINT) as journal:
            assert entries[2].name in journal
            assert len(journal) == min(done + 1, 3)


def test_a_damaged_line_ends_what_is_believed(path: Path, entries: list[ImageEntry]) -> None:
    with Journal.start(path, PRINT) as journal:
        for entry in entries:
            journal.add(entry)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1] + b'{"entry":{"name":1}}\n' + lines[3])
    with Journal.resume(path, PRINT) as journal:
        assert "a" in journal
        assert len(journal) == 1


def test_another_run_is_refused_saying_how_it_differs(path: Path) -> None:
    Journal.start(path, PRINT).close()
    before = path.read_bytes()
    with pytest.raises(OutputError, match=r"threshold was 0\.4 and is 0\.5") as caught:
        Journal.resume(path, PRINT | {"threshold": 0.5})
    assert "min_area" not in str(caught.value)
    with pytest.raises(OutputError, match=r"tta was None and is 'flip'"):
        Journal.resume(path, PRINT | {"tta": "flip"})
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"mine\n", b'{"journal": 1}\n', b'{"journal":{"format":"other/9"}}\n'])
def test_what_is_no_journal_is_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(OutputError, match="not a journal of sonoseg"):
        Journal.resume(path, PRINT)
    assert path.read_bytes() == content
    assert begun_with(path) == {}


def test_none_there_is_begun(path: Path) -> None:
    assert begun_with(path) == {}
    Journal.resume(path, PRINT).close()
    assert begun_with(path) == PRINT


def test_what_belongs_to_a_clip_comes_back(path: Path) -> None:
    objects = Objects("in/clip.dcm", {"seg": Written("dicom/clip_seg.dcm", "0" * 64, 7)}, ("no sr.",))
    with Journal.start(path, PRINT) as journal:
        journal.add_objects(objects)
    with Journal.resume(path, PRINT) as journal:
        assert journal.objects == {"in/clip.dcm": objects}


def test_a_full_disk_is_said(path: Path, entries: list[ImageEntry], monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def seek(self, place: int, whence: int) -> int:
            return 0

        def write(self, data: bytes) -> int:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            pass

    with Journal.start(path, PRINT) as journal:
        monkeypatch.setattr(journal, "_file", Full())
        with pytest.raises(OutputError, match=r"journal\.jsonl: cannot be written: No space left"):
            journal.add(entries[0])
        assert "a" not in journal


@pytest.mark.skipif(os.name != "posix", reason="locks of files are another matter here")
def test_two_runs_do_not_write_into_one_journal(path: Path) -> None:
    with Journal.start(path, PRINT):
        before = path.read_bytes()
        for open_it in (Journal.start, Journal.resume):
            with pytest.raises(OutputError, match="another run is writing here"):
                open_it(path, PRINT)
        assert path.read_bytes() == before
    Journal.resume(path, PRINT).close()


def test_lines_are_json_for_other_programs(path: Path, entries: list[ImageEntry]) -> None:
    with Journal.start(path, PRINT) as journal:
        journal.add(entries[0])
    head, line = path.read_text(encoding="utf-8").splitlines()
    assert json.loads(head)["journal"]["fingerprint"] == PRINT
    assert json.loads(line)["entry"]["name"] == "a"
