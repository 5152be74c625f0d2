"""The audit log: lines that are only added to."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from sonoseg.pacs.audit import Audit, user


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_a_line_an_event(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit.jsonl")
    audit.note("started", user=user(), port=104)
    audit.note("sent", instance="1.2", results=["1.3"], status=None)
    first, second = lines(audit.path)
    assert (first["event"], first["port"]) == ("started", 104)
    assert first["user"]
    assert set(second) == {"at", "event", "instance", "results"}


def test_many_threads_lose_no_line(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit.jsonl")
    threads = [
        threading.Thread(target=lambda n=n: [audit.note("received", instance=f"{n}.{k}") for k in range(50)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({str(line["instance"]) for line in lines(audit.path)}) == 200


def test_a_line_that_was_cut_short_spoils_no_other(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit.jsonl")
    audit.path.write_bytes(b'{"event": "rec')
    audit.note("stopped")
    cut, whole = audit.path.read_text("utf-8").splitlines()
    assert cut == '{"event": "rec'
    assert json.loads(whole)["event"] == "stopped"


def test_a_log_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    told: list[str] = []
    audit = Audit(tmp_path / "gone" / "audit.jsonl", told.append)
    audit.note("started")
    audit.note("stopped")
    assert len(told) == 1
    assert "audit log cannot be written" in told[0]
    audit.path.parent.mkdir()
    audit.note("started")
    assert len(lines(audit.path)) == 1


def test_it_may_be_moved_away_at_any_time(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit.jsonl")
    audit.note("started")
    audit.path.rename(tmp_path / "audit.1")
    audit.note("stopped")
    assert [line["event"] for line in lines(audit.path)] == ["stopped"]
