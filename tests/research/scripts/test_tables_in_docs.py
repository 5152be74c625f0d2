"""The generated tables of the pages are those that the stored evidence gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def tables(research_script: Callable[[str], ModuleType]) -> ModuleType:
    return research_script("tables_in_docs")


@pytest.mark.process
def test_the_pages_are_up_to_date(tables: ModuleType) -> None:
    for page in tables.PAGES:
        text = page.read_text("utf-8")
        assert tables.fill(text) == text, f"{page.name}: run {tables.COMMAND}"


def test_each_marker_is_a_block_and_each_benchmark_is_on_one_page(tables: ModuleType) -> None:
    pages = [text for page in tables.PAGES if tables.COMMAND in (text := page.read_text("utf-8"))]
    words = [found["words"] for page in pages for found in tables.BLOCK.finditer(page)]
    assert sum(page.count("<!-- generated") for page in pages) == len(words)
    assert sum(page.count("<!-- end of generated -->") for page in pages) == len(words)
    benchmarks = sorted(one.split()[1] for one in words if one.startswith("benchmark "))
    assert benchmarks == sorted(tables.BENCHMARK_TABLES)
    assert benchmarks == sorted(path.stem for path in tables.BENCHMARKS.glob("*.json"))


def test_each_piece_of_evidence_is_on_a_page(tables: ModuleType) -> None:
    import evidence

    words = " ".join(
        found["words"] for page in tables.PAGES for found in tables.BLOCK.finditer(page.read_text("utf-8"))
    )
    named = set(words.split())
    assert set(evidence.evaluation_names()) <= named
    assert {path.stem for path in evidence.TABLES.glob("*.json")} <= named
    assert {path.stem for path in evidence.MEASUREMENTS.glob("*.md")} <= named


def test_a_result_is_of_the_benchmark_in_its_name(tables: ModuleType) -> None:
    for path in tables.BENCHMARKS.glob("*.json"):
        assert tables.read_json(path)["benchmark"] == path.stem


def test_filling_replaces_the_block_alone(
    tables: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one.md").write_text("| new |\n")
    monkeypatch.setattr(tables, "MEASUREMENTS", tmp_path)
    marker = f"<!-- generated: {tables.COMMAND} measurement one -->"
    page = f"a\n{marker}\nold\n<!-- end of generated -->\nb\n"
    once = tables.fill(page)
    assert once == f"a\n{marker}\n\n| new |\n\n<!-- end of generated -->\nb\n"
    assert tables.fill(once) == once
