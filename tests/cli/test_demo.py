"""`sonoseg demo`: replaces its own files, and no others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sonoseg import RESEARCH_ONLY, samples
from sonoseg.inference import predictor
from sonoseg.model.model import Model

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(dark_model: Path, command: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `sonoseg demo` in process with a small model in place of the one that ships."""
    small = Model.load(dark_model)
    monkeypatch.setattr(predictor.Model, "load", lambda path=None: small)

    return lambda *words: command("demo", *words)


@pytest.mark.process
def test_every_sample_is_segmented_in_millimetres(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    code, told, warned = run("--out", out)
    assert (code, warned) == (0, "")
    value = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert [image["image"] for image in value["images"]] == [path.stem for path in samples.paths()]
    assert {image["unit"] for image in value["images"]} == {"mm"}
    for image in value["images"]:
        for path in image["files"].values():
            assert (out / path).is_file()
    assert str(out / "index.html") in told
    assert "of no patient" in told
    assert RESEARCH_ONLY in told


@pytest.mark.process
def test_the_default_folder_is_demo(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run()[0] == 0
    assert (tmp_path / "demo" / "index.html").is_file()


@pytest.mark.process
def test_another_run_replaces_its_own_files(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    run("--out", out)
    before = (out / "results.csv").read_bytes()
    (out / "masks" / f"{samples.paths()[0].stem}.png").write_text("spoilt")
    (out / "mine.txt").write_text("mine")
    code, _, warned = run("--out", out)
    assert (code, warned) == (0, "")
    assert (out / "results.csv").read_bytes() == before
    assert (out / "masks" / f"{samples.paths()[0].stem}.png").read_bytes()[:4] == b"\x89PNG"
    assert (out / "mine.txt").read_text() == "mine"


@pytest.mark.process
def test_an_interrupted_demo_can_be_run_again(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "demo"
    with monkeypatch.context() as patched:
        patched.setattr("sonoseg.results.result_files.measure", stop)
        assert run("--out", out)[0] == 130
    assert (out / "journal.sqlite").is_file()
    assert run("--out", out)[0] == 0


@pytest.mark.parametrize("content", ['{"made_by": "sonoseg predict"}', "[]", "not json", None])
def test_other_results_are_not_overwritten(run: Run, tmp_path: Path, content: str | None) -> None:
    out = tmp_path / "demo"
    out.mkdir()
    (out / "results.csv").write_text("mine")
    if content is not None:
        (out / "results.json").write_text(content)
    code, _, warned = run("--out", out)
    assert code == 1
    assert "results are here already" in warned
    assert (out / "results.csv").read_text() == "mine"
