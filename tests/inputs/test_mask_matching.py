"""Masks and their images by name, as the public sets and people name them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sonoseg.inputs.mask_matching import image_of, looks_like_mask

IMAGES = [
    Path("in") / name
    for name in ("benign (1).png", "benign (11).png", "bus_0001-l.png", "a.jpg", "case7.png")
]


@pytest.mark.parametrize(
    ("mask", "image"),
    [
        ("benign (1)_mask.png", "benign (1).png"),
        ("benign (1)_mask_1.png", "benign (1).png"),
        ("mask_0001-l.png", "bus_0001-l.png"),
        ("a.png", "a.jpg"),
        ("A_MASK.png", "a.jpg"),
        ("a_seg.png", "a.jpg"),
        ("a-Segmentation.png", "a.jpg"),
        ("a_gt.png", "a.jpg"),
        ("a_label_2.png", "a.jpg"),
        ("a_ground_truth.png", "a.jpg"),
        ("case7_tumor.png", "case7.png"),
        ("benign (2)_mask.png", None),
        ("mask.png", None),
    ],
)
def test_a_mask_finds_its_image(mask: str, image: str | None) -> None:
    found = image_of(Path("masks") / mask, IMAGES)
    assert (found and found.name) == image


def test_two_images_of_one_name_are_no_answer() -> None:
    assert image_of(Path("a.png"), [Path("one/a.png"), Path("two/a.png")]) is None
    assert image_of(Path("a_mask.png"), [Path("a_mask.png"), Path("a.png")]) == Path("a.png")


def test_names_that_say_mask() -> None:
    for name in ("mask_0001-l.png", "x_mask.png", "x_mask_2.png", "case001_tumor.png", "case001_other1.png"):
        assert looks_like_mask(Path(name)), name
    for name in ("x.png", "masked-by-hand.png", "weight.png", "relabel.png", "gt_1.png", "tumor study 3.png"):
        assert not looks_like_mask(Path(name)), name
