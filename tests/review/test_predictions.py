"""The model at work in a server: the list by itself, what is asked for first, and what goes wrong."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from sonoseg._util import files
from sonoseg.errors import ModelError
from sonoseg.image.frame import Frame
from sonoseg.inference.predictor import Predictor
from sonoseg.review import predictions
from sonoseg.review.settings import ServerLimits
from sonoseg.review.store import Store

API = "/api/v1"
Serve = Callable[..., TestClient]


class Held:
    """The dark model behind a door: its network runs when the door is opened. `fail` makes it break."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self.door = threading.Event()
        self.fail = False
        self.seen: list[np.ndarray] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._predictor, name)

    def run(self, ready: Any, attention: bool = False) -> Any:
        assert self.door.wait(60)
        self.seen += [one.frame.pixels for one in ready]
        if self.fail:
            raise ModelError("the network failed", remedy="Use another")
        return self._predictor.run(ready, attention)


@pytest.fixture
def held(dark_predictor: Predictor) -> Any:
    made = Held(dark_predictor)
    yield made
    made.door.set()  # so that the server can stop


def add(client: TestClient, draw: Any, *seeds: int) -> list[str]:
    files = [("files", (f"{seed}.png", draw.scan(seed))) for seed in seeds]
    told = client.post(f"{API}/items", files=files).json()
    return [item["id"] for item in told["items"]]


def test_the_list_is_predicted_by_itself(serve: Serve, draw: Any, wait_for: Any) -> None:
    client = serve(batch=2)
    for identity in add(client, draw, *range(7)):
        assert wait_for(client, identity)["prediction"] == "done"
    told = [entry["action"] for entry in client.get(f"{API}/items/{identity}/history").json()["entries"]]
    assert told == ["added", "predicted"]


def test_what_is_opened_goes_first(serve: Serve, draw: Any, wait_for: Any, held: Held) -> None:
    client = serve(predictor=held, batch=1)
    identities = add(client, draw, *range(6))
    answer = client.post(f"{API}/items/{identities[5]}/predict")
    assert answer.status_code == 202
    assert answer.json()["prediction"] in ("waiting", "running")
    held.door.set()
    for identity in identities:
        wait_for(client, identity)
    place = next(n for n, seen in enumerate(held.seen) if np.array_equal(seen, draw.pixels(draw.scan(5))))
    assert place <= 2  # behind what the network had in hand
    assert len(held.seen) == 6
    assert client.post(f"{API}/items/{identities[5]}/predict").json()["prediction"] == "done"
    assert len(held.seen) == 6  # nothing is predicted twice


def test_prediction_does_not_hold_up_the_page(serve: Serve, draw: Any, held: Held) -> None:
    client = serve(predictor=held)
    (identity,) = add(client, draw, 1)
    for path in ("/health", f"{API}/items", f"{API}/items/{identity}/image.png"):
        assert client.get(path).status_code == 200  # while the network stands still
    mask = client.put(
        f"{API}/items/{identity}/mask", content=draw.mask((1, 1, 9, 9)), headers={"If-Match": '"0"'}
    )
    assert mask.json()["source"] == "manual"


def test_a_full_queue_is_503_with_a_time(serve: Serve, draw: Any, held: Held) -> None:
    client = serve(predictor=held, limits=ServerLimits(queue_length=2))
    server = client.app.state.server  # type: ignore[attr-defined]
    frame = Frame(draw.pixels(draw.scan()))
    waiting = [server.predictions.predict_once(lambda: frame) for _ in range(2)]
    answer = client.post(f"{API}/predict", content=draw.scan())
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert "the queue is full" in answer.json()["error"]["found"]
    (identity,) = add(client, draw, 1)  # it waits in the list instead, and nobody is refused
    held.door.set()
    assert all(one.result(60).mask.any() for one in waiting)
    assert client.post(f"{API}/items/{identity}/predict").status_code == 202


def test_a_failure_is_told_and_may_be_tried_again(serve: Serve, draw: Any, wait_for: Any, held: Held) -> None:
    client = serve(predictor=held)
    held.fail = True
    held.door.set()
    (identity,) = add(client, draw, 1)
    item = wait_for(client, identity)
    assert (item["prediction"], item["failure"]) == ("failed", "the network failed. Use another.")
    assert client.get(f"{API}/items").json()["failed"] == 1
    held.fail = False
    assert client.post(f"{API}/items/{identity}/predict").status_code == 202
    for _ in range(200):
        item = client.get(f"{API}/items/{identity}").json()
        if item["prediction"] == "done":
            break
        threading.Event().wait(0.02)
    assert (item["prediction"], item["failure"]) == ("done", None)


def test_a_full_disk_puts_a_prediction_off(
    serve: Serve, draw: Any, wait_for: Any, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictions, "PAUSE", 0.1)
    client = serve(predictor=held)
    (identity,) = add(client, draw, 1)
    tried = threading.Event()

    def no_space(handle: int) -> None:
        tried.set()
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(files.os, "fsync", no_space)
        held.door.set()
        assert tried.wait(30)
    assert wait_for(client, identity)["prediction"] == "done"  # by itself, once there is space


def test_what_was_running_is_taken_up_again(
    serve: Serve, draw: Any, wait_for: Any, tmp_path: Path, fill: Any
) -> None:
    with Store(tmp_path / "state") as store:
        items = [fill(store, seed) for seed in range(2)]
        store.set_prediction(items[0].id, "running")  # as an older server, killed, would have left it
    client = serve()
    for item in items:
        assert wait_for(client, item.id)["prediction"] == "done"


def test_before_the_model_is_loaded(serve: Serve, draw: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    loading = threading.Event()

    def load(*_: Any, **__: Any) -> None:
        assert loading.wait(60)
        raise ModelError("no model after all")

    monkeypatch.setattr(predictions, "Predictor", load)
    client = serve(predictor=None)
    try:
        assert client.get("/health").status_code == 200
        ready = client.get("/ready")
        assert (ready.status_code, ready.headers["Retry-After"]) == (503, "2")
        answer = client.post(f"{API}/predict", content=draw.scan())
        assert answer.status_code == 503
        (identity,) = add(client, draw, 1)
        assert client.post(f"{API}/items/{identity}/predict").json()["prediction"] == "waiting"
    finally:
        loading.set()
