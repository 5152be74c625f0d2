"""From an instance to its objects; and every instance that is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from sonoseg._util.packages import is_installed
from sonoseg.errors import InputError, OutputError
from sonoseg.inference.predictor import Predictor
from sonoseg.inputs.frame_list import list_frames, read
from sonoseg.pacs.node_settings import load_settings
from sonoseg.pacs.queue_rows import InstanceState, QueueRow
from sonoseg.pacs.segmenter import Segmenter, check_ultrasound

US, CLIP = "1.2.840.10008.5.1.4.1.1.6.1", "1.2.840.10008.5.1.4.1.1.3.1"


@pytest.fixture
def segmenter(dark_model: Path) -> Callable[..., Segmenter]:
    def make(**options: Any) -> Segmenter:
        said = {"send_back": ["seg", "sr", "capture"], "runtime": "onnx", "model": dark_model}
        return Segmenter(load_settings(None, archive="A@localhost:1", **(said | options)))

    return make


def row_of(path: Path, **values: Any) -> QueueRow:
    """The row that the receiver makes of a file."""
    meta = pydicom.filereader.read_file_meta_info(path)
    said = {
        "seq": 1,
        "uid": str(meta.MediaStorageSOPInstanceUID),
        "sop_class": str(meta.MediaStorageSOPClassUID),
        "syntax": str(meta.TransferSyntaxUID),
        "sender": "SCANNER",
        "address": "",
        "sha256": "",
        "size": 1,
        "state": InstanceState.RECEIVED,
        "model": "",
        "starts": 1,
        "attempts": 0,
        "refusals": 0,
        "next_at": 0.0,
        "reason": None,
        "received_at": "2026-05-01T10:00:00.000+00:00",
        "updated_at": "",
    }
    return QueueRow(**(said | values))


def test_a_still_gets_all_three_on_its_own_grid(
    tmp_path: Path, segmenter: Callable[..., Segmenter], make_phantom: Callable[..., Path], dark_model: Path
) -> None:
    source = make_phantom(tmp_path / "in.dcm", 1)
    row = row_of(source)
    results = segmenter().results(row, source, tmp_path / "results" / row.uid)
    assert [one.kind for one in results] == ["capture", "seg", "sr"]
    for one in results:
        assert pydicom.dcmread(tmp_path / one.file).SOPInstanceUID == one.uid
    assert len({one.uid for one in results}) == 3
    seg = pydicom.dcmread(tmp_path / results[1].file)
    mask = np.logical_or.reduce(seg.pixel_array.reshape(-1, seg.Rows, seg.Columns).astype(bool))
    wanted = Predictor(dark_model, runtime="onnx").predict(source).mask
    assert wanted.any()
    assert np.array_equal(mask, wanted), "pixel for pixel on the source's grid"
    assert seg.PatientID == "P-a"
    refers = seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0].ReferencedSOPInstanceUID
    assert refers == row.uid


@pytest.mark.process
def test_a_repeated_run_makes_the_same_to_the_last_byte(
    tmp_path: Path, segmenter: Callable[..., Segmenter], make_phantom: Callable[..., Path]
) -> None:
    source = make_phantom(tmp_path / "in.dcm", 2, frames=3)
    row = row_of(source)
    once = segmenter().results(row, source, tmp_path / "results" / row.uid)
    assert [one.kind for one in once] == ["capture"] * 3 + ["seg", "sr"]
    held = {one.file: (tmp_path / one.file).read_bytes() for one in once}
    again = segmenter(threads=1).results(row, source, tmp_path / "results" / row.uid)
    assert again == once
    assert {one.file: (tmp_path / one.file).read_bytes() for one in again} == held
    assert [path.name for path in (tmp_path / "results").iterdir()] == [row.uid]


def test_another_threshold_makes_other_uids(
    tmp_path: Path, segmenter: Callable[..., Segmenter], make_phantom: Callable[..., Path]
) -> None:
    """Even where the masks are the same: each object names its threshold."""
    source = make_phantom(tmp_path / "in.dcm", 1)
    row = row_of(source)
    once = segmenter(send_back=["seg"]).results(row, source, tmp_path / "a" / row.uid)
    other = segmenter(send_back=["seg"], threshold=0.2).results(row, source, tmp_path / "b" / row.uid)
    assert once[0].uid != other[0].uid


def test_the_identity_covers_the_settings_that_change_a_result_and_no_others(
    segmenter: Callable[..., Segmenter], make_dark_model: Callable[..., Path], tmp_path: Path
) -> None:
    plain = segmenter().identity
    changing: list[dict[str, Any]] = [
        {"threshold": 0.2},
        {"model": make_dark_model(card={"threshold": 0.9})},
        {"anonymise": True},
        {"frames": "0"},
        {"send_back": ["seg"]},
    ]
    if is_installed("openvino"):
        changing.append({"runtime": "openvino"})
    assert len({plain, *(segmenter(**options).identity for options in changing)}) == 1 + len(changing)
    others = {"threads": 1, "batch": 2, "state": tmp_path / "elsewhere", "keep": True, "ae": "OTHER"}
    assert segmenter(**others).identity == plain


def test_only_what_is_asked_for_goes_back_and_without_names(
    tmp_path: Path, segmenter: Callable[..., Segmenter], make_phantom: Callable[..., Path]
) -> None:
    source = make_phantom(tmp_path / "in.dcm", 1)
    row = row_of(source)
    results = segmenter(send_back=["sr"], anonymise=True).results(row, source, tmp_path / "r" / row.uid)
    assert [one.kind for one in results] == ["sr"]
    data = (tmp_path / "r" / row.uid / "sr.dcm").read_bytes()
    for text in ("Erika", "P-a", "Mammasonographie", "ACC-a", "19610412", "20240229"):
        assert text.encode() not in data
    assert pydicom.dcmread(tmp_path / "r" / row.uid / "sr.dcm").PatientIdentityRemoved == "YES"


def test_key_frames_are_enough_where_they_are_asked_for(
    tmp_path: Path, segmenter: Callable[..., Segmenter], make_phantom: Callable[..., Path]
) -> None:
    source = make_phantom(tmp_path / "in.dcm", 1, frames=12, jpeg=True)
    row = row_of(source)
    made = segmenter(frames="0", send_back=["capture"]).results(row, source, tmp_path / "r" / row.uid)
    assert [Path(one.file).name for one in made] == ["capture-00001.dcm"]


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2000])


def _garble(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200] + bytes(range(256)) * 20)


def _set(**values: Any) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        dataset = pydicom.dcmread(path)
        for keyword, value in values.items():
            if value is None:
                del dataset[keyword]
            else:
                setattr(dataset, keyword, value)
        dataset.save_as(path)

    return change


@pytest.mark.filterwarnings("ignore:Invalid value for VR CS")
@pytest.mark.parametrize(
    ("frames", "spoil", "said"),
    [
        (1, _cut, "pixel"),
        (1, _garble, "damaged"),
        (1, Path.unlink, "missing"),
        (1, _set(Modality="MG"), "modality is MG"),
        (1, _set(Modality="Erika Muster"), "modality is unknown"),
        (1, _set(SOPClassUID="1.2.840.10008.5.1.4.1.1.1.2"), "not ultrasound, but Digital Mammography"),
        (1, _set(SOPClassUID=CLIP), "another instance UID or SOP class"),
        (1, _set(SOPInstanceUID="1.2.3"), "another instance UID or SOP class"),
        (1, _set(PixelData=None), "without pixel data"),
        (1, _set(Rows=0), "0"),
        (3, _set(NumberOfFrames=0), "NumberOfFrames is 0"),
        (3, _set(NumberOfFrames=9), "9 frames"),
    ],
)
def test_what_is_no_ultrasound_image_is_refused_in_words(
    tmp_path: Path,
    segmenter: Callable[..., Segmenter],
    make_phantom: Callable[..., Path],
    frames: int,
    spoil: Callable[[Path], None],
    said: str,
) -> None:
    source = make_phantom(tmp_path / "in.dcm", 1, frames=frames)
    row = row_of(source)
    spoil(source)
    with pytest.raises(InputError) as told:
        segmenter().results(row, source, tmp_path / "results" / row.uid)
    assert said in told.value.found
    assert "Erika" not in str(told.value)
    assert list((tmp_path / "results").glob("*")) == [], "nothing half made is left"


def test_a_disk_without_room_for_results_is_no_fault_of_the_instance(
    tmp_path: Path,
    segmenter: Callable[..., Segmenter],
    make_phantom: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import os

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    source = make_phantom(tmp_path / "in.dcm", 1)
    row = row_of(source)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        segmenter().results(row, source, tmp_path / "results" / row.uid)
    assert list((tmp_path / "results").glob("*")) == []


@pytest.mark.real
@pytest.mark.filterwarnings("ignore")
def test_real_files_pass_and_stay_aligned(
    tmp_path: Path, segmenter: Callable[..., Segmenter], real_data: Path, dark_model: Path
) -> None:
    predictor = Predictor(dark_model, runtime="onnx")
    for source in sorted((real_data / "dicom").glob("*.dcm")):
        row = row_of(source)
        check_ultrasound(row, source)
        results = segmenter().results(row, source, tmp_path / "results" / row.uid)
        (file,) = [one.file for one in results if one.kind == "seg"]
        seg = pydicom.dcmread(tmp_path / file)
        planes = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns).astype(bool)
        for ref in list_frames(source):
            wanted = predictor.predict(read(ref)).mask
            assert wanted.shape == planes.shape[1:]
            found = np.zeros_like(wanted)
            for plane, group in zip(planes, seg.PerFrameFunctionalGroupsSequence, strict=True):
                origin = group.DerivationImageSequence[0].SourceImageSequence[0]
                if origin.get("ReferencedFrameNumber", 1) == (ref.index or 0) + 1:
                    found |= plane
            assert np.array_equal(found, wanted), ref
