"""The data verbs, as typed."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from sonoseg._util import packages
from sonoseg.cli.main import app
from sonoseg.data.catalogue import CATALOGUE
from sonoseg.data.splits import Split
from sonoseg.errors import SonosegError

COUNT = 15


def run(*words: object, code: int = 0) -> Result:
    """Run `sonoseg data ...` in this process; a SonosegError counts as its exit code."""
    result = CliRunner().invoke(app, ["data", *map(str, words)])
    found = result.exception.exit_code if isinstance(result.exception, SonosegError) else result.exit_code
    assert found == code, (result.output, result.exception)
    return result


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phantoms made by the verb, once."""
    folder = tmp_path_factory.mktemp("made") / "ph"
    run("phantom", "--out", folder, "-n", COUNT, "--seed", 7)
    return folder


@pytest.fixture
def phantoms(made: Path, tmp_path: Path) -> Path:
    """A copy of them, to be broken."""
    return shutil.copytree(made, tmp_path / "ph")


def test_help_names_every_verb() -> None:
    words = run("--help").output
    for verb in ("list", "get", "check", "prepare", "split", "show", "phantom"):
        assert re.search(rf"│ {verb}\s", words), verb


@pytest.mark.process
def test_list() -> None:
    table = run("list").output
    assert all(name in table for name in CATALOGUE)
    entries = json.loads(run("list", "--json").stdout)
    assert [entry["name"] for entry in entries] == list(CATALOGUE)
    one = run("list", "breast").output
    assert "CC BY 4.0" in one
    assert "--from" in one
    run("list", "busy", code=2)


@pytest.mark.process
def test_phantom_to_figures(phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way that the documentation shows."""
    out = tmp_path / "p"
    report = json.loads(run("check", phantoms, "--json").stdout)
    assert report["ok"]
    assert report["sets"][0]["counts"]["images"] == {"found": COUNT, "published": None}
    assert "no faults" in run("check", phantoms).output

    made = json.loads(run("prepare", phantoms, "--out", out, "--size", 32, "--json").stdout)
    assert (made["images"], made["fresh"], made["skipped"]) == (COUNT, True, [])
    assert f"already prepared: {COUNT} images" in run("prepare", phantoms, "--out", out, "--size", 32).output

    split = tmp_path / "split.json"
    told = json.loads(run("split", out, "--out", split, "--folds", 3, "--json").stdout)
    assert sum(fold["images"] for fold in told["folds"]) == COUNT
    assert told["fingerprint"] == made["fingerprint"]
    assert "grouped split, all, seed 0" in run("split", out, "--out", split, "--folds", 3).output
    run("split", out, "--out", split, "--folds", 3, "--seed", 1, code=1)
    run("split", out, "--out", split, "--folds", 3, "--seed", 1, "--overwrite")
    larger = tmp_path / "larger.json"
    assert (
        json.loads(run("split", out, "--extend", split, "--out", larger, "--json").stdout)["train_only"] == 0
    )
    assert larger.read_bytes() == split.read_bytes()
    refused = run("split", out, "--extend", split, "--out", larger, "--folds", 4, code=2)
    assert "Leave them out" in str(refused.exception)
    narrow = tmp_path / "narrow.json"
    refused = run("split", out, "--narrow", split, "--out", narrow, code=1)
    assert "is too small for a quarter of it" in str(refused.exception)
    narrowed = "sonoseg.data.splits.narrow_split"
    monkeypatch.setattr(narrowed, lambda given, prepared: replace(given, seed=7))
    run("split", out, "--narrow", split, "--out", narrow)
    assert Split.load(narrow) == replace(Split.load(split), seed=7)
    refused = run("split", out, "--narrow", split, "--extend", split, "--out", narrow, code=2)
    assert "--extend with --narrow" in str(refused.exception)

    run("show", out, "--out", tmp_path / "figures")
    for name in ("filled", "outlined", "composition"):
        with Image.open(tmp_path / "figures" / f"{name}.png") as image:
            assert min(image.size) > 300
    run("show", out, "--out", tmp_path / "figures", code=1)


@pytest.mark.process
def test_check_exits_1_on_faults(phantoms: Path) -> None:
    broken = next((phantoms / "masks").iterdir())
    broken.write_bytes(b"")
    result = run("check", phantoms, code=1)
    assert "unreadable mask" in result.output
    assert "1 faults" in result.output
    report = json.loads(run("check", phantoms, "--json", code=1).stdout)
    (finding,) = [f for f in report["sets"][0]["findings"] if f["level"] == "fault"]
    assert finding["images"] == [f"ph/{broken.stem}"]


@pytest.mark.process
def test_prepare_exits_3_with_bad_inputs(phantoms: Path, tmp_path: Path) -> None:
    broken = next((phantoms / "images").iterdir())
    broken.write_bytes(b"")
    result = run("prepare", phantoms, "--out", tmp_path / "p", "--size", 32, code=3)
    assert f"skipped ph/{broken.stem}: " in result.output
    assert f"1 of {COUNT} images were skipped" in str(result.exception)
    assert f"prepared: {COUNT - 1} images" in result.output


@pytest.mark.process
def test_joined_and_forced(phantoms: Path, tmp_path: Path) -> None:
    words = f"one={phantoms}+two={phantoms}"
    told = json.loads(run("prepare", words, "-o", tmp_path / "p", "--size", 32, "--json").stdout)
    assert told["images"] == 2 * COUNT
    run("prepare", phantoms, "--set", "busi", "-o", tmp_path / "q", code=1)
    run("prepare", phantoms, "--set", "busy", "-o", tmp_path / "q", code=2)
    run("prepare", phantoms, "--fit", "squash", "-o", tmp_path / "q", code=2)


def test_wrong_folders(tmp_path: Path) -> None:
    for words in (("check", tmp_path / "gone"), ("split", tmp_path, "--out", tmp_path / "s.json")):
        result = run(*words, code=1)
        assert isinstance(result.exception, SonosegError)
        assert result.exception.remedy


def test_get_by_hand_goes_wrong(tmp_path: Path) -> None:
    (tmp_path / "BUSBRA.zip").write_bytes(b"no archive")
    words = ("get", "bus-bra", "--out", tmp_path / "data", "--from", tmp_path / "BUSBRA.zip")
    assert "its SHA-256 is" in str(run(*words, code=1).exception)
    assert "not a valid ZIP archive" in str(run(*words, "--any-checksum", code=1).exception)
    run("get", "busy", code=2)


def test_get_says_where_from_whom_and_how_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from sonoseg.data import retrieval as module

    made = module.RetrievedSet(
        tmp_path / "busi", {"images": 780}, {"Dataset_BUSI.zip": "ab" * 32}, fresh=True
    )
    monkeypatch.setattr(module, "get", lambda *_, **__: made)
    words = run("get", "busi", "--out", tmp_path).output
    assert "780 images: as published" in words
    assert f"SHA-256 of Dataset_BUSI.zip, none is published to compare with: {'ab' * 32}" in words
    assert "Al-Dhabyani" in words
    told = json.loads(run("get", "busi", "--out", tmp_path, "--json").stdout)
    assert told["sha256"] == {"Dataset_BUSI.zip": "ab" * 32}


def test_no_pandas(phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    result = run("split", phantoms, "--out", tmp_path / "s.json", code=2)
    assert "pip install 'sonoseg[data]'" in str(result.exception)
