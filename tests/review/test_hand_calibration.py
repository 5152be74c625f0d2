"""Calibration by hand: a line of known length gives an image, an exam or a device its millimetres."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from sonoseg.image.calibration import Spacing
from sonoseg.review.file_import import import_uploads
from sonoseg.review.form_upload import Upload, copy_files
from sonoseg.review.http_errors import WrongStatus
from sonoseg.review.items import Item
from sonoseg.review.settings import ServerLimits
from sonoseg.review.store import Store

API = "/api/v1/items"
LINE = {"ends": [[10, 5], [60, 5]], "millimetres": 5, "reader": "AB"}
"""50 pixels are 5 mm: 0.1 mm per pixel."""

Send = Callable[..., dict[str, Any]]


def calibrate(client: TestClient, identity: str, **changes: Any) -> Any:
    return client.post(f"{API}/{identity}/calibrate", json={**LINE, **changes})


@pytest.mark.process
def test_an_image_is_measured_again_in_millimetres(client: TestClient, send: Send) -> None:
    before = send()
    (lesion,) = before["findings"]
    assert (lesion["unit"], before["spacing_origin"]) == ("px", "none")
    answer = calibrate(client, before["id"])
    assert answer.status_code == 200, answer.text
    assert {key: answer.json()[key] for key in ("changed", "signed", "own")} == {
        "changed": 1,
        "signed": 0,
        "own": 0,
    }
    item = answer.json()["item"]
    assert item == client.get(f"{API}/{before['id']}").json()
    assert (item["spacing"], item["spacing_reason"]) == ([0.1, 0.1], None)
    assert item["spacing_origin"] == "calibrated by AB (image)"
    (found,) = item["findings"]
    assert (found["unit"], found["spacing_origin"]) == ("mm", item["spacing_origin"])
    assert found["longest_axis"] == pytest.approx(lesion["longest_axis"] / 10)
    assert found["mean_probability"] == pytest.approx(
        lesion["mean_probability"], abs=1e-4
    )  # still the model's own mask
    entry = client.get(f"{API}/{item['id']}/history").json()["entries"][-1]
    assert (entry["action"], entry["reader"], entry["revision"]) == ("calibrated", "AB", 0)
    body = {"ids": [item["id"]], "what": ["report"], "anonymise": False}
    with zipfile.ZipFile(io.BytesIO(client.post("/api/v1/export", json=body).content)) as archive:
        for name in ("reviews.csv", "results.csv"):
            (path,) = (path for path in archive.namelist() if path.endswith(name))
            (row,) = csv.DictReader(io.StringIO(archive.read(path).decode("utf-8-sig")))
            assert (row["spacing_row"], row["spacing_origin"]) == ("0.1", "calibrated by AB (image)")


@pytest.mark.process
def test_what_cannot_be_a_calibration_is_refused(client: TestClient, send: Send) -> None:
    item = send()
    for changes, said in (
        ({"ends": [[10, 5], [29, 5]]}, "too short"),
        ({"millimetres": 600}, "between 0.001 and 10 mm per pixel"),
        ({"millimetres": 0.01}, "between 0.001 and 10 mm per pixel"),
        ({"scope": "exam"}, "names no exam"),  # a PNG
        ({"scope": "device"}, "names no device"),
    ):
        answer = calibrate(client, item["id"], **changes)
        assert answer.status_code == 422
        assert said in answer.json()["error"]["found"]
    for changes in ({"millimetres": 0}, {"scope": "all"}, {"ends": [[1, 2]]}):
        assert calibrate(client, item["id"], **changes).status_code in (400, 422)
    assert client.get(f"{API}/{item['id']}").json()["spacing"] is None
    answer = client.post(
        f"{API}/{item['id']}/sign", json={"reader": "CD"}, headers={"If-Match": f'"{item["revision"]}"'}
    )
    assert answer.status_code == 200
    assert calibrate(client, item["id"]).status_code == 409


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store(tmp_path / "state") as opened:
        yield opened


@pytest.fixture
def scan(
    tmp_path: Path, store: Store, make_dicom: Callable[..., Path], make_region: Callable[..., Any]
) -> Callable[..., Item]:
    """Put a DICOM scan into the store, by default without a usable delta."""

    def put(name: str, *, delta: float = 0.0, side: int = 64, **attributes: Any) -> Item:
        pixels = np.random.default_rng(len(name) + side).integers(1, 200, (64, side)).astype(np.uint8)
        region = make_region(0, 0, side - 1, 63, delta=(delta, delta))
        path = make_dicom(tmp_path / f"{name}.dcm", pixels, regions=[region], **attributes)
        return add(store, path)

    return put


def add(store: Store, path: Path, spacing: Spacing | None = None) -> Item:
    (found,) = copy_files([path], store.folder / "incoming", ServerLimits())
    assert isinstance(found, Upload)
    result = import_uploads(store, [found], ServerLimits(), spacing)
    return result.items[0]


EXAM = {"StudyInstanceUID": "1.2.3", "Manufacturer": "Maker", "ManufacturerModelName": "One"}


@pytest.mark.parametrize(
    ("scope", "also"), [("image", set()), ("exam", {"b"}), ("device", {"b", "other exam"})]
)
def test_an_exam_and_a_device_are_the_files_of_one_size_without_a_spacing(
    scope: str, also: set[str], store: Store, scan: Callable[..., Item]
) -> None:
    from sonoseg.review.hand_calibration import KnownLength, calibrate

    other = {"StudyInstanceUID": "1.2.4"}
    items = {
        "a": scan("a", **EXAM),
        "b": scan("b", **EXAM),
        "own": scan("own", delta=0.02, **EXAM),
        "larger": scan("larger", side=80, **EXAM),
        "other exam": scan("other exam", **EXAM | other),
        "elsewhere": scan("elsewhere", **EXAM | other | {"ManufacturerModelName": "Two"}),
    }
    line = KnownLength.model_validate({**LINE, "scope": scope})
    done = calibrate(store, items["a"].id, line)
    found = {name for name, item in items.items() if store.item(item.id).spacing == (0.1, 0.1)}
    assert found == {"a"} | also
    assert (done.changed, done.signed, done.own) == (len(found), 0, int(scope != "image"))
    assert store.item(items["own"].id).spacing_origin == "file"
    assert store.frame(items["a"].id).spacing == Spacing(0.1, 0.1)  # and so for a prediction to come
    again = calibrate(store, items["a"].id, line.model_copy(update={"millimetres": 10.0}))
    assert again.changed == len(found)
    assert store.item(items["a"].id).spacing == (0.2, 0.2)


@pytest.mark.parametrize(
    ("scope", "also"), [("image", set()), ("exam", {"b"}), ("device", {"b", "other exam"})]
)
def test_files_that_are_added_later_are_calibrated_too(
    scope: str, also: set[str], store: Store, scan: Callable[..., Item]
) -> None:
    from sonoseg.review.hand_calibration import KnownLength, calibrate

    first = scan("a", **EXAM)
    line = KnownLength.model_validate({**LINE, "scope": scope})
    calibrate(store, first.id, line.model_copy(update={"millimetres": 10.0}))
    calibrate(store, first.id, line)  # the last one counts
    other = {"StudyInstanceUID": "1.2.4"}
    items = {
        "b": scan("b", **EXAM),
        "own": scan("own", delta=0.02, **EXAM),
        "larger": scan("larger", side=80, **EXAM),
        "other exam": scan("other exam", **EXAM | other),
        "elsewhere": scan("elsewhere", **EXAM | other | {"ManufacturerModelName": "Two"}),
        "unnamed": scan("unnamed", StudyInstanceUID="1.2.5"),
    }
    assert {name for name, item in items.items() if item.spacing == (0.1, 0.1)} == also
    assert {items[name].spacing_origin for name in also} <= {f"calibrated by AB ({scope})"}
    assert store.item(items["own"].id).spacing_origin == "file"
    for name in also:
        assert store.frame(items[name].id).spacing == Spacing(0.1, 0.1)
        entry = store.history(items[name].id)[-1]
        assert (entry.action, entry.reader) == ("calibrated", "AB")
    # From one that was added later, the next gets it.
    assert scan("late", **EXAM).spacing == ((0.1, 0.1) if also else None)


def test_all_frames_of_a_clip_that_is_added_later(
    store: Store,
    scan: Callable[..., Item],
    tmp_path: Path,
    make_dicom: Callable[..., Path],
    make_region: Callable[..., Any],
) -> None:
    from sonoseg.review.hand_calibration import KnownLength, calibrate

    first = scan("a", **EXAM)
    calibrate(store, first.id, KnownLength.model_validate({**LINE, "scope": "device"}))
    pixels = np.random.default_rng(7).integers(1, 200, (3, 64, 64)).astype(np.uint8)
    region = make_region(0, 0, 63, 63, delta=(0, 0))
    add(store, make_dicom(tmp_path / "clip.dcm", pixels, regions=[region], **EXAM))
    assert [item.spacing for item in store.items().items] == [(0.1, 0.1)] * 4


def test_a_spacing_given_for_a_file_that_is_present_takes_effect_or_says_not(
    store: Store, tmp_path: Path, draw: Any
) -> None:
    path = tmp_path / "scan.png"
    path.write_bytes(draw.scan())
    item = add(store, path)
    assert item.spacing is None
    item = add(store, path, Spacing(0.1, 0.2))
    assert (item.spacing, item.spacing_origin) == ((0.1, 0.2), "given")
    assert add(store, path).spacing == (0.1, 0.2)  # without one nothing changes
    store.save_mask(item.id, draw.pixels(draw.scan()) < 60, [], expected=0, reader="AB")
    store.sign(item.id, "AB", expected=1)
    (found,) = copy_files([path], store.folder / "incoming", ServerLimits())
    assert isinstance(found, Upload)
    result = import_uploads(store, [found], ServerLimits(), Spacing(0.3, 0.3))
    assert result.items[0].spacing == (0.1, 0.2)
    assert "does not take effect: the item is signed by AB" in result.refused[0].found
    with pytest.raises(WrongStatus, match="signed by AB"):
        store.set_spacing(item.id, Spacing(0.3, 0.3), "given")


@pytest.mark.process
def test_the_depth_ruler_is_a_proposal(client: TestClient, send: Send) -> None:
    pixels = np.zeros((260, 300), np.uint8)
    pixels[30:230, 60:260] = np.random.default_rng(1).integers(20, 200, (200, 200))
    for k in range(9):
        half = 3 if k % 2 == 0 else 1
        pixels[30 + 25 * k - half : 30 + 25 * k + half, 40 - half : 40 + half] = 240
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    item = send(name="ruler.png", data=buffer.getvalue())
    ruler = client.get(f"{API}/{item['id']}/ruler").json()["ruler"]
    assert ruler["count"] == 9
    assert ruler["proposals"][0] == {"tick": 5.0, "spacing": pytest.approx(0.2)}
    assert client.get(f"{API}/{item['id']}").json()["spacing"] is None  # never used by itself
    answer = calibrate(client, item["id"], ends=ruler["ends"], millimetres=40)
    assert answer.json()["item"]["spacing"] == pytest.approx([0.2, 0.2])
    assert client.get(f"{API}/{send()['id']}/ruler").json() == {"ruler": None}
