"""A reader's whole way, in Chromium, with a real `sonoseg serve`: from three dropped files to the export.

What is drawn is worked out here a second time and compared pixel for pixel with the files that the server
keeps and gives out. The page's parts, one by one, are tried in test_page_browser.py.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import shutil
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from sonoseg import samples  # noqa: E402
from sonoseg.inference.smart_click import Point, smart_click  # noqa: E402
from sonoseg.inputs.reading import read_frame  # noqa: E402
from sonoseg.review.mask_png import fraction_of, mask_of  # noqa: E402

DESK, TABLET = {"width": 1400, "height": 860}, {"width": 820, "height": 1180}

DROP = """async (files) => {
  const transfer = new DataTransfer();
  for (const [name, text] of files) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    transfer.items.add(new File([bytes], name, { type: "image/png" }));
  }
  for (const kind of ["dragenter", "dragover", "drop"]) {
    const options = { dataTransfer: transfer, bubbles: true, cancelable: true };
    document.querySelector("main").dispatchEvent(new DragEvent(kind, options));
  }
}"""


class Reader:
    """One reader at one browser, with no cookies or storage of another's."""

    def __init__(self, browser: Any, address: str, state: Path, **options: Any) -> None:
        chosen = {"viewport": DESK, "color_scheme": "dark", "accept_downloads": True, **options}
        self.context = browser.new_context(**chosen)
        self.address, self.state = address, state
        self.faults: list[str] = []
        self.tab = self.open()

    def open(self, item: str = "") -> Any:
        """A new tab; what it complains of is kept in `faults`."""
        tab = self.context.new_page()
        tab.set_default_timeout(60_000)
        tab.on("pageerror", lambda error: self.faults.append(str(error)))
        tab.on("console", lambda said: self.faults.append(said.text) if said.type == "error" else None)
        tab.goto(self.address + (f"#{item}" if item else ""))
        return tab

    def run(self, code: str, given: Any = None) -> Any:
        """The value of an expression on the page's `app`."""
        return self.tab.evaluate(
            f"async (given) => {{ const {{ app }} = await import('/page/main.js'); return {code}; }}", given
        )

    def until(self, code: str, given: Any = None) -> None:
        """Wait until an expression is true; Playwright's own wait needs what the page's policy forbids."""
        end = time.monotonic() + 60
        while not self.run(code, given):
            assert time.monotonic() < end, code
            time.sleep(0.05)

    def saved(self) -> None:
        """Wait until the server has everything."""
        self.until("!app.saver.anyPending && !app.saver.busy && !app.viewer.isEditing")

    def choose(self, name: str) -> str:
        """Open an image by its name in the list, with the model's mask; gives its id."""
        self.tab.locator(".item", has_text=name).click()
        self.until("app.session.item?.name === given && app.session.image.model !== null", name)
        return str(self.run("app.session.item.id"))

    def mask(self) -> NDArray[np.bool_]:
        """The mask that the page shows, bool (H, W)."""
        found = self.run("({ w: app.session.image.mask.width, data: [...app.session.image.mask.data] })")
        return np.array(found["data"], dtype=bool).reshape(-1, found["w"])

    def at(self, row: float, column: float) -> tuple[float, float]:
        """Where a place of the image is in the window."""
        box = self.tab.locator("#canvas").bounding_box()
        x, y, scale = self.run("(({ x, y, scale }) => [x, y, scale])(app.viewer.main.viewport)")
        return box["x"] + x + column * scale, box["y"] + y + row * scale

    def stroke(self, places: list[tuple[float, float]]) -> NDArray[np.bool_]:
        """Draw along places (row, column) with the brush; gives what that covers, worked out here."""
        ways = [self.at(*place) for place in places]
        radius = self.run("app.viewer.brushSize") / 2
        self.tab.mouse.move(*ways[0])
        self.tab.mouse.down()
        for way in ways[1:]:
            self.tab.mouse.move(*way)
        self.tab.mouse.up()
        shape = tuple(self.run("[app.session.image.height, app.session.image.width]"))
        return capsules((shape[0], shape[1]), places, radius)

    def kept(self, identity: str) -> NDArray[np.bool_]:
        """The newest mask of an item in the state folder, as a file."""
        newest = max((self.state / "masks" / identity).glob("*.png"), key=lambda path: int(path.stem))
        return mask_of(newest.read_bytes())

    def close(self) -> None:
        self.context.close()


def capsules(shape: tuple[int, int], places: list[tuple[float, float]], radius: float) -> NDArray[np.bool_]:
    """The pixels whose centre a round brush covers along points (row, column), in a second implementation."""
    rows, columns = np.indices(shape) + 0.5
    drawn = np.zeros(shape, dtype=bool)
    for (r0, c0), (r1, c1) in pairwise(places):
        length = (r1 - r0) ** 2 + (c1 - c0) ** 2
        along = ((rows - r0) * (r1 - r0) + (columns - c0) * (c1 - c0)) / length
        along = np.clip(along, 0, 1)
        far = (rows - r0 - along * (r1 - r0)) ** 2 + (columns - c0 - along * (c1 - c0)) ** 2
        drawn |= far <= radius**2
    return drawn


def same(found: NDArray[np.bool_], expected: NDArray[np.bool_]) -> bool:
    """Whether two masks are the same, pixel for pixel."""
    return np.array_equal(found, expected)


def is_drawn(image: bytes) -> bool:
    """Whether a screenshot shows something in each of its quarters."""
    with Image.open(io.BytesIO(image)) as opened:
        grey = np.asarray(opened.convert("L"), dtype=float)
    height, width = grey.shape
    quarters = [
        grey[r : r + height // 2, c : c + width // 2] for r in (0, height // 2) for c in (0, width // 2)
    ]
    return len(np.unique(grey)) > 32 and all(quarter.std() > 4 for quarter in quarters)


def shoot(tab: Any, folder: Path, name: str) -> None:
    """Keep a screenshot to be looked at, and see that it is not empty."""
    image = tab.screenshot()
    (folder / f"{name}.png").write_bytes(image)
    assert is_drawn(image), name


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: the folder that SONOSEG_SCREENSHOTS names, else a temporary one."""
    named = os.environ.get("SONOSEG_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


NAMES = ("one.png", "two.png", "three.png")


@pytest.fixture(scope="module")
def way(serving: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A server with the three images in its list, and its state folder."""
    folder = tmp_path_factory.mktemp("way")
    (folder / "in").mkdir()
    for name, path in zip(NAMES, samples.paths(), strict=False):
        shutil.copyfile(path, folder / "in" / name)
    return serving(folder / "state", str(folder / "in")), folder / "state"


def test_from_three_dropped_files_to_the_export(
    browser: Any, serving: Callable[..., Any], tmp_path: Path
) -> None:
    state = tmp_path / "state"
    reader = Reader(browser, serving(state).address, state)
    tab = reader.tab
    tab.wait_for_selector("#welcome:visible")

    # Drop three files; the model looks at them.
    files = [
        (name, base64.b64encode(path.read_bytes()).decode())
        for name, path in zip(NAMES, samples.paths(), strict=False)
    ]
    tab.evaluate(DROP, files)
    reader.until(
        "app.worklist.items.length === 3 && app.worklist.items.every((item) => item.prediction === 'done')"
    )
    identity = reader.choose("one.png")
    model = reader.mask()
    assert same(reader.kept(identity), model)
    assert same(model, mask_of((state / "masks" / identity / "0.png").read_bytes()))
    height, width = model.shape

    # The brush, and undo.
    tab.keyboard.press("b")
    places = [(0.2 * height, 0.25 * width), (0.3 * height, 0.4 * width), (0.22 * height, 0.6 * width)]
    drawn = reader.stroke(places)
    reader.saved()
    assert (drawn & ~model).any()
    assert same(reader.kept(identity), model | drawn)
    tab.keyboard.press("z")
    reader.saved()
    assert same(reader.kept(identity), model)

    # A smart click beside the lesion: the server's own answer to the same click is what is saved.
    tab.keyboard.press("c")
    row, column = int(0.75 * height), int(0.3 * width)
    assert not model[row, column]
    tab.mouse.click(*reader.at(row + 0.5, column + 0.5))
    reader.until("app.saver.revision(app.session.item.id) === 3")
    reader.saved()
    pixels = read_frame(state / "originals" / f"{identity}.png").pixels
    probability = fraction_of((state / "predictions" / identity / "probability.png").read_bytes())
    clicked = smart_click(pixels, probability, model, [Point(row, column, True)])
    assert clicked[row, column]
    assert same(reader.kept(identity), clicked)

    # A last stroke, a word, initials, and the signature; the next image opens by itself.
    tab.keyboard.press("b")
    final = clicked | reader.stroke([(0.5 * height, 0.2 * width), (0.6 * height, 0.3 * width)])
    reader.saved()
    assert same(reader.kept(identity), final)
    tab.fill("#comment", "a test's words")
    tab.fill("#reader", "AB")
    tab.click("#sign")
    reader.until("app.session.item.id !== given", identity)
    assert tab.locator(".item", has_text="one.png").inner_text().count("signed") == 1

    # After a reload it is all there, and cannot be changed.
    tab.reload()
    reader.until("app.worklist.items.length === 3")
    assert reader.choose("one.png") == identity
    assert same(reader.mask(), final)
    assert "Signed by AB" in tab.inner_text("#signed-line")
    assert tab.input_value("#comment") == "a test's words"
    tab.keyboard.press("b")
    reader.stroke([(0.1 * height, 0.1 * width), (0.2 * height, 0.2 * width)])
    assert same(reader.mask(), final)
    assert same(reader.kept(identity), final)

    # Out: the ZIP of what is signed.
    tab.keyboard.press("Escape")
    tab.keyboard.press("Shift+E")
    tab.wait_for_selector("#export[open]")
    with tab.expect_download() as downloading:
        tab.click("#export-submit")
    path = tmp_path / "out.zip"
    downloading.value.save_as(path)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        (mask,) = [name for name in names if name.endswith("/masks/one.png")]
        assert same(mask_of(archive.read(mask)), final)
        (table,) = [name for name in names if name.endswith("reviews.csv")]
        (row_told,) = csv.DictReader(io.StringIO(archive.read(table).decode("utf-8-sig")))
        (results,) = [name for name in names if name.endswith("results.json")]
        (told,) = json.loads(archive.read(results))["images"]
    assert (row_told["reader"], row_told["status"], row_told["source"]) == ("AB", "signed", "edited")
    assert row_told["comment"] == "a test's words"
    assert sum(lesion["area"] for lesion in told["lesions"]) == final.sum()
    tab.keyboard.press("Escape")
    assert reader.faults == []
    reader.close()


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_both_themes_and_a_tablet_show_all_of_it(
    browser: Any, way: tuple[Any, Path], shots: Path, theme: str
) -> None:
    server, state = way
    desk = Reader(browser, server.address, state, color_scheme=theme)
    desk.until("app.worklist.items.length === 3")
    desk.choose("two.png")
    desk.until(
        "app.worklist.items.every((item) => document.querySelector(`img[src*='${item.id}']`)?.complete)"
    )
    shoot(desk.tab, shots, f"desk-{theme}")
    paper = desk.tab.evaluate("getComputedStyle(document.body).backgroundColor")
    red = int(paper.removeprefix("rgb(").split(",")[0])
    assert (red < 100) if theme == "dark" else (red > 200), "the system's choice of theme is heeded"
    assert desk.tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    desk.tab.keyboard.press("?")
    shoot(desk.tab, shots, f"help-{theme}")
    desk.tab.keyboard.press("Escape")
    desk.tab.keyboard.press("Shift+E")
    shoot(desk.tab, shots, f"export-{theme}")
    assert desk.faults == []
    desk.close()

    tablet = Reader(browser, server.address, state, color_scheme=theme, viewport=TABLET, has_touch=True)
    tablet.until("app.worklist.items.length === 3 && app.session.image?.model")
    shoot(tablet.tab, shots, f"tablet-{theme}")
    assert tablet.tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out"
    for drawer, panel in (("#list-toggle", "#list-panel"), ("#side-toggle", "#side")):
        tablet.tab.tap(drawer)
        time.sleep(0.4)  # it slides in
        box = tablet.tab.locator(panel).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= TABLET["width"]
        shoot(tablet.tab, shots, f"tablet-{panel.strip('#')}-{theme}")
        tablet.tab.tap(drawer)
        time.sleep(0.4)
    small = tablet.tab.evaluate(
        "[...document.querySelectorAll('button')].filter((one) => one.offsetParent)"
        ".map((one) => [one.textContent.trim() || one.getAttribute('aria-label'),"
        " one.getBoundingClientRect()]).filter(([, box]) => box.width < 24 || box.height < 24)"
        ".map(([name]) => name)"
    )
    assert small == [], "a finger cannot hit it (WCAG 2.2, 2.5.8)"
    assert tablet.faults == []
    tablet.close()


def test_of_two_readers_the_later_keeps_hers_and_both_masks_stay(browser: Any, way: tuple[Any, Path]) -> None:
    server, state = way
    first, second = (Reader(browser, server.address, state) for _ in range(2))
    for reader, initials in ((first, "AB"), (second, "CD")):
        reader.until("app.worklist.items.length === 3")
        identity = reader.choose("three.png")
        reader.tab.fill("#reader", initials)
        reader.tab.locator("#reader").blur()
        reader.tab.keyboard.press("b")
    model = first.mask()
    theirs = model | first.stroke([(40, 40), (60, 80)])
    first.saved()
    mine = model | second.stroke([(120, 60), (150, 90)])
    second.tab.wait_for_selector("#saved[data-state=conflict]")
    second.tab.get_by_text("changed elsewhere (by AB)").wait_for()
    assert same(second.kept(identity), theirs)
    second.tab.get_by_text("Keep mine").click()
    second.saved()
    folder = state / "masks" / identity
    assert [
        same(mask_of((folder / f"{k}.png").read_bytes()), mask) for k, mask in ((1, theirs), (2, mine))
    ] == [
        True,
        True,
    ]
    _, told = server.ask("GET", f"/api/v1/items/{identity}/history")
    masks = [(entry["revision"], entry["reader"]) for entry in told["entries"] if entry["action"] == "mask"]
    assert masks == [(1, "AB"), (2, "CD")]
    second.faults.clear()  # the browser logs the answer 412
    for reader in (first, second):
        assert reader.faults == []
        reader.close()


def test_a_killed_server_and_a_dead_tab_lose_no_finished_stroke(
    browser: Any, serving: Callable[..., Any], tmp_path: Path
) -> None:
    state = tmp_path / "state"
    server = serving(state, str(samples.paths()[0]))
    reader = Reader(browser, server.address, state)
    reader.until("app.session.image?.model")
    identity = str(reader.run("app.session.item.id"))
    model = reader.mask()
    reader.tab.keyboard.press("b")
    reader.tab.fill("#reader", "AB")
    first = model | reader.stroke([(40, 40), (60, 80)])
    reader.saved()

    server.kill()
    second = first | reader.stroke([(120, 60), (150, 90)])
    reader.tab.wait_for_selector("#saved[data-state=offline]")
    again = serving(state, port=server.port)
    reader.tab.wait_for_selector("#saved[data-state=saved]")
    assert same(reader.kept(identity), second), "it was sent as soon as the server was back"

    # The tab dies while the server is away, and a stroke is half done.
    again.kill()
    third = second | reader.stroke([(200, 60), (210, 120)])
    reader.tab.wait_for_selector("#saved[data-state=offline]")
    reader.tab.mouse.move(*reader.at(30, 200))
    reader.tab.mouse.down()
    reader.tab.mouse.move(*reader.at(60, 240))
    died = reader.tab
    with died.expect_event("crash"), suppress(playwright.Error):
        died.goto("chrome://crash", timeout=5000)
    last = serving(state, port=server.port)
    assert same(reader.kept(identity), second)
    reader.tab = reader.open(identity)
    reader.until("app.session.image?.model")
    reader.until("app.saver.revision(given) === 3", identity)
    reader.saved()
    assert same(reader.kept(identity), third)
    assert last.process.poll() is None
    reader.close()
