"""OfflineExecutor finishing in processes: the results of threads, warnings, and a killed worker."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from sonoseg.errors import InputError, OutputError, SonosegError, SonosegWarning
from sonoseg.image.frame import Frame
from sonoseg.inference import pipeline
from sonoseg.inference.pipeline import OfflineExecutor
from sonoseg.inference.predictor import Predictor
from sonoseg.inference.segmentation import Segmentation
from sonoseg.results.entries import ImageEntry, RunInfo
from sonoseg.results.prediction_run import OutputOptions
from sonoseg.results.results_folder import ResultsFolder

IMAGES = {Path(f"in/{name}.png"): name for name in "abcd"}


@pytest.fixture(scope="module")
def predictor(dark_model: Path) -> Predictor:
    return Predictor(dark_model)


def frames() -> list[Frame]:
    pixels = np.full((80, 100), 150, dtype=np.uint8)
    pixels[30:60, 40:70] = 5
    return [Frame(pixels, source=path) for path in IMAGES]


def files(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*.*") if path.is_file()
    }


@pytest.mark.process
def test_processes_write_what_threads_write(predictor: Predictor, tmp_path: Path) -> None:
    outputs = OutputOptions(probability=True, labelme=True, nrrd=True, coco=True)
    written: dict[bool, tuple[list[object], dict[str, bytes]]] = {}
    for processes in (False, True):
        out = tmp_path / str(processes)
        about = RunInfo.of(predictor, "sonoseg predict")
        requested = outputs.writers(predictor.model.card.attention)
        with ResultsFolder(out, IMAGES, about, outputs=requested) as folder:
            folder.check()
            folder.begin()
            executor = OfflineExecutor(
                predictor, folder.images.write, attention=True, workers=2, processes=processes
            )
            entries = [outcome for _, outcome in executor.map(frames())]
        (out / "journal.sqlite").unlink(missing_ok=True)
        assert all(isinstance(entry, ImageEntry) for entry in entries)
        written[processes] = [replace(entry, file="") for entry in entries], files(out)  # type: ignore[type-var]
    assert written[False] == written[True]
    assert len(written[True][1]) > 4 * len(IMAGES)


def shape_and_warn(found: Segmentation) -> tuple[int, ...]:
    warnings.warn("an odd image", SonosegWarning, stacklevel=1)
    warnings.warn("not relevant to users", UserWarning, stacklevel=1)
    return found.mask.shape


@pytest.mark.process
def test_a_workers_warnings_and_results_come_back_in_order(predictor: Predictor) -> None:
    def load(image: Frame) -> Frame:
        if image.name == "b":
            raise InputError("damaged")
        return image

    executor = OfflineExecutor(predictor, shape_and_warn, load=load, processes=True, workers=1)
    with pytest.warns(SonosegWarning, match="an odd image") as shown:
        outcomes = [(frame.name, outcome) for frame, outcome in executor.map(frames())]
    assert len(shown) == 3
    assert [name for name, _ in outcomes] == ["a", "b", "c", "d"]
    assert [isinstance(outcome, SonosegError) for _, outcome in outcomes] == [False, True, False, False]


@pytest.mark.process
def test_a_killed_worker_is_reported_with_its_signal(predictor: Predictor) -> None:
    def endless() -> Iterator[Frame]:
        while True:
            yield from frames()

    executor = OfflineExecutor(predictor, shape_of, processes=True, workers=1)
    results = executor.map(endless())
    next(results)
    (worker,) = [p for p in psutil.Process().children() if "spawn_main" in " ".join(p.cmdline())]
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(OutputError, match="killed by SIGKILL"):
        for _ in results:
            pass


def shape_of(found: Segmentation) -> tuple[int, ...]:
    return found.mask.shape


def test_a_worker_ends_with_its_parent_and_ignores_interrupts(monkeypatch: pytest.MonkeyPatch) -> None:
    handlers = {}
    monkeypatch.setattr(pipeline.signal, "signal", handlers.__setitem__)
    monkeypatch.setattr(pipeline, "_finish", None, raising=False)
    pipeline._start_worker(None, shape_of)  # type: ignore[arg-type]
    assert handlers == {signal.SIGINT: signal.SIG_IGN}
