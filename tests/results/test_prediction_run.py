"""PredictionRun: a prediction run from Python."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sonoseg.errors import OutputError, SonosegWarning, UsageError
from sonoseg.image.calibration import Spacing
from sonoseg.inputs.reading_options import ReadingOptions
from sonoseg.results import prediction_run
from sonoseg.results.prediction_run import OutputOptions, PredictionRun


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    pixels = np.full((80, 100), 150, dtype=np.uint8)
    pixels[30:60, 40:70] = 5
    (tmp_path / "scans").mkdir()
    for name in "abc":
        Image.fromarray(pixels).save(tmp_path / "scans" / f"{name}.png")
    (tmp_path / "scans" / "text.png").write_text("no image")
    return tmp_path / "scans"


def test_a_run_writes_results_and_reports_progress(scans: Path, dark_model: Path, tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []

    def track(items: Iterable[Any], description: str, total: int) -> Iterator[Any]:
        seen.append((description, total))
        yield from items

    run = PredictionRun(
        [scans],
        tmp_path / "out",
        model=dark_model,
        reading=ReadingOptions(spacing=Spacing(0.1, 0.2)),
        outputs=OutputOptions(probability=True),
    )
    done = run.execute(track=track)
    assert [total for _, total in seen] == [4, 4]
    assert (done.files, done.results.counts.images, len(done.results.refused)) == (4, 3, 1)
    assert done.page.is_file()
    value = json.loads(done.summary.read_text(encoding="utf-8"))
    assert value["images"][0]["spacing"] == [0.1, 0.2]
    assert (tmp_path / "out" / "probability" / "a.png").is_file()


@pytest.mark.skipif(os.name == "nt", reason="Windows removes no open file")
@pytest.mark.parametrize("after", [1, 4])
def test_a_folder_removed_meanwhile_is_an_error(
    scans: Path, dark_model: Path, tmp_path: Path, after: int
) -> None:
    """Written on, it would hold the later half of the masks and a table of all."""

    def track(items: Iterable[Any], description: str, total: int) -> Iterator[Any]:
        for number, item in enumerate(items, start=1):
            yield item
            if number == after and (tmp_path / "out").exists():
                (tmp_path / "out").rename(
                    tmp_path / "gone"
                )  # while threads write, nothing removes it at once

    with pytest.raises(OutputError, match=r"was removed while it was in use|No such file"):
        PredictionRun([scans], tmp_path / "out", model=dark_model, batch=1).execute(track=track)


def test_a_resumed_run_keeps_the_engine_and_reports_what_is_done(
    scans: Path, dark_model: Path, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"paths": [scans], "out": tmp_path / "out", "model": dark_model}
    first = PredictionRun(**options, runtime="onnx").execute()
    messages: list[str] = []
    again = PredictionRun(**options, resume=True).execute(notify=messages.append)
    assert messages == ["3 of 4 images are done already"]
    assert again.results.about == first.results.about


@pytest.mark.process
def test_processes_write_the_same_results(
    scans: Path, dark_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, many in (("threads", 100), ("processes", 1)):
        monkeypatch.setattr(prediction_run, "MANY", many)
        PredictionRun([scans], tmp_path / name, model=dark_model).execute()
    for name in ("results.csv", "masks/a.png", "overlays/c.png"):
        assert (tmp_path / "threads" / name).read_bytes() == (tmp_path / "processes" / name).read_bytes()


def test_outputs_imply_and_require_others(tmp_path: Path) -> None:
    options = OutputOptions(fractional=True)
    assert (options.seg, options.probability, options.dicom) == (True, True, True)
    assert options.fingerprint([]) == {
        "files": ["probability", "seg"],
        "fractional": True,
        "anonymise": False,
    }
    with pytest.raises(UsageError, match="--anonymise"):
        OutputOptions(anonymise=True)
    with pytest.raises(UsageError, match="--resume"):
        PredictionRun(["a"], tmp_path, resume=True, overwrite=True)


def test_warnings_are_shown_and_recorded(scans: Path, dark_model: Path, tmp_path: Path) -> None:
    run = PredictionRun([scans], tmp_path / "out", model=dark_model, outputs=OutputOptions(seg=True))
    with pytest.warns(SonosegWarning, match="4 of 4 files are not DICOM"):
        run.execute()
    manifest = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert len(manifest["warnings"]) == 1
