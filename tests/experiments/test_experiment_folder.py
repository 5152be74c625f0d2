"""An experiment's folder: what is refused before anything runs, and what remains to do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sonoseg.data.prepared_set import PreparedSet
from sonoseg.data.splits import Split
from sonoseg.errors import DatasetError, OutputError, PlanError, UsageError
from sonoseg.experiments.experiment_folder import ExperimentFolder, state_of
from sonoseg.experiments.experiment_run import run_experiment
from sonoseg.training.recipe import load_recipe


def states(opened: ExperimentFolder) -> dict[str, str]:
    return {step.task.name: step.state for step in opened.steps()}


def test_opening_writes_nothing_and_lists_every_process(
    write_plan: Callable[..., Path], tmp_path: Path
) -> None:
    plan = write_plan(folds=[0, 1], evaluate=[{"name": "test"}, {"name": "flip", "tta": "flip", "fold": 3}])
    opened = ExperimentFolder(plan, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    cells = [cell.path for cell in opened.plan.cells]
    assert cells[:3] == ["gates/fold0-seed0", "none/fold0-seed0", "gates/fold1-seed0"]
    steps = opened.steps(3)
    assert len(steps) == 8 * 3
    assert {step.state for step in steps} == {"to do"}
    train, test, flip = (" ".join(step.task.arguments) for step in steps[6:9])
    recipe = tmp_path / "out" / "recipes" / "gates.yaml"
    assert f"train --recipe {recipe} --set seed=0" in train
    assert "--fold 1" in train
    assert "--part test --tta none" in test
    assert "--fold 1" in test
    assert "--threads 3" in test
    assert "--tta flip" in flip
    assert "--fold 3" in flip
    assert [step.task.after for step in steps[:3]] == [
        None,
        "runs/gates/fold0-seed0",
        "runs/gates/fold0-seed0",
    ]


def test_what_cannot_be_is_refused_before_anything_runs(
    write_plan: Callable[..., Path], phantom_set: Path, tmp_path: Path
) -> None:
    def opened(**changes: object) -> ExperimentFolder:
        return ExperimentFolder(write_plan(**changes), tmp_path / "out")

    with pytest.raises(PlanError, match=r"variant 'none': .*network\.gat"):
        opened(variants={"gates": {}, "none": {"network.gat": "none"}})
    with pytest.raises(PlanError, match="'folds':"):
        opened(folds=[0, 9])
    with pytest.raises(DatasetError, match="nowhere"):
        opened(data="nowhere")
    with pytest.raises(DatasetError, match="nowhere"):
        opened(evaluate=[{"name": "other", "data": "nowhere"}])
    with pytest.raises(PlanError, match="evaluation 'test': no fold 7"):
        opened(evaluate=[{"name": "test", "fold": 7}])
    with pytest.raises(PlanError, match="evaluation 'test': no set 'busi'"):
        opened(evaluate=[{"name": "test", "sets": ["busi"]}])
    other = tmp_path / "other"
    other.symlink_to(phantom_set)  # the same set by another path, without a split
    with pytest.raises(PlanError, match="evaluation 'other': the test part needs a split"):
        opened(evaluate=[{"name": "other", "data": str(other), "part": "test"}])
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_else_is_left_alone(write_plan: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="holds no experiment"):
        ExperimentFolder(write_plan(), tmp_path / "out")
    with pytest.raises(OutputError, match="a file, not a folder"):
        ExperimentFolder(write_plan(), tmp_path / "out" / "mine.txt")


@pytest.mark.process
def test_what_is_done_is_not_repeated_and_a_plan_may_only_grow(
    write_plan: Callable[..., Path], tmp_path: Path, inside: Callable[..., object]
) -> None:
    out, executor = tmp_path / "out", inside()
    small = {"seeds": [0], "variants": {"gates": {}}}
    run_experiment(write_plan(**small), out, executor=executor)  # type: ignore[arg-type]
    assert executor.ran == ["runs/gates/fold0-seed0", "evaluations/test/gates/fold0-seed0"]  # type: ignore[attr-defined]
    # The copy is a plan of its own, and says the same.
    assert ExperimentFolder(out / "plan.yaml", out).plan == ExperimentFolder(write_plan(**small), out).plan
    again = inside()
    run_experiment(write_plan(**small), out, executor=again)  # type: ignore[arg-type]
    assert again.ran == []  # type: ignore[attr-defined]
    # More of everything: only what is new runs.
    more = {"seeds": [0, 1], "evaluate": [{"name": "test"}, {"name": "val", "part": "validation"}]}
    todo = [
        name for name, state in states(ExperimentFolder(write_plan(**more), out)).items() if state == "to do"
    ]
    assert len(todo) == 4 * 3 - 2
    assert "evaluations/val/gates/fold0-seed0" in todo
    assert "evaluations/test/gates/fold0-seed0" not in todo
    # Anything else is refused.
    with pytest.raises(PlanError, match="started with another plan: 'set' was"):
        ExperimentFolder(write_plan(**small, set={"epochs": 2, "data.size": 64}), out)
    with pytest.raises(PlanError, match="'seeds' no longer contains 0"):
        ExperimentFolder(write_plan(seeds=[1]), out)


@pytest.mark.process
def test_a_recipe_that_changed_under_its_name_is_refused(
    write_plan: Callable[..., Path], tmp_path: Path, inside: Callable[..., object]
) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(load_recipe("quick").yaml())
    plan = write_plan(recipe="mine.yaml", seeds=[0], variants={"a": {}})
    run_experiment(plan, tmp_path / "out", executor=inside(fail=["evaluations"]))  # type: ignore[arg-type]
    mine.write_text(load_recipe("quick", ["batch=4"]).yaml())
    with pytest.raises(UsageError, match=r"the recipe differs .*'batch' was 16 and"):
        ExperimentFolder(plan, tmp_path / "out")


@pytest.mark.process
def test_a_half_written_beginning_and_a_stale_evaluation_are_done_again(
    write_plan: Callable[..., Path], tmp_path: Path, inside: Callable[..., object]
) -> None:
    out = tmp_path / "out"
    plan = write_plan(seeds=[0], variants={"a": {}})
    opened = ExperimentFolder(plan, out)
    (cell,) = opened.plan.cells
    run = opened.run(cell)
    run_experiment(opened, executor=inside(fail=["runs"]))  # type: ignore[arg-type]
    # Killed between its first files: there is nothing to resume, and nothing in the way.
    run.folder.mkdir(parents=True)
    run.recipe.write_text("half")
    (run.folder / ".run.json.abcd1234.json").write_text("")
    assert state_of(run) == "to do"
    run_experiment(plan, out, executor=inside())  # type: ignore[arg-type]
    assert (run.model / "card.json").exists()
    assert not list(run.folder.glob(".*"))
    assert set(states(ExperimentFolder(plan, out)).values()) == {"done"}
    # Killed before its Model was written: the training resumes, and is evaluated again.
    card = (run.model / "card.json").read_bytes()
    (run.model / "card.json").unlink()
    begun = ExperimentFolder(plan, out).steps()
    assert [step.state for step in begun] == ["begun", "to do"]
    assert begun[0].task.arguments == ("train", "--resume", "--out", str(run.folder))
    assert begun[1].task.arguments[-1] == "--overwrite"
    (run.model / "card.json").write_bytes(card)
    # An evaluation without its page is not whole; one of another Model is not this run's.
    page = opened.evaluation("test", cell) / "index.html"
    kept = page.read_bytes()
    page.unlink()
    assert [step.state for step in opened.steps()] == ["done", "to do"]
    page.write_bytes(kept)
    summary = page.with_name("summary.json")
    values = json.loads(summary.read_text())
    values["model"]["sha256"] = "0" * 64
    summary.write_text(json.dumps(values))
    assert [step.state for step in opened.steps()] == ["done", "to do"]


@pytest.mark.process
def test_a_run_of_somebody_elses_in_a_place_of_ours_is_refused(
    write_plan: Callable[..., Path], tmp_path: Path, inside: Callable[..., object]
) -> None:
    out, plan = tmp_path / "out", write_plan(seeds=[0], variants={"a": {}})
    opened = ExperimentFolder(plan, out)
    run_experiment(opened, executor=inside(fail=["evaluations"]))  # type: ignore[arg-type]
    run = opened.run(opened.plan.cells[0])
    ours = run.recipe.read_text()
    run.recipe.write_text(load_recipe("quick").yaml())
    with pytest.raises(OutputError, match="not of this plan"):
        ExperimentFolder(plan, out)
    run.recipe.write_text(ours)
    run.description.write_text(json.dumps(run.given() | {"fold": 3}))
    with pytest.raises(OutputError, match="another prepared set, split or fold"):
        ExperimentFolder(plan, out)


@pytest.mark.process
@pytest.mark.parametrize("place", ["runs/a/fold0-seed0", "evaluations/test/a/fold0-seed0"])
def test_a_file_in_a_place_of_ours_is_refused(
    write_plan: Callable[..., Path], tmp_path: Path, inside: Callable[..., object], place: str
) -> None:
    out, plan = tmp_path / "out", write_plan(seeds=[0], variants={"a": {}})
    run_experiment(plan, out, executor=inside())  # type: ignore[arg-type]
    shutil.rmtree(out / place)
    (out / place).write_text("mine")
    with pytest.raises(OutputError, match="in the place of a folder of the experiment"):
        ExperimentFolder(plan, out)
    assert (out / place).read_text() == "mine"


def test_an_evaluation_is_skipped_in_folds_without_its_images(
    write_plan: Callable[..., Path], phantom_set: Path, tmp_path: Path
) -> None:
    """As with leave-one-set-out, where each set is the test part of one fold alone."""
    prepared = PreparedSet.open(phantom_set)
    folds = {name: int(n >= 4) for n, name in enumerate(prepared.ids)}
    first = tuple(prepared.ids[:2])  # of fold 0: they validate in fold 1 alone
    split = Split("leave-one-set-out", "all", 0, prepared.fingerprint, folds, validation=first)
    split.save(tmp_path / "left.json")
    evaluations = [{"name": "test"}, {"name": "val", "part": "validation"}]
    plan = write_plan(
        split=str(tmp_path / "left.json"), folds=[0, 1], seeds=[0], variants=None, evaluate=evaluations
    )
    opened = ExperimentFolder(plan, tmp_path / "out")
    assert opened.folds_of == {"test": [0, 1], "val": [1]}
    assert [step.task.name for step in opened.steps() if step.kind == "evaluate"] == [
        "evaluations/test/as-it-is/fold0-seed0",
        "evaluations/test/as-it-is/fold1-seed0",
        "evaluations/val/as-it-is/fold1-seed0",
    ]
    with pytest.raises(PlanError, match="evaluation 'val' has no image"):
        ExperimentFolder(
            write_plan(split=str(tmp_path / "left.json"), evaluate=evaluations), tmp_path / "other"
        )
