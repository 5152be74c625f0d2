"""Check: each fault is found and named, and the published sets have none."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sonoseg.data.catalogue import CATALOGUE
from sonoseg.data.folder_check import CheckFinding, CheckReport, check, count_images
from sonoseg.data.preparation import prepare
from sonoseg.data.readers import read_source, read_sources
from sonoseg.errors import DatasetError, SonosegWarning


def explain(path: Path) -> CheckReport:
    """The report on the one set at `path`."""
    (report,) = check([read_source(path)])
    return report


def kinds(report: CheckReport, level: str) -> dict[str, CheckFinding]:
    """The findings of a level by kind, the counts of the miniature sets left out."""
    return {f.kind: f for f in report.findings if f.level == level and f.kind != "counts"}


def test_a_sound_set(busi: Path) -> None:
    report = explain(busi)
    assert kinds(report, "fault") == {}
    assert report.counts["images"] == (6, 780)
    assert report.counts["masks"] == (7, 798)
    (counts,) = [f for f in report.findings if f.kind == "counts"]
    assert "6 images, 780 were published" in counts.text
    assert set(kinds(report, "note")) == {"several masks", "RGB masks", "RGBA masks"}
    known = kinds(report, "known")
    assert known["drawn marks"].images[0] == "busi/benign (1)"
    assert known["duplicate groups"].text.startswith("4 groups of duplicates cover 4 images")


def test_broken_files(busi: Path, make: Any) -> None:
    (busi / "benign" / "benign (1).png").write_bytes(b"")
    (busi / "benign" / "benign (10)_mask.png").unlink()
    make.save(make.blob(shape=(20, 20)), busi / "benign" / "benign (100)_mask.png")
    (busi / "malignant" / "malignant (1)_mask.png").write_bytes(b"x")
    make.save(make.blob(0), busi / "malignant" / "malignant (2)_mask.png")
    make.save(make.blob(4), busi / "normal" / "normal (1)_mask.png")
    faults = kinds(explain(busi), "fault")
    assert {kind: fault.images for kind, fault in faults.items() if kind != "stray masks"} == {
        "unreadable image": ("busi/benign (1)",),
        "missing mask": ("busi/benign (10)",),
        "mis-sized mask": ("busi/benign (100)",),
        "unreadable mask": ("busi/malignant (1)",),
        "lesion on a normal": ("busi/normal (1)",),
    }
    assert [Path(name).name for name in faults["stray masks"].images] == ["malignant (2)_mask.png"]
    assert "20x20, its image 48x40 pixels" in faults["mis-sized mask"].text


def test_an_empty_mask_on_a_lesion(busi: Path, make: Any) -> None:
    make.save(make.blob(0), busi / "malignant" / "malignant (1)_mask.png")
    assert kinds(explain(busi), "fault")["empty mask"].images == ("busi/malignant (1)",)


def test_the_same_pixels_in_two_classes(busi: Path) -> None:
    shutil.copy(busi / "benign" / "benign (10).png", busi / "normal" / "normal (1).png")
    faults = kinds(explain(busi), "fault")
    assert faults["identical images"].images == ("busi/benign (10) = busi/normal (1)",)


def test_what_is_published_is_known(busi: Path, make: Any) -> None:
    """benign (433) and malignant (145) are pixel-identical in BUSI itself."""
    for place, stem in (("benign", "benign (433)"), ("malignant", "malignant (145)")):
        make.save(make.speckle("same"), busi / place / f"{stem}.png")
        make.save(make.blob(), busi / place / f"{stem}_mask.png")
    report = explain(busi)
    assert kinds(report, "fault") == {}
    assert kinds(report, "known")["identical images"].images == ("busi/benign (433) = busi/malignant (145)",)
    assert "multiclass 3" in kinds(report, "known")["objections"].text


def test_copies_across_sets(busi: Path, pairs: Callable[..., Path]) -> None:
    root = pairs(["a"])
    shutil.copy(busi / "benign" / "benign (4).png", root / "images" / "a.png")
    reports = check(read_sources([str(busi), str(root)]))
    copies = kinds(reports[0], "fault")["identical images"]
    assert copies.images == ("busi/benign (4) = mine/a",)
    assert reports[1].findings == ()


def test_copies_without_a_group_are_told_of(pairs: Callable[..., Path]) -> None:
    root = pairs(["a", "b", "c", "d"], [{"id": n, "patient": p} for n, p in zip("abcd", "1123", strict=True)])
    image = Image.open(root / "images" / "a.png")
    image.save(root / "images" / "b.png")
    image.resize((60, 50)).save(root / "images" / "c.png")
    texts = {f.text: f.images for f in explain(root).findings}
    apart = texts["pairs that a split would not keep together: give them one group"]
    assert apart == ("mine/a = mine/c", "mine/b = mine/c")
    assert texts["pairs of one patient or group; a split keeps them together"] == ("mine/a = mine/b",)


def test_uncertain_masks(pairs: Callable[..., Path], make: Any) -> None:
    """What makes a mask unusable is a fault, what is decided is a note; preparing warns of each."""
    root = pairs(["inverted", "turned", "touching", "lossy", "labels"])
    masks, shape = root / "masks", make.shape
    Image.fromarray(~np.asarray(make.blob())).save(masks / "inverted.png")
    exif = Image.Exif()
    exif[0x0112] = 3
    make.speckle("turned").save(root / "images" / "turned.png", exif=exif)
    values = np.zeros(shape, np.uint8)
    values[5:20, 5:20], values[5:20, 20:35] = 1, 2
    Image.fromarray(values).save(masks / "touching.png")
    for name in ("lossy", "labels"):
        (masks / f"{name}.png").unlink()
    values = np.zeros(shape, np.uint8)
    values[5:35, 4:22] = 1
    Image.fromarray(values).save(masks / "lossy.jpg", quality=95)
    values[5:35, 26:46] = 5
    Image.fromarray(values * 50).save(masks / "labels.jpg", quality=95)
    report = explain(root)
    assert {kind: fault.images for kind, fault in kinds(report, "fault").items()} == {
        "inverted mask": ("mine/inverted",),
        "different EXIF orientation": ("mine/turned",),
        "unreadable mask": ("mine/labels",),
    }
    notes = {kind: note.images for kind, note in kinds(report, "note").items()}
    assert notes["touching labels"] == ("mine/touching",)
    assert notes["class numbers after compression with loss"] == ("mine/lossy",)
    with pytest.warns(SonosegWarning) as caught:
        result = prepare([read_source(root)], root / "prepared", size=32)
    said = sorted(str(warning.message).partition(": ")[0].rpartition("/")[2] for warning in caught)
    assert said == ["inverted.png", "lossy.jpg", "touching.png", "turned.png"]
    assert [name for name, _ in result.skipped] == ["mine/labels"]


def test_notes(pairs: Callable[..., Path], make: Any) -> None:
    root = pairs(["all", "grey", "none", "colour"])
    Image.fromarray(np.pad(np.ones((38, 46), bool), 1)).save(root / "masks" / "all.png")
    make.speckle("grey").save(root / "masks" / "grey.png")
    make.blob(0).save(root / "masks" / "none.png")
    make.speckle("colour").convert("RGB").save(root / "images" / "colour.png")
    notes = {kind: note.images for kind, note in kinds(explain(root), "note").items()}
    assert notes == {
        "colour images": ("mine/colour",),
        "grey masks": ("mine/grey",),
        "no class": ("mine/none",),
        "very large lesions": ("mine/all",),
    }


def test_warnings_of_reading_are_notes(pairs: Callable[..., Path], make: Any) -> None:
    root = pairs(["a", "b", "c"])
    rng = np.random.default_rng(1)
    for name, rows in (("a", 10), ("b", 20)):
        pixels = np.repeat(np.asarray(make.speckle(name))[..., None], 3, axis=2)
        pixels[:rows] = rng.integers(0, 256, (rows, pixels.shape[1], 3))
        make.save(Image.fromarray(pixels), root / "images" / f"{name}.png")
    (note,) = [f for f in explain(root).findings if f.kind == "warning"]
    assert note.level == "note"
    assert note.images == ("mine/a", "mine/b")
    assert "of the image is strongly coloured" in note.text


def test_what_is_not_read_is_a_note(pairs: Callable[..., Path], make: Any) -> None:
    root = pairs(["a"])
    make.csv(root / "list.csv", [{"file": "a"}])
    assert "list.csv is not read" in kinds(explain(root), "note")["not read"].text


def _listed_twice(root: Path, make: Any) -> Path:
    row = {"image": "images/a.png", "mask": "masks/a.png"}
    return Path(make.csv(root / "dup.csv", [row, row]))


def _another(suffix: str) -> Callable[[Path, Any], Path]:
    def write(root: Path, make: Any) -> Path:
        make.save(make.speckle("other"), root / "images" / f"a{suffix}")
        return root

    return write


def _unusable(root: Path, make: Any) -> Path:
    del make
    for name in ("images", "masks"):
        (root / name / "a.png").rename(root / name / "b\x85.png")
    return root


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_listed_twice, "a.png. List each image once"),
        (_another(".jpg"), "a.jpg, a.png. Rename the files"),
        (_another(".PNG"), "a.PNG, a.png. Rename the files"),
        (_unusable, "is not usable as a file name. Rename the image's file"),
    ],
)
def test_check_finds_the_ids_that_prepare_refuses(
    pairs: Callable[..., Path], tmp_path: Path, make: Any, change: Callable[[Path, Any], Path], said: str
) -> None:
    source = read_source(change(pairs(["a"]), make))
    (report,) = check([source])
    fault = kinds(report, "fault")["ids"]
    assert said in fault.text
    assert set(fault.images) == {record.id for record in source.records}
    with pytest.raises(DatasetError) as caught:
        prepare([source], tmp_path / "p")
    assert fault.text == caught.value.reason.removesuffix(".")


def test_ids_that_differ_in_case_between_sets(pairs: Callable[..., Path], tmp_path: Path) -> None:
    sources = [read_source(pairs(["a"], at=name)) for name in ("mine", "Mine")]
    reports = check(sources)
    assert kinds(reports[0], "fault")["ids"].images == ("mine/a", "Mine/a")
    assert "ids" not in kinds(reports[1], "fault")
    with pytest.raises(DatasetError, match="several images have the id"):
        prepare(sources, tmp_path / "p")


def test_unusable_images_are_known(busuclm: Path) -> None:
    report = explain(busuclm)
    assert kinds(report, "fault") == {}
    assert kinds(report, "known")["unusable images"].images == ("bus-uclm/HESN_001",)
    assert "RGB masks" in kinds(report, "note")


def test_counts(busbra: Path) -> None:
    assert count_images(read_source(busbra)) == {
        "images": 7,
        "masks": 7,
        "patients": 6,
        "benign": 3,
        "malignant": 4,
    }


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("name", ["busi", "bus-bra", "breast"])
def test_the_published_sets_have_no_faults(name: str, real_data: Path) -> None:
    report = explain(real_data / name)
    assert report.faults == 0
    published = CATALOGUE[name].counts
    assert {what: report.counts[what][0] for what in published} == published
    if name == "busi":
        known = kinds(report, "known")
        assert known["identical images"].images == ("busi/benign (433) = busi/malignant (145)",)
        assert known["duplicate groups"].text.startswith("153 groups of duplicates cover 346 images")
        assert len(known["drawn marks"].images) == 235
