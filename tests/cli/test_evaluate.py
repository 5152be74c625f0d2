"""`sonoseg evaluate`, as a user calls it, on phantoms and a network that finds what is dark."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from sonoseg.cli.main import app
from sonoseg.data.prepared_set import PreparedSet
from sonoseg.data.splits import Split
from sonoseg.errors import DatasetError, MissingExtra, ModelError, OutputError, SonosegError, UsageError

FILES = {
    *("images.csv", "summary.json", "froc.csv", "reliability.csv", "risk_coverage.csv"),
    *("index.html", "figures"),
}


def run(*words: object) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200", "NO_COLOR": "1"})
    if isinstance(done.exception, SonosegError):
        raise done.exception
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


@pytest.fixture(scope="module")
def given(dark_model: Path, phantom_set: Path, phantom_split: Path) -> tuple[object, ...]:
    return ("evaluate", dark_model, "--data", phantom_set, "--split", phantom_split)


@pytest.fixture(scope="module")
def evaluated(given: tuple[object, ...], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of an evaluation and what was printed."""
    folder = tmp_path_factory.mktemp("evaluated") / "dark"
    return folder, run(*given, "--out", folder)


@pytest.mark.process
@pytest.mark.usefixtures("no_figures")
def test_passes_are_averaged_on_request(
    given: tuple[object, ...], evaluated: tuple[Path, str], tmp_path: Path
) -> None:
    run(*given, "--tta", "flip", "--threads", 1, "--out", tmp_path / "flip")
    flip, plain = (
        json.loads((f / "summary.json").read_text("utf-8")) for f in (tmp_path / "flip", evaluated[0])
    )
    assert (flip["model"]["tta"], plain["model"]["tta"]) == ("flip", "none")
    assert flip["calibration"]["whole"] != plain["calibration"]["whole"]


@pytest.mark.process
def test_it_leaves_tables_summary_figures_and_page(evaluated: tuple[Path, str], phantom_split: Path) -> None:
    folder, said = evaluated
    assert {path.name for path in folder.iterdir()} == FILES
    rows = pd.read_csv(folder / "images.csv")
    assert set(rows["id"]) == set(Split.load(phantom_split).part(0).test)
    assert {"dice", "hd95_mm", "size_stratum", "marks_stratum", "raw_dice", "max_probability"} <= set(rows)
    assert rows["uncertainty"].between(0, 1).all()
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    assert summary["part"] == "test"
    assert summary["counts"]["images"] == len(rows)
    assert summary["per_image"]["dice"]["mean"] == pytest.approx(rows["dice"].mean(), abs=1e-5)
    assert summary["model"]["name"].startswith("dark (")
    page = (folder / "index.html").read_text("utf-8")
    assert "The test part of fold 0; grouped split of 5 folds" in page
    assert page.count("data:image/png;base64,") == len(list((folder / "figures").iterdir()))
    assert {"images.png", "froc.png", "reliability.png", "dice_by_size.png", "best_median_worst.png"} <= {
        path.name for path in (folder / "figures").iterdir()
    }
    assert "Dice, mean over lesion images" in said
    assert "not for diagnosis" in said


@pytest.mark.process
def test_the_dice_is_what_the_predictor_gives(
    evaluated: tuple[Path, str], dark_model: Path, phantom_set: Path
) -> None:
    from sonoseg.inference.predictor import Predictor
    from sonoseg.metrics.overlap import dice

    prepared, predictor = PreparedSet.open(phantom_set), Predictor(dark_model)
    rows = pd.read_csv(evaluated[0] / "images.csv", index_col="id")
    for name in rows.index[:4]:
        found = predictor.predict(prepared.frame(name))
        expected = dice(prepared.mask(name), found.mask)
        assert rows.loc[name, "dice"] == pytest.approx(expected, abs=1e-5, nan_ok=True)


@pytest.mark.process
def test_nothing_is_replaced_unasked(
    evaluated: tuple[Path, str], given: tuple[object, ...], tmp_path: Path
) -> None:
    folder = evaluated[0]
    before = (folder / "summary.json").read_bytes()
    with pytest.raises(OutputError, match="--overwrite"):
        run(*given, "--out", folder)
    assert (folder / "summary.json").read_bytes() == before
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(OutputError, match="not a folder"):
        run(*given, "--out", file)


@pytest.mark.process
def test_json_for_a_program_and_an_evaluation_replaced_when_asked(
    given: tuple[object, ...], tmp_path: Path, no_figures: None
) -> None:
    out = tmp_path / "mine"
    (out / "figures").mkdir(parents=True)
    printed = json.loads(run(*given, "--out", out, "--json", "--part", "validation"))
    assert printed["summary"]["part"] == "validation"
    assert printed["summary"]["threshold_sweep"]["n"] == printed["summary"]["counts"]["with_lesion"]
    assert any("optimistic" in caution for caution in printed["summary"]["cautions"])
    assert Path(printed["page"]).is_file()
    (out / "figures" / "threshold.png").write_text("of the validation part")
    (out / "figures" / "mine.png").write_text("mine")
    run(*given, "--out", out, "--overwrite")
    assert [path.name for path in (out / "figures").iterdir()] == ["mine.png"]
    assert json.loads((out / "summary.json").read_text("utf-8"))["part"] == "test"


@pytest.mark.process
def test_compare_with_a_model_and_with_an_evaluation(
    given: tuple[object, ...],
    make_dark_model: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = make_dark_model(level=0.35, card={"name": "other"})
    said = run(*given, "--out", tmp_path / "a", "--compare", other)
    assert "Dice minus that of other" in said
    compared = json.loads((tmp_path / "a" / "summary.json").read_text("utf-8"))["comparison"]
    assert (tmp_path / "a" / "compared" / "images.csv").is_file()
    page = (tmp_path / "a" / "index.html").read_text("utf-8")
    assert "Compared with other" in page
    assert (tmp_path / "a" / "figures" / "comparison.png").is_file()
    # A saved evaluation gives the same as its model.
    monkeypatch.setattr("sonoseg.results.evaluation_folder.draw_figures", lambda *arrays: [])
    run(*given, "--out", tmp_path / "b", "--compare", tmp_path / "a" / "compared")
    again = json.loads((tmp_path / "b" / "summary.json").read_text("utf-8"))["comparison"]
    assert again["metrics"]["dice"]["p_permutation"] == compared["metrics"]["dice"]["p_permutation"]
    assert again["metrics"]["dice"]["difference"]["mean"] == pytest.approx(
        compared["metrics"]["dice"]["difference"]["mean"], abs=1e-6
    )


@pytest.mark.process
def test_training_images_are_labelled_so(given: tuple[object, ...], tmp_path: Path, no_figures: None) -> None:
    said = run(*given, "--out", tmp_path / "s", "--part", "train", "--threshold", 0.3)
    assert "caution: Training images" in said
    page = (tmp_path / "s" / "index.html").read_text("utf-8")
    assert "Training images: the figures do not show" in page
    assert "The train part of fold 0" in page
    assert "The threshold is 0.3, not the card" in page


@pytest.mark.process
def test_a_whole_set_needs_no_split(
    dark_model: Path, phantom_set: Path, tmp_path: Path, no_figures: None
) -> None:
    with pytest.raises(UsageError, match="--part all"):
        run("evaluate", dark_model, "--data", phantom_set, "--out", tmp_path / "s")
    run("evaluate", dark_model, "--data", phantom_set, "--out", tmp_path / "s", "--part", "all")
    rows = pd.read_csv(tmp_path / "s" / "images.csv")
    assert len(rows) == len(PreparedSet.open(phantom_set))


def edit(path: Path, to: Path, **change: Any) -> Path:
    data = json.loads(path.read_text("utf-8"))
    to.write_text(json.dumps(data | change))
    return to


@pytest.mark.process
def test_a_split_of_another_set_is_refused(
    dark_model: Path, phantom_set: Path, phantom_split: Path, tmp_path: Path
) -> None:
    words = ("evaluate", dark_model, "--data", phantom_set, "--out", tmp_path / "s")
    other = edit(phantom_split, tmp_path / "other.json", fingerprint="0" * 64)
    with pytest.raises(DatasetError, match="another prepared set"):
        run(*words, "--split", other)
    folds = Split.load(phantom_split).folds
    foreign = edit(phantom_split, tmp_path / "foreign.json", folds=folds | {"else/where": 0})
    with pytest.raises(DatasetError, match="no image has the id 'else/where'"):
        run(*words, "--split", foreign)
    assert not (tmp_path / "s").exists()


def test_what_is_not_there_is_said_before_the_work(
    given: tuple[object, ...], dark_model: Path, phantom_set: Path, phantom_split: Path, tmp_path: Path
) -> None:
    nowhere = tmp_path / "nowhere"
    out = ("--out", tmp_path / "s")
    with pytest.raises(ModelError, match="not a model folder"):
        run("evaluate", nowhere, "--data", phantom_set, "--split", phantom_split, *out)
    with pytest.raises(DatasetError, match="not a prepared set"):
        run("evaluate", dark_model, "--data", nowhere, "--split", phantom_split, *out)
    with pytest.raises(DatasetError, match="not a split file"):
        run("evaluate", dark_model, "--data", phantom_set, "--split", nowhere, *out)
    with pytest.raises(UsageError, match="no fold 7"):
        run(*given, *out, "--fold", 7)
    with pytest.raises(ModelError, match="not a model folder"):
        run(*given, *out, "--compare", nowhere)
    assert not (tmp_path / "s").exists()


def test_without_the_extra_it_names_the_command(
    given: tuple[object, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sonoseg._util.packages.is_installed", lambda name: False)
    with pytest.raises(MissingExtra, match=r"pip install 'sonoseg\[data\]'"):
        run(*given, "--out", tmp_path / "s")
