"""A server for the tests: a state folder of its own, and the model that finds what is dark."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

pytest.importorskip("fastapi")

from starlette.testclient import TestClient

from sonoseg.inference.predictor import Predictor
from sonoseg.server.app import create_app
from sonoseg.server.intake import take_in
from sonoseg.server.items import Item
from sonoseg.server.settings import Limits, Settings
from sonoseg.server.store import Store
from sonoseg.server.uploads import Arrived, arrive


class Draw:
    """Small pictures and masks as PNG: all of 60 rows and 80 columns unless said otherwise."""

    @staticmethod
    def scan(seed: int = 0, *, height: int = 60, width: int = 80) -> bytes:
        """A grey picture with a dark disc in its middle, another one for each seed."""
        rng = np.random.default_rng(seed)
        pixels = rng.integers(150, 210, (height, width), dtype=np.uint8)
        rows, columns = np.mgrid[:height, :width]
        pixels[(rows - height / 2) ** 2 + (columns - width / 2) ** 2 < 12**2] = 10
        return Draw.png(pixels)

    @staticmethod
    def mask(*boxes: tuple[int, int, int, int], height: int = 60, width: int = 80) -> bytes:
        """A mask with these boxes (top, left, bottom, right)."""
        return Draw.png(Draw.boxes(*boxes, height=height, width=width).astype(np.uint8) * np.uint8(255))

    @staticmethod
    def boxes(*boxes: tuple[int, int, int, int], height: int = 60, width: int = 80) -> NDArray[np.bool_]:
        """The same as bool (H, W)."""
        mask = np.zeros((height, width), dtype=bool)
        for top, left, bottom, right in boxes:
            mask[top:bottom, left:right] = True
        return mask

    @staticmethod
    def png(pixels: NDArray[Any]) -> bytes:
        """A PNG of uint8 (H, W), (H, W, 3) or (H, W, 4)."""
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format="PNG")
        return buffer.getvalue()

    @staticmethod
    def pixels(data: bytes) -> NDArray[np.uint8]:
        """The pixels in a PNG."""
        with Image.open(io.BytesIO(data)) as picture:
            return np.asarray(picture)


@pytest.fixture(scope="session")
def draw() -> type[Draw]:
    """Small pictures and masks."""
    return Draw


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
def wait_for() -> Callable[[TestClient, str], dict[str, Any]]:
    """Wait until an item has its prediction, or has failed."""

    def wait(client: TestClient, identity: str) -> dict[str, Any]:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            item: dict[str, Any] = client.get(f"/api/v1/items/{identity}").json()
            if item["prediction"] in ("done", "failed"):
                return item
            time.sleep(0.02)
        raise AssertionError(f"no prediction of {identity} in 60 s")

    return wait


@pytest.fixture
def send(client: TestClient, wait_for: Any) -> Callable[..., dict[str, Any]]:
    """Send one picture to `client`; gives its item, predicted."""

    def upload(seed: int = 0, name: str = "scan.png", data: bytes | None = None) -> dict[str, Any]:
        picture = Draw.scan(seed) if data is None else data
        answer = client.post("/api/v1/items", files={"files": (name, picture)})
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = wait_for(client, answer.json()["items"][0]["id"])
        return found

    return upload


@pytest.fixture
def fill(tmp_path: Path) -> Callable[..., Item]:
    """Put one picture into a store, without a server."""

    def put(store: Store, seed: int = 0, name: str = "scan.png") -> Item:
        path = tmp_path / f"{seed}-{name}"
        path.write_bytes(Draw.scan(seed))
        (found,) = arrive([path], store.folder / "incoming", Limits())
        assert isinstance(found, Arrived)
        return take_in(store, [replace(found, name=name)], Limits()).items[0]

    return put
