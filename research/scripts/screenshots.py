"""Make the screenshots of docs/review.md and docs/predict.md, of phantoms.

    python research/scripts/screenshots.py

Needs the extra `server`, playwright, and a Chromium; SONOSEG_BROWSER may name it.
"""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from sonoseg.review.app import create_app
from sonoseg.review.settings import Settings

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
COLOURS = 256
"""Of a screenshot: sufficient for grey levels and a few colours, at a third of the size."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Run the server with the shipped model on a free port; yield its address."""
    app = create_app(Settings(folder=folder, runtime="onnx", precision="fp32"))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join()


def until(page: Page, code: str, seconds: float = 120) -> None:
    """Wait until code, on the page's `app`, gives true."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(
        f"async () => {{ const {{ app }} = await import('/page/main.js'); return {code} }}"
    ):
        if time.monotonic() > deadline:
            raise TimeoutError(code)
        time.sleep(0.1)


def open_item(page: Page, name: str) -> None:
    """Open an image by its name, and wait for the model's mask and for all to be saved."""
    page.locator(".item", has_text=name).click()
    until(page, f"app.session.item?.name.startsWith('{name}') && app.session.image.model !== null")
    settled(page)


def settled(page: Page) -> None:
    """Wait until nothing is being saved or measured any more."""
    until(page, "!app.saver.anyPending && !app.saver.busy && !app.findings.measuring")
    time.sleep(0.4)


def drag(page: Page, points: list[tuple[float, float]]) -> None:
    """Drag over the image. points: (x, y) as fractions of the canvas."""
    box = page.locator("#canvas").bounding_box()
    assert box is not None
    pixels = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*pixels[0])
    page.mouse.down()
    for point in pixels[1:]:
        page.mouse.move(*point, steps=6)
    page.mouse.up()


def shoot(page: Page, name: str) -> None:
    """Write a screenshot, with as many colours as it needs."""
    with Image.open(io.BytesIO(page.screenshot())) as image:
        small = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    small.save(IMAGES / f"{name}.png", optimize=True)


def desktop(page: Page) -> None:
    """The whole page in the dark theme, with a corrected and described lesion."""
    page.click("#samples")
    page.fill("#reader", "AB")
    until(
        page,
        "app.worklist.items.length === 8 && app.worklist.items.every((item) => item.prediction === 'done')",
    )
    open_item(page, "cyst-9mm")
    page.keyboard.press("Control+Enter")
    until(page, "!app.signing.busy && app.worklist.counts.signed === 1")
    open_item(page, "spiculated-15mm")
    page.click("label.pick:has(input[value='irregular'])")
    page.click("label.pick:has(input[value='not parallel'])")
    page.click("label.pick:has(input[value='spiculated'])")
    until(page, "!app.review.changed && !app.review.busy")
    page.keyboard.press("b")
    page.locator("#canvas").evaluate("(canvas) => canvas.blur()")
    box = page.locator("#canvas").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.22 * box["height"])
    time.sleep(0.8)
    shoot(page, "review")


def two_views(page: Page) -> None:
    """The light theme, with two views and a calliper."""
    page.keyboard.press("Shift+T")
    open_item(page, "oval-11mm")
    page.keyboard.press("s")
    page.select_option("#second-content", "probability")
    page.keyboard.press("Escape")
    page.keyboard.press("m")
    drag(page, [(0.2, 0.36), (0.2, 0.62)])
    page.mouse.move(5, 5)
    time.sleep(0.8)
    shoot(page, "review-two-views")


def tablet(page: Page) -> None:
    """A tablet held upright, with the findings open."""
    open_item_on_tablet(page, "oval-16mm")
    page.click("#side-toggle")
    time.sleep(0.6)
    shoot(page, "review-tablet")


def open_item_on_tablet(page: Page, name: str) -> None:
    """The same where the list is a drawer."""
    page.click("#list-toggle")
    time.sleep(0.4)
    open_item(page, name)


def report(browser: Browser, folder: Path) -> None:
    """The report of `sonoseg demo`, with all sizes shown."""
    subprocess.run([sys.executable, "-m", "sonoseg", "demo", "--out", str(folder)], check=True)
    page = browser.new_context(viewport={"width": 1200, "height": 990}).new_page()
    page.goto((folder / "index.html").absolute().as_uri())
    page.keyboard.down("o")
    time.sleep(0.8)
    with Image.open(io.BytesIO(page.screenshot())) as image:
        smaller = image.convert("RGB").resize((1000, 825), Image.Resampling.LANCZOS)
        smaller.save(IMAGES / "report.jpg", quality=85, optimize=True)


def main() -> None:
    """Write them all."""
    IMAGES.mkdir(exist_ok=True)
    path = os.environ.get("SONOSEG_BROWSER") or next(filter(None, map(shutil.which, BROWSERS)))
    theme: dict[str, Any] = {"color_scheme": "dark"}
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder) / "state") as address,
        sync_playwright() as driver,
    ):
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": 1440, "height": 900}, **theme).new_page()
        page.goto(address)
        page.wait_for_selector("#samples:visible")
        desktop(page)
        two_views(page)
        page = browser.new_context(
            viewport={"width": 820, "height": 1180}, has_touch=True, **theme
        ).new_page()
        page.goto(address)
        until(page, "app.session.image?.model")
        tablet(page)
        report(browser, Path(folder) / "demo")
        browser.close()


if __name__ == "__main__":
    main()
