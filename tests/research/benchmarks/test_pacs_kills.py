"""The benchmark of the killed node counts its results and detects errors in them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("pydicom", reason="the extra 'dicom' is not installed")
pytest.importorskip("pynetdicom", reason="the extra 'pacs' is not installed")

from pydicom import Dataset, dcmread

from sonoseg.dicom.writing.attributes import encode
from sonoseg.dicom.writing.capture import make_capture
from sonoseg.dicom.writing.seg import make_seg
from sonoseg.dicom.writing.sr import make_sr
from sonoseg.inference.predictor import Predictor
from sonoseg.inputs.frame_list import list_frames, read
from sonoseg.lesions.measurement import measure

ALL = {"seg": 2, "sr": 2, "capture": 4}


@pytest.fixture
def kills(benchmark_script: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_script("pacs_kills")


@pytest.fixture(scope="module")
def predictor(dark_model: Path) -> Predictor:
    return Predictor(dark_model, runtime="onnx", threads=1)


def results_of(path: Path, predictor: Predictor) -> list[Dataset]:
    """What the node makes of a file."""
    found = list(predictor.predict_many([partial(read, one) for one in list_frames(path, "all")]))
    measured = [measure(one) for one in found]
    seg = make_seg(path, found, measured)
    captures = [make_capture(path, one, many) for one, many in zip(found, measured, strict=True)]
    made = [seg, make_sr(path, found, measured, seg=seg), *captures]
    return [dcmread(BytesIO(encode(one))) for one in made]


@pytest.mark.process
def test_the_count(tmp_path: Path, kills: ModuleType, predictor: Predictor) -> None:
    parts = kills.fixtures()
    paths = [
        parts.write_phantom(tmp_path / "still.dcm", 1),
        parts.write_phantom(tmp_path / "clip.dcm", 2, frames=3, jpeg=True),
    ]
    sources = [kills.Source.of(path) for path in paths]
    still, clip = (results_of(path, predictor) for path in paths)

    def count(results: list[Dataset]) -> dict[str, Any]:
        files = (encode(one) for one in results)
        counted: dict[str, Any] = kills.count(sources, files, compared=2, predictor=predictor)
        return counted

    good = count(still + clip)
    assert good["kinds"] == good["wanted"] == ALL
    assert (good["double"], good["missing"], good["others"], good["aligned"]) == (0, 0, 0, 2)
    assert good["pixels"] == {"compared": 2, "equal": 2}

    assert count(still[1:] + clip[:-1])["missing"] == 2
    again = copy.deepcopy(still[0])
    again.SOPInstanceUID = "1.2.3"
    assert count([*still, again, *clip])["double"] == 1
    foreign = results_of(parts.write_phantom(tmp_path / "other.dcm", 9), predictor)
    assert count(still + clip + foreign)["others"] == 3

    changed = copy.deepcopy(still[0])
    changed.PixelData = bytes(255 - byte for byte in changed.PixelData)
    assert count([changed, *still[1:], *clip])["pixels"] == {"compared": 2, "equal": 1}
    moved = copy.deepcopy(clip[0])
    item = moved.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence[0]
    item.ReferencedFrameNumber = 4
    moved.StudyInstanceUID = "1.2.3"
    from pacs_count import misplaced

    seen = misplaced(moved, sources[1])
    assert seen == ["another study", "derived from a frame that is not there"]


def test_what_is_good(kills: ModuleType) -> None:
    there = {"kinds": ALL, "wanted": ALL, "aligned": 2, "double": 0, "missing": 0, "others": 0}
    there["pixels"] = {"compared": 1, "equal": 1}
    one = {"accepted": 2, "instances": 2, "queue": {"sent": 2, "left": 0}, "archive": there, "ended": 0}
    assert kills.good(one)
    for wrong in (
        {"accepted": 1},
        {"ended": 1},
        {"queue": {"sent": 2, "left": 1}},
        {"queue": {"sent": 1, "left": 0}},
        {"archive": there | {"double": 1}},
        {"archive": there | {"kinds": ALL | {"sr": 1}}},
        {"archive": there | {"aligned": 1}},
        {"archive": there | {"pixels": {"compared": 1, "equal": 0}}},
    ):
        assert not kills.good(one | wrong), wrong


def test_each_instance_is_somebodys_and_each_eighth_is_two_senders(kills: ModuleType) -> None:
    for senders in (2, 3, 4):
        numbers = list(range(40))
        parts = [kills.given(numbers, number, senders) for number in range(senders)]
        assert sorted({one for part in parts for one in part}) == numbers
        assert sum(len(part) for part in parts) == 45
