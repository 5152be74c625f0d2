"""PredictionRun: a prediction run from Python."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
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
    with pytest.raises(UsageError, match="--resume"):
        PredictionRun(["a"], tmp_path, resume=True, overwrite=True)


def test_a_workbook_is_written_and_replaced(scans: Path, dark_model: Path, tmp_path: Path) -> None:
    pytest.importorskip("xlsxwriter", reason="XlsxWriter is not installed: pip install 'sonoseg[xlsx]'")
    run = PredictionRun([scans], tmp_path / "out", model=dark_model, outputs=OutputOptions(xlsx=True))
    run.execute()
    book = tmp_path / "out" / "results.xlsx"
    manifest = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert "results.xlsx" in [one["path"] for one in manifest["outputs"]]
    before = book.read_bytes()
    replace(run, resume=True).execute()
    assert book.read_bytes() == before
    PredictionRun([scans], tmp_path / "out", model=dark_model, overwrite=True).execute()
    assert not book.exists()


def test_warnings_are_shown_and_recorded(scans: Path, dark_model: Path, tmp_path: Path) -> None:
    run = PredictionRun([scans], tmp_path / "out", model=dark_model, outputs=OutputOptions(seg=True))
    with pytest.warns(SonosegWarning, match="4 of 4 files are not DICOM"):
        run.execute()
    manifest = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert len(manifest["warnings"]) == 1


UIDS = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.4", "SOPInstanceUID": "1.2.3.4.5"}


def refused(out: Path) -> dict[str, str]:
    """The reasons of refused files, by the file's name."""
    value = json.loads((out / "results.json").read_text(encoding="utf-8"))
    return {Path(one["file"]).name: one["reason"] for one in value["refused"]}


def test_a_result_that_cannot_be_written_stops_no_run_and_is_tried_again(
    scans: Path, dark_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    (out / "masks" / "b.png").mkdir(parents=True)
    done = PredictionRun([scans], out, model=dark_model, overwrite=True).execute()
    assert done.results.counts.images == 2
    assert refused(out)["b.png"].startswith(f"{out / 'masks' / 'b.png'}: cannot be written: Is a directory")
    (out / "masks" / "b.png").rmdir()
    done = PredictionRun([scans], out, model=dark_model, resume=True).execute()
    assert done.results.counts.images == 3
    assert set(refused(out)) == {"text.png"}


def test_a_table_that_cannot_be_replaced_is_an_error_before_the_work(
    scans: Path, dark_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "out" / "results.csv").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"results\.csv: cannot be written"):
        PredictionRun([scans], tmp_path / "out", model=dark_model, overwrite=True).execute()
    assert not (tmp_path / "out" / "masks").exists()


def test_files_that_vanish_or_are_closed_stop_no_run(
    open_folder: Path,
    scans: Path,
    dark_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    ordinary_rights: Callable[[], AbstractContextManager[None]],
) -> None:
    model, images, out = (open_folder / name for name in ("model", "images", "out"))
    shutil.copytree(dark_model, model)
    images.mkdir()
    images.chmod(0o777)
    for name in "abcd":
        shutil.copy(scans / "a.png", images / f"{name}.png")
    (images / "b.png").chmod(0)

    def track(items: Iterable[Any], description: str, total: int) -> Iterator[Any]:
        (images / "c.png").unlink(missing_ok=True)
        yield from items

    monkeypatch.setattr("tempfile.tempdir", str(open_folder))
    with ordinary_rights():
        done = PredictionRun([images], out, model=model).execute(track=track)
        assert done.results.counts.images == 2
        assert set(refused(out)) == {"b.png", "c.png"}
        # A sub-folder that may not be written to: every image is tried, and every other file is written.
        (out / "masks").chmod(0o500)
        done = PredictionRun([images / "a.png"], out, model=model, overwrite=True).execute()
        assert "masks/a.png: cannot be written: Permission denied" in refused(out)["a.png"]
        (out / "masks").chmod(0o700)


def test_the_objects_of_a_clip_that_cannot_be_written_stop_no_run(
    dark_model: Path, tmp_path: Path, make_dicom: Callable[..., Path]
) -> None:
    pytest.importorskip("highdicom")
    pixels = np.full((2, 80, 100), 150, dtype=np.uint8)
    pixels[:, 30:60, 40:70] = 5
    clip, out = make_dicom(tmp_path / "clip.dcm", pixels, **UIDS), tmp_path / "out"
    (out / "dicom" / "clip_seg.dcm").mkdir(parents=True)
    run = PredictionRun([clip], out, model=dark_model, outputs=OutputOptions(seg=True), overwrite=True)
    assert run.execute().results.counts.images == 2
    assert "clip_seg.dcm: cannot be written: Is a directory" in refused(out)["clip.dcm"]
    run = PredictionRun([clip], out, model=dark_model, outputs=OutputOptions(seg=True), resume=True)
    run.execute()
    assert "clip_seg.dcm: cannot be written: Is a directory" in refused(out)["clip.dcm"]
    (out / "dicom" / "clip_seg.dcm").rmdir()
    run.execute()
    assert (out / "dicom" / "clip_seg.dcm").is_file()
    assert not refused(out)


@pytest.mark.parametrize("letter", ["x", "ü", "日"])
def test_long_names_are_written_and_found_by_a_resumed_run(
    scans: Path, dark_model: Path, tmp_path: Path, letter: str
) -> None:
    stem = letter * (250 // len(letter.encode()))
    for name in ("a.png", "b.png"):
        (scans / name).rename(scans / f"{stem[:-1]}{name}")
    out, messages = tmp_path / "out", list[str]()
    outputs = OutputOptions(probability=True, labelme=True, nrrd=True)
    run = PredictionRun([scans], out, model=dark_model, outputs=outputs)
    assert run.execute().results.counts.images == 3
    assert len(list((out / "masks").iterdir())) == 3
    PredictionRun([scans], out, model=dark_model, outputs=outputs, resume=True).execute(
        notify=messages.append
    )
    assert messages == ["3 of 4 images are done already"]
