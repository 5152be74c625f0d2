"""Frames by reference: choosing, and reading with clips kept open."""

from __future__ import annotations

import gc
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sonoseg.errors import InputError, SonosegWarning, UsageError
from sonoseg.image.calibration import Spacing
from sonoseg.inputs import frame_list as frames
from sonoseg.inputs.frame_list import FrameRef, list_frames, parse_choice, read

GREY = (np.add.outer(np.arange(24), np.arange(32)) * 4).astype(np.uint8)
Make = Callable[..., Path]


@pytest.fixture
def clip(tmp_path: Path, make_dicom: Make) -> Path:
    return make_dicom(tmp_path / "clip.dcm", np.stack([GREY + k for k in range(12)]))


@pytest.mark.parametrize(
    ("choice", "numbers"),
    [
        ("all", list(range(12))),
        ("ALL ", list(range(12))),
        ("key", [1, 3, 6, 8, 10]),
        ("3", [3]),
        ("-1", [11]),
        ("2:10:3", [2, 5, 8]),
        ("10:", [10, 11]),
        (":2", [0, 1]),
        ("-2:", [10, 11]),
        ("::4", [0, 4, 8]),
        ("8:500", [8, 9, 10, 11]),
    ],
)
def test_choices(clip: Path, choice: str, numbers: list[int]) -> None:
    assert list_frames(clip, choice) == [FrameRef(clip, number) for number in numbers]


@pytest.mark.parametrize("choice", ["", "some", "1,2", "::0", "1:2:-1", "a:b", "1.5", "9" * 30, "5:6:7:8"])
def test_choices_that_are_none(choice: str) -> None:
    with pytest.raises(UsageError, match="names no frames"):
        parse_choice(choice)


@pytest.mark.parametrize("choice", ["12", "-13", "50:60", "5:5"])
def test_frames_that_are_not_there(clip: Path, choice: str) -> None:
    with pytest.raises(InputError, match=f"none of its 12 frames.*--frames {choice}"):
        list_frames(clip, choice)


def test_a_still_is_itself_whatever_the_choice(tmp_path: Path, make_dicom: Make) -> None:
    still = make_dicom(tmp_path / "still.dcm", GREY)
    png = tmp_path / "scan.png"
    Image.fromarray(GREY).save(png)
    for path in (still, png):
        for choice in ("all", "key", "10:50:5", "7"):
            assert list_frames(path, choice) == [FrameRef(path)]
        assert np.array_equal(read(FrameRef(path)).pixels, GREY)
    with pytest.raises(InputError, match="does not exist"):
        list_frames(tmp_path / "none.dcm")


def test_reading_by_reference(clip: Path) -> None:
    for ref in list_frames(clip, "::5"):
        frame = read(ref)
        assert frame.index == ref.index
        assert np.array_equal(frame.pixels, GREY + ref.index)
    with pytest.raises(InputError, match="clip of 12 frames"):
        read(FrameRef(clip))
    with pytest.raises(InputError, match="frame 12 does not exist"):
        read(FrameRef(clip, 12))


def test_a_given_spacing_says_who_gave_it(clip: Path, tmp_path: Path) -> None:
    png = tmp_path / "scan.png"
    Image.fromarray(GREY).save(png)
    for ref in (FrameRef(clip, 3), FrameRef(png)):
        frame = read(ref, spacing=Spacing(0.1, 0.2), origin="table")
        assert frame.spacing == Spacing(0.1, 0.2)
        assert frame.calibration.origin == "table"
    assert read(FrameRef(png)).spacing is None
    assert read(FrameRef(clip, 3)).calibration.origin == "file"


def test_clips_stay_open_a_few_at_a_time(
    tmp_path: Path, make_dicom: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "_open_clips", frames._OpenClips())
    opened: list[Any] = []
    original = frames.Clip

    def counted(*args: Any, **options: Any) -> Any:
        opened.append(original(*args, **options))
        return opened[-1]

    monkeypatch.setattr(frames, "Clip", counted)
    paths = [make_dicom(tmp_path / f"{k}.dcm", np.stack([GREY] * 3)) for k in range(6)]
    for path in paths:
        for number in range(3):
            read(FrameRef(path, number))
    assert len(opened) == 6
    assert sum(bool(one._files) for one in opened) == frames.MAX_OPEN
    read(FrameRef(paths[5], 0))
    assert len(opened) == 6
    read(FrameRef(paths[0], 0))
    assert len(opened) == 7


def test_a_file_written_anew_is_opened_anew(clip: Path, make_dicom: Make) -> None:
    before = read(FrameRef(clip, 2)).pixels
    make_dicom(clip, np.stack([GREY] * 9))
    assert not np.array_equal(read(FrameRef(clip, 2)).pixels, before)


@pytest.mark.process
def test_each_thread_has_its_own(clip: Path) -> None:
    wrong: list[int] = []

    def work() -> None:
        wrong.extend(
            number
            for number in list(range(12)) * 5
            if not np.array_equal(read(FrameRef(clip, number)).pixels, GREY + number)
        )

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    gc.collect()


def test_a_warning_is_given_once(tmp_path: Path, make_dicom: Make) -> None:
    path = make_dicom(tmp_path / "odd.dcm", np.stack([GREY] * 3), Modality="OT")
    with pytest.warns(SonosegWarning, match="modality is OT") as caught:
        refs = list_frames(path)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for ref in refs:
            read(ref)


def test_references_are_cheap_and_hashable(clip: Path) -> None:
    assert len({*list_frames(clip), *list_frames(clip)}) == 12
    assert str(FrameRef(Path("a.dcm"), 4)) == "a.dcm (frame 4)"
    assert str(FrameRef(Path("a.png"))) == "a.png"
