"""Masks in every way people store them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from sonoseg.data import mask_labels, mask_reading
from sonoseg.data.mask_reading import ORIENTATIONS, issues_of, join_masks, read_mask, read_mask_file
from sonoseg.errors import DatasetError, SonosegWarning


class Folder:
    """Where `saved` saves."""

    path: Path


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    Folder.path = tmp_path_factory.mktemp("masks")


def saved(values: Any, form: str = "PNG", **options: Any) -> Path:
    """The path of a mask, an array or an image, that is overwritten by the next one."""
    path = Folder.path / f"mask.{form.lower()}"
    image = values if isinstance(values, Image.Image) else Image.fromarray(values)
    image.save(path, form, **options)
    return path


STORED = {
    "1": lambda m: Image.fromarray(m),
    "L, 0 and 255": lambda m: Image.fromarray(m.astype(np.uint8) * 255),
    "L, 0 and 1": lambda m: Image.fromarray(m.astype(np.uint8)),
    "L, class 2": lambda m: Image.fromarray(m.astype(np.uint8) * 2),
    "16-bit": lambda m: Image.fromarray(m.astype(np.uint16) * 65535),
    "RGB": lambda m: Image.fromarray(m).convert("RGB"),
    "green": lambda m: Image.fromarray(np.stack([m * 0, m * 255, m * 0], 2).astype(np.uint8)),
    "RGBA, opaque": lambda m: Image.fromarray(m).convert("RGBA"),
    "RGBA, white where not transparent": lambda m: Image.fromarray(
        np.dstack([np.full((*m.shape, 3), 255), m * 255]).astype(np.uint8)
    ),
    "LA": lambda m: Image.fromarray(m).convert("LA"),
    "palette": lambda m: Image.fromarray(m).convert("RGB").quantize(4),
}


@pytest.mark.parametrize("way", STORED)
@settings(max_examples=20, deadline=None)
@given(mask=arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9)))
def test_every_way_reads_the_same(way: str, mask: Any) -> None:
    np.testing.assert_array_equal(read_mask(saved(STORED[way](mask))), mask)


@settings(max_examples=40, deadline=None)
@given(arrays(bool, (3, 3)), st.integers(60, 95))
def test_noise_of_a_jpeg_is_no_lesion(coarse: Any, quality: int) -> None:
    mask = np.kron(coarse, np.ones((8, 8), bool))
    np.testing.assert_array_equal(
        read_mask(saved(mask.astype(np.uint8) * 255, "JPEG", quality=quality)), mask
    )


def test_transparent_corners_are_background(tmp_path: Path) -> None:
    image = Image.new("RGBA", (4, 3), (255, 255, 255, 0))
    image.putpixel((1, 2), (255, 255, 255, 255))
    image.save(tmp_path / "m.png")
    assert np.argwhere(read_mask(tmp_path / "m.png")).tolist() == [[2, 1]]
    assert read_mask_file(tmp_path / "m.png").values.max() == 255


def test_several_masks_are_joined(tmp_path: Path, make: Any) -> None:
    first = make.save(make.blob(4), tmp_path / "a.png")
    second = make.save(make.blob(4, corner=(20, 20)), tmp_path / "b.png")
    joined = join_masks((first, second), make.shape)
    np.testing.assert_array_equal(joined, read_mask(first) | read_mask(second))
    assert not join_masks((), make.shape).any()


def test_a_mask_of_another_size(tmp_path: Path, make: Any) -> None:
    path = make.save(make.blob(), tmp_path / "a.png")
    with pytest.raises(DatasetError, match=r"a\.png: the mask has 48x40 pixels, its image 40x48"):
        join_masks((path,), (48, 40))


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_masks_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "m.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"m\.png: the mask cannot be read"):
        read_mask(path)


def test_a_truncated_mask(tmp_path: Path, make: Any) -> None:
    path = make.save(make.speckle("x"), tmp_path / "m.png")
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(DatasetError, match="the mask cannot be read"):
        read_mask(path)


def test_a_giant_mask_is_not_decoded(tmp_path: Path) -> None:
    Image.new("1", (9000, 9000)).save(tmp_path / "m.png")
    with pytest.raises(DatasetError, match="9000 x 9000 pixels exceed"):
        read_mask(tmp_path / "m.png")


def two(first: int, second: int, dtype: Any = np.uint8) -> Any:
    """Two lesions of different values, the first much larger."""
    values = np.zeros((60, 80), dtype)
    values[5:35, 5:40] = first
    values[40:52, 50:70] = second
    return values


def test_policy() -> None:
    assert (mask_labels.LARGEST_CLASS, mask_labels.MAX_LABELS, mask_labels.MIN_INTERIOR) == (15, 64, 0.2)
    assert (mask_labels.MAX_BORDER, mask_labels.CLEAR, mask_labels.BLOCK) == (0.5, 0.75, 8)
    assert (mask_reading.JPEG_NOISE, mask_reading.OTHER_NOISE) == (0, 8)


@pytest.mark.parametrize(
    ("first", "second"), [(1, 40), (1, 20), (85, 255), (64, 192), (1, 255), (16, 200), (120, 255), (200, 255)]
)
def test_every_value_of_a_mask_of_labels_is_lesion(first: int, second: int) -> None:
    values = two(first, second)
    file = read_mask_file(saved(values))
    assert np.array_equal(file.lesion, values > 0)
    assert file.dropped == 0


@pytest.mark.parametrize(("first", "second"), [(1000, 65535), (257, 4000)])
def test_16_bit_labels(first: int, second: int) -> None:
    values = two(first, second, np.uint16)
    assert np.array_equal(read_mask(saved(values)), values > 0)


def test_labels_in_a_palette_and_in_colour() -> None:
    values = two(1, 2)
    palette = Image.fromarray(values, "P")
    palette.putpalette([0, 0, 0, 100, 0, 0, 0, 255, 0])
    assert np.array_equal(read_mask(saved(palette)), values > 0)
    colours = np.zeros((*values.shape, 3), np.uint8)
    colours[values == 1] = (0, 100, 0)
    colours[values == 2] = (255, 0, 0)
    assert np.array_equal(read_mask(saved(colours)), values > 0)


@pytest.mark.parametrize(
    "resample", [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.BOX]
)
@pytest.mark.parametrize("size", [(37, 29), (160, 120), (213, 111)])
def test_the_edges_of_a_resized_mask_begin_at_half(resample: Any, size: tuple[int, int]) -> None:
    values = np.asarray(Image.fromarray(two(255, 255)).resize(size, resample))
    file = read_mask_file(saved(values))
    assert np.array_equal(file.lesion, values * 2.0 >= values.max())
    assert file.dropped == 0


def test_more_grey_levels_than_labels_are_named() -> None:
    values = np.zeros((100, 100), np.uint8)
    for level in range(90):  # stripes, each a region of its own
        values[:, level] = 20 + level
    values[:, 95:] = 255
    file = read_mask_file(saved(values))
    assert np.array_equal(file.lesion, values * 2.0 >= 255)
    assert file.dropped > 1000


@pytest.mark.parametrize("quality", [75, 90, 95])
def test_class_numbers_in_a_jpeg(quality: int) -> None:
    values = two(1, 1)
    found = read_mask(saved(values * 2, "JPEG", quality=quality))
    assert (found != (values > 0)).mean() < 0.04


def test_the_noise_of_a_black_jpeg_is_no_lesion() -> None:
    noise = (np.random.default_rng(0).random((64, 64)) < 0.05).astype(np.uint8) * 3
    assert not read_mask(saved(noise, "JPEG", quality=95)).any()


@pytest.mark.parametrize(("lesion", "taken"), [(0.1, True), (0.49, True), (0.51, False), (1.0, False)])
def test_a_mask_held_by_its_alpha_alone(lesion: float, taken: bool) -> None:
    """Black where opaque: the smaller part is the lesion; a black mask with transparent corners is empty."""
    values = np.zeros((100, 100, 4), np.uint8)
    values[: round(100 * lesion), :, 3] = 255
    assert np.array_equal(read_mask(saved(values)), (values[..., 3] > 0) & taken)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "TIFF", "JPEG"])
def test_exif_turns_a_mask_and_its_absence_is_named(tmp_path: Path, orientation: int, form: str) -> None:
    """The image is turned by EXIF: a mask with the same orientation matches, one without is named."""
    values = np.zeros((48, 48), np.uint8)
    values[8:24, 8:40] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = tmp_path / f"image.{form.lower()}"
    Image.fromarray(values).save(image, exif=exif)
    turned = read_mask_file(saved(values, form, exif=exif))
    assert turned.orientation == orientation
    assert issues_of(turned, Path("m.png"), image) == []
    plain = read_mask_file(saved(values))
    found = issues_of(plain, Path("m.png"), image)
    assert len(found) == (orientation != 1)
    for issue in found:
        assert issue.kind == "different EXIF orientation"
        assert "m.png: EXIF has this mask as it is and its image " in issue.text
        assert f"{image.name} {ORIENTATIONS[orientation]}" in issue.text
    assert len(issues_of(turned, Path("m.png"), saved(values, "BMP"))) == (orientation != 1)
    # What the words say is what Pillow does, clockwise.
    words = ORIENTATIONS[orientation]
    shown = values[:, ::-1] if "mirrored" in words else values[::-1] if "upside" in words else values
    degrees = next((number for number in (90, 180, 270) if str(number) in words), 0)
    assert np.array_equal(turned.lesion, np.rot90(shown, -degrees // 90) > 0)


def test_an_image_that_is_not_raster_has_no_orientation(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(bytes(128) + b"DICM")
    file = read_mask_file(saved(two(255, 255)))
    assert issues_of(file, Path("m.png"), tmp_path / "a.dcm") == []


def test_joining_warns_of_what_is_uncertain(tmp_path: Path) -> None:
    values = two(1, 2)
    values[5:35, 40:50] = 2
    path = saved(values)
    with pytest.warns(SonosegWarning, match=r"mask\.png: labels touch"):
        assert np.array_equal(join_masks((path,), values.shape), values > 0)
    with pytest.warns(SonosegWarning, match="the mask may be inverted"):
        join_masks((saved(255 - two(255, 255)),), values.shape)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_the_largest_float_is_lesion_as_any_value() -> None:
    values = np.zeros((20, 20), np.float32)
    values[5:15, 5:15] = np.finfo(np.float32).max
    np.testing.assert_array_equal(read_mask(saved(values, "TIFF")), values > 0)
