"""`sonoseg model publish` reads evaluations from their folders and writes a model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sonoseg.cli.main import app
from sonoseg.model.model import Model


@pytest.mark.process
@pytest.mark.usefixtures("no_figures")
def test_figures_of_an_evaluation_folder_stand_on_the_card(
    dark_model: Path, phantom_set: Path, tmp_path: Path
) -> None:
    def run(*words: object) -> None:
        done = CliRunner().invoke(app, [*map(str, words)], env={"COLUMNS": "200"}, catch_exceptions=False)
        assert done.exit_code == 0, done.output

    folder = tmp_path / "phantoms"
    run("evaluate", dark_model, "--data", phantom_set, "--part", "all", "--out", folder)
    run("model", "publish", dark_model, "-e", folder, "-e", f"again={folder}", "--out", tmp_path / "new")
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    dice = summary["per_image"]["dice"]["mean"]
    results = [one for one in Model.load(tmp_path / "new").card.results if one.value == dice]
    assert [one.on for one in results] == ["phantoms", "again"]
