"""The files of the review page: markup, colours, and agreement with the server.

The modules are checked by tsc and eslint and tested by node's runner (tests/page), and in a browser.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from typing import get_args

import pytest

pytest.importorskip("fastapi", reason="the extra 'server' is not installed")

from fastapi.testclient import TestClient

from sonoseg import RESEARCH_ONLY
from sonoseg.review import routes_root
from sonoseg.review.app import create_app
from sonoseg.review.items import STATUSES, Tool
from sonoseg.review.routes_export import What
from sonoseg.review.settings import Settings

PAGE = routes_root.PAGE
FILES = sorted(path for path in PAGE.rglob("*") if path.is_file())
MODULES = [path for path in FILES if path.suffix == ".js"]
API_TYPES = Path(__file__).parents[1] / "page" / "api.d.ts"
TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


def name(path: Path) -> str:
    return path.relative_to(PAGE).as_posix()


def source(file: str) -> str:
    return (PAGE / file).read_text("utf-8")


class Elements(HTMLParser):
    """The elements of a page in their order: tag, attributes, and the text inside buttons and labels."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.said: dict[int, str] = {}
        self._open: list[int] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag in ("button", "label", "script", "style"):
            self._open.append(len(self.found) - 1)
            self.said[len(self.found) - 1] = ""

    def handle_endtag(self, tag: str) -> None:
        if self._open and self.found[self._open[-1]][0] == tag:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        for number in self._open:
            self.said[number] += data.strip()


INDEX = Elements(source("index.html"))
PAGES = {"index.html": INDEX, "pacs.html": Elements(source("pacs.html"))}
ADDRESSES = {"./", "pacs"}


def ids(page: str) -> list[str]:
    return [attributes["id"] or "" for _, attributes in PAGES[page].found if attributes.get("id")]


every_page = pytest.mark.parametrize("page", PAGES)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    """The server without its lifespan: no model is loaded for files."""
    return TestClient(create_app(Settings(folder=tmp_path_factory.mktemp("page") / "state")))


@pytest.mark.parametrize("path", FILES, ids=name)
def test_every_file_is_served_with_its_type(client: TestClient, path: Path) -> None:
    answer = client.get(f"/page/{name(path)}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(TYPES[path.suffix])
    assert answer.content == path.read_bytes()


def test_the_page_is_served_and_its_policy_forbids_what_it_does_not_need(client: TestClient) -> None:
    for address, page in (("/", "index.html"), ("/pacs", "pacs.html")):
        answer = client.get(address)
        assert answer.text == source(page)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy


@every_page
def test_the_page_has_nothing_that_the_policy_would_stop(page: str) -> None:
    for number, (tag, attributes) in enumerate(PAGES[page].found):
        assert not [key for key in attributes if key == "style" or key.startswith("on")], (tag, attributes)
        assert tag != "style"
        if tag == "script":
            assert attributes.get("src", "").startswith("page/")
            assert attributes["type"] == "module"
            assert PAGES[page].said[number] == ""


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_makes_no_code_or_style_from_text(path: Path) -> None:
    text = path.read_text("utf-8")
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "new Function", "document.write"):
        assert word not in text, f"{name(path)}: {word}"
    assert not re.search(r"setAttribute\(\s*[\"']style", text), name(path)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_no_file_names_another_server(path: Path) -> None:
    for address in re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"')]*", path.read_text("utf-8")):
        assert address == "http://www.w3.org/2000/svg", f"{name(path)} names {address}"


@every_page
def test_ids_are_unique_and_every_reference_to_one_leads_to_it(page: str) -> None:
    there = ids(page)
    assert len(there) == len(set(there))
    for tag, attributes in PAGES[page].found:
        for key in ("for", "aria-controls", "aria-labelledby", "aria-describedby"):
            for wanted in (attributes.get(key) or "").split():
                assert wanted in there, f"<{tag} {key}={wanted}>"
        if tag == "a":
            href = attributes["href"] or ""
            assert href in ADDRESSES or href.removeprefix("#") in there


@every_page
def test_whatever_can_be_used_has_a_name(page: str) -> None:
    found = PAGES[page].found
    labelled = {attributes["for"] for tag, attributes in found if tag == "label" and "for" in attributes}
    inside = re.findall(r"<label>\s*<input[^>]*>\s*[^<\s]", source(page))
    unnamed = []
    for number, (tag, attributes) in enumerate(found):
        said = attributes.get("aria-label") or attributes.get("aria-labelledby")
        if tag == "button":
            assert said or PAGES[page].said[number], attributes
        elif tag in ("input", "select", "textarea") and "hidden" not in attributes:
            if not said and attributes.get("id") not in labelled:
                unnamed.append(attributes)
        elif tag in ("canvas", "progress", "dialog", "nav", "aside"):
            assert said, (tag, attributes)
    assert len(unnamed) == len(inside), "inputs without a label around them"


def test_every_button_has_a_type_so_that_none_sends_a_form_by_accident() -> None:
    for tag, attributes in INDEX.found:
        if tag == "button" and attributes.get("data-command"):
            assert attributes.get("type") == "button"


def test_every_icon_is_drawn() -> None:
    drawn = set(re.findall(r"<symbol id=\"([\w-]+)\"", source("icons.svg")))
    used = {one for page in PAGES for one in re.findall(r"icons\.svg#([\w-]+)", source(page))}
    for path in MODULES:
        used |= set(re.findall(r"icons\.svg#([\w-]+)", path.read_text("utf-8")))
    assert used == drawn


SCHEMAS = {
    "Item": "Item",
    "Lesion": "LesionResult",
    "Review": "Review",
    "HistoryEntry": "LogEntry",
    "ServerInfo": "ServerInfo",
    "Refusal": "RefusedUpload",
    "QueueRow": "PacsRow",
    "QueueReport": "Pacs",
}


@pytest.mark.parametrize("interface", SCHEMAS)
def test_the_page_reads_fields_that_the_server_sends(client: TestClient, interface: str) -> None:
    body = re.search(rf"^interface {interface} \{{(.*?)\}}$", API_TYPES.read_text("utf-8"), re.S | re.M)
    assert body
    read = set(re.findall(r"(?:^|[;{]) *(\w+)\??:", re.sub(r"\{[^{}]*\}", "", body[1]), re.M))
    assert len(read) > 2
    schemas = client.app.openapi()["components"]["schemas"]  # type: ignore[attr-defined]
    assert read <= set(schemas[SCHEMAS[interface]]["properties"])


def test_the_page_knows_the_statuses_and_tools_of_the_server() -> None:
    text = API_TYPES.read_text("utf-8")
    for union, values in (("Status", set(STATUSES)), ("EditTool", {str(tool) for tool in Tool})):
        body = re.search(rf"^type {union} = (.*?);", text, re.S | re.M)
        assert body
        assert set(re.findall(r"\"([^\"]+)\"", body[1])) == values


def test_what_is_exported_is_what_the_server_makes() -> None:
    offered = [
        attributes["value"]
        for tag, attributes in INDEX.found
        if tag == "input" and attributes.get("name") == "what"
    ]
    assert set(offered) == set(get_args(What))


@every_page
def test_the_page_says_that_it_is_no_medical_device(page: str) -> None:
    assert " ".join(RESEARCH_ONLY.split()) in " ".join(source(page).split())


def themes() -> dict[str, dict[str, str]]:
    """The colours of both themes; the light one says only what differs."""
    blocks = re.findall(r":root(\[data-theme=\"light\"\])? \{(.*?)\}", source("page.css"), re.DOTALL)
    found = [dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{3,6})", body)) for _, body in blocks]
    return {"dark": found[0], "light": {**found[0], **found[1]}}


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    digits = colour.lstrip("#")
    digits = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
    parts = [int(digits[k : k + 2], 16) / 255 for k in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_contrast_is_that_of_wcag_aa(theme: str) -> None:
    assert contrast("#000", "#fff") == pytest.approx(21)
    colours = themes()[theme]
    texts = list(product(("ink", "soft", "accent", "warn", "good"), ("paper", "card")))
    texts += [("ink", "raised"), ("ink", "accent-paper"), ("accent-ink", "accent-paper")]
    texts += [("strong-ink", "strong"), ("warn", "warn-paper"), ("bad", "bad-paper"), ("ink", "warn-paper")]
    for front, back in texts:
        assert contrast(colours[front], colours[back]) >= 4.5, (front, back)
    for front, back in product(("edge", "accent", "mark"), ("paper", "card")):
        assert contrast(colours[front], colours[back]) >= 3, (front, back)
