"""The page of the queue in a browser: what it shows, by keyboard too, and when the node is down."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra 'server' is not installed")
pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

import uvicorn

from sonoseg.inference.predictor import Predictor
from sonoseg.pacs.queue import InstanceQueue, ReceivedInstance
from sonoseg.pacs.queue_rows import QueuedResult
from sonoseg.review.app import create_app
from sonoseg.review.settings import Settings

US = "1.2.840.10008.5.1.4.1.1.6.1"
TOKEN = "a-token-of-some-length"


class Desk:
    """A server that shows the queue of a node of ours, and a tab on it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.address, self.tab = folder, "", None
        self.node = InstanceQueue(folder, model="tiny (abc)")

    def take(self, first: int, count: int) -> None:
        """The node accepts instances."""
        for number in range(first, first + count):
            arrived = ReceivedInstance(
                f"1.2.826.0.1.{number}", US, "1.2.840.10008.1.2.1", f"SCANNER{number % 4}"
            )
            self.node.accept(arrived, b"x")


@pytest.fixture
def desk(
    tmp_path: Path, browser: Any, dark_predictor: Predictor, request: pytest.FixtureRequest
) -> Iterator[Desk]:
    made = Desk(tmp_path / "node")
    made.take(1, 3)
    made.node.add_results(
        "1.2.826.0.1.2",
        [
            QueuedResult(
                "1.2.826.0.1.2.1", "1.2.826.0.1.2", "seg", "results/1.2.826.0.1.2/seg.dcm", "tiny (abc)"
            )
        ],
    )
    made.node.retry_later(
        "1.2.826.0.1.2", time.time() + 600, "seg not taken by the archive: cannot be reached", attempts=3
    )
    made.node.fail("1.2.826.0.1.1", "not ultrasound: its modality is <b>MG</b>. Send ultrasound images")
    token = getattr(request, "param", None)
    settings = Settings(folder=tmp_path / "state", pacs=made.folder, token=token)
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(create_app(settings, dark_predictor), log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [place]})
        thread.start()
        made.address = f"http://127.0.0.1:{place.getsockname()[1]}/"
        context = browser.new_context(viewport={"width": 1280, "height": 760}, color_scheme="light")
        tab = context.new_page()
        faults: list[str] = []
        tab.on("pageerror", lambda error: faults.append(str(error)))
        tab.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        tab.on("request", lambda sent: sent.url.startswith(made.address) or faults.append(sent.url))
        tab.goto(made.address + "pacs")
        made.tab = tab
        try:
            yield made
        finally:
            context.close()
            server.should_exit = True
            thread.join(30)
            made.node.close()
        allowed = "401" if token else "nothing"
        assert [fault for fault in faults if allowed not in fault] == []


def soon(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.05)


def test_it_shows_the_queue_and_refreshes_by_itself(desk: Desk) -> None:
    tab = desk.tab
    soon(lambda: tab.locator("#body tr").count() == 3)
    assert tab.locator("#node").text_content() == "Node running"
    assert tab.locator("#states b").all_text_contents() == ["3", "1", "1", "0", "1"]
    last = tab.locator("#body tr").last
    assert "not ultrasound: its modality is <b>MG</b>" in last.text_content()
    middle = tab.locator("#body tr").nth(1).text_content()
    assert "cannot be reached" in middle
    assert "3 failed" in middle
    assert "next attempt " in middle
    desk.take(4, 1)
    soon(lambda: tab.locator("#body tr").count() == 4)  # nobody pressed anything
    assert tab.locator("#body .uid").first.text_content() == "1.2.826.0.1.4"
    desk.node.close()
    soon(lambda: tab.locator("#node").text_content() == "Node stopped; 3 waiting")
    desk.node = InstanceQueue(desk.folder)
    soon(lambda: tab.locator("#node").text_content() == "Node running")


def test_by_keyboard_alone(desk: Desk) -> None:
    desk.take(4, 120)
    tab = desk.tab
    tab.locator("#refresh").click()
    soon(lambda: tab.locator("#range").text_content() == "1 to 100 of 123")
    tab.locator("h1").click()  # from the page's beginning
    tab.locator("#states [data-state='']").focus()
    for _ in range(4):
        tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    soon(lambda: tab.locator("#body tr").count() == 1)
    assert tab.locator("#states [aria-pressed='true']").get_attribute("data-state") == "failed"
    for _ in range(4):
        tab.keyboard.press("Shift+Tab")
    tab.keyboard.press("Space")
    soon(lambda: tab.locator("#body tr").count() == 100)
    tab.locator("#rows").focus()
    tab.keyboard.press("End")
    soon(lambda: tab.locator("#rows").evaluate("place => place.scrollTop") > 0)
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.id") == "older"
    tab.keyboard.press("Enter")
    soon(lambda: tab.locator("#range").text_content() == "101 to 123 of 123")
    assert tab.locator("#older").is_disabled()
    tab.locator("#auto-refresh").focus()
    tab.keyboard.press("Space")
    assert tab.locator("#auto-refresh").get_attribute("aria-pressed") == "false"


def test_a_small_window_needs_no_scrolling_sideways(desk: Desk) -> None:
    tab = desk.tab
    for width in (360, 760, 1280):
        tab.set_viewport_size({"width": width, "height": 700})
        soon(lambda: tab.locator("#body tr").count() == 3)
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
        assert tab.locator("#node").is_visible()
        assert tab.locator("#body tr").last.is_visible()


@pytest.mark.parametrize("desk", [TOKEN], indirect=True)
def test_it_asks_for_the_token(desk: Desk) -> None:
    tab = desk.tab
    tab.locator("#token").fill(TOKEN)
    tab.keyboard.press("Enter")
    soon(lambda: tab.locator("#body tr").count() == 3)
    assert not tab.locator("#token-dialog").is_visible()


def test_the_review_page_leads_there(desk: Desk) -> None:
    tab = desk.tab
    tab.goto(desk.address)
    tab.locator("#pacs-link").click()
    soon(lambda: tab.url == desk.address + "pacs")
    soon(lambda: tab.locator("#body tr").count() == 3)
