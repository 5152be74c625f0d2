"""The loop: it learns, it resumes to the same weights, it ends with a word, and two processes are one."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sonoseg.data.prepared_set import PreparedSet
from sonoseg.data.splits import Split
from sonoseg.errors import OutputError, SonosegError, TrainingError, UsageError
from sonoseg.model.card import ModelCard
from sonoseg.networks import AttentionUNet
from sonoseg.training import trainer as loop
from sonoseg.training.checkpoint import load_checkpoint
from sonoseg.training.initial_weights import IMAGENET
from sonoseg.training.recipe import Recipe, load_recipe
from sonoseg.training.run_folder import Run
from sonoseg.training.train import train

TINY = ["data.size=64", "batch=8", "epochs=2", "network.widths=[4,8,12,16]", "network.dropout=[0,0,0,0.2]"]


def tiny(*changes: str) -> Recipe:
    return load_recipe("quick", [*TINY, *changes])


def weights(run: Path) -> dict[str, Any]:
    from safetensors.numpy import load_file

    return load_file(run / "model" / "weights.safetensors")


def same(first: Path, second: Path) -> bool:
    mine, theirs = weights(first), weights(second)
    return mine.keys() == theirs.keys() and all(np.array_equal(mine[name], theirs[name]) for name in mine)


def words(recipe: Recipe, phantom_set: Path, phantom_split: Path, out: Path) -> list[str]:
    path = out.parent / "recipe.yaml"
    path.write_text(recipe.yaml())
    return [
        "train", "--recipe", str(path), "--data", str(phantom_set), "--split", str(phantom_split),
        "--out", str(out), "--device", "cpu",
    ]  # fmt: skip


NO_ONNX = """
import sys
from sonoseg.training import model_writing

def unwritten(network, path, size):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"no ONNX")
    return [f"attention_{k + 1}" for k in range(len(network.gates))]

model_writing.write_onnx = unwritten
from sonoseg.cli.main import main
main()
"""
"""The command line, but for the seconds of writing ONNX: as the fixture no_onnx, for a process of its own."""


@pytest.fixture
def program(tmp_path: Path) -> str:
    path = tmp_path / "sonoseg_without_onnx.py"
    path.write_text(NO_ONNX)
    return str(path)


def log(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def test_a_run_leaves_what_it_promises(phantom_run: Path) -> None:
    for name in (
        "recipe.yaml", "run.json", "split.json", "log.jsonl", "curves.png", "checkpoints/last.pt",
        "checkpoints/best.pt", "model/card.json", "model/model.onnx", "model/weights.safetensors",
    ):  # fmt: skip
        assert (phantom_run / name).stat().st_size > 0, name
    described = json.loads((phantom_run / "run.json").read_text())
    assert {"versions", "git", "seed", "fold", "fingerprint", "parts", "command"} <= set(described)
    entries = log(phantom_run)
    assert [(e["epoch"], e["split"]) for e in entries] == [
        (1, "train"), (1, "validation"), (2, "train"), (2, "validation"),
    ]  # fmt: skip
    for entry in entries:
        assert 0 <= entry["iou"] <= entry["dice"] <= 1
        assert 0 < entry["pixel_accuracy"] <= 1
    card = json.loads((phantom_run / "model" / "card.json").read_text())
    assert card["training"]["split_sha256"]
    assert card["results"][0]["on"] == "validation"


@pytest.mark.process
@pytest.mark.usefixtures("no_onnx")
def test_it_learns(given: tuple[PreparedSet, Split], tmp_path: Path) -> None:
    train(tiny("epochs=16", "optimiser.ema=0.5", "optimiser.rate=0.004"), *given, tmp_path / "run")
    entries = log(tmp_path / "run")
    losses = [entry["loss"] for entry in entries if entry["split"] == "train"]
    assert losses[-1] < 0.85 * losses[0]
    dice = [entry["dice"] for entry in entries if entry["split"] == "validation"]
    assert max(dice) > 0.3
    card = json.loads((tmp_path / "run" / "model" / "card.json").read_text())
    assert card["training"]["best_epoch"] == int(np.argmax(dice)) + 1


@pytest.mark.process
@pytest.mark.usefixtures("no_onnx")
def test_the_same_command_twice_gives_the_same(given: tuple[PreparedSet, Split], tmp_path: Path) -> None:
    for name in ("a", "b"):
        train(tiny(), *given, tmp_path / name)
    assert same(tmp_path / "a", tmp_path / "b")
    train(tiny("seed=1"), *given, tmp_path / "c")
    assert not same(tmp_path / "a", tmp_path / "c")


@pytest.mark.process
@pytest.mark.usefixtures("no_onnx")
def test_a_stop_in_the_middle_of_an_epoch_changes_nothing(
    given: tuple[PreparedSet, Split], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny("checkpoint_minutes=1e-9")
    train(recipe, *given, tmp_path / "whole")
    real, taken = loop.Trainer._step, []

    def stopping(self: loop.Trainer, which: Any, score: Any) -> None:
        if len(taken) == 5:
            raise KeyboardInterrupt
        taken.append(which)
        real(self, which, score)

    monkeypatch.setattr(loop.Trainer, "_step", stopping)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, *given, tmp_path / "broken")
    monkeypatch.undo()
    state = load_checkpoint(tmp_path / "broken" / "checkpoints" / "last.pt")
    assert (state["progress"]["epoch"], state["progress"]["step"]) == (1, 2)
    train(recipe, *given, tmp_path / "broken", resume=True)
    assert same(tmp_path / "whole", tmp_path / "broken")
    timing = {"seconds", "images_per_second"}
    for mine, theirs in zip(log(tmp_path / "whole"), log(tmp_path / "broken"), strict=True):
        assert {k: v for k, v in mine.items() if k not in timing} == {
            k: v for k, v in theirs.items() if k not in timing
        }


@pytest.mark.usefixtures("no_onnx")
@pytest.mark.slow
def test_sigkill_and_resume_end_with_the_same_weights(
    phantom_set: Path, phantom_split: Path, given: tuple[PreparedSet, Split], tmp_path: Path, program: str
) -> None:
    recipe = tiny("epochs=6", "checkpoint_minutes=1e-9")
    train(recipe, *given, tmp_path / "whole", device="cpu")
    out = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, program, *words(recipe, phantom_set, phantom_split, out)])
    last, deadline = out / "checkpoints" / "last.pt", time.monotonic() + 120
    while not last.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.15)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
    assert not (out / "model" / "card.json").exists()
    again = subprocess.run(
        [sys.executable, program, "train", "--resume", "--out", str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    assert same(tmp_path / "whole", out)


@pytest.mark.usefixtures("no_onnx")
@pytest.mark.slow
def test_two_processes_train_as_one(
    phantom_set: Path, phantom_split: Path, given: tuple[PreparedSet, Split], tmp_path: Path, program: str
) -> None:
    """Batch norm counts each process' own images on a CPU, and dropout draws its own: so neither here."""
    recipe = tiny(
        "precision=fp32", "network.normalisation=instance", "network.gate=none", "network.dropout=[0,0,0,0]",
        "batch=7", "optimiser.rate=0.001",
    )  # fmt: skip
    train(recipe, *given, tmp_path / "one", device="cpu")
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", program)
    done = subprocess.run(
        [sys.executable, *launcher, *words(recipe, phantom_set, phantom_split, tmp_path / "two")],
        capture_output=True, text=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    mine, theirs = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name, value in mine.items():
        np.testing.assert_allclose(theirs[name], value, atol=2e-4, rtol=2e-3, err_msg=name)
    for one, two in zip(log(tmp_path / "one"), log(tmp_path / "two"), strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-3)
        assert two["dice"] == pytest.approx(one["dice"], abs=5e-3)


@pytest.mark.process
@pytest.mark.usefixtures("no_onnx")
def test_a_loss_that_is_no_number_names_the_batch(
    given: tuple[PreparedSet, Split], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = loop.image_losses, []

    def failing(*arguments: Any) -> torch.Tensor:
        calls.append(1)
        return real(*arguments) * (float("nan") if len(calls) == 5 else 1.0)

    monkeypatch.setattr(loop, "image_losses", failing)
    with pytest.raises(TrainingError) as caught:
        train(tiny(), *given, tmp_path / "run")
    assert "the loss is no longer a number" in str(caught.value)
    assert "epoch 2, step 2 (" in str(caught.value)
    assert "optimiser.clip=1" in str(caught.value)
    state = load_checkpoint(tmp_path / "run" / "checkpoints" / "last.pt")
    assert state["progress"]["epoch"] == 1
    assert all(bool(torch.isfinite(value).all()) for value in state["network"].values())
    monkeypatch.undo()
    assert train(tiny(), *given, tmp_path / "run", resume=True).card.name == "quick"


def test_an_exception_in_a_batch_names_it(
    given: tuple[PreparedSet, Split], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise ValueError("bad pixels")

    monkeypatch.setattr(loop, "apply", broken)
    with pytest.raises(TrainingError, match=r"epoch 1, step 1 \(.*\): ValueError: bad pixels.*--resume"):
        train(tiny(), *given, tmp_path / "run")


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="limits a file's size in the Linux way")
def test_a_truly_full_disk(phantom_set: Path, phantom_split: Path, tmp_path: Path) -> None:
    """A process that may write no file above 20 kB: the same as a full disk, seen from inside."""
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000));"
        "sys.argv = ['sonoseg', *sys.argv[1:]]; from sonoseg.cli.main import main; main()"
    )
    arguments = words(tiny(), phantom_set, phantom_split, tmp_path / "run")
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "cannot be written" in done.stderr
    assert "--resume" in " ".join(done.stderr.split())


def test_nothing_of_the_users_is_overwritten(given: tuple[PreparedSet, Split], tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(OutputError, match=r"the folder is not empty.*--resume"):
        train(tiny(), *given, tmp_path)
    assert [item.name for item in tmp_path.iterdir()] == ["mine.txt"]


def test_a_resumed_run_must_be_the_same(
    given: tuple[PreparedSet, Split], phantom_run: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="another recipe"):
        train(tiny(), *given, phantom_run, resume=True)
    with pytest.raises(TrainingError, match="not a training run"):
        train(tiny(), *given, tmp_path, resume=True)


def test_a_finished_run_is_not_repeated(given: tuple[PreparedSet, Split], phantom_run: Path) -> None:
    before = (phantom_run / "model" / "model.onnx").stat().st_mtime_ns
    recipe = load_recipe(Run(phantom_run).recipe)
    assert train(recipe, *given, phantom_run, resume=True).hash
    assert (phantom_run / "model" / "model.onnx").stat().st_mtime_ns == before


@pytest.mark.usefixtures("no_onnx")
def test_a_finished_run_makes_its_model_again(
    given: tuple[PreparedSet, Split], phantom_run: Path, tmp_path: Path
) -> None:
    """Where its model was taken away, from the best checkpoint, and stored as its recipe says by now."""
    run = Run(Path(shutil.copytree(phantom_run, tmp_path / "run")))
    shutil.rmtree(run.model)
    run.recipe.write_text(run.recipe.read_text().replace("store: float32", "store: float16"))
    model = train(load_recipe(run.recipe), *given, run.folder, resume=True)
    before, after = weights(phantom_run), weights(run.folder)
    assert after["head.weight"].dtype == np.float16
    assert all(np.array_equal(after[name], before[name].astype(after[name].dtype)) for name in before)
    card = ModelCard.read(phantom_run / "model" / "card.json")
    for key in ("best_epoch", "hours", "split_sha256", "fingerprint", "parts"):
        assert model.card.training[key] == card.training[key], key
    assert model.card.data == card.data


def test_no_gpu_is_said(given: tuple[PreparedSet, Split], tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("a CUDA device is here")
    with pytest.raises(TrainingError, match="no CUDA device"):
        train(tiny(), *given, tmp_path / "run", device="cuda")


def thin(*changes: str) -> Recipe:
    """The recipe sonoseg with the smallest encoder and a thin decoder, for one epoch of small images."""
    changes = (
        *("data.size=64", "data.times={}", "batch=8", "epochs=1"),
        *("network.encoder=efficientnet-lite0", "network.widths=[4,4,8,8,192]"),
        *changes,
    )
    return load_recipe("sonoseg", changes)


@pytest.mark.process
@pytest.mark.usefixtures("no_onnx")
def test_a_run_from_imagenet_says_so_on_its_card(
    given: tuple[PreparedSet, Split], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copying of weights has tests of its own: here that it is called, stored and reported."""
    module = importlib.import_module("sonoseg.training.initial_weights")
    monkeypatch.setattr(module, "weights_file", lambda kind: tmp_path)  # the package may be absent
    started: list[torch.nn.Module] = []
    monkeypatch.setattr(module, "start_from_imagenet", started.append)
    model = train(thin(), *given, tmp_path / "run")
    (network,) = started
    assert isinstance(network, AttentionUNet)
    assert network.options.encoder == "efficientnet-lite0"
    *sets, last = model.card.data
    assert last == IMAGENET
    assert (last.name, last.images, last.start) == ("imagenet", 0, True)
    assert sets
    assert all(one.images > 0 and not one.start for one in sets)
    assert ModelCard.read(model.folder / "card.json") == model.card
    # As the recipe stores them. tests/model/test_network_weights.py compares them with ONNX.
    kinds = {name: value.dtype for name, value in weights(tmp_path / "run").items()}
    assert kinds["bottleneck.0.expand.conv.weight"] == kinds["presence.judge.weight"] == np.float16
    assert kinds["bottleneck.0.expand.norm.weight"] == kinds["head.bias"] == np.float32


def test_without_its_start_a_run_does_not_begin(
    given: tuple[PreparedSet, Split], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the same command works once the package is there."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TrainingError, match=r"not installed.*pip install 'sonoseg\[imagenet\]'"):
        train(thin(), *given, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.process
@pytest.mark.usefixtures("no_onnx")
def test_a_run_from_random_weights_names_no_start(
    given: tuple[PreparedSet, Split], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the threshold is chosen with the weights that are stored."""
    module = importlib.import_module("sonoseg.training.train")
    real, seen = module.choose_threshold, []

    def watching(trainer: Any) -> Any:
        seen.append(trainer.evaluated.state_dict()["encoder.0.block.conv1.weight"].clone())
        return real(trainer)

    monkeypatch.setattr(module, "choose_threshold", watching)
    monkeypatch.setattr(
        importlib.import_module("sonoseg.training.initial_weights"),
        "start_from_imagenet",
        lambda network: pytest.fail("nobody asked"),
    )
    model = train(tiny("store=float16", "epochs=1"), *given, tmp_path / "run")
    assert not any(one.start for one in model.card.data)
    (measured,) = seen
    kept = weights(tmp_path / "run")["encoder.0.block.conv1.weight"]
    assert kept.dtype == np.float16
    assert np.array_equal(measured.numpy(), kept.astype(np.float32))


def test_errors_are_ours() -> None:
    assert issubclass(TrainingError, SonosegError)
