"""The node's queue over HTTP: what is shown, what is not, and the response without a node."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

pytest.importorskip("fastapi", reason="the extra 'server' is not installed")

from starlette.testclient import TestClient

from sonoseg import RESEARCH_ONLY
from sonoseg.cli.main import app
from sonoseg.pacs.queue import InstanceQueue, ReceivedInstance
from sonoseg.pacs.queue_rows import DATABASE, InstanceState, QueuedResult

ROUTE = "/api/v1/pacs"
US = "1.2.840.10008.5.1.4.1.1.6.1"


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[InstanceQueue]:
    """A node's queue with an instance in each state, the sent one first."""
    with InstanceQueue(tmp_path / "node", model="tiny (abc)") as made:
        for number in range(1, 5):
            made.accept(
                ReceivedInstance(f"1.2.{number}", US, "1.2.840.10008.1.2.1", "SCANNER"), b"x" * number
            )
        result = QueuedResult("1.2.9", "1.2.1", "seg", "results/1.2.1/seg.dcm", "tiny (abc)")
        made.add_results("1.2.1", [result])
        made.mark_stored("1.2.1", ["1.2.9"])
        made.add_results(
            "1.2.2", [QueuedResult("1.2.8", "1.2.2", "sr", "results/1.2.2/sr.dcm", "tiny (abc)")]
        )
        made.retry_later("1.2.2", 4e9, "sr refused by the archive (status 0xC000): no: Erika", refusals=1)
        made.fail("1.2.3", "its header is damaged. Send it again from its source")
        yield made


def test_the_whole_queue_the_newest_first(
    tmp_path: Path, queue: InstanceQueue, serve: Callable[..., TestClient]
) -> None:
    client = serve(pacs=tmp_path / "node")
    answer = client.get(ROUTE)
    found = answer.json()
    assert found["counts"] == {"received": 1, "segmented": 1, "sent": 1, "failed": 1}
    assert [(row["instance"], row["state"]) for row in found["rows"]] == [
        ("1.2.4", "received"),
        ("1.2.3", "failed"),
        ("1.2.2", "segmented"),
        ("1.2.1", "sent"),
    ]
    second = found["rows"][2]
    assert second["reason"] == "sr refused by the archive (status 0xC000): no"
    assert "Erika" not in answer.text
    assert (second["refusals"], second["attempts"], second["next_at"][:4]) == (1, 0, "2096")
    assert (second["sender"], second["size"], second["model"]) == ("SCANNER", 2, "tiny (abc)")
    row = queue.row("1.2.2")
    assert row is not None
    assert (found["waiting_since"], found["total"], found["due_at"]) == (row.received_at, 4, None)
    assert found["changed_at"] == max(one.updated_at for one in queue.rows())
    assert found["research_only"] == RESEARCH_ONLY
    assert client.get("/api/v1/about").json()["pacs"] is True


def test_parts_of_it(tmp_path: Path, queue: InstanceQueue, serve: Callable[..., TestClient]) -> None:
    client = serve(pacs=tmp_path / "node")

    def asked(**query: Any) -> list[int]:
        return [row["number"] for row in client.get(ROUTE, params=query).json()["rows"]]

    assert asked(limit=2) == [4, 3]
    assert asked(limit=3, offset=2) == [2, 1]
    assert asked(offset=4) == asked(offset=99) == []
    assert asked(state="failed") == [3]
    assert client.get(ROUTE, params={"state": "sent"}).json()["total"] == 1
    assert client.get(ROUTE, params={"state": "lost"}).status_code == 422
    assert client.get(ROUTE, params={"limit": 0}).status_code == 422


def test_whether_the_node_runs_and_asking_keeps_none_out(
    tmp_path: Path, queue: InstanceQueue, serve: Callable[..., TestClient]
) -> None:
    client = serve(pacs=tmp_path / "node")
    assert client.get(ROUTE).json()["running"] is True
    queue.close()
    assert client.get(ROUTE).json()["running"] is False
    with InstanceQueue(tmp_path / "node"):
        assert client.get(ROUTE).json()["running"] is True


def test_when_all_that_waits_was_put_off(
    tmp_path: Path, queue: InstanceQueue, serve: Callable[..., TestClient]
) -> None:
    queue.fail("1.2.4", "the memory is full")
    found = serve(pacs=tmp_path / "node").get(ROUTE).json()
    assert found["due_at"] == found["rows"][2]["next_at"] != None  # noqa: E711


def test_without_a_node(tmp_path: Path, serve: Callable[..., TestClient]) -> None:
    client = serve()
    answer = client.get(ROUTE)
    assert (answer.status_code, "--pacs" in answer.json()["error"]["remedy"]) == (404, True)
    assert client.get("/api/v1/about").json()["pacs"] is False


def test_a_node_that_was_not_started_yet_and_a_file_that_is_no_queue(
    tmp_path: Path, serve: Callable[..., TestClient]
) -> None:
    folder = tmp_path / "node"
    client = serve(pacs=folder)
    answer = client.get(ROUTE)
    assert (answer.status_code, int(answer.headers["retry-after"]) > 0) == (503, True)
    assert str(tmp_path) not in answer.text
    folder.mkdir()
    (folder / DATABASE).write_bytes(b"no database, but long enough to look like one" * 100)
    answer = client.get(ROUTE)
    assert (answer.status_code, "cannot be read" in answer.text) == (503, True)
    assert str(tmp_path) not in answer.text
    (folder / DATABASE).unlink()
    with InstanceQueue(folder):
        assert client.get(ROUTE).json()["rows"] == []


def test_nothing_of_it_without_the_token(
    tmp_path: Path, queue: InstanceQueue, serve: Callable[..., TestClient]
) -> None:
    client = serve(pacs=tmp_path / "node", token="a token of some length")
    assert client.get(ROUTE).status_code == 401
    page = client.get("/pacs")
    assert page.status_code == 200
    assert "1.2.4" not in page.text
    assert "unsafe" not in page.headers["content-security-policy"]


def test_what_is_looked_at_is_not_changed(
    tmp_path: Path, queue: InstanceQueue, serve: Callable[..., TestClient]
) -> None:
    before = queue.rows()
    client = serve(pacs=tmp_path / "node", read_only=False)
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert client.request(method, ROUTE).status_code == 405
    client.get(ROUTE)
    assert queue.rows() == before
    assert queue.counts()[InstanceState.RECEIVED] == 1


def test_a_folder_that_cannot_be_a_nodes_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "other").mkdir()
    with sqlite3.connect(tmp_path / "other" / DATABASE) as other:
        other.execute("PRAGMA user_version = 99")
    for name, found in (("file", "not a folder"), ("other", "version 99")):
        words = ["serve", "--pacs", str(tmp_path / name), "--state", str(tmp_path / "state"), "--port", "0"]
        ran = CliRunner().invoke(app, words)
        assert found in str(ran.exception)
    assert not (tmp_path / "state").exists()
