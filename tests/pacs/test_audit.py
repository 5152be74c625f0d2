"""The audit log: lines that are only added to."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from sonoseg.pacs import audit as audit_module
from sonoseg.pacs.audit import Audit, user


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_one_line_per_event(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit.jsonl")
    audit.note("started", user=user(), port=104)
    audit.note("sent", instance="1.2", results=["1.3"], status=None)
    first, second = lines(audit.path)
    assert (first["event"], first["port"]) == ("started", 104)
    assert first["user"]
    assert set(second) == {"at", "event", "instance", "results"}


def test_repeated_lines_of_a_host_are_omitted_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(audit_module, "monotonic", lambda: now)
    audit = Audit(tmp_path / "audit.jsonl")
    for _ in range(25):
        audit.note_repeated("connection-refused", host="10.0.0.1", reason="late")
    audit.note_repeated("connection-refused", host="10.0.0.2", reason="late")
    now = 60.0
    audit.note_repeated("connection-refused", host="10.0.0.1", reason="late")
    written = lines(audit.path)
    assert [one["host"] for one in written].count("10.0.0.1") == audit_module.LINES_PER_MINUTE + 1
    assert [one.get("omitted") for one in written if one["host"] == "10.0.0.1"][-1] == 15
    assert [one["host"] for one in written].count("10.0.0.2") == 1
    for number in range(2 * audit_module.MAX_HOSTS):
        audit.note_repeated("connection-refused", host=str(number))
    assert len(audit._repeated) <= audit_module.MAX_HOSTS


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


def test_truncated_line_does_not_damage_the_next(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit.jsonl")
    audit.path.write_bytes(b'{"event": "rec')
    audit.note("stopped")
    cut, whole = audit.path.read_text("utf-8").splitlines()
    assert cut == '{"event": "rec'
    assert json.loads(whole)["event"] == "stopped"


def test_unwritable_log_is_reported_once(tmp_path: Path) -> None:
    told: list[str] = []
    audit = Audit(tmp_path / "gone" / "audit.jsonl", told.append)
    audit.note("started")
    audit.note("stopped")
    assert len(told) == 1
    assert "audit log cannot be written" in told[0]
    audit.path.parent.mkdir()
    audit.note("started")
    assert len(lines(audit.path)) == 1


def test_log_rotation(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit.jsonl")
    audit.note("started")
    audit.path.rename(tmp_path / "audit.1")
    audit.note("stopped")
    assert [line["event"] for line in lines(audit.path)] == ["stopped"]
