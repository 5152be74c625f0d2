"""A server for the tests: a state folder of its own, and the model that finds what is dark."""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from sonoseg.review.app import create_app
from sonoseg.review.file_import import import_uploads
from sonoseg.review.form_upload import Upload, copy_files
from sonoseg.review.items import Item
from sonoseg.review.settings import ServerLimits, Settings
from sonoseg.review.store import Store

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class Draw:
    """Small images and masks as PNG: all of 60 rows and 80 columns unless said otherwise."""

    @staticmethod
    def scan(seed: int = 0, *, height: int = 60, width: int = 80) -> bytes:
        """A grey image with a dark disc in its middle, another one for each seed."""
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
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image)


@pytest.fixture(scope="session")
def draw() -> type[Draw]:
    """Small images and masks."""
    return Draw


def _clip(
    frames: NDArray[np.uint8], *, top: int = 0, deflated: bool = False, patient: str = "Secretname^Anna"
) -> bytes:
    """A DICOM clip of uint8 (N, H, W): the scan begins at row `top`, at 0.1 mm a row and 0.2 mm a column."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID, generate_uid

    region = Dataset()
    region.RegionSpatialFormat = region.RegionDataType = 1
    region.RegionFlags = region.RegionLocationMinX0 = 0
    region.RegionLocationMinY0 = top
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = frames.shape[2] - 1, frames.shape[1] - 1
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX, region.PhysicalDeltaY = 0.02, 0.01
    clip = Dataset()
    clip.SOPClassUID = UID("1.2.840.10008.5.1.4.1.1.3.1")
    clip.SOPInstanceUID = generate_uid(entropy_srcs=["clip"])
    clip.Modality, clip.PatientName, clip.PatientID = "US", patient, "4711"
    clip.SamplesPerPixel, clip.PhotometricInterpretation = 1, "MONOCHROME2"
    clip.NumberOfFrames, clip.Rows, clip.Columns = frames.shape
    clip.BitsAllocated = clip.BitsStored = 8
    clip.HighBit, clip.PixelRepresentation = 7, 0
    clip.SequenceOfUltrasoundRegions = [region]
    data = frames.tobytes()
    clip.PixelData = data + bytes(len(data) % 2)
    clip["PixelData"].VR = "OB"
    clip.file_meta = FileMetaDataset()
    clip.file_meta.TransferSyntaxUID = UID(f"1.2.840.10008.1.2.1{'.99' if deflated else ''}")
    buffer = io.BytesIO()
    clip.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def make_clip() -> Callable[..., bytes]:
    """Write a DICOM clip."""
    pytest.importorskip("pydicom")
    return _clip


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
    """Send one image to `client`; gives its item, predicted."""

    def upload(seed: int = 0, name: str = "scan.png", data: bytes | None = None) -> dict[str, Any]:
        image = Draw.scan(seed) if data is None else data
        answer = client.post("/api/v1/items", files={"files": (name, image)})
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = wait_for(client, answer.json()["items"][0]["id"])
        return found

    return upload


@pytest.fixture
def fill(tmp_path: Path) -> Callable[..., Item]:
    """Put one image into a store, without a server."""

    def put(store: Store, seed: int = 0, name: str = "scan.png") -> Item:
        path = tmp_path / f"{seed}-{name}"
        path.write_bytes(Draw.scan(seed))
        (found,) = copy_files([path], store.folder / "incoming", ServerLimits())
        assert isinstance(found, Upload)
        return import_uploads(store, [replace(found, name=name)], ServerLimits()).items[0]

    return put


class Serving:
    """`sonoseg serve` in a process of its own, its answers, and its end.

    words: what is added to the command line. around: a command that starts it, in place of this process.
    """

    def __init__(self, state: Path, *words: str, port: int = 0, around: Sequence[str] = ()) -> None:
        line = [sys.executable, "-m", "sonoseg", "serve", *words, "--state", str(state), "--port", str(port)]
        self.process = subprocess.Popen(
            [*around, *line],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200"},
        )
        assert self.process.stdout is not None
        output = ""
        while (found := re.search(r"http://127\.0\.0\.1:(\d+)/", output)) is None:
            line = self.process.stdout.readline()
            assert line, f"the server ended: {output}"
            output += line
        self.port, self.address = int(found[1]), found[0]

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Send a request; gives the status, and the answer's JSON or bytes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            data = answer.read()
            told = answer.headers.get("content-type", "").startswith("application/json")
            return answer.status, json.loads(data) if told else data
        finally:
            connection.close()

    def kill(self) -> None:
        """SIGKILL: no handler runs, nothing is flushed."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """End it, whatever it does."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture(scope="module")
def serving(dark_model: Path) -> Iterator[Callable[..., Serving]]:
    """Start `sonoseg serve` with the model that finds what is dark; all are ended with the module."""
    with ExitStack() as stack:

        def start(state: Path, *words: str, **options: Any) -> Serving:
            chosen = ("--model", str(dark_model), "--runtime", "onnx", "--threads", "1")
            started = Serving(state, *chosen, *words, **options)
            stack.callback(started.close)
            return started

        yield start


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A Chromium without a window, for the tests of the page."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    named = os.environ.get("SONOSEG_BROWSER")
    path = named or next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("no chromium on this machine; SONOSEG_BROWSER may name one")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()
