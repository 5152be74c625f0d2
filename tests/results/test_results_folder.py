"""The results folder: checked first, written while the run proceeds, overwritten only on request."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sonoseg.errors import OutputError
from sonoseg.image.frame import Frame
from sonoseg.inference.predictor import Predictor
from sonoseg.inputs.frame_list import FrameRef
from sonoseg.results import results_folder as folder_module
from sonoseg.results.entries import RunInfo
from sonoseg.results.results_folder import RequestedOutputs, ResultsFolder
from sonoseg.results.writers import image_writers

SUMMARIES = {"report.html", "report.json", "results.csv", "results.json", "journal.sqlite"}
IMAGES = {Path("in/a.png"): "a", Path("in/sub/a.png"): "sub/a"}


@pytest.fixture(scope="module")
def predictor(dark_model: Path) -> Predictor:
    return Predictor(dark_model)


@pytest.fixture
def about(predictor: Predictor) -> RunInfo:
    return RunInfo.of(predictor, "sonoseg predict")


def frames() -> list[Frame]:
    pixels = np.full((80, 100), 150, dtype=np.uint8)
    pixels[30:60, 40:70] = 5
    return [Frame(pixels, source=path) for path in IMAGES]


def written(root: Path) -> set[str]:
    """List the files, without those that an open journal needs beside it."""
    working = {".lock", "journal.sqlite-wal", "journal.sqlite-shm"}
    return {
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and path.name not in working
    }


def test_all_outputs_are_written(predictor: Predictor, about: RunInfo, tmp_path: Path) -> None:
    gates = predictor.model.card.attention
    results = ResultsFolder(
        tmp_path / "out",
        IMAGES,
        about,
        outputs=RequestedOutputs(image_writers(probability=True, gates=gates)),
    )
    results.check()
    found = list(predictor.predict_many(frames(), attention=True))
    for one in found:
        assert len(results.add(one).lesions) == 1
    results.refuse("in/bad.png", "this file is empty.")
    assert results.finish().counts.lesions == 2
    value = json.loads(results.summary.read_text(encoding="utf-8"))
    expected = set(SUMMARIES)
    for name in ("a", "sub/a"):
        expected |= {f"{kind}/{name}.png" for kind in ("masks", "overlays", "probability")}
        expected |= {f"attention/{name}_gate{k}.png" for k in (1, 2, 3, 4)}
    assert written(results.folder) == expected
    for image in value["images"]:
        assert set(image["files"]) == {"overlay", "mask", "probability", *gates}
        assert set(image["files"].values()) <= expected
    with Image.open(results.folder / "masks" / "sub" / "a.png") as mask:
        assert np.array_equal(np.asarray(mask) == 255, found[1].mask)
    rows = list(csv.DictReader((results.folder / "results.csv").open(encoding="utf-8")))
    assert [row["status"] for row in rows] == ["lesion", "lesion", "refused"]
    assert "sub/a" in results.page.read_text(encoding="utf-8")


def test_default_outputs_are_masks_and_overlays(predictor: Predictor, about: RunInfo, tmp_path: Path) -> None:
    results = ResultsFolder(tmp_path, IMAGES, about)
    results.check()
    results.add(predictor.predict(frames()[0]))
    assert written(tmp_path) == {"masks/a.png", "overlays/a.png", "journal.sqlite"}


def test_a_frame_without_a_file_goes_by_its_name(
    predictor: Predictor, about: RunInfo, tmp_path: Path
) -> None:
    results = ResultsFolder(tmp_path / "out", {}, about)
    pixels = frames()[0].pixels
    results.add(predictor.predict(Frame(pixels, name="mine")))
    results.add(predictor.predict(Frame(pixels, name="../../escape")))
    assert written(tmp_path) == {"out/journal.sqlite"} | {
        f"out/{kind}/{n}.png" for kind in ("masks", "overlays") for n in ("mine", "escape")
    }


@pytest.mark.parametrize("there", ["masks/sub/a.png", "overlays/a.png", "results.csv", "report.html"])
def test_existing_results_need_overwrite(about: RunInfo, tmp_path: Path, there: str) -> None:
    path = tmp_path / there
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    results = ResultsFolder(tmp_path, IMAGES, about)
    with pytest.raises(OutputError, match=rf"results are here already \({there}\).*--overwrite"):
        results.check()
    assert path.read_text() == "mine"
    assert written(tmp_path) == {there}
    results.check(overwrite=True)


def test_other_files_are_left_alone(about: RunInfo, tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "other.png").write_text("mine")
    (tmp_path / "notes.txt").write_text("mine")
    ResultsFolder(tmp_path, IMAGES, about).check()
    assert written(tmp_path) == {"masks/other.png", "notes.txt", "journal.sqlite"}


def test_number_of_existing_results_is_reported(about: RunInfo, tmp_path: Path) -> None:
    for name in ("results.csv", "results.json", "report.html"):
        (tmp_path / name).touch()
    with pytest.raises(OutputError, match=r"results\.csv and 2 more"):
        ResultsFolder(tmp_path, IMAGES, about).check()


def test_unwritable_folder_is_refused(
    about: RunInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be written to"):
        ResultsFolder(tmp_path / "file", IMAGES, about).check()
    with pytest.raises(OutputError, match="cannot be written to"):
        ResultsFolder(tmp_path / "file" / "below", IMAGES, about).check()

    def denied(**_: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(folder_module.tempfile, "TemporaryFile", denied)
    with pytest.raises(OutputError, match=r"cannot be written to: Permission denied.*--out"):
        ResultsFolder(tmp_path, IMAGES, about).check()


def test_unwritable_folder_with_real_permissions(
    about: RunInfo, open_folder: Path, ordinary_rights: Callable[[], AbstractContextManager[None]]
) -> None:
    open_folder.chmod(0o555)
    with ordinary_rights():
        for folder in (open_folder, open_folder / "below"):
            with pytest.raises(OutputError, match="cannot be written to: Permission denied"):
                ResultsFolder(folder, IMAGES, about).check()


def test_full_disk_leaves_no_partial_file(
    predictor: Predictor, about: RunInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = ResultsFolder(tmp_path, IMAGES, about)
    results.check()
    found = predictor.predict(frames()[0])

    def full(path: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match=r"overlays/a\.png: cannot be written: No space left on device"):
        results.add(found)
    assert written(tmp_path) == {"journal.sqlite"}


def test_former_journal_is_refused(about: RunInfo, tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_text("{}")
    for resume in (False, True):
        with pytest.raises(OutputError, match=r"older sonoseg.*--overwrite"):
            ResultsFolder(tmp_path, IMAGES, about).check(resume=resume)
    ResultsFolder(tmp_path, IMAGES, about).check(overwrite=True)
    assert written(tmp_path) == {"journal.sqlite"}


def test_interrupted_run_is_reported(predictor: Predictor, about: RunInfo, tmp_path: Path) -> None:
    ResultsFolder(tmp_path, IMAGES, about).check()
    with pytest.raises(OutputError, match=r"an interrupted run.*--resume.*--overwrite"):
        ResultsFolder(tmp_path, IMAGES, about).check()


def real_frames(folder: Path) -> dict[Path, str]:
    """The two images as files."""
    names = {}
    for number, frame in enumerate(frames()):
        path = folder / f"in{number}.png"
        Image.fromarray(frame.pixels).save(path)
        names[path] = f"p{number}"
    return names


def test_resume_skips_finished_images(predictor: Predictor, about: RunInfo, tmp_path: Path) -> None:
    names = real_frames(tmp_path)
    first, second = names
    out = tmp_path / "out"

    def left(resume: bool = True) -> list[Path]:
        nonlocal results
        results.close()
        results = ResultsFolder(out, names, about)
        results.check(resume=resume)
        return [frame.path for frame in results.begin()]

    results = ResultsFolder(out, names, about)
    assert left(resume=False) == [first, second]
    results.add(predictor.predict(first))
    assert left() == [second]
    results.add(predictor.predict(second))
    assert [entry.name for entry in results.entries()] == ["p0", "p1"]

    os.utime(first, (1, 1))  # touched, but the same bytes
    assert left() == []
    (out / "masks" / "p1.png").unlink()
    assert left() == [second]
    assert [entry.name for entry in results.entries()] == ["p0"]
    first.write_bytes(second.read_bytes() + b" ")
    assert left() == [first, second]


def test_frames_of_a_clip_have_own_results(predictor: Predictor, about: RunInfo, tmp_path: Path) -> None:
    clip = Path("in/a.dcm")
    refs = [FrameRef(clip, 7), FrameRef(clip, 8)]
    results = ResultsFolder(tmp_path / "out", {clip: "a"}, about, frames=refs)
    results.check()
    assert results.begin() == refs
    pixels = frames()[0].pixels
    for ref in refs:
        results.add(predictor.predict(Frame(pixels, source=clip, index=ref.index, kind="dicom")))
    results.refuse(FrameRef(clip, 9), "torn.")
    assert written(tmp_path / "out") - {"journal.sqlite"} == {
        f"{kind}/a_f{number:04}.png" for kind in ("masks", "overlays") for number in (7, 8)
    }
    found = results.finish()
    assert [(entry.name, entry.frame) for entry in found.entries()] == [("a_f0007", 7), ("a_f0008", 8)]
    assert [one.file for one in found.refused] == [f"{clip} (frame 9)"]


def test_results_follow_the_order_of_names(predictor: Predictor, about: RunInfo, tmp_path: Path) -> None:
    results = ResultsFolder(tmp_path / "out", IMAGES, about)
    results.check()
    for frame in reversed(frames()):
        results.add(predictor.predict(frame))
    assert [entry.name for entry in results.entries()] == ["a", "sub/a"]
    results.refuse("in/sub/a.png", "second.")
    results.refuse("in/a.png", "first.")
    results.refuse("elsewhere.png", "last.")
    assert [one.reason for one in results.finish().refused] == ["first.", "second.", "last."]


def test_partial_files_of_a_killed_run_are_removed(about: RunInfo, tmp_path: Path) -> None:
    with ResultsFolder(tmp_path, IMAGES, about) as results:
        results.check()
    left = tmp_path / "masks" / "sub" / ".a.png.ab12_xyz.png"
    mine = tmp_path / "masks" / ".hidden.png"
    left.parent.mkdir(parents=True)
    for path in (left, mine, tmp_path / ".results.csv.q1w2e3r4.csv"):
        path.write_text("x")
    with ResultsFolder(tmp_path, IMAGES, about) as results:
        results.check(resume=True)
    assert written(tmp_path) == {"journal.sqlite", "masks/.hidden.png"}


def test_overwrite_removes_old_summaries_first(about: RunInfo, tmp_path: Path) -> None:
    for name in SUMMARIES:
        (tmp_path / name).write_text("old")
    results = ResultsFolder(tmp_path, IMAGES, about)
    results.check(overwrite=True)
    assert written(tmp_path) == {"journal.sqlite"}
    results.finish()
    assert written(tmp_path) == SUMMARIES


def test_most_uncertain_images_are_referred(predictor: Predictor, about: RunInfo, tmp_path: Path) -> None:
    results = ResultsFolder(tmp_path / "out", IMAGES, about)
    results.check()
    sure, other = (predictor.predict(frame) for frame in frames())
    doubtful = replace(other, probability=np.where(other.mask, 0.51, 0.4).astype(np.float32))
    results.add(sure)
    results.add(doubtful)
    assert results.finish(refer=0.5).referred == {"sub/a"}
    value = json.loads(results.summary.read_text(encoding="utf-8"))
    assert [image["referred"] for image in value["images"]] == [False, True]
    assert json.loads((results.folder / "report.json").read_text())["counts"]["referred"] == 1
