"""The report: complete, well-formed, self-contained, and safe with any name."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import pytest

from sonoseg import RESEARCH_ONLY
from sonoseg.image.calibration import UNKNOWN, Spacing
from sonoseg.lesions.measurement import PLANE_NOTE
from sonoseg.results.entries import ImageEntry, OutputFile, RefusedFile, Results, RunInfo
from sonoseg.results.report_page import write_report

VOID = {"meta", "img", "link", "br", "hr", "input", "path"}


class Page(HTMLParser):
    """Parses a page: its open tags, links, images and text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.links: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.drawings: list[dict[str, str | None]] = []
        self.ids: set[str] = set()
        self.rows: list[list[str]] = []
        self.text = ""
        self.script = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if given.get("href"):
            self.links.append(given["href"] or "")
        if given.get("id"):
            assert given["id"] not in self.ids
            self.ids.add(given["id"] or "")
        if tag == "img":
            self.images.append(given)
        if tag == "path":
            self.drawings.append(given)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" in self.open:
            self.script += data
        elif "style" not in self.open:
            self.text += data
            if self.rows and {"td", "th"} & set(self.open):
                self.rows[-1][-1] += data


EVIL = '<script>alert("x")</script> & "ü" #1?'
REFUSED = [RefusedFile("in/<b>bad</b>.png", "this file is empty (0 bytes).")]


@pytest.fixture
def entries(make: SimpleNamespace) -> list[ImageEntry]:
    two = make.entry("two", (5, 5, 10, 20), (30, 40, 20, 30), spacing=Spacing(0.1, 0.1))
    files = two.files | {"attention_1": OutputFile("attention/two_gate1.png", "0" * 64, 1)}
    return [
        replace(two, files=files),
        make.entry("none", spacing=Spacing(0.1, 0.1)),
        make.entry(EVIL, (0, 0, 6, 6)),
    ]


def text_of(results: Results) -> str:
    text = io.StringIO()
    write_report(text, results)
    return text.getvalue()


def test_page_is_well_formed_and_complete(
    about: RunInfo, entries: list[ImageEntry], make: SimpleNamespace
) -> None:
    page = Page(text_of(make.results(about, entries, REFUSED)))
    assert page.open == []
    assert RESEARCH_ONLY in page.text
    assert PLANE_NOTE in page.text
    assert "3 lesions in 3 images; 1 without a lesion; 1 file refused." in page.text
    longest = max(lesion.longest_axis for lesion in entries[0].findings.lesions)
    assert longest == pytest.approx(3.6, abs=0.1)
    assert f"2 lesions, the longest {longest:.1f} × " in page.text
    assert "No lesion found" in page.text
    assert (
        f"Sizes are in pixels: {UNKNOWN} (1 lesion). Give the pixel spacing with --spacing 0.105" in page.text
    )
    assert "2 lesions measured with the spacing of --spacing." in page.text
    assert f"dark ({about.model_hash})" in page.text
    assert about.runtime in page.text
    assert "holes filled, components below 0.10% of the image removed" in page.text
    head, first, second, third, refused_head, refused = page.rows
    assert head[:3] == ["Image", "Lesion", "Axes"]
    assert first[:2] == ["two", "1"]
    assert first[4] == "6.0 mm²"
    assert first[8] == "0.75"
    assert first[-1] == "0.1, from --spacing"
    assert second[:2] == ["two", "2"]
    assert third[0] == EVIL
    assert third[4] == "36 px²"
    assert third[-1] == f"none: {UNKNOWN}"
    assert refused_head == ["File", "Reason"]
    assert refused == ["in/<b>bad</b>.png", "this file is empty (0 bytes)."]


def test_page_loads_nothing_and_runs_only_its_script(
    about: RunInfo, entries: list[ImageEntry], make: SimpleNamespace
) -> None:
    text = text_of(make.results(about, entries, REFUSED))
    page = Page(text)
    assert "http:" not in text
    assert "https:" not in text
    assert "@import" not in text
    assert text.count("<script") == 1
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy
    assert unescape(policy[1]).startswith("default-src 'none'; ")
    digest = base64.b64encode(hashlib.sha256(page.script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in unescape(policy[1])
    for image in page.images:
        assert (image["src"] or "").startswith("data:image/jpeg;base64,")
        assert base64.b64decode((image["src"] or "").split(",")[1])[:3] == b"\xff\xd8\xff"
        assert image["alt"]


def test_lesions_are_drawn_as_svg_over_the_image(
    about: RunInfo, entries: list[ImageEntry], make: SimpleNamespace
) -> None:
    page = Page(text_of(make.results(about, entries)))
    kinds = [drawing["class"] for drawing in page.drawings]
    assert kinds.count("line") == kinds.count("halo") == 2  # two images with lesions
    assert kinds.count("axis") == 2  # one drawing an image
    assert kinds.count("band") == 2  # 0.75 is below the band's upper end: all of it is in the band
    assert "1: 3.6 × " in page.text
    assert page.drawings[1]["d"] == entries[0].preview.outline  # type: ignore[union-attr]


def test_links_are_quoted(about: RunInfo, entries: list[ImageEntry], make: SimpleNamespace) -> None:
    page = Page(text_of(make.results(about, entries, REFUSED)))
    inside = [unquote(link) for link in page.links if not link.startswith("#")]
    assert f"overlays/{EVIL}.png" in inside
    assert "masks/two.png" in inside
    assert "attention/two_gate1.png" in inside
    assert {"results.csv", "results.json", "report.json"} <= set(inside)
    assert {link[1:] for link in page.links if link.startswith("#")} <= page.ids


def test_styles_for_dark_mode_and_print(
    about: RunInfo, entries: list[ImageEntry], make: SimpleNamespace
) -> None:
    text = text_of(make.results(about, entries))
    for rule in ("prefers-color-scheme: dark", "@media print", 'lang="en"', "viewport"):
        assert rule in text


def test_referred_images_are_marked_and_filtered(
    about: RunInfo, entries: list[ImageEntry], make: SimpleNamespace
) -> None:
    plain = text_of(make.results(about, entries))
    assert "data-referred>" not in plain
    assert 'value="referred"' not in plain
    text = text_of(make.results(about, entries, referred=frozenset({"two"})))
    assert text.count("data-referred>") == 3  # the card and its two rows
    assert "1 image referred for review" in text
    assert "Referred (1)" in text


def test_no_lesions_and_no_images(about: RunInfo, entries: list[ImageEntry], make: SimpleNamespace) -> None:
    page = Page(text_of(make.results(about, [entries[1]])))
    assert "No lesion was found." in page.text
    assert "Refused" not in page.text
    empty = Page(text_of(make.results(about, [], REFUSED)))
    assert empty.open == []
    assert "0 lesions in 0 images; 1 file refused." in empty.text


def test_500_images_are_written_one_at_a_time(about: RunInfo, make: SimpleNamespace) -> None:
    one = make.entry("one", (5, 5, 10, 20))
    cards = passes = longest = 0

    class Seen(io.StringIO):
        def write(self, text: str, /) -> int:
            nonlocal cards, longest
            cards += text.count('<li id="p')
            longest = max(longest, len(text))
            return len(text)

    def many() -> Iterator[ImageEntry]:
        nonlocal passes
        passes += 1
        for number in range(500):
            if passes == 2:  # the first counts, the second makes the cards, the third the table
                assert cards == number
            yield replace(one, name=f"scan {number}")

    write_report(Seen(), Results(about, many))
    assert (cards, passes) == (500, 3)
    assert longest < 50_000


@pytest.mark.process
@pytest.mark.skipif(shutil.which("node") is None, reason="node, which reads the script, is not installed")
def test_script_parses(about: RunInfo, make: SimpleNamespace, tmp_path: Path) -> None:
    script = tmp_path / "report.js"
    script.write_text(Page(text_of(make.results(about, []))).script)
    subprocess.run(["node", "--check", script], check=True, timeout=60)
