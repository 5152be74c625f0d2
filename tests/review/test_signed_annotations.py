"""From a state folder to a prepared set: only what is signed, the present mask, patients kept together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage, generate_uid
from typer.testing import CliRunner

from sonoseg.cli.main import app
from sonoseg.data.prepared_set import PreparedSet
from sonoseg.review.file_import import import_uploads
from sonoseg.review.form_upload import Upload, copy_files
from sonoseg.review.items import Item, Tool
from sonoseg.review.reading import Assessment, Review
from sonoseg.review.settings import ServerLimits
from sonoseg.review.signed_annotations import signed_items
from sonoseg.review.store import Store

SHAPE = (60, 80)
MASK = np.zeros(SHAPE, dtype=bool)
MASK[20:40, 30:50] = True
EMPTY = np.zeros(SHAPE, dtype=bool)


def sign(store: Store, item: Item, *masks: np.ndarray, reader: str = "AB") -> Item:
    """Save masks and sign the last."""
    for mask in masks:
        lesions: list[dict[str, Any]] = [{}] if mask.any() else []
        item = store.save_mask(item.id, mask, lesions, expected=item.revision, reader=reader, tool=Tool.BRUSH)
    return store.sign(item.id, reader, expected=item.revision)


def clip(folder: Path, patient: str, study: str, seed: int) -> Path:
    """A clip of two frames whose whole image is scan."""
    path = folder / f"clip-{seed}.dcm"
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = UltrasoundMultiFrameImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    image = Dataset()
    image.file_meta = meta
    image.SOPClassUID, image.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    image.StudyInstanceUID, image.SeriesInstanceUID = study, generate_uid()
    image.Modality, image.PatientName, image.PatientID = "US", "Musterfrau^Erika", patient
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.Rows, image.Columns = SHAPE
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 8, 8, 7, 0
    image.NumberOfFrames, image.FrameTime, image.FrameIncrementPointer = 2, "40", 0x00181063
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 0
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 0, 0
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = SHAPE[1] - 1, SHAPE[0] - 1
    region.PhysicalUnitsXDirection, region.PhysicalUnitsYDirection = 3, 3
    region.PhysicalDeltaX, region.PhysicalDeltaY = 0.01, 0.008
    image.SequenceOfUltrasoundRegions = pydicom.Sequence([region])
    image.PixelData = np.random.default_rng(seed).integers(0, 255, (2, *SHAPE), np.uint8).tobytes()
    image.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_only_signed_items_with_their_present_mask(
    state: Path, tmp_path: Path, fill: Callable[..., Item]
) -> None:
    with Store(state) as store:
        first, second, third, fourth = (fill(store, seed) for seed in range(4))
        first = sign(store, first, EMPTY, MASK)
        store.save_mask(second.id, MASK, [{}], expected=0, reader="AB", tool=Tool.BRUSH)  # not signed
        third = sign(store, third, MASK)
        store.reopen(third.id, "AB", expected=third.revision)
        review = Review(reader="CD", assessment=Assessment.NEGATIVE)
        store.save_review(fourth.id, review, expected=0)
        fourth = sign(store, fourth, MASK, EMPTY, reader="CD")
        found = {one.identity: one for one in signed_items(store)}
    assert set(found) == {first.id, fourth.id}
    assert (found[first.id].reader, found[first.id].revision) == ("AB", 2)
    assert found[first.id].signed_at == first.signed_at
    assert not found[first.id].empty
    assert found[fourth.id].empty
    assert found[fourth.id].assessment == "1"
    assert found[first.id].drawn_by == first.source
    assert found[first.id].group != found[fourth.id].group

    ran = CliRunner().invoke(
        app, ["data", "from-reviews", str(state), "--out", str(tmp_path / "set"), "--size", "32"]
    )
    assert ran.exit_code == 0, ran.output
    assert "prepared: 2 images" in ran.output
    done = PreparedSet.open(tmp_path / "set")
    assert np.array_equal(done.mask(f"reviews/{first.id}"), MASK)
    assert not done.mask(f"reviews/{fourth.id}").any()
    assert done.table.loc[f"reviews/{first.id}", "reader"] == "AB"
    with Store(state, read_only=True) as store:
        assert np.array_equal(done.frame(f"reviews/{first.id}").pixels, store.frame(first.id).pixels)


@pytest.mark.process
def test_images_of_one_patient_stay_together_and_nameless(
    state: Path, tmp_path: Path, fill: Callable[..., Item], take: Callable[..., list[Item]]
) -> None:
    study = generate_uid()
    with Store(state) as store:
        items = []
        for number, (patient, its) in enumerate(
            [("MF-1234", generate_uid()), ("MF-1234", generate_uid()), ("", study), ("", study), ("X", study)]
        ):
            items.append(take(store, clip(tmp_path, patient, its, number)))
        for item in (one for frames in items for one in frames):
            sign(store, item, MASK)
        found = {one.identity: one for one in signed_items(store)}
        groups = [{found[one.id].group for one in frames} for frames in items]
        assert all(len(one) == 1 for one in groups)
        assert groups[0] == groups[1]
        assert groups[2] == groups[3]
        assert len({*groups[0], *groups[2], *groups[4]}) == 3
        assert [found[frames[0].id].patient for frames in items] == ["p1", "p1", "", "", "p3"]
    ran = CliRunner().invoke(
        app, ["data", "from-reviews", str(state), "--out", str(tmp_path / "set"), "--size", "32"]
    )
    assert ran.exit_code == 0, ran.output
    for name in ("images.csv", "prepared.json"):
        text = (tmp_path / "set" / name).read_text("utf-8")
        assert "MF-1234" not in text
        assert "Muster" not in text
    done = PreparedSet.open(tmp_path / "set")
    assert done.frame(f"reviews/{items[0][0].id}").spacing == (0.08, 0.1)


@pytest.mark.process
def test_no_state_nothing_signed_and_an_odd_name_are_told(
    state: Path, tmp_path: Path, fill: Callable[..., Item]
) -> None:
    verb = ["data", "from-reviews", str(state), "--out", str(tmp_path / "set")]
    ran = CliRunner().invoke(app, verb)
    assert "there is no review state" in str(ran.exception)
    with Store(state) as store:
        fill(store)
    ran = CliRunner().invoke(app, verb)
    assert "no signed masks" in str(ran.exception)
    ran = CliRunner().invoke(app, [*verb, "--name", "../up"])
    assert "is not a valid name" in str(ran.exception)


@pytest.fixture
def take() -> Callable[..., list[Item]]:
    """Put a file into a store; its items."""

    def put(store: Store, path: Path) -> list[Item]:
        (found,) = copy_files([path], store.folder / "incoming", ServerLimits())
        assert isinstance(found, Upload), found
        return import_uploads(store, [replace(found, name=path.name)], ServerLimits()).items

    return put
