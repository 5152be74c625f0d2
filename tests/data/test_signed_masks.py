"""What readers signed as a prepared set: pixels, masks, groups, and where each mask comes from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sonoseg.data.preparation import prepare
from sonoseg.data.prepared_set import PreparedSet
from sonoseg.data.readers import read_sources
from sonoseg.data.signed_masks import Signed, prepare_reviews
from sonoseg.errors import DatasetError, OutputError
from sonoseg.image.calibration import Spacing
from sonoseg.image.frame import Frame

PIXELS = np.random.default_rng(3).integers(0, 255, (50, 70), dtype=np.uint8)


def signed(folder: Path, identity: str, *, dicom: bool = False, empty: bool = False, **more: str) -> Signed:
    """One signed image; the first letter of its id is its group."""
    mask = np.zeros(PIXELS.shape, dtype=bool)
    if not empty:
        mask[10:30, 20:40] = True
    (folder / "masks").mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(folder / "masks" / f"{identity}.png")
    Image.fromarray(PIXELS).save(folder / f"{identity}.png")
    values = {"reader": "AB", "signed_at": "2026-01-02T03:04:05+00:00", "drawn_by": "edited"} | more
    return Signed(
        identity=identity,
        file=None if dicom else folder / f"{identity}.png",
        read=lambda: Frame(PIXELS),
        mask=folder / "masks" / f"{identity}.png",
        empty=empty,
        spacing=Spacing(0.08, 0.1) if dicom else None,
        group=identity[0],
        patient="p1" if dicom else "",
        revision=4,
        model_hash="0123456789ab",
        assessment="4A",
        **values,
    )


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_pixels_masks_and_provenance(state: Path, tmp_path: Path) -> None:
    those = [
        signed(state, "b1", dicom=True, reader="007", drawn_by="manual"),
        signed(state, "a1"),
        signed(state, "a2", empty=True, drawn_by="model"),
    ]
    done = prepare_reviews(those, state, tmp_path / "set", size=32)
    assert done.images == 3
    found = PreparedSet.open(tmp_path / "set")
    assert found.ids == ["reviews/a1", "reviews/a2", "reviews/b1"]
    for name in found.ids:
        assert np.array_equal(found.frame(name).pixels, PIXELS)
    assert found.mask("reviews/a1")[10:30, 20:40].all()
    assert found.mask("reviews/a1").sum() == 400
    assert not found.mask("reviews/a2").any()
    assert found.frame("reviews/b1").spacing == Spacing(0.08, 0.1)
    table = found.table
    assert list(table["label"]) == ["unknown", "normal", "unknown"]
    assert list(table["group"]) == ["reviews:a", "reviews:a", "reviews:b"]
    assert list(table["patient"]) == ["", "", "p1"]
    assert list(table["reader"]) == ["AB", "AB", "007"]  # as text, its zeros kept
    assert list(table["drawn_by"]) == ["edited", "model", "manual"]
    assert set(table["signed_at"]) == {"2026-01-02T03:04:05+00:00"}
    assert set(table["model_hash"]) == {"0123456789ab"}
    assert set(table["revision"]) == {"4"}
    assert set(table["assessment"]) == {"4A"}
    (source,) = found.sources
    assert source["kind"] == "reviews"
    assert source["readers"] == {"007": 1, "AB": 2}
    assert source["drawn_by"] == {"edited": 1, "manual": 1, "model": 1}
    assert source["models"] == {"0123456789ab": 3}


def test_the_same_again_changes_nothing_and_a_later_mask_is_another_set(state: Path, tmp_path: Path) -> None:
    those = [signed(state, "a1"), signed(state, "b1", dicom=True)]
    first = prepare_reviews(those, state, tmp_path / "set", size=32)
    again = prepare_reviews(those[::-1], state, tmp_path / "set", size=32)
    assert first.fresh
    assert not again.fresh
    assert again.fingerprint == first.fingerprint
    later = [signed(state, "a1", empty=True), those[1]]
    with pytest.raises(OutputError, match="other content"):
        prepare_reviews(later, state, tmp_path / "set", size=32)
    assert prepare_reviews(later, state, tmp_path / "set", size=32, overwrite=True).fresh


@pytest.mark.process
def test_a_set_that_nobody_signed_has_no_such_columns(phantom_set: Path) -> None:
    header = (phantom_set / "images.csv").read_text("utf-8").splitlines()[0]
    assert header.endswith("sha256,mask_sha256")


@pytest.mark.process
def test_together_with_another_set_the_provenance_stays(
    state: Path, phantom_folder: Path, tmp_path: Path
) -> None:
    prepare_reviews([signed(state, "a1"), signed(state, "a2")], state, tmp_path / "set", size=32)
    prepare(
        read_sources([f"phantoms={phantom_folder}", f"ours={tmp_path / 'set'}"]),
        tmp_path / "both",
        size=32,
    )
    both = PreparedSet.open(tmp_path / "both")
    assert both.table.loc["ours/reviews/a1", "reader"] == "AB"
    assert len({both.table.loc[f"ours/reviews/{name}", "group"] for name in ("a1", "a2")}) == 1
    assert set(both.table["reader"]) == {"AB", ""}


def test_nothing_signed_is_said(state: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no signed masks"):
        prepare_reviews([], state, tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_a_image_that_is_gone_is_left_out_and_told(state: Path, tmp_path: Path) -> None:
    those = [signed(state, "a1"), signed(state, "b1")]
    (state / "b1.png").unlink()
    done = prepare_reviews(those, state, tmp_path / "set", size=32)
    assert done.images == 1
    assert done.skipped[0][0] == "reviews/b1"
    told = json.loads((tmp_path / "set" / "prepared.json").read_text("utf-8"))
    assert told["skipped"][0]["id"] == "reviews/b1"
