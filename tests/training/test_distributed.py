"""Several processes train as one, on one host and on two; one that dies ends the job with a word."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from sonoseg._util.files import atomic_write_text
from sonoseg.data.prepared_set import PreparedSet
from sonoseg.data.splits import Split
from sonoseg.errors import SonosegError, TrainingError
from sonoseg.training import distributed as processes
from sonoseg.training.checkpoint import load_checkpoint
from sonoseg.training.recipe import Recipe, load_recipe
from sonoseg.training.train import train

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="forks processes that have torch loaded"),
    pytest.mark.long,
]

HOST = """
# Loads torch once, then forks the processes of each job that is asked for on stdin.
import json, os, sys
import sonoseg.training.train
from sonoseg.cli.main import main
from sonoseg._util.files import atomic_write_text
from sonoseg.training import model_writing, run_folder

# What a Model's file holds is tested elsewhere, and torch's exporter takes longer than these trainings.
model_writing.write_onnx = lambda network, path, size: [atomic_write_text(path, "")][1:]
run_folder.Run.draw_curves = lambda *_: None

for line in sys.stdin:
    job, children = json.loads(line), []
    for rank in range(job["count"]):
        child = os.fork()
        if child == 0:
            os.environ |= {
                "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(job["count"]),
                "LOCAL_WORLD_SIZE": str(job["count"]), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": job["port"],
                "COLUMNS": "400",
            }
            streams = os.devnull, f"{job['folder']}/out{rank}", f"{job['folder']}/err{rank}"
            for number, name in enumerate(streams):
                os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), number)
            sys.argv = ["sonoseg", *job["words"]]
            code = 0
            try:
                exec(job["before"], {"rank": rank})
                main()
            except SystemExit as end:
                code = end.code or 0
            except BaseException:
                import traceback
                traceback.print_exc()
                code = 99
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    print(json.dumps(codes), flush=True)
"""

TINY = (
    "data.size=64", "epochs=2", "network.widths=[4,8,12,16]", "network.dropout=[0,0,0,0]", "precision=fp32",
    "optimiser={kind: sgd, rate: 0.001, weight_decay: 0.01, schedule: cosine, clip: 1.0, ema: 0.97}",
)  # fmt: skip
"""Plain gradient descent: Adam divides each gradient by its size, so rounding shows where it is near zero."""

AT_STEP = """
import os, signal, time
from sonoseg.training import trainer as loop
step = loop.Trainer._step
def broken(self, which, score):
    if (self.progress.epoch, self.progress.step) == {place} and rank == {rank}:
        {what}
    return step(self, which, score)
loop.Trainer._step = broken
"""
"""Does `what` in one process before one step."""


class Told(NamedTuple):
    """How the processes of a job ended: exit codes (negative: signals), and what each wrote to stderr."""

    codes: list[int]
    errors: list[str]


Launch = Callable[..., Told]


@pytest.fixture(scope="module")
def launch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launch]:
    """Run a command line of sonoseg in several processes."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "SONOSEG_KEEP_ALLOCATOR": "1"}
    host = subprocess.Popen(
        [sys.executable, "-c", HOST],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert host.stdin is not None
    assert host.stdout is not None

    def run(count: int, *words: object, before: str = "") -> Told:
        told = tmp_path_factory.mktemp("told")
        job = {"count": count, "words": [str(word) for word in words], "port": str(free_port())}
        host.stdin.write(json.dumps(job | {"before": before, "folder": str(told)}) + "\n")  # type: ignore[union-attr]
        host.stdin.flush()  # type: ignore[union-attr]
        codes = json.loads(host.stdout.readline())  # type: ignore[union-attr]
        return Told(codes, [(told / f"err{rank}").read_text() for rank in range(count)])

    try:
        yield run
    finally:
        host.stdin.close()
        host.wait(60)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(autouse=True)
def _no_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in HOST."""

    def leave(_: Any, path: Path, size: int) -> list[str]:
        atomic_write_text(path, "")
        return []

    monkeypatch.setattr("sonoseg.training.model_writing.write_onnx", leave)
    monkeypatch.setattr("sonoseg.training.run_folder.Run.draw_curves", lambda *_: None)


@pytest.fixture
def given(phantom_set: Path, phantom_split: Path) -> tuple[PreparedSet, Split]:
    return PreparedSet.open(phantom_set), Split.load(phantom_split)


@pytest.fixture
def words(phantom_set: Path, phantom_split: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """The words of a training by a recipe, into a folder of that name."""

    def make(recipe: Recipe, out: str) -> list[str]:
        path = tmp_path / f"{out}.yaml"
        path.write_text(recipe.yaml())
        return [
            "train", "--recipe", str(path), "--data", str(phantom_set), "--split", str(phantom_split),
            "--out", str(tmp_path / out), "--device", "cpu",
        ]  # fmt: skip

    return make


def tiny(*changes: str) -> Recipe:
    return load_recipe("quick", [*TINY, *changes])


def alike(one: Path, other: Path) -> None:
    """Weights and logs of two runs agree up to rounding."""
    from safetensors.numpy import load_file

    mine, theirs = (load_file(run / "model" / "weights.safetensors") for run in (one, other))
    assert mine.keys() == theirs.keys()
    for name, value in mine.items():
        np.testing.assert_allclose(theirs[name], value, atol=2e-5, rtol=1e-4, err_msg=name)
    for first, second in zip(log(one), log(other), strict=True):
        # In training, batch norm over the few values of a single small image makes much of rounding.
        assert second["loss"] == pytest.approx(first["loss"], rel=1e-3 if first["split"] == "train" else 1e-4)
        assert second["pixel_accuracy"] == pytest.approx(first["pixel_accuracy"], abs=3e-3)


def log(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def said(text: str) -> str:
    """What stderr holds, in one line, whatever its width was."""
    return " ".join(text.split())


def test_processes_share_a_batch_with_batch_norm_and_side_outputs(
    launch: Launch, words: Callable[..., list[str]], given: tuple[PreparedSet, Split], tmp_path: Path
) -> None:
    """The last batch has one image: all processes but one take part in it without any of their own."""
    recipe = tiny("network.deep_supervision=true", "network.presence=true", "batch=23")
    train(recipe, *given, tmp_path / "one", device="cpu")
    assert len(given[1].part().train) % 23 == 1
    for count in (2, 3):
        told = launch(count, *words(recipe, f"by{count}"))
        assert told.codes == [0] * count, told.errors
        assert f"{count} processes share each batch of 23" in told.errors[0]
        assert all(text.strip() == "" for text in told.errors[1:])
        assert json.loads((tmp_path / f"by{count}" / "run.json").read_text())["processes"] == count
        alike(tmp_path / "one", tmp_path / f"by{count}")


def test_a_killed_process_ends_the_job_and_any_number_goes_on(
    launch: Launch, words: Callable[..., list[str]], given: tuple[PreparedSet, Split], tmp_path: Path
) -> None:
    recipe = tiny("batch=8", "checkpoint_minutes=1e-9")
    train(recipe, *given, tmp_path / "whole", device="cpu")
    kill = AT_STEP.format(place=(1, 2), rank=1, what="os.kill(os.getpid(), signal.SIGKILL)")
    told = launch(2, *words(recipe, "killed"), before=kill)
    assert told.codes == [1, -9]
    assert "error: process 0 of 0..1 on " in told.errors[0]
    assert "another process of this job ended, and this one cannot continue alone" in said(told.errors[0])
    assert "--resume, with any number of processes" in said(told.errors[0])
    assert "Traceback" not in told.errors[0]
    state = load_checkpoint(tmp_path / "killed" / "checkpoints" / "last.pt")["progress"]
    assert (state["epoch"], state["step"]) == (1, 2)
    for count in (1, 3):
        out = Path(shutil.copytree(tmp_path / "killed", tmp_path / f"on{count}"))
        told = launch(count, "train", "--resume", "--out", out, "--device", "cpu")
        assert told.codes == [0] * count, told.errors
        alike(tmp_path / "whole", out)


def test_a_process_with_an_error_tells_it_and_the_others_do_not_wait(
    launch: Launch, words: Callable[..., list[str]]
) -> None:
    break_it = AT_STEP.format(place=(0, 1), rank=1, what="self._augmented = None")
    told = launch(2, *words(tiny(), "broken"), before=break_it)
    assert told.codes == [1, 1]
    assert "error: process 1 of 0..1 on " in told.errors[1]
    assert "epoch 1, step 2 (" in told.errors[1]
    assert "TypeError: 'NoneType' object is not callable" in said(told.errors[1])
    assert "another process of this job ended" in said(told.errors[0])
    for text in told.errors:
        assert "Traceback" not in text


def test_a_run_that_cannot_begin_ends_for_all(
    launch: Launch, words: Callable[..., list[str]], tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    told = launch(2, *words(tiny(), "mine"))
    assert told.codes == [1, 1]
    assert "the folder is not empty" in said(told.errors[0])
    assert "another process of this job ended" in said(told.errors[1])
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]
    told = launch(3, *words(tiny("batch=2"), "few"))
    assert told.codes == [2, 2, 2]
    assert "3 processes cannot share a batch of 2 images" in said(told.errors[0])
    assert not (tmp_path / "few").exists()


def test_a_checkpoint_is_due_by_one_clock(
    launch: Launch, words: Callable[..., list[str]], given: tuple[PreparedSet, Split], tmp_path: Path
) -> None:
    """Process 1's clock runs ahead: were it asked, it would save while the other takes its next step."""
    ahead = "import time; real = time.monotonic; time.monotonic = lambda: real() * (1000 if rank else 1)"
    recipe = tiny("checkpoint_minutes=2")
    train(recipe, *given, tmp_path / "one", device="cpu")
    told = launch(2, *words(recipe, "two"), before=ahead)
    assert told.codes == [0, 0], told.errors
    alike(tmp_path / "one", tmp_path / "two")


def test_the_best_weights_are_read_when_they_are_written(
    launch: Launch, words: Callable[..., list[str]]
) -> None:
    """Process 0 is slow to write them: the others had read what was not there, or an earlier epoch's."""
    slow = """
import time
from sonoseg.training import trainer as loop
save = loop.save_checkpoint
loop.save_checkpoint = lambda path, state: (time.sleep(1.5 * (path.name == "best.pt")), save(path, state))
"""
    told = launch(2, *words(tiny("epochs=1"), "slow"), before=slow)
    assert told.codes == [0, 0], told.errors


def test_a_host_that_does_not_see_the_run_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LATE", 0.0)
    with pytest.raises(TrainingError, match="Put --out on storage that every host sees"):
        processes.check_shared(tmp_path / "run" / "split.json")
    (tmp_path / "split.json").write_text("{}")
    processes.check_shared(tmp_path / "split.json")


def test_processes_that_do_not_find_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_: Any) -> None:
        raise RuntimeError("The client socket has failed to connect\nto any network address")

    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("MASTER_ADDR", "node-a")
    monkeypatch.setattr("accelerate.PartialState", refused)
    with pytest.raises(
        TrainingError, match=r"MASTER_ADDR=node-a.*cannot connect to each other.*GLOO_SOCKET_IFNAME"
    ):
        processes.join(cpu=True)


def test_what_counts_as_a_lost_process(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = RuntimeError("[../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer")
    assert not processes.lost_another(closed)  # there is no other
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert processes.lost_another(closed)
    assert not processes.lost_another(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not processes.lost_another(ValueError("Connection closed by peer"))


def test_the_launchers_report_gets_the_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As torchrun reads it: torch/distributed/elastic/multiprocessing/errors."""
    from torch.distributed.elastic.multiprocessing.api import ProcessFailure

    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "error.json"))
    with (
        pytest.raises(SonosegError, match=r"^process 1 of 0\.\.1 on .*: run: it is full\. Correct it\.$"),
        processes.job(),
    ):
        raise SonosegError("it is full", where="run", remedy="Correct it")
    failure = ProcessFailure(local_rank=1, pid=1, exitcode=1, error_file=str(tmp_path / "error.json"))
    assert "run: it is full. Correct it." in failure.message["extraInfo"]["py_callstack"]


def test_one_process_where_several_were_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORLD_SIZE", "LOCAL_RANK", "ACCELERATE_USE_CPU"):
        monkeypatch.delenv(name, raising=False)
    assert processes.note(8) is None
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    assert "this is one process" in str(processes.note(8))
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert processes.note(8) == "2 processes share each batch of 8"


HOSTS = """
# Two hosts: network namespaces joined by a cable. They end with this process.
set -e
ip link set dev lo up
unshare -n sleep 900 & other=$!
trap 'kill $other' EXIT
until [ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do sleep 0.05; done
ip link add left type veth peer name right netns $other
ip addr add 10.77.0.1/24 dev left
ip link set dev left up
nsenter -t $other -n ip link set dev lo up
nsenter -t $other -n ip addr add 10.77.0.2/24 dev right
nsenter -t $other -n ip link set dev right up
GLOO_SOCKET_IFNAME=left {first} & one=$!
nsenter -t $other -n env GLOO_SOCKET_IFNAME=right {second}
wait $one
"""


@pytest.fixture
def on_two_hosts(tmp_path: Path) -> Callable[[list[str], list[str]], subprocess.CompletedProcess[str]]:
    """Run a command on each of two hosts, 10.77.0.1 and 10.77.0.2; skips where they cannot be made."""

    def run(first: list[str], second: list[str]) -> subprocess.CompletedProcess[str]:
        script = tmp_path / "hosts.sh"
        script.write_text(HOSTS.format(first=shlex.join(first), second=shlex.join(second)))
        return started(["unshare", "-Urn", "sh", str(script)])

    if not all(shutil.which(name) for name in ("unshare", "nsenter", "ip")):
        pytest.skip("no unshare, nsenter and ip are here to make two hosts with")
    tried = run(["true"], ["true"])
    if tried.returncode:
        pytest.skip(f"no network namespaces joined by veth may be made here: {tried.stderr[-200:]}")
    return run


def launcher(*words: str, module: str = "torch.distributed.run") -> list[str]:
    return [sys.executable, "-m", module, *words]


def started(words: list[str], **changes: str) -> subprocess.CompletedProcess[str]:
    environment = (
        os.environ | {"OMP_NUM_THREADS": "1", "SONOSEG_KEEP_ALLOCATOR": "1", "COLUMNS": "400"} | changes
    )
    return subprocess.run(words, capture_output=True, text=True, check=False, env=environment, timeout=900)


@pytest.mark.slow
def test_two_hosts_under_torchrun(
    on_two_hosts: Callable[[list[str], list[str]], subprocess.CompletedProcess[str]],
    words: Callable[..., list[str]],
    given: tuple[PreparedSet, Split],
    tmp_path: Path,
) -> None:
    recipe = tiny("epochs=1")
    train(recipe, *given, tmp_path / "one", device="cpu")
    torchrun = launcher("--nnodes", "2", "--nproc-per-node", "1", "--master-addr", "10.77.0.1")
    ours = ["-m", "sonoseg", *words(recipe, "two")]
    done = on_two_hosts(*([*torchrun, "--node-rank", rank, *ours] for rank in "01"))
    assert done.returncode == 0, done.stderr
    assert "2 processes share each batch of 16" in done.stderr
    assert done.stdout.count("validation Dice") == 1  # one process prints for all
    alike(tmp_path / "one", tmp_path / "two")


@pytest.mark.slow
def test_torchruns_report_ends_with_our_error(words: Callable[..., list[str]], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    torchrun = launcher("--standalone", "--nproc-per-node", "2")
    done = started([*torchrun, "-m", "sonoseg", *words(tiny(), "mine")])
    assert done.returncode == 1
    report = done.stderr[done.stderr.index("Root Cause") :]
    assert "rank      : 0" in report
    assert "process 0 of 0..1 on " in report
    assert "the folder is not empty" in report
    assert "another process of this job ended" not in done.stderr  # it was ended before it had to say so


@pytest.mark.slow
def test_accelerate_launch(words: Callable[..., list[str]], tmp_path: Path) -> None:
    """With --multi_gpu it is torchrun, GPU or not; with --cpu it starts one process, and that one says so."""
    accelerate = launcher("--num_machines", "1", "--num_processes", "2", module="accelerate.commands.launch")
    same = ["--mixed_precision", "no", "--dynamo_backend", "no", "-m", "sonoseg"]
    recipe = tiny("epochs=1")
    done = started([*accelerate, "--multi_gpu", "--main_process_port", "0", *same, *words(recipe, "two")])
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "two" / "run.json").read_text())["processes"] == 2
    done = started([*accelerate, "--cpu", *same, *words(recipe, "one")])
    assert done.returncode == 0, done.stderr
    assert "this is one process: on CPUs accelerate launch starts several only through MPI" in said(
        done.stderr
    )
    assert json.loads((tmp_path / "one" / "run.json").read_text())["processes"] == 1
