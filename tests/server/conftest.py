"""A server for the tests: a state folder of its own, and the model that finds what is dark."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi")

from starlette.testclient import TestClient

from sonoseg.inference.predictor import Predictor
from sonoseg.server.app import create_app
from sonoseg.server.settings import Settings


def scan(seed: int = 0, *, height: int = 60, width: int = 80) -> bytes:
    """A PNG of a grey picture with a dark disc, another one for each seed."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(150, 210, (height, width), dtype=np.uint8)
    rows, columns = np.mgrid[:height, :width]
    pixels[(rows - height / 2) ** 2 + (columns - width / 2) ** 2 < 12**2] = 10
    return png(pixels)


def png(pixels: np.ndarray) -> bytes:
    """A PNG of uint8 (H, W)."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def mask_png(*boxes: tuple[int, int, int, int], height: int = 60, width: int = 80) -> bytes:
    """A PNG of a mask with these boxes (top, left, bottom, right)."""
    mask = np.zeros((height, width), dtype=np.uint8)
    for top, left, bottom, right in boxes:
        mask[top:bottom, left:right] = 255
    return png(mask)


def pixels_of(data: bytes) -> np.ndarray:
    """The pixels in a PNG."""
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture)


@pytest.fixture(scope="session")
def dark_predictor(dark_model: Path) -> Predictor:
    """The model that finds what is dark, loaded once."""
    return Predictor(dark_model, runtime="onnx", threads=1)


@pytest.fixture
def serve(tmp_path: Path, dark_predictor: Predictor) -> Iterator[Callable[..., TestClient]]:
    """Start a server in this process, with these settings; the state folder is tmp_path/state."""
    with ExitStack() as stack:

        def start(*, predictor: Any = dark_predictor, raising: bool = True, **settings: Any) -> TestClient:
            chosen = Settings(**{"folder": tmp_path / "state", **settings})
            app = create_app(chosen, predictor)
            return stack.enter_context(TestClient(app, raise_server_exceptions=raising))

        yield start


@pytest.fixture
def client(serve: Callable[..., TestClient]) -> TestClient:
    """A server with the default settings."""
    return serve()


@pytest.fixture
def uploaded(client: TestClient) -> Callable[..., dict[str, Any]]:
    """Send one picture to it; gives its item, predicted."""

    def send(seed: int = 0, name: str = "scan.png", data: bytes | None = None) -> dict[str, Any]:
        files = {"files": (name, scan(seed) if data is None else data)}
        answer = client.post("/api/v1/items", files=files)
        assert answer.status_code == 201, answer.text
        return predicted(client, answer.json()["items"][0]["id"])

    return send


def predicted(client: TestClient, identity: str) -> dict[str, Any]:
    """Wait until an item has its prediction, or has failed."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        item: dict[str, Any] = client.get(f"/api/v1/items/{identity}").json()
        if item["prediction"] in ("done", "failed"):
            return item
        time.sleep(0.02)
    raise AssertionError(f"no prediction of {identity} in 60 s")
