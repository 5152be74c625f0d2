"""Check: each fault is found and named, and the published sets have none."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sonoseg.data.catalogue import CATALOGUE
from sonoseg.data.folder_check import CheckFinding, CheckReport, check, count_images
from sonoseg.data.readers import read_source, read_sources


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


def test_notes(pairs: Callable[..., Path], make: Any) -> None:
    root = pairs(["all", "grey", "none", "colour"])
    Image.new("1", (48, 40), 1).save(root / "masks" / "all.png")
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
@pytest.mark.parametrize("name", ["busi", "bus-bra"])
def test_the_published_sets_have_no_faults(name: str, real_data: Path) -> None:
    report = explain(real_data / name)
    assert report.faults == 0
    assert {what: found for what, (found, _) in report.counts.items()} == CATALOGUE[name].counts
    if name == "busi":
        known = kinds(report, "known")
        assert known["identical images"].images == ("busi/benign (433) = busi/malignant (145)",)
        assert known["duplicate groups"].text.startswith("153 groups of duplicates cover 346 images")
        assert len(known["drawn marks"].images) == 235
