"""The review page in a browser: its modules against Python's, and a reader's work on an image.

The modules alone are tested by node (tests/page).
"""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

pytest.importorskip("fastapi", reason="the extra 'server' is not installed")
pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

import uvicorn

from sonoseg import Predictor, samples
from sonoseg.results.preview import svg_path
from sonoseg.review import reading
from sonoseg.review.app import create_app
from sonoseg.review.settings import Settings


def serve(folder: Path, model: Path, **settings: Any) -> Iterator[str]:
    """A server on a free port, with a small model; gives its address."""
    predictor = Predictor(model, runtime="onnx", threads=1)
    app = create_app(Settings(folder=folder, **settings), predictor)
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [place]})
        thread.start()
        try:
            deadline = time.monotonic() + 60
            while not server.started and thread.is_alive() and time.monotonic() < deadline:
                time.sleep(0.02)
            assert server.started
            yield f"http://127.0.0.1:{place.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join(30)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, dark_model: Path) -> Iterator[str]:
    yield from serve(tmp_path_factory.mktemp("review") / "state", dark_model)


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """A tab on the page; whatever it complains of fails the test."""
    context = browser.new_context(viewport={"width": 1400, "height": 860}, color_scheme="dark")
    tab = context.new_page()
    faults: list[str] = []
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    tab.on("request", lambda sent: sent.url.startswith((address, "blob:")) or faults.append(sent.url))
    tab.goto(address)
    tab.faults = faults
    yield tab
    context.close()
    assert faults == []


@pytest.fixture(scope="module")
def logic(browser: Any, address: str) -> Iterator[Any]:
    """One tab for all tests of modules that do not touch the page."""
    tab = browser.new_page()
    tab.goto(address)
    yield tab
    tab.close()


def run(tab: Any, code: str, argument: Any = None) -> Any:
    """Run code on the page's modules: `code` is the body of an async function of `given`."""
    return tab.evaluate(
        f"async (given) => {{ const load = (name) => import(`/page/${{name}}`); {code} }}", argument
    )


def until(tab: Any, code: str, argument: Any = None, seconds: float = 60) -> None:
    """Wait until code, the body of such a function, gives true. `app` is the page's.

    Playwright's own wait makes code from text in the page, which its policy forbids.
    """
    deadline = time.monotonic() + seconds
    while not run(tab, f"const {{ app }} = await load('main.js'); {code}", argument):
        assert time.monotonic() < deadline, code
        time.sleep(0.05)


def blob(seed: int, shape: tuple[int, int] = (40, 57)) -> NDArray[np.bool_]:
    """A mask with lesions, holes and pixels that touch at corners."""
    random = np.random.default_rng(seed)
    return np.asarray(ndimage.gaussian_filter(random.random(shape), 1.2) > 0.5)


def flat(mask: NDArray[np.bool_]) -> list[int]:
    return mask.astype(int).ravel().tolist()


MASK = (
    "const { Mask } = await load('mask.js');"
    "const mask = new Mask(given.w, given.h, Uint8Array.from(given.mask));"
)


def capsules(shape: tuple[int, int], places: list[tuple[float, float]], radius: float) -> NDArray[np.bool_]:
    """The pixels that a round brush draws along points (x, y), in a second implementation for comparison."""
    rows, columns = np.indices(shape) + 0.5
    drawn = np.zeros(shape, dtype=bool)
    for (ax, ay), (bx, by) in zip(places, places[1:] or places, strict=False):
        length = (bx - ax) ** 2 + (by - ay) ** 2
        along = ((columns - ax) * (bx - ax) + (rows - ay) * (by - ay)) / length if length else np.zeros(shape)
        along = np.clip(along, 0, 1)
        drawn |= (columns - ax - along * (bx - ax)) ** 2 + (rows - ay - along * (by - ay)) ** 2 <= radius**2
    return drawn


@pytest.mark.parametrize("seed", [3, 4])
def test_the_contour_is_that_of_the_results(logic: Any, seed: int) -> None:
    """As the report draws it: the borders through the middles of the pixel edges, area by area."""
    mask = blob(seed)
    drawn = run(
        logic,
        MASK
        + "const { traceBorders, smoothBorder } = await load('contour.js');"
        + "return traceBorders(mask).map(smoothBorder);",
        {"w": 57, "h": 40, "mask": flat(mask)},
    )
    assert len(drawn) == svg_path(mask).count("M")
    area = 0.0
    for line in drawn:
        x, y = np.array(line[0::2]), np.array(line[1::2])
        area += float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) / 2
    corners = run(
        logic,
        MASK + "const { traceBorders } = await load('contour.js'); return traceBorders(mask);",
        {"w": 57, "h": 40, "mask": flat(mask)},
    )
    exact = 0.0
    for line in corners:
        x, y = np.array(line[0::2]), np.array(line[1::2])
        exact += float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) / 2
    assert exact == mask.sum()  # holes count the other way round
    assert abs(area - exact) < 0.25 * exact


def test_png_is_written_and_read_without_a_change(logic: Any) -> None:
    mask = blob(5)
    written = run(
        logic,
        MASK + "const png = await mask.toPng(); return [...new Uint8Array(await png.arrayBuffer())];",
        {"w": 57, "h": 40, "mask": flat(mask)},
    )
    with Image.open(io.BytesIO(bytes(written))) as image:
        assert image.mode == "L"
        assert (np.asarray(image) == np.where(mask, 255, 0)).all()


@pytest.mark.parametrize("mode", ["L", "1", "RGB"])
def test_png_of_others_is_read(logic: Any, mode: str) -> None:
    grey = np.random.default_rng(6).integers(0, 256, (40, 57), dtype=np.uint8)
    grey[10:30] = np.arange(57, dtype=np.uint8) * 3  # smooth, so that the writer takes filters
    image = Image.fromarray(grey).convert(mode, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    found = run(
        logic,
        "const { decodePng } = await load('image.js');"
        "const { width, height, values } = await decodePng(Uint8Array.from(given).buffer);"
        "return [width, height, [...values]];",
        list(buffer.getvalue()),
    )
    assert found == [57, 40, np.asarray(image.convert("L")).ravel().tolist()]


def test_the_terms_are_those_of_the_server(logic: Any) -> None:
    found = run(
        logic,
        "const { DESCRIPTORS } = await load('bi_rads.js');"
        "return Object.fromEntries(DESCRIPTORS.map(({ name, terms }) => [name, terms]));",
    )
    server = {
        "shape": reading.LesionShape,
        "orientation": reading.Orientation,
        "margin": reading.Margin,
        "echo_pattern": reading.EchoPattern,
        "posterior": reading.Posterior,
        "assessment": reading.Assessment,
    }
    assert found == {name: [str(term) for term in terms] for name, terms in server.items()}


def test_every_command_has_an_action_and_every_button_a_command(logic: Any) -> None:
    actions, commands, buttons = run(
        logic,
        "const { app } = await load('main.js'); const { COMMANDS } = await load('commands.js');"
        "const buttons = document.querySelectorAll('[data-command]');"
        "return [Object.keys(app.actions), COMMANDS.map(({ name }) => name),"
        " [...buttons].map((button) => button.dataset.command)];",
    )
    assert set(actions) == set(commands)
    assert set(buttons) <= set(commands)


# A reader's way


def opened(tab: Any, name: str) -> str:
    """Open a sample by its name and wait for the model's mask; gives its id."""
    tab.wait_for_selector("#samples:visible, .item")
    if tab.locator("#samples").is_visible():
        tab.click("#samples")
    tab.wait_for_selector(".item")
    tab.fill("#search", name)
    until(tab, "return document.querySelectorAll('.item').length === 1")
    tab.click(".item")
    until(tab, "return app.session.item?.name.startsWith(given) && app.session.image.model !== null", name)
    return str(run(tab, "const { app } = await load('main.js'); return app.session.item.id;"))


def shown(tab: Any) -> dict[str, Any]:
    """The mask as the page has it, and where the image lies on the screen."""
    return dict(
        run(
            tab,
            "const { app } = await load('main.js'); const { x, y, scale } = app.viewer.main.viewport;"
            "const { width, height, data } = app.session.image.mask;"
            "return { x, y, scale, width, height, data: [...data], size: app.viewer.brushSize };",
        )
    )


def mask_of(state: dict[str, Any]) -> NDArray[np.bool_]:
    return np.array(state["data"], dtype=bool).reshape(state["height"], state["width"])


def kept(tab: Any, address: str, identity: str) -> NDArray[np.bool_]:
    """The mask as the server has it, read by another program than the page."""
    answer = tab.request.get(f"{address}api/v1/items/{identity}/mask.png")
    with Image.open(io.BytesIO(answer.body())) as image:
        values = np.asarray(image.convert("L"))
    assert set(np.unique(values).tolist()) <= {0, 255}
    return np.asarray(values == 255)


def drag(tab: Any, places: list[tuple[float, float]]) -> None:
    """Draw over the canvas, places in its own pixels."""
    box = tab.locator("#canvas").bounding_box()
    tab.mouse.move(box["x"] + places[0][0], box["y"] + places[0][1])
    tab.mouse.down()
    for x, y in places[1:]:
        tab.mouse.move(box["x"] + x, box["y"] + y)
    tab.mouse.up()


def all_saved(tab: Any) -> None:
    until(tab, "return !app.saver.anyPending && !app.saver.busy && !app.viewer.isEditing")


def revision(tab: Any, address: str, identity: str) -> int:
    return int(tab.request.get(f"{address}api/v1/items/{identity}").json()["revision"])


def test_what_is_drawn_is_what_is_saved_and_what_comes_back(page: Any, address: str) -> None:
    identity = opened(page, samples.paths()[0].stem)
    before = shown(page)  # before a tool is taken: taking one moves nothing on the screen
    model = mask_of(before)
    assert (kept(page, address, identity) == model).all()

    page.keyboard.press("b")
    path = [(80.0, 90.0), (95.0, 120.0), (160.0, 131.0), (220.0, 90.0)]
    drag(page, path)
    all_saved(page)
    places = [((x - before["x"]) / before["scale"], (y - before["y"]) / before["scale"]) for x, y in path]
    expected = model | capsules(model.shape, places, before["size"] / 2)
    assert expected.sum() > model.sum()
    assert (mask_of(shown(page)) == expected).all()
    assert (kept(page, address, identity) == expected).all()

    page.keyboard.press("e")
    page.keyboard.press("[")
    state = shown(page)
    assert state["size"] < before["size"]
    drag(page, [(90.0, 100.0), (150.0, 125.0)])
    all_saved(page)
    places = [
        ((x - state["x"]) / state["scale"], (y - state["y"]) / state["scale"])
        for x, y in [(90, 100), (150, 125)]
    ]
    erased = expected & ~capsules(model.shape, places, state["size"] / 2)
    assert erased.sum() < expected.sum()
    assert (kept(page, address, identity) == erased).all()

    page.keyboard.press("z")
    all_saved(page)
    assert (kept(page, address, identity) == expected).all()
    page.keyboard.press("Shift+Z")
    all_saved(page)
    assert (kept(page, address, identity) == erased).all()
    page.keyboard.press("z")
    all_saved(page)

    page.reload()
    until(page, "return Boolean(app.session.image?.model)")
    assert run(page, "const { app } = await load('main.js'); return app.session.item.id;") == identity
    assert (mask_of(shown(page)) == expected).all()
    entries = page.request.get(f"{address}api/v1/items/{identity}/history").json()["entries"]
    tools = [entry["tool"] for entry in entries if entry["action"] == "mask"]
    assert tools == ["brush", "eraser", "undo", "redo", "undo"]


def test_a_stroke_with_the_keyboard_alone(page: Any, address: str) -> None:
    identity = opened(page, samples.paths()[1].stem)
    model = mask_of(shown(page))
    page.locator("#search").blur()
    for key in ("v", "b", "Shift+ArrowUp", "Enter", "Shift+ArrowRight", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    all_saved(page)
    cross = run(page, "const { app } = await load('main.js'); return app.viewer.cursor;")
    saved = kept(page, address, identity)
    assert (saved != model).any()
    assert saved[int(cross["y"]), int(cross["x"])]
    page.keyboard.press("n")
    all_saved(page)
    assert not kept(page, address, identity).any()
    page.keyboard.press("r")
    all_saved(page)
    assert (kept(page, address, identity) == model).all()


def test_what_the_server_could_not_take_is_kept_over_a_reload(page: Any, address: str) -> None:
    identity = opened(page, samples.paths()[2].stem)
    page.route("**/mask", lambda route: route.abort() if route.request.method == "PUT" else route.fallback())
    page.keyboard.press("b")
    drag(page, [(60.0, 300.0), (120.0, 320.0)])
    page.wait_for_selector("#saved[data-state=offline]")
    drawn = mask_of(shown(page))
    assert revision(page, address, identity) == 0
    page.reload()
    page.unroute("**/mask")
    until(
        page,
        "return app.session.image && app.saver.revision(app.session.item.id) > 0 && !app.saver.anyPending",
    )
    assert (kept(page, address, identity) == drawn).all()
    page.faults.clear()  # the browser reports the interrupted requests


def test_the_later_of_two_tabs_is_told_and_loses_nothing(page: Any, address: str) -> None:
    identity = opened(page, samples.paths()[3].stem)
    other = page.context.new_page()
    other.goto(f"{address}#{identity}")
    until(other, "return Boolean(app.session.image?.model)")
    page.keyboard.press("b")
    drag(page, [(60.0, 300.0), (120.0, 320.0)])
    all_saved(page)
    first = mask_of(shown(page))
    other.keyboard.press("b")
    drag(other, [(60.0, 60.0), (120.0, 80.0)])
    other.wait_for_selector("#saved[data-state=conflict]")
    mine = mask_of(shown(other))
    assert (kept(page, address, identity) == first).all(), "nothing is forced upon what is there"
    other.get_by_text("Take theirs").click()
    all_saved(other)
    assert (mask_of(shown(other)) == first).all()
    other.keyboard.press("z")
    all_saved(other)
    assert (kept(page, address, identity) == mine).all(), "undo brings ours on again"
    other.close()


def test_a_prediction_that_is_done_in_between_brings_its_lesions(page: Any, address: str) -> None:
    """The item is read while the model is at it, and the answer to the page's own request says "done"."""
    identity = opened(page, samples.paths()[4].stem)
    lesions = run(page, "const { app } = await load('main.js'); return app.session.image.findings.length;")
    assert lesions > 0
    first = [True]

    def too_early(route: Any) -> None:
        if not first:
            route.fallback()
            return
        first.clear()
        told = route.fetch().json()
        route.fulfill(json={**told, "prediction": "running", "findings": [], "lesions": None})

    page.route(f"**/items/{identity}", too_early)
    page.reload()
    until(page, "return Boolean(app.session.image?.model)")
    until(page, "return app.session.image.findings.length === given", lesions, seconds=20)
    assert not first, "the page read the item once at least"
    assert page.locator(".lesions li").count() == lesions


def test_a_calliper_of_known_length_calibrates_the_image(page: Any, address: str) -> None:
    identity = opened(page, samples.paths()[6].stem)
    page.locator("#search").blur()
    page.fill("#reader", "AB")
    page.locator("#reader").blur()
    page.click("#tools [data-command=calliper]")
    state = shown(page)
    x, y, scale = state["x"], state["y"], state["scale"]
    drag(page, [(x + 20 * scale, y + 10 * scale), (x + 20 * scale, y + 110 * scale)])  # 100 pixels
    page.click("#callipers button:has-text('Calibrate')")
    page.fill("#calibrate-length", "20,0")
    page.click("#calibrate-submit")
    until(page, "return app.session.item.spacing_origin === 'calibrated by AB (image)'")
    assert not page.locator("#calibrate").is_visible()
    assert page.locator("#spacing-note").inner_text() == "Pixel spacing: calibrated by AB (image)"
    assert "20.0 mm" in page.locator("#callipers").inner_text()
    item = page.request.get(f"{address}api/v1/items/{identity}").json()
    assert item["spacing"] == pytest.approx([0.2, 0.2], rel=0.02)
    page.click("#callipers button:has-text('Calibrate')")
    page.fill("#calibrate-length", "20")
    page.check("#calibrate [value=exam]")
    with page.expect_response("**/calibrate") as answered:
        page.click("#calibrate-submit")
    assert answered.value.status == 422
    page.locator("#calibrate-status", has_text="names no exam").wait_for()
    page.faults.clear()  # the browser complains of the refusal
    page.keyboard.press("Escape")


def test_every_command_of_the_keyboard_runs(page: Any) -> None:
    """Each key of the table, on an open image; `page` fails the test where one ends with an error."""
    opened(page, samples.paths()[5].stem)
    page.locator("#search").blur()
    commands = run(page, "const { COMMANDS } = await load('commands.js'); return COMMANDS;")
    leaving = {"sign", "refer", "reopen", "add"}
    for command in commands:
        if command["name"] in leaving:
            continue
        for key in command["keys"]:
            page.keyboard.press(key.replace("Mod+", "Control+").replace(" ", "Space"))
            if command["name"] in ("search", "reader", "describe", "comment", "export", "help"):
                page.keyboard.press("Escape")
                page.locator(":focus").evaluate_all("found => found.forEach((one) => one.blur())")
    all_saved(page)
    until(page, "return app.viewer.isSplit && app.viewer.secondContent === 'pinned'")
    assert page.locator("#second-content").input_value() == "pinned"
    assert page.locator(".notice.bad").count() == 0
