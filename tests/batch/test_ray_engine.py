"""Batch inference on a local Ray: the rows of `sonoseg predict`, each once, whichever process is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from pycocotools import mask as coco

from sonoseg._util.locks import locked
from sonoseg.batch.partitions import Partitions, read_results
from sonoseg.cli.main import main
from sonoseg.data.phantoms import write_phantoms
from sonoseg.image.calibration import Origin, Spacing
from sonoseg.inputs.reading_options import ReadingOptions

pytest.importorskip("ray")
# Whatever it is asked to do, starting Ray's own processes takes more than ten seconds of a processor.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="signals and /proc"),
    pytest.mark.long,
]

Run = Callable[..., tuple[int, str, str]]
ENGINE = ("--engine", "ray", "--workers", "2", "--runtime", "onnx")


@pytest.fixture(scope="module", autouse=True)
def local_ray() -> Iterator[None]:
    """One Ray for the module, with a small object store."""
    from sonoseg.batch.ray_start import connected

    with connected(object_store=100 << 20):
        yield


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred files: eight phantoms of 64 pixels, again and again."""
    made = tmp_path_factory.mktemp("made")
    write_phantoms(made / "set", 8, 3)
    small = []
    for path in sorted((made / "set" / "images").iterdir()):
        with Image.open(path) as image:
            image.convert("L").resize((64, 64)).save(made / path.name)
        small.append(made / path.name)
    folder = tmp_path_factory.mktemp("scans")
    for number in range(100):
        shutil.copy(small[number % 8], folder / f"{number:03}.png")
    return folder


@pytest.fixture
def run(dark_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `sonoseg predict` in process: exit code, stdout, stderr."""

    def call(*words: object) -> tuple[int, str, str]:
        argv = ["sonoseg", "predict", *map(str, words), "--model", str(dark_model)]
        monkeypatch.setattr(sys, "argv", argv)
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        told = capsys.readouterr()
        return code, told.out, told.err

    monkeypatch.setenv("COLUMNS", "120")
    return call


def title(process: psutil.Process) -> str:
    """What a process calls itself: Ray's workers say what they do."""
    try:
        return process.name() + " ".join(process.cmdline())
    except psutil.Error:  # it has just gone
        return ""


def every_file_once(out: Path, scans: Path) -> None:
    rows = read_results(out)
    assert Counter(rows.column("file").to_pylist()) == Counter(map(str, scans.iterdir()))
    assert rows.column("file").to_pylist() == sorted(map(str, scans.iterdir()))


def test_a_second_command_is_kept_out_of_the_results(run: Run, scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with locked(out / ".lock", "busy", "wait"):
        for words in ((), ("--resume",), ("--overwrite",)):
            code, told, warned = run(scans, "--out", out, *ENGINE, *words)
            assert (code, told) == (1, "")
            assert "another process writes these results" in warned
            assert [path.name for path in out.iterdir()] == [".lock"]


def test_rows_are_those_of_the_plain_engine(run: Run, scans: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for path in sorted(scans.iterdir())[:8]:
        shutil.copy(path, folder)
    (folder / "poison.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    out, plain = tmp_path / "out", tmp_path / "plain"
    code, told, warned = run(folder, "--out", out, *ENGINE, "--partition", 4, "--spacing", "0.2,0.3")
    assert code == 3, warned
    assert "8 frames of 9 files" in told
    assert "not a medical device" in told
    assert "poison.png" in warned
    assert "1 of 9 rows" in warned
    assert "deprecated" not in warned
    assert sorted(path.name for path in (out / "partitions").iterdir()) == [
        f"{number:06}.parquet" for number in range(3)
    ]
    assert run(folder, "--out", plain, "--runtime", "onnx", "--spacing", "0.2,0.3")[0] == 3
    found = json.loads((plain / "results.json").read_text("utf-8"))
    rows = read_results(out).to_pylist()
    good = [row for row in rows if row["error"] is None]
    for row, image in zip(good, found["images"], strict=True):
        for name in (
            "file",
            "frame",
            "height",
            "width",
            "spacing",
            "spacing_origin",
            "unit",
            "lesion_share",
            "lesions",
        ):
            assert row[name] == image[name]
        assert row["uncertainty"] == image["uncertainty"]
        with Image.open(plain / image["files"]["mask"]) as mask:
            assert np.array_equal(coco.decode(row["mask"]), np.asarray(mask) > 0)
    assert sum(len(row["lesions"]) for row in good)
    ((bad, refused),) = [(row, found["refused"][0]) for row in rows if row["error"] is not None]
    assert (bad["file"], bad["error"]) == (refused["file"], refused["reason"])
    # What is done is done: with --resume there is nothing to do, and the exit code says the same.
    before = {path: path.stat().st_mtime_ns for path in (out / "partitions").iterdir()}
    code, _, warned = run(folder, "--out", out, *ENGINE, "--partition", 4, "--spacing", "0.2,0.3", "--resume")
    assert code == 3
    assert "3 of 3 partitions are done" in warned
    assert {path: path.stat().st_mtime_ns for path in (out / "partitions").iterdir()} == before
    # Other options cannot resume it, and nothing is replaced without --overwrite.
    code, _, warned = run(folder, "--out", out, *ENGINE, "--resume", "--threshold", 0.4)
    assert code == 1
    assert "threshold was 0.5 and is 0.4" in warned
    code, _, warned = run(folder, "--out", out, *ENGINE)
    assert code == 1
    assert "has results already" in warned


@pytest.mark.parametrize("option", ["--coco", "--dicom", "--json", "--probability", "--xlsx"])
def test_options_that_do_not_go_with_it_are_told(run: Run, scans: Path, tmp_path: Path, option: str) -> None:
    code, _, warned = run(scans, "--out", tmp_path / "out", *ENGINE, option)
    assert code == 2
    assert option in warned
    assert not (tmp_path / "out").exists()


def test_its_own_options_need_it(run: Run, scans: Path, tmp_path: Path) -> None:
    for words in (("--workers", 2), ("--partition", 5), ("--ray", "auto")):
        code, _, warned = run(scans, "--out", tmp_path / "out", *words)
        assert code == 2
        assert str(words[0]) in warned


def test_workers_killed_in_the_middle_cost_no_row(
    run: Run, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, killed = Partitions.write, set()

    def write_and_kill(self: Partitions, number: int, rows: object) -> dict[str, int]:
        told = write(self, number, rows)
        # At each of the first partitions a worker goes: one of each kind, where one is seen.
        for word in ("MapWorker", "_read", "finish"):
            for process in psutil.Process().children(recursive=True):
                if word not in killed and word in title(process):
                    process.send_signal(signal.SIGKILL)
                    killed.add(word)
                    return told
        return told

    monkeypatch.setattr(Partitions, "write", write_and_kill)
    code, _, warned = run(scans, "--out", tmp_path / "out", *ENGINE, "--partition", 4)
    assert code == 0, warned
    assert "MapWorker" in killed
    every_file_once(tmp_path / "out", scans)


class Deadly(ReadingOptions):
    """Ends the process that reads one of the files, as a decoder with a fault would."""

    def spacing_of(self, name: str | Path) -> tuple[Spacing | None, Origin]:
        if str(name).endswith("013.png"):
            os._exit(1)
        return super().spacing_of(name)


def test_a_file_that_ends_its_worker_costs_one_row(
    scans: Path, dark_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    from sonoseg.batch import ray_engine

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.setattr(ray_engine, "RETRIES", 0)
    names = sorted(map(str, scans.iterdir()))[:20]
    partitions = Partitions.begin(tmp_path, iter(names), {}, paths=[], partition=8)
    plan = ray_engine.RayPlan(str(dark_model), runtime="onnx", precision="fp32", reading=Deadly())
    resources = ray_engine.Resources(1, 1)
    _, steps = ray_engine.describe(plan, resources)
    assert len(list(ray_engine.run_partitions(partitions, plan, resources, steps))) == 20
    rows = read_results(tmp_path).to_pylist()
    assert [row["file"] for row in rows] == names
    assert [row["file"] for row in rows if row["error"] is not None] == [names[13]]
    assert "ends the process" in rows[13]["error"]


def test_a_model_that_is_wrong_is_told_before_the_work(run: Run, scans: Path, tmp_path: Path) -> None:
    code, _, warned = run(scans, "--out", tmp_path / "out", "--engine", "ray", "--runtime", "torch")
    assert code == 1, warned
    assert "error:" in warned
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_killed_driver_is_gone_on_with(run: Run, scans: Path, dark_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = [
        "predict",
        str(scans),
        "--out",
        str(out),
        *ENGINE,
        "--partition",
        "4",
        "--model",
        str(dark_model),
    ]
    driver = subprocess.Popen(
        [sys.executable, "-m", "sonoseg", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    family: list[psutil.Process] = []
    while len(list((out / "partitions").glob("[0-9]*.parquet"))) < 3:
        assert driver.poll() is None, "it ended before it could be killed"
        family = psutil.Process(driver.pid).children(recursive=True)
        time.sleep(0.01)
    driver.kill()
    driver.wait()
    before = {path.name: path.stat().st_mtime_ns for path in (out / "partitions").glob("[0-9]*.parquet")}
    assert 3 <= len(before) < 25
    code, _, warned = run(scans, "--out", out, *ENGINE, "--resume")
    assert code == 0, warned
    assert f"{len(before)} of 25 partitions are done already" in warned
    after = {path.name: path.stat().st_mtime_ns for path in (out / "partitions").iterdir()}
    assert {name: after[name] for name in before} == before
    every_file_once(out, scans)
    _, alive = psutil.wait_procs(family, timeout=60)
    assert not alive, "Ray outlived its driver"
