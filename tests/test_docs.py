"""What the documents show is run: every python block, and every `$ sonoseg` line of a console block.

A block fenced as ```text is shown only: for what takes long, or needs a public set or the network. The blocks
of a document run in order, in one empty folder, and its python blocks share their names. A command that is
meant to fail says so at its end, for example `# exit 3`. Commands run in this process: to start Python and to
import torch takes longer than most of them.
"""

from __future__ import annotations

import re
import shlex
import sys
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sonoseg.cli.main import main

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(?P<kind>[\w-]*)[^\n]*\n(?P<text>.*?)^```\s*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")


class Block(NamedTuple):
    """A fenced block: its kind, its text, and the line of the document on which its text starts."""

    kind: str
    text: str
    line: int


def blocks(document: Path) -> list[Block]:
    text = document.read_text("utf-8")
    return [
        Block(found["kind"], found["text"], text.count("\n", 0, found.start("text")) + 1)
        for found in FENCE.finditer(text)
    ]


def commands(block: Block) -> list[tuple[list[str], int]]:
    """The sonoseg commands of a console block, as words, with the exit code each is meant to have."""
    lines = block.text.replace("\\\n", " ").splitlines()
    found = []
    for line in lines:
        if line.startswith("$ sonoseg"):
            meant = re.search(r"#\s*exit (\d)\s*$", line)
            found.append((shlex.split(line[2:], comments=True)[1:], int(meant[1]) if meant else 0))
    return found


def name(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


def exit_code(words: list[str]) -> int:
    """Run sonoseg with these words as a terminal would, where a warning is shown and no error."""
    with pytest.MonkeyPatch.context() as patched, warnings.catch_warnings():
        warnings.simplefilter("default")
        patched.setattr(sys, "argv", ["sonoseg", *words])
        patched.setenv("COLUMNS", "120")
        patched.setenv("NO_COLOR", "1")
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0)
    return 0


def runnable(document: Path) -> list[Block]:
    return [block for block in blocks(document) if block.kind in ("python", "console")]


@pytest.mark.process
@pytest.mark.parametrize("document", [one for one in DOCUMENTS if runnable(one)], ids=name)
def test_what_the_document_shows_runs(
    document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in runnable(document):
        where = f"{name(document)}, line {block.line}"
        if block.kind == "python":
            exec(compile("\n" * (block.line - 1) + block.text, where, "exec"), names)
            continue
        for words, meant in commands(block):
            capsys.readouterr()
            code = exit_code(words)
            printed = "".join(capsys.readouterr())
            assert code == meant, f"{where}: sonoseg {' '.join(words)}\n{printed}"
            assert "Traceback" not in printed, where


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_fence_is_of_a_kind_we_know(document: Path) -> None:
    for block in blocks(document):
        where = f"{name(document)}, line {block.line}"
        kinds = ("python", "console", "text", "yaml", "json", "csv", "toml")
        assert block.kind in kinds, (
            f"{where}: ```{block.kind}; console and python are run, text is shown only"
        )
        if block.kind == "console":
            assert "$ " in block.text, f"{where}: a console block shows commands; use text for anything else"


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_link_to_a_file_leads_somewhere(document: Path) -> None:
    for found in LINK.finditer(document.read_text("utf-8")):
        target = found["target"].split("#")[0]
        if target and not target.startswith(("http://", "https://", "mailto:")):
            assert (document.parent / target).exists(), f"{name(document)} links to {target}"


def test_the_parser_sees_blocks_and_commands(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A\n\n```python\nx = 1\n```\n\n```text\n$ sonoseg never\n```\n\n"
        "```console\n$ sonoseg data check 'a b' \\\n    --json  # why\noutput\n$ make demo\n"
        "$ sonoseg predict none  # exit 3\n```\n"
    )
    found = blocks(page)
    assert [(block.kind, block.line) for block in found] == [("python", 4), ("text", 8), ("console", 12)]
    assert commands(found[2]) == [(["data", "check", "a b", "--json"], 0), (["predict", "none"], 3)]
