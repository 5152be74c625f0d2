"""Hands that write: threads for few images, processes for many, the same results."""

from __future__ import annotations

import os
import signal
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sonoseg.errors import OutputError, SonosegWarning
from sonoseg.image.frame import Frame
from sonoseg.inference.predictor import Predictor
from sonoseg.inference.segmentation import Segmentation
from sonoseg.results.entries import RunInfo
from sonoseg.results.result_files import ImageFiles
from sonoseg.results.results_folder import RequestedOutputs, ResultsFolder
from sonoseg.results.workers import MANY, Hands
from sonoseg.results.writers import image_writers

IMAGES = {Path(f"in/{name}.png"): name for name in "abcd"}


@pytest.fixture(scope="module")
def predictor(dark_model: Path) -> Predictor:
    return Predictor(dark_model)


@pytest.fixture(scope="module")
def found(predictor: Predictor) -> list[Segmentation]:
    pixels = np.full((80, 100), 150, dtype=np.uint8)
    pixels[30:60, 40:70] = 5
    return list(predictor.predict_many([Frame(pixels, source=path) for path in IMAGES], attention=True))


def folder(to: Path, predictor: Predictor) -> ResultsFolder:
    gates = predictor.model.card.attention
    outputs = RequestedOutputs(
        image_writers(probability=True, gates=gates, labelme=True, nrrd=True), coco=True
    )
    results = ResultsFolder(to, IMAGES, RunInfo.of(predictor, "sonoseg predict"), outputs=outputs)
    results.check()
    results.begin()
    return results


def files(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*.*") if path.is_file()
    }


def test_processes_write_what_threads_write(
    found: list[Segmentation], predictor: Predictor, tmp_path: Path
) -> None:
    written = {}
    for name, count in (("threads", 4), ("processes", MANY + 1)):
        results = folder(tmp_path / name, predictor)
        with Hands(results.images, count, hands=2) as hands:
            assert hands.apart == (name == "processes")
            entries = [hands.told(hands.write(one)) for one in found]
        results.close()
        (tmp_path / name / "journal.sqlite").unlink()
        written[name] = [replace(entry, file="") for entry in entries], files(tmp_path / name)
    assert written["threads"] == written["processes"]
    assert len(written["threads"][1]) > 4 * len(IMAGES)


def test_warnings_of_a_process_are_given_here(
    found: list[Segmentation], predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sonoseg.results import workers as module

    class Odd(ImageFiles):
        def write(self, segmentation: Segmentation) -> object:  # type: ignore[override]
            warnings.warn("an odd image", SonosegWarning, stacklevel=1)
            warnings.warn("of no concern to users", UserWarning, stacklevel=1)
            return super().write(segmentation)

    own = folder(tmp_path, predictor).images
    monkeypatch.setattr(module, "_images", Odd(**vars(own)))
    entry, told = module._write(found[0])
    assert entry.name == "a"
    assert told == ["an odd image"]


def test_a_killed_process_is_an_error_of_ours(
    found: list[Segmentation], predictor: Predictor, tmp_path: Path
) -> None:
    results = folder(tmp_path, predictor)
    with Hands(results.images, MANY + 1, hands=1) as hands:
        hands.told(hands.write(found[0]))
        for process in hands._pool._processes:  # type: ignore[attr-defined]
            os.kill(process, signal.SIGKILL)

        def go_on() -> None:
            for _ in range(50):  # the first may have been handed out before the end was seen
                hands.told(hands.write(found[1]))

        with pytest.raises(OutputError, match=r"was killed.*--resume"):
            go_on()
    results.close()
