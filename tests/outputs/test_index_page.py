"""index.html: complete, sound, self-contained, and safe with any name."""

from __future__ import annotations

import base64
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest

from sonoseg import RESEARCH_ONLY
from sonoseg.findings.lesions import measure
from sonoseg.imaging.frame import Frame, Spacing
from sonoseg.inference.predictor import Predictor
from sonoseg.inference.segmentation import Segmentation
from sonoseg.outputs.entries import About, Entry, Refused
from sonoseg.outputs.index_page import count_text, found_text, index_page
from sonoseg.outputs.png import thumbnail_jpeg

VOID = {"meta", "img", "link", "br", "hr"}


class Page(HTMLParser):
    """Reads a page: which tags are open, what it links to, what it says."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.links: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.ids: set[str] = set()
        self.rows: list[list[str]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if given.get("href"):
            self.links.append(given["href"] or "")
        if given.get("id"):
            self.ids.add(given["id"] or "")
        if tag == "img":
            self.pictures.append(given)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.text += data
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def entry(name: str, *boxes: tuple[int, int, int, int], spacing: Spacing | None = None) -> Entry:
    mask = np.zeros((60, 80), dtype=bool)
    for top, left, height, width in boxes:
        mask[top : top + height, left : left + width] = True
    frame = Frame(np.full((60, 80), 90, dtype=np.uint8), spacing, Path(f"{name}.png"))
    found = Segmentation(frame, mask.astype(np.float32), mask, mask, 0.5, None, "m", "r")
    files = {
        "overlay": f"overlays/{name}.png",
        "mask": f"masks/{name}.png",
        "attention_1": f"attention/{name}_gate1.png",
    }
    return Entry(name, f"in/{name}.png", frame.shape, spacing, measure(found), files, thumbnail_jpeg(found))


EVIL = '<script>alert("x")</script> & "ü" #1?'
ENTRIES = [
    entry("two", (5, 5, 10, 20), (30, 40, 20, 30), spacing=Spacing(0.1, 0.1)),
    entry("none", spacing=Spacing(0.1, 0.1)),
    entry(EVIL, (0, 0, 6, 6)),
]
REFUSED = [Refused("in/<b>bad</b>.png", "this file is empty (0 bytes).")]


@pytest.fixture
def about(dark_model: Path) -> About:
    return About.of(Predictor(dark_model), "sonoseg predict")


def test_the_page_is_sound_and_says_everything(about: About) -> None:
    page = Page(index_page(about, ENTRIES, REFUSED))
    assert page.open == []
    assert RESEARCH_ONLY in page.text
    assert "3 lesions in 3 pictures; 1 without a lesion; 1 file refused." in page.text
    longest = max(lesion.longest_axis for lesion in ENTRIES[0].findings.lesions)
    assert longest == pytest.approx(3.6, abs=0.1)
    assert f"2 lesions, the longest {longest:.1f} mm" in page.text
    assert "No lesion found" in page.text
    assert f"dark ({about.model_hash})" in page.text
    assert "holes filled, specks below 0.10% of the picture removed" in page.text
    head, first, second, third, refused_head, refused = page.rows
    assert head[:3] == ["Picture", "Lesion", "Longest axis"]
    assert first[:2] == ["two", "1"]
    assert first[-1] == "1.00"
    assert first[6] == "6.0 mm²"
    assert second[:2] == ["two", "2"]
    assert third[0] == EVIL
    assert third[6] == "36 px²"
    assert refused_head == ["File", "Why"]
    assert refused == ["in/<b>bad</b>.png", "this file is empty (0 bytes)."]


def test_the_page_needs_no_network_and_runs_no_script(about: About) -> None:
    text = index_page(about, ENTRIES, REFUSED)
    page = Page(text)
    assert "<script" not in text
    assert "http:" not in text
    assert "https:" not in text
    for picture in page.pictures:
        assert (picture["src"] or "").startswith("data:image/jpeg;base64,")
        assert base64.b64decode((picture["src"] or "").split(",")[1])[:3] == b"\xff\xd8\xff"
        assert picture["alt"]


def test_links_lead_to_the_files_whatever_their_names(about: About) -> None:
    page = Page(index_page(about, ENTRIES, REFUSED))
    inside = [unquote(link) for link in page.links if not link.startswith("#")]
    assert f"overlays/{EVIL}.png" in inside
    assert "masks/two.png" in inside
    assert "attention/none_gate1.png" in inside
    assert {"results.csv", "results.json"} <= set(inside)
    assert {link[1:] for link in page.links if link.startswith("#")} <= page.ids


def test_it_reads_in_light_and_dark_and_prints(about: About) -> None:
    text = index_page(about, ENTRIES, [])
    for rule in ("prefers-color-scheme: dark", "@media print", 'lang="en"', "viewport"):
        assert rule in text


def test_nothing_found_and_nothing_given(about: About) -> None:
    page = Page(index_page(about, [ENTRIES[1]], []))
    assert "None was found." in page.text
    assert "Refused" not in page.text
    empty = Page(index_page(about, [], REFUSED))
    assert empty.open == []
    assert "0 lesions in 0 pictures; 1 file refused." in empty.text


def test_words_for_counts() -> None:
    assert found_text(ENTRIES[2].findings) == "1 lesion, 8 px long"
    assert count_text(ENTRIES[:1], []) == "2 lesions in 1 picture."
    assert count_text([], REFUSED * 2) == "0 lesions in 0 pictures; 2 files refused."
