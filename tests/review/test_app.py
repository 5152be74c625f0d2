"""The API as a client sees it, and that the OpenAPI description says what it does."""

from __future__ import annotations

import base64
import errno
import io
import json
import sqlite3
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from sonoseg import RESEARCH_ONLY, samples
from sonoseg._util import files
from sonoseg.image.frame import Frame
from sonoseg.inference.predictor import Predictor
from sonoseg.lesions.measurement import measure_mask
from sonoseg.review.store import Store

Serve = Callable[..., TestClient]
Send = Callable[..., dict[str, Any]]

API = "/api/v1"


def put(client: TestClient, identity: str, data: bytes, revision: int, **headers: str) -> Any:
    return client.put(
        f"{API}/items/{identity}/mask",
        content=data,
        headers={"If-Match": f'"{revision}"', "Content-Type": "image/png", **headers},
    )


@pytest.mark.process
def test_the_whole_way(client: TestClient, send: Send, draw: Any, dark_predictor: Predictor) -> None:
    item = send()
    url = f"{API}/items/{item['id']}"
    assert (item["prediction"], item["lesions"], item["source"], item["revision"]) == ("done", 1, "model", 0)
    assert item["model_hash"] == dark_predictor.model.hash
    assert 0 <= item["uncertainty"] <= 1
    assert item["findings"][0]["unit"] == "px"
    assert item["findings"][0]["mean_probability"] > 0.5

    frame = draw.pixels(draw.scan())
    found = dark_predictor.predict(frame)
    assert np.array_equal(draw.pixels(client.get(f"{url}/image.png").content), frame)
    assert np.array_equal(draw.pixels(client.get(f"{url}/mask.png").content) == 255, found.mask)
    inner, outer = found.uncertainty_band()
    assert np.array_equal(draw.pixels(client.get(f"{url}/uncertainty.png").content) == 255, outer & ~inner)
    shown = draw.pixels(client.get(f"{url}/probability.png").content) / 255
    assert np.abs(shown - found.probability).max() < 0.01
    attention = dark_predictor.predict(frame, attention=True).attention
    assert attention is not None
    for _ in range(2):  # worked out, and then kept
        told = draw.pixels(client.get(f"{url}/attention/2.png").content) / 255
        assert np.abs(told - attention["attention_2"]).max() < 0.01

    mask = draw.mask((20, 20, 40, 50), (2, 2, 6, 6))
    measured = client.post(f"{url}/measure", content=mask).json()
    assert client.get(url).json()["revision"] == 0
    headers = {"X-Reader": "%C3%84B", "X-Tool": "brush", "X-Seconds": "2.5"}
    saved = put(client, item["id"], mask, 0, **headers).json()
    assert (saved["revision"], saved["lesions"], saved["source"]) == (1, 2, "edited")
    assert saved["findings"] == measured["findings"]
    direct = measure_mask(Frame(frame), draw.boxes((20, 20, 40, 50), (2, 2, 6, 6))).lesions[0]
    assert saved["findings"][0]["longest_axis"] == pytest.approx(direct.longest_axis, rel=1e-5)
    assert saved["findings"][0]["mean_probability"] is None  # no network drew it

    got = client.get(f"{url}/mask.png")
    assert np.array_equal(draw.pixels(got.content), draw.pixels(mask))
    assert got.headers["ETag"] == '"1"'
    again = client.get(f"{url}/mask.png", headers={"If-None-Match": '"1"'})
    assert (again.status_code, again.content) == (304, b"")
    own = client.get(f"{url}/mask.png", params={"of": "model"})
    assert np.array_equal(draw.pixels(own.content) == 255, found.mask)
    assert client.get(f"{url}/mask.png", params={"revision": 7}).status_code == 404

    review = {"reader": "ÄB", "shape": "oval", "margin": "circumscribed", "assessment": "4A", "seconds": 12}
    kept = client.put(f"{url}/review", json=review, headers={"If-Match": '"1"'})
    assert kept.status_code == 200, kept.text
    signed = client.post(f"{url}/sign", json={"reader": "ÄB"}, headers={"If-Match": '"1"'})
    assert signed.json()["status"] == "signed"
    assert put(client, item["id"], mask, 1).status_code == 409
    detail = client.get(url).json()
    assert detail["review"]["margin"] == "circumscribed"
    assert detail["reader"] == "ÄB"
    entries = client.get(f"{url}/history").json()["entries"]
    assert [entry["action"] for entry in entries] == ["added", "predicted", "mask", "review", "signed"]
    assert (entries[2]["reader"], entries[2]["tool"], entries[2]["seconds"]) == ("ÄB", "brush", 2.5)
    assert entries[2]["model"] == dark_predictor.model.hash


def test_the_state_outlives_the_server(tmp_path: Path, serve: Serve, draw: Any, wait_for: Any) -> None:
    first = serve()
    item = first.post(f"{API}/items", files={"files": ("a.png", draw.scan())}).json()["items"][0]
    wait_for(first, item["id"])
    put(first, item["id"], draw.mask((1, 1, 9, 9)), 0)
    before = first.get(f"{API}/items/{item['id']}").json()
    first.__exit__(None, None, None)
    second = serve()
    assert second.get(f"{API}/items/{item['id']}").json() == before


def test_two_tabs_on_one_image(client: TestClient, send: Send, draw: Any) -> None:
    item = send()
    mine, theirs = draw.mask((1, 1, 9, 9)), draw.mask((30, 30, 50, 50))
    assert put(client, item["id"], mine, 0, **{"X-Reader": "AB"}).status_code == 200
    told = put(client, item["id"], theirs, 0, **{"X-Reader": "CD"})
    assert told.status_code == 412
    assert told.json()["current"]["revision"] == 1
    assert told.json()["current"]["reader"] == "AB"
    assert told.json()["error"]["remedy"]
    assert np.array_equal(
        draw.pixels(client.get(f"{API}/items/{item['id']}/mask.png").content), draw.pixels(mine)
    )
    # The later tab puts its own on top, knowingly: both are kept.
    assert put(client, item["id"], theirs, 1).json()["revision"] == 2
    kept = client.get(f"{API}/items/{item['id']}/mask.png", params={"revision": 1})
    assert np.array_equal(draw.pixels(kept.content), draw.pixels(mine))


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 428),
        ("", 400),
        ('"x"', 400),
        ("*", 400),
        ('"-1"', 400),
        ('"1"', 412),
        ("0", 200),
        ('W/"0"', 200),
    ],
)
def test_if_match(client: TestClient, send: Send, draw: Any, header: str | None, status: int) -> None:
    item = send()
    headers = {} if header is None else {"If-Match": header}
    answer = client.put(f"{API}/items/{item['id']}/mask", content=draw.mask(), headers=headers)
    assert answer.status_code == status, answer.text


def test_bad_masks_change_nothing(client: TestClient, send: Send, draw: Any) -> None:
    item = send()
    grey = draw.png(np.full((60, 80), 100, dtype=np.uint8))
    for data, status in (
        (b"", 422),
        (b"no png", 422),
        (grey, 422),
        (draw.mask(height=61), 422),
        (bytes(200_000), 413),
    ):
        assert put(client, item["id"], data, 0).status_code == status
        assert client.post(f"{API}/items/{item['id']}/measure", content=data).status_code == status
    assert put(client, item["id"], draw.mask(), 0, **{"X-Tool": "laser"}).status_code == 422
    assert put(client, item["id"], draw.mask(), 0, **{"X-Seconds": "-1"}).status_code == 422
    assert put(client, item["id"], draw.mask(), 0, **{"X-Reader": "x" * 65}).status_code == 422
    assert put(client, item["id"], draw.mask(), 0, **{"X-Reader": "a%00b"}).status_code == 422
    assert client.get(f"{API}/items/{item['id']}").json()["revision"] == 0


def test_several_files_and_what_is_refused_of_them(client: TestClient, draw: Any) -> None:
    files = [
        ("files", ("good.png", draw.scan(1))),
        ("files", ("cut.png", draw.scan(2)[:300])),
        ("files", ("words.txt", b"hello")),
        ("files", ("good again.png", draw.scan(1))),
    ]
    answer = client.post(f"{API}/items", files=files, data={"spacing": "0.1,0.2"})
    assert answer.status_code == 201
    told = answer.json()
    assert [item["name"] for item in told["items"]] == ["good.png", "good.png"]
    assert told["items"][0]["spacing"] == [0.1, 0.2]
    assert [(one["name"], bool(one["remedy"])) for one in told["refused"]] == [
        ("cut.png", True),
        ("words.txt", True),
    ]
    assert client.get(f"{API}/items").json()["total"] == 1
    refused = client.post(f"{API}/items", files=files[1:3])
    assert refused.status_code == 422
    assert [one["name"] for one in refused.json()["refused"]] == ["cut.png", "words.txt"]
    plain = client.post(f"{API}/items", content=draw.scan(9), params={"name": "a/b.png", "spacing": "0.3"})
    assert [(item["name"], item["spacing"]) for item in plain.json()["items"]] == [("b.png", [0.3, 0.3])]
    assert client.post(f"{API}/items", files={"other": "x"}).status_code in (400, 422)
    assert client.post(f"{API}/items", files=files[:1], data={"spacing": "wide"}).status_code == 422


@pytest.mark.process
def test_a_clip_is_an_item_a_frame(
    client: TestClient, draw: Any, make_clip: Any, wait_for: Any, dark_predictor: Predictor
) -> None:
    frames = np.stack([draw.pixels(draw.scan(seed)) for seed in range(3)])
    frames[:, :6] = 255  # as text above the scan would be
    data = make_clip(frames, top=6)
    told = client.post(f"{API}/items", files={"files": ("clip.dcm", data)}).json()["items"]
    clip = told[0]["clip"]
    assert [item["id"] for item in told] == [f"{clip}-{number:05d}" for number in range(3)]
    assert [(item["frame"], item["frames"], item["kind"]) for item in told] == [
        (number, 3, "dicom") for number in range(3)
    ]
    for number, item in enumerate(told):
        url = f"{API}/items/{item['id']}"
        shown = draw.pixels(client.get(f"{url}/image.png").content)
        assert not shown[:6].any()
        assert np.array_equal(shown[6:], frames[number, 6:])
        # What was blanked is dark, too, and lies outside the calibrated region.
        assert {one["unit"] for one in wait_for(client, item["id"])["findings"]} == {"mm", "px"}
        assert "Secretname" not in client.get(url).text
    again = client.post(f"{API}/items", files={"files": ("clip again.dcm", data)}).json()["items"]
    assert [item["id"] for item in again] == [item["id"] for item in told]
    one = client.post(f"{API}/predict", content=data, params={"frame": 1, "name": "clip"})
    assert (one.json()["frame"], one.json()["image"]) == (1, "clip_f0001")
    assert client.post(f"{API}/predict", content=data).status_code == 422
    assert client.post(f"{API}/predict", content=data, params={"frame": 3}).status_code == 422


@pytest.mark.process
def test_the_samples_come_with_their_spacing(client: TestClient) -> None:
    told = client.post(f"{API}/samples").json()
    assert len(told["items"]) == len(samples.paths())
    assert all(item["spacing"] for item in told["items"])
    assert client.post(f"{API}/samples").json()["items"][0]["id"] == told["items"][0]["id"]


def test_one_image_and_nothing_is_kept(
    client: TestClient, draw: Any, dark_predictor: Predictor, tmp_path: Path
) -> None:
    answer = client.post(
        f"{API}/predict",
        params={"mask": True, "spacing": "0.1"},
        files={"files": ("../scan.one.png", draw.scan())},
    )
    assert answer.status_code == 200, answer.text
    told = answer.json()
    found = dark_predictor.predict(draw.pixels(draw.scan()))
    runs = np.frombuffer(base64.b64decode(told["mask"]["runs"]), dtype="<u4")
    values = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    assert np.array_equal(values.reshape(told["mask"]["height"], told["mask"]["width"]), found.mask)
    assert (told["image"], told["file"], told["unit"]) == ("scan.one", "scan.one.png", "mm")
    assert told["uncertainty"] == pytest.approx(found.uncertainty, rel=1e-5)
    assert told["notice"] == RESEARCH_ONLY
    raw = client.post(f"{API}/predict", content=draw.scan(), params={"name": "scan"}).json()
    assert raw["lesions"] == client.post(f"{API}/predict", content=draw.scan()).json()["lesions"]
    assert raw["mask"] is None
    assert client.get(f"{API}/items").json()["total"] == 0
    assert not (tmp_path / "state" / "originals").exists()
    assert not list(client.app.state.server.scratch.iterdir())  # type: ignore[attr-defined]
    assert client.post(f"{API}/predict", content=b"hello").status_code == 422
    assert client.post(f"{API}/predict", content=b"").status_code == 422


def test_a_smart_click(client: TestClient, send: Send, draw: Any) -> None:
    item = send()
    url = f"{API}/items/{item['id']}"
    points = [{"row": 30, "column": 40, "inside": True}]
    made = client.post(f"{url}/click", json={"points": points, "of": "empty"})
    assert made.headers["content-type"] == "image/png"
    mask = draw.pixels(made.content) == 255
    assert mask[30, 40]
    assert mask.sum() > 50
    assert client.get(url).json()["revision"] == 0
    for bad in (
        {"points": []},
        {"points": [{"row": 60, "column": 0, "inside": True}]},
        {"points": [{"row": -1, "column": 0, "inside": True}]},
        {"points": points, "of": "yours"},
    ):
        assert client.post(f"{url}/click", json=bad).status_code == 422, bad


@pytest.mark.process
def test_an_export_holds_what_was_asked_for(client: TestClient, send: Send, draw: Any) -> None:
    item, _ = send(1, "one.png"), send(2, "two.png")
    put(client, item["id"], draw.mask((1, 1, 9, 9)), 0)
    answer = client.post(f"{API}/export", json={"ids": [item["id"]], "what": ["masks"]})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as zipped:
        assert zipped.testzip() is None
        masks = [name for name in zipped.namelist() if name.endswith(".png")]
        assert len(masks) == 1
        assert np.array_equal(draw.pixels(zipped.read(masks[0])), draw.pixels(draw.mask((1, 1, 9, 9))))
    whole = client.post(f"{API}/export", json={"ids": None, "what": ["report", "coco"]})
    with zipfile.ZipFile(io.BytesIO(whole.content)) as zipped:
        (results,) = (name for name in zipped.namelist() if name.endswith("results.json"))
        assert len(json.loads(zipped.read(results))["images"]) == 2
    assert client.post(f"{API}/export", json={"what": []}).status_code == 422
    assert client.post(f"{API}/export", json={"what": ["secrets"]}).status_code == 422
    assert client.post(f"{API}/export", json={"ids": ["0" * 16], "what": ["masks"]}).status_code == 404


def test_a_read_only_server(serve: Serve, tmp_path: Path, fill: Any, draw: Any) -> None:
    with Store(tmp_path / "state") as store:
        item = fill(store)
        store.save_mask(item.id, draw.boxes((1, 1, 9, 9)), [], expected=0)
    client = serve(read_only=True)
    before = client.get(f"{API}/items").json()
    url = f"{API}/items/{item.id}"
    match = {"If-Match": '"1"'}
    refused = [
        client.post(f"{API}/items", files={"files": ("a.png", draw.scan(5))}),
        client.post(f"{API}/samples"),
        client.post(f"{url}/predict"),
        put(client, item.id, draw.mask(), 1),
        client.put(f"{url}/review", json={"reader": "AB"}, headers=match),
        client.post(f"{url}/sign", json={"reader": "AB"}, headers=match),
        client.post(f"{url}/refer", json={"reader": "AB"}, headers=match),
        client.post(f"{url}/reopen", json={"reader": "AB"}, headers=match),
    ]
    assert [answer.status_code for answer in refused] == [403] * 8
    assert all("read-only" in answer.json()["error"]["found"] for answer in refused)
    assert client.get(f"{API}/items").json() == before
    # What changes nothing is done.
    for path in ("image.png", "thumbnail.png", "mask.png", "history"):
        assert client.get(f"{url}/{path}").status_code == 200
    assert client.post(f"{url}/measure", content=draw.mask()).status_code == 200
    assert client.post(f"{API}/predict", content=draw.scan()).status_code == 200
    assert client.post(f"{API}/export", json={"what": ["masks"]}).status_code == 200
    assert client.get(f"{API}/about").json()["read_only"] is True


def test_errors_are_worded_and_tell_no_folder(client: TestClient, send: Send, tmp_path: Path) -> None:
    item = send()
    (tmp_path / "state" / "originals" / f"{item['id']}.png").write_bytes(b"overwritten by somebody")
    answers = [
        client.get("/nowhere"),
        client.get(f"{API}/items/{'0' * 16}"),
        client.get(f"{API}/items?sort=luck"),
        client.delete(f"{API}/items"),
        client.get(f"{API}/items/{item['id']}/image.png"),
        client.post(f"{API}/export", content=b"{", headers={"Content-Type": "application/json"}),
    ]
    assert [answer.status_code for answer in answers] == [404, 404, 422, 405, 422, 422]
    for answer in answers:
        error = answer.json()["error"]
        assert set(error) == {"found", "where", "remedy"}
        assert error["found"]
        assert str(tmp_path) not in answer.text
        assert "Traceback" not in answer.text


def test_a_fault_of_ours_is_told_without_a_traceback(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    client = serve(raising=False)

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret of the house")

    monkeypatch.setattr(Store, "items", broken)
    answer = client.get(f"{API}/items")
    assert answer.status_code == 500
    assert answer.json()["error"]["found"] == "internal error"
    assert "secret" not in answer.text


def test_a_full_disk_is_507_and_nothing_is_lost(
    client: TestClient, send: Send, draw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = send()
    put(client, item["id"], draw.mask((1, 1, 9, 9)), 0)

    def no_space(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(files.os, "fsync", no_space)
        answer = put(client, item["id"], draw.mask((1, 1, 40, 40)), 1)
    assert answer.status_code == 507
    assert answer.json()["error"]["remedy"]
    assert client.get(f"{API}/items/{item['id']}").json()["revision"] == 1
    assert put(client, item["id"], draw.mask((1, 1, 40, 40)), 1).json()["revision"] == 2


def test_a_locked_database_is_503_after_a_while(
    serve: Serve, draw: Any, wait_for: Any, tmp_path: Path
) -> None:
    client = serve(busy_seconds=0.3)
    item = client.post(f"{API}/items", files={"files": ("a.png", draw.scan())}).json()["items"][0]
    wait_for(client, item["id"])
    other = sqlite3.connect(
        tmp_path / "state" / "state.sqlite", isolation_level=None, check_same_thread=False
    )
    other.execute("BEGIN IMMEDIATE")
    answer = put(client, item["id"], draw.mask((1, 1, 9, 9)), 0)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert client.get(f"{API}/items").status_code == 200
    release = threading.Timer(0.05, other.rollback)
    release.start()
    assert put(client, item["id"], draw.mask((1, 1, 9, 9)), 0).status_code == 200
    release.join()
    other.close()


def test_health_readiness_and_metrics(client: TestClient, send: Send, draw: Any) -> None:
    item = send()
    put(client, item["id"], draw.mask(), 0)
    put(client, item["id"], draw.mask(), 0)
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/ready").json() == {"status": "ready", "waiting": 0}
    client.get(f"/{'x' * 50}")
    answer = client.get("/metrics")
    values = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    route = ("route", "/api/v1/items/{id}/mask")
    assert values["sonoseg_requests_total", ("method", "PUT"), route, ("status", "200")] == 1
    assert values["sonoseg_requests_total", ("method", "PUT"), route, ("status", "412")] == 1
    assert values["sonoseg_saves_total", ("what", "mask")] == 1
    assert values["sonoseg_predictions_total", ("outcome", "done")] == 1
    assert values["sonoseg_uploads_total", ("outcome", "added")] == 1
    assert values["sonoseg_ready",] == 1
    assert "xxx" not in answer.text  # an address nobody knows makes no label


def test_a_model_that_cannot_be_loaded_is_told(serve: Serve, tmp_path: Path, draw: Any) -> None:
    client = serve(predictor=None, model=tmp_path / "nothing")
    assert client.get("/health").status_code == 200
    deadline = threading.Event()
    for _ in range(200):
        answer = client.get("/ready")
        if "cannot be used" in answer.text:
            break
        deadline.wait(0.05)
    assert answer.status_code == 503
    assert "no card.json" in answer.json()["error"]["found"]
    assert client.get(f"{API}/about").json()["model"] is None
    added = client.post(f"{API}/items", files={"files": ("a.png", draw.scan())}).json()["items"][0]
    assert added["prediction"] == "waiting"
    # Without a model a reader can still draw.
    assert put(client, added["id"], draw.mask((1, 1, 9, 9)), 0).json()["source"] == "manual"


# The description


def resolve(spec: dict[str, Any], schema: Any) -> dict[str, Any]:
    return {**schema, "components": spec["components"]}


def check(spec: dict[str, Any], method: str, template: str, answer: Any) -> None:
    """The answer is one that the description has: its status, its kind, and its content."""
    told = spec["paths"][template][method.lower()]["responses"]
    assert str(answer.status_code) in told, (method, template, answer.status_code, answer.text)
    content = told[str(answer.status_code)].get("content", {})
    kind = answer.headers.get("content-type", "").split(";")[0]
    if not content:
        assert not answer.content
        return
    assert kind in content, (template, kind)
    if kind == "application/json":
        jsonschema.validate(answer.json(), resolve(spec, content[kind]["schema"]))


@pytest.mark.process
def test_the_description_is_true(client: TestClient, send: Send, draw: Any) -> None:
    spec = client.get(f"{API}/openapi.json").json()
    item = send()
    identity, none = item["id"], "0" * 16
    match = {"If-Match": '"0"'}
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "/api/v1/about", {}),
        ("GET", "/api/v1/items", {}),
        ("GET", "/api/v1/items", {"params": {"limit": 0}}),
        ("POST", "/api/v1/items", {"files": {"files": ("b.png", draw.scan(7))}}),
        ("POST", "/api/v1/items", {"files": {"files": ("b.png", b"no")}}),
        ("POST", "/api/v1/items", {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}),
        ("POST", "/api/v1/samples", {}),
        ("GET", "/api/v1/pacs", {}),
        *(
            ("GET", f"/api/v1/items/{{id}}/{name}", {})
            for name in (
                "image.png",
                "thumbnail.png",
                "mask.png",
                "probability.png",
                "uncertainty.png",
                "history",
            )
        ),
        ("GET", "/api/v1/items/{id}", {}),
        ("GET", "/api/v1/items/{id}/attention/{k}.png", {}),
        ("POST", "/api/v1/items/{id}/predict", {}),
        ("POST", "/api/v1/items/{id}/measure", {"content": draw.mask((1, 1, 9, 9))}),
        ("POST", "/api/v1/items/{id}/measure", {"content": b""}),
        ("GET", "/api/v1/items/{id}/ruler", {}),
        (
            "POST",
            "/api/v1/items/{id}/calibrate",
            {"json": {"ends": [[0, 0], [30, 0]], "millimetres": 3}},
        ),
        ("POST", "/api/v1/items/{id}/calibrate", {"json": {"ends": [[0, 0], [3, 0]], "millimetres": 3}}),
        (
            "POST",
            "/api/v1/items/{id}/click",
            {"json": {"points": [{"row": 30, "column": 40, "inside": True}]}},
        ),
        ("PUT", "/api/v1/items/{id}/review", {"json": {"shape": "round"}, "headers": match}),
        ("PUT", "/api/v1/items/{id}/review", {"json": {"shape": "square"}, "headers": match}),
        ("PUT", "/api/v1/items/{id}/review", {"json": {"version": 9}, "headers": match}),
        ("POST", "/api/v1/items/{id}/reopen", {"json": {"reader": "AB"}, "headers": match}),
        ("POST", "/api/v1/items/{id}/refer", {"json": {"reader": "AB"}, "headers": match}),
        ("POST", "/api/v1/items/{id}/sign", {"json": {"reader": "AB"}, "headers": match}),
        ("POST", "/api/v1/items/{id}/sign", {"json": {"reader": "AB"}, "headers": match}),
        ("POST", "/api/v1/items/{id}/reopen", {"json": {"reader": "AB"}}),
        ("POST", "/api/v1/items/{id}/reopen", {"json": {"reader": "AB"}, "headers": match}),
        ("PUT", "/api/v1/items/{id}/mask", {"content": draw.mask((1, 1, 9, 9)), "headers": match}),
        ("PUT", "/api/v1/items/{id}/mask", {"content": draw.mask((1, 1, 9, 9)), "headers": match}),
        ("POST", "/api/v1/predict", {"content": draw.scan()}),
        ("POST", "/api/v1/predict", {"content": b"x"}),
        ("POST", "/api/v1/export", {"json": {"what": ["masks"]}}),
        ("POST", "/api/v1/export", {"json": {"what": ["all"]}}),
        ("GET", "/health", {}),
        ("GET", "/ready", {}),
        ("GET", "/metrics", {}),
        ("GET", "/login", {}),
        ("POST", "/login", {"json": {"token": "any"}}),
        ("POST", "/login", {"json": {}}),
    ]
    for method, template, options in calls:
        url = template.replace("{id}", identity).replace("{k}", "1")
        check(spec, method, template, client.request(method, url, **options))
        if "{id}" in template:
            check(spec, method, template, client.request(method, url.replace(identity, none), **options))
            check(spec, method, template, client.request(method, url.replace(identity, "x"), **options))
    called = {(method.lower(), template) for method, template, _ in calls}
    described = {(method, path) for path, methods in spec["paths"].items() for method in methods}
    assert called == described
    assert spec["info"]["description"] == RESEARCH_ONLY


@pytest.mark.process
def test_every_route_says_how_it_fails(client: TestClient) -> None:
    spec = client.get(f"{API}/openapi.json").json()
    for path, methods in spec["paths"].items():
        for method, route in methods.items():
            assert route["description"], path
            told = route["responses"]
            if path.startswith(API):
                assert {"401", "421", "422", "500", "503"} <= set(told), path
                if method in ("put", "post"):
                    assert "403" in told, path
            for status, one in told.items():
                if int(status) >= 400:
                    schema = one["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
                    assert "error" in spec["components"]["schemas"][schema]["properties"], (path, status)
    assert "HTTPValidationError" not in spec["components"]["schemas"]
