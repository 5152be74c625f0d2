"""The review page as files: what needs no browser to be seen."""

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
from sonoseg.review import reading as reviews
from sonoseg.review import routes_root
from sonoseg.review.app import create_app
from sonoseg.review.items import Tool
from sonoseg.review.routes_export import What
from sonoseg.review.settings import Settings

PAGE = routes_root.PAGE
FILES = sorted(path for path in PAGE.rglob("*") if path.is_file())
MODULES = [path for path in FILES if path.suffix == ".js"]
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


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_every_import_leads_to_a_module(path: Path) -> None:
    for target in re.findall(
        r"from \"([^\"]+)\"|^import \"([^\"]+)\"", path.read_text("utf-8"), re.MULTILINE
    ):
        found = path.parent / (target[0] or target[1])
        assert found.resolve() in MODULES, f"{name(path)} imports {found}"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.startswith("/**") or "\n/**" in text, name(path)
    assert all(len(line) <= 120 for line in text.splitlines()), name(path)


def test_logic_has_no_page_in_it() -> None:
    """What tests can try alone: geometry, masks, history, PNG, words."""
    for file in ("mask.js", "history.js", "geometry.js", "contour.js", "shades.js", "png.js", "words.js"):
        text = re.sub(r"/\*.*?\*/|//[^\n]*", "", source(file), flags=re.DOTALL)
        assert not re.search(r"\b(document|window|localStorage)\.", text), file


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


def test_every_id_that_a_module_asks_for_is_there() -> None:
    for path in MODULES:
        page = "pacs.html" if path.name == "pacs.js" else "index.html"
        for wanted in re.findall(r"byId\(\"([^\"]+)\"\)", path.read_text("utf-8")):
            assert wanted in ids(page), f"{name(path)}: {wanted}"


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
        used |= set(re.findall(r"\bicon\(\"([\w-]+)\"\)", path.read_text("utf-8")))
    assert used == drawn


def commands() -> list[tuple[str, list[str]]]:
    table = source("keys.js").split("export const COMMANDS = [")[1].split("\n].map")[0]
    rows = re.findall(r"^  \[\"([\w-]+)\", \[(.*?)\], \"", table, re.MULTILINE)
    return [(command, re.findall(r"\"([^\"]+)\"", keys)) for command, keys in rows]


def test_every_command_has_keys_of_its_own_and_every_button_is_a_command() -> None:
    table = commands()
    assert len(table) > 40
    keys = [key for _, names in table for key in names]
    assert all(names for _, names in table)
    assert len(keys) == len(set(keys)), "a key for two commands"
    names = {command for command, _ in table}
    buttons = {attributes["data-command"] for _, attributes in INDEX.found if attributes.get("data-command")}
    assert buttons <= names
    done = set(
        re.findall(r"^      \"?([\w-]+)\"?: ", source("main.js").split("get commands()")[1], re.MULTILINE)
    )
    tools = {"hand", "window", "calliper", "click", "brush", "eraser", "polygon"}
    assert names <= done | tools


def test_the_words_are_those_of_the_server() -> None:
    text = source("words.js")
    for field, words in {
        "shape": reviews.Shape,
        "orientation": reviews.Orientation,
        "margin": reviews.Margin,
        "echo_pattern": reviews.EchoPattern,
        "posterior": reviews.Posterior,
        "assessment": reviews.Assessment,
    }.items():
        entry = text.split(f'name: "{field}"')[1].split("words: [")[1].split("]")[0]
        assert re.findall(r"\"([^\"]+)\"", entry) == [str(word) for word in words], field


def test_every_tool_that_is_told_is_known_to_the_server() -> None:
    told: set[str] = set()
    for path in MODULES:
        text = path.read_text("utf-8")
        told |= set(re.findall(r"(?:commit|replace)\([^;]*?\"([a-z]+)\"\)", text))
    assert {"brush", "polygon", "clear", "delete", "model", "click"} & told
    assert told <= {str(tool) for tool in Tool}


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
