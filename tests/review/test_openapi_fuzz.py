"""The HTTP API against its own OpenAPI description: schemathesis makes requests, right and wrong ones.

Whatever is sent, each answer must be one that the description knows (status, type, body, headers), and none
may be a fault of the server. A bounded number of requests, the same in every run.
"""

from __future__ import annotations

import io
import re
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="the extra 'server' is not installed")
pytest.importorskip("schemathesis", reason="schemathesis is not installed")

import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from jsonschema import Draft202012Validator, ValidationError
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    status_code_conformance,
)

from sonoseg.inference.predictor import Predictor
from sonoseg.review.app import create_app
from sonoseg.review.settings import ServerLimits, Settings

load_all_checks()

EXAMPLES = 6
HEIGHT, WIDTH = 60, 80
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
]


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def _scan(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(150, 210, (HEIGHT, WIDTH), dtype=np.uint8)
    pixels[20:40, 25:55] = 10
    return _png(pixels)


def _mask(top: int, left: int, side: int) -> bytes:
    pixels = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    pixels[top : top + side, left : left + side] = 255
    return _png(pixels)


# Bytes drawn at random are never a PNG: most of what is sent in its place is one.
schemathesis.openapi.media_type(
    "image/png",
    st.builds(_mask, st.integers(0, 50), st.integers(0, 70), st.integers(0, 60)) | st.binary(max_size=64),
)
schemathesis.openapi.media_type(
    "application/octet-stream", st.builds(_scan, st.integers(0, 5)) | st.binary(max_size=64)
)


class Live:
    """A running server with a few items: one edited, one signed, one unchanged."""

    def __init__(self, folder: Path, predictor: Predictor) -> None:
        limits = ServerLimits(max_bytes=1 << 20, max_body=1 << 21, max_files=8)
        app = create_app(Settings(folder=folder, limits=limits), predictor)
        # Nothing else of uvicorn's: its signal handlers belong to the main thread.
        self.server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="on"))
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        end = time.monotonic() + 60
        while not self.server.started and time.monotonic() < end:
            time.sleep(0.02)
        self.address = f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}"
        self.store = app.state.server.store
        self.description = app.openapi()
        self.ids: list[str] = []

    def fill(self) -> None:
        """Send the images, wait for the model, and change two of them."""
        import requests

        base = f"{self.address}/api/v1"
        files = [("files", (f"scan-{seed}.png", _scan(seed), "image/png")) for seed in range(3)]
        answer = requests.post(f"{base}/items", files=files, timeout=60)
        assert answer.status_code == 201, answer.text
        self.ids = [item["id"] for item in answer.json()["items"]]
        end = time.monotonic() + 60
        while time.monotonic() < end and self.store.waiting():
            time.sleep(0.05)
        for one in self.ids[:2]:
            put = requests.put(
                f"{base}/items/{one}/mask", data=_mask(5, 5, 20), headers={"If-Match": '"0"'}, timeout=60
            )
            assert put.status_code == 200, put.text
        signed = requests.post(
            f"{base}/items/{self.ids[1]}/sign", json={"reader": "AB"}, headers={"If-Match": '"1"'}, timeout=60
        )
        assert signed.status_code == 200, signed.text

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(30)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, dark_predictor: Predictor) -> Iterator[Live]:
    started = Live(tmp_path_factory.mktemp("fuzz") / "state", dark_predictor)
    try:
        started.fill()
        yield started
    finally:
        started.close()


@pytest.fixture(scope="module")
def described(live: Live) -> Any:
    """The description, as the server gives it."""
    return schemathesis.openapi.from_url(f"{live.address}/api/v1/openapi.json")


@pytest.mark.process
def test_every_answer_is_as_described(live: Live, described: Any) -> None:
    """All operations in one test, so that one's fault does not hide the others'."""
    faults: dict[str, str] = {}
    statuses: Counter[int] = Counter()
    for found in described.get_all_operations():
        operation = found.ok()
        for mode in GenerationMode:
            _try(operation, mode, live, statuses, faults)
    assert not faults, "\n\n".join(f"{label}\n{text}" for label, text in faults.items())
    done = sum(count for status, count in statuses.items() if status < 300)
    assert done > statuses.total() / 4, f"only {done} of {statuses.total()} requests were done: {statuses}"
    assert {400, 404, 409, 422, 428} <= set(statuses), statuses


def _try(
    operation: Any, mode: GenerationMode, live: Live, statuses: Counter[int], faults: dict[str, str]
) -> None:
    """Ask for one operation some times; what is at fault is noted, not raised.

    A request changes the state, so that hypothesis would not see the same fault a second time.
    """

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def one(case: Any) -> None:
        aim(case, live)
        answer = case.call(timeout=60)
        statuses[answer.status_code] += 1
        try:
            case.validate_response(answer, checks=CHECKS)
            fits(live.description, operation, answer)
        except (ValidationError, BaseExceptionGroup) as fault:
            faults.setdefault(f"{operation.label} {answer.status_code}", str(fault).strip())

    with suppress(Unsatisfiable):  # nothing of it can be wrong
        one()


def fits(description: Any, operation: Any, answer: Any) -> None:
    """Check an answer's JSON against its schema; raises ValidationError.

    schemathesis' own check is not used: 4.32 turns tuples (prefixItems) into an older form in the same
    description that it checks with, and then calls that form no schema.
    """
    kind = (answer.headers.get("content-type") or [""])[0].partition(";")[0]
    if kind != "application/json":
        return
    place = (
        operation.path,
        operation.method,
        "responses",
        str(answer.status_code),
        "content",
        kind,
        "schema",
    )
    pointer = "/".join(part.replace("~", "~0").replace("/", "~1") for part in place)
    Draft202012Validator({**description, "$ref": f"#/paths/{pointer}"}).validate(answer.json())


def aim(case: Any, live: Live) -> None:
    """Let most requests meet an item that is there, at its present revision, with an image that is one.

    Else nearly all would end at the first check. What is drawn decides, so that every run does the same.
    """
    drawn = zlib.crc32(repr((case.path_parameters, case.query, case.headers, case.body)).encode())
    parameters, kind = case.path_parameters or {}, drawn % 8
    identity = parameters.get("id")
    if isinstance(identity, str) and re.fullmatch(r"[0-9a-f]{16}(-[0-9]{5})?", identity) and kind:
        parameters["id"] = live.ids[drawn // 8 % len(live.ids)]
        if "k" in parameters and kind % 2:
            parameters["k"] = 1 + drawn % 4
        if case.method in ("PUT", "POST") and kind < 6:
            case.headers["If-Match"] = f'"{live.store.item(parameters["id"]).revision}"'
    if isinstance(case.body, dict) and "files" in case.body and kind:
        several = isinstance(case.body["files"], list)
        case.body["files"] = [_scan(drawn % 6)] if several else _scan(drawn % 6)
    if case.path.endswith("/click") and isinstance(case.body, dict) and kind:
        for point in case.body.get("points") or ():
            if isinstance(point, dict) and isinstance(point.get("row"), int):
                point["row"] %= HEIGHT
            if isinstance(point, dict) and isinstance(point.get("column"), int):
                point["column"] %= WIDTH
