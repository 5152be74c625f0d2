"""What the values of a mask mean."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from sonoseg.data.mask_labels import (
    FAINT,
    INVERTED,
    MERGED,
    NOISE,
    TOUCHING,
    UNUSED,
    MaskFile,
    border_share,
)
from sonoseg.data.mask_reading import read_mask_file
from sonoseg.errors import DatasetError
from sonoseg.image.components import label

LOSSY = [("JPEG", {"quality": 75}), ("JPEG", {"quality": 95}), ("WEBP", {"quality": 80})]
LOSSY += [("JPEG2000", {"irreversible": True}), ("TIFF", {"compression": "jpeg"})]


def saved(folder: Path, values: Any, form: str = "PNG", **options: Any) -> Path:
    image = values if isinstance(values, Image.Image) else Image.fromarray(values)
    image.save(folder / f"mask.{form.lower()}", form, **options)
    return folder / f"mask.{form.lower()}"


def tiff(path: Path, pixels: Any, *, white: bool = False, big: bool = False) -> Path:
    """Write (H, W) uncompressed. white: the least value is white. big: big endian."""
    order, kind = "<>"[big], {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    height, width = pixels.shape
    tags = {256: width, 257: height, 258: pixels.dtype.itemsize * 8, 259: 1, 262: int(not white)}
    tags |= {273: 8, 277: 1, 278: height, 279: len(data), 339: kind}
    entries = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in tags.items())
    start = (b"MM" if big else b"II") + struct.pack(f"{order}HI", 42, 8 + len(data))
    path.write_bytes(start + data + struct.pack(f"{order}H", len(tags)) + entries + bytes(4))
    return path


def two(first: float, second: float, dtype: Any = np.uint8, gap: int = 8) -> Any:
    """An ellipse of one value, and a square of another beside it; without a gap they touch."""
    rows, columns = np.indices((120, 160))
    values = np.zeros((120, 160), dtype)
    values[((rows - 60) / 40) ** 2 + ((columns - 50) / 40) ** 2 <= 1] = first
    values[40:80, 91 + gap : 140] = second
    return values


def kinds(file: MaskFile) -> list[str]:
    return [issue.kind for issue in file.issues]


@pytest.mark.parametrize("value", [1, 2, 40, 128, 255])
@pytest.mark.parametrize(("form", "options"), LOSSY)
def test_one_value_after_compression_with_loss(
    tmp_path: Path, form: str, options: dict[str, Any], value: int
) -> None:
    """The lesions alone, without specks. The borders of small values are uncertain, which is named."""
    values = two(value, value)
    file = read_mask_file(saved(tmp_path, values, form, **options))
    assert label(file.lesion)[1] == 2
    wrong = (file.lesion != (values > 0)).sum() / (values > 0).sum()
    assert wrong < (0.02 if value > 15 else 0.2)
    assert kinds(file) == ([] if value > 15 else [NOISE])


def test_the_specks_of_a_jpeg_are_named(tmp_path: Path) -> None:
    values = two(1, 1)
    values[5, 150] = 1
    values[110:113, 10:12] = 1
    file = MaskFile(values, noise=0)
    assert np.array_equal(file.lesion, two(1, 1) > 0)
    assert kinds(file) == [NOISE]
    assert "specks of 7 px in all" in file.issues[0].text
    assert label(MaskFile(values).lesion)[1] == 4  # without loss they are lesions


@pytest.mark.parametrize(("first", "second"), [(128, 255), (255, 128), (40, 255), (100, 150), (1, 3)])
@pytest.mark.parametrize(("form", "options"), LOSSY[:2])
def test_labels_after_compression_with_loss_are_refused(
    tmp_path: Path, form: str, options: dict[str, Any], first: int, second: int
) -> None:
    path = saved(tmp_path, two(first, second), form, **options)
    with pytest.raises(DatasetError, match=r"several values .* unknown.* Save masks of labels as PNG"):
        read_mask_file(path)


@pytest.mark.parametrize(("first", "second"), [(1, 40), (255, 2), (8, 128)])
@pytest.mark.parametrize(("form", "options"), LOSSY[:2])
def test_a_faint_label_after_compression_with_loss_is_named(
    tmp_path: Path, form: str, options: dict[str, Any], first: int, second: int
) -> None:
    values = two(first, second)
    file = read_mask_file(saved(tmp_path, values, form, **options))
    assert FAINT in kinds(file)
    assert label(file.lesion)[1] == 1


def test_bright_labels_after_compression_with_loss_are_lesion(tmp_path: Path) -> None:
    file = read_mask_file(saved(tmp_path, two(220, 255), "JPEG", quality=90))
    assert label(file.lesion)[1] == 2
    assert kinds(file) == []


@pytest.mark.parametrize("radius", [1, 4, 16])
@pytest.mark.parametrize("quality", [50, 75, 95])
def test_a_smoothed_mask_in_a_jpeg_is_read(tmp_path: Path, radius: int, quality: int) -> None:
    from PIL import ImageFilter

    values = np.zeros((400, 500), np.uint8)
    values[80:300, 100:400] = 255
    smooth = Image.fromarray(values).filter(ImageFilter.GaussianBlur(radius))
    found = read_mask_file(saved(tmp_path, smooth, "JPEG", quality=quality)).lesion
    assert (found != (np.asarray(smooth) >= 128)).mean() < 0.002


@pytest.mark.parametrize(
    ("dtype", "least"), [(np.int16, -1), (np.int32, -5), (np.float32, -1), (np.int8, -1), (np.float32, -0.5)]
)
def test_negative_values_are_refused(tmp_path: Path, dtype: Any, least: float) -> None:
    path = tiff(tmp_path / "mask.tif", two(least, 1, dtype))
    with pytest.raises(DatasetError, match=f"negative values .to {least:g}.*Save 0 for background and 255"):
        read_mask_file(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    path = saved(tmp_path, two(1, value, np.float32), "TIFF")
    with pytest.raises(DatasetError, match="infinite or not numbers"):
        read_mask_file(path)


@pytest.mark.parametrize(("first", "second"), [(1, 2), (1, 40), (0.25, 1), (7, 7), (3, 20)])
@pytest.mark.parametrize("gap", [0, 8])
def test_float_labels(tmp_path: Path, first: float, second: float, gap: int) -> None:
    values = two(first, second, np.float32, gap)
    file = read_mask_file(saved(tmp_path, values, "TIFF"))
    assert np.array_equal(file.lesion, values > 0)
    assert file.instances.max() == (2 if first != second or gap else 1)


def test_probabilities_begin_at_half() -> None:
    """Floats between 0 and 1 are no class numbers."""
    rows, columns = np.indices((100, 100))
    values = np.exp(-((rows - 50) ** 2 + (columns - 50) ** 2) / 200).astype(np.float32)
    assert np.array_equal(MaskFile(values).lesion, values >= 0.5)


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.int32, np.float32])
@pytest.mark.parametrize("big", [False, True])
def test_depths_and_byte_orders(tmp_path: Path, dtype: Any, big: bool) -> None:
    values = two(1, 2, dtype, 0)
    assert read_mask_file(tiff(tmp_path / "a.tif", values, big=big)).instances.max() == 2


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_where_the_least_value_is_white(tmp_path: Path, dtype: Any) -> None:
    values = two(255, 255, dtype)
    path = tiff(tmp_path / "a.tif", (255 - values).astype(dtype), white=True)
    assert np.array_equal(read_mask_file(path).lesion, values > 0)


def test_large_labels_are_not_negative(tmp_path: Path) -> None:
    values = two(3_000_000_000, 4_000_000_000, np.uint32, 0)
    assert read_mask_file(tiff(tmp_path / "a.tif", values)).instances.max() == 2


def test_pixels_that_are_not_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="unsupported TIFF pixels: 64-bit floating-point numbers"):
        read_mask_file(tiff(tmp_path / "a.tif", two(1, 2, np.float64)))


def test_deep_colour_keeps_its_lower_byte(tmp_path: Path) -> None:
    """A 16-bit RGB mask of 0 and 1, whose upper bytes are all 0."""
    values = two(1, 200, np.uint16)
    rows = b"".join(b"\0" + np.repeat(row, 3).astype(">u2").tobytes() for row in values)

    def chunk(name: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")

    header = (160).to_bytes(4, "big") + (120).to_bytes(4, "big") + bytes((16, 2, 0, 0, 0))
    path = tmp_path / "deep.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    assert np.array_equal(read_mask_file(path).lesion, values > 0)


def test_several_frames_are_refused(tmp_path: Path) -> None:
    one = Image.fromarray(two(255, 255))
    one.save(tmp_path / "a.tif", save_all=True, append_images=[one, one])
    with pytest.raises(DatasetError, match="holds 3 frames"):
        read_mask_file(tmp_path / "a.tif")


@pytest.mark.parametrize(("first", "second"), [(1, 2), (2, 1), (1, 40), (85, 255), (254, 255)])
def test_touching_labels_are_two_lesions(first: int, second: int) -> None:
    values = two(first, second, gap=0)
    file = MaskFile(values)
    pixels = [int((values == value).sum()) for value in (first, second)]
    assert sorted(np.bincount(file.instances.ravel())[1:].tolist()) == sorted(pixels)
    assert kinds(file) == [TOUCHING]
    assert np.array_equal(file.instances > 0, file.lesion)


def test_touching_colours_of_equal_brightness(tmp_path: Path) -> None:
    values = two(1, 2, gap=0)
    colours = np.zeros((*values.shape, 3), np.uint8)
    colours[values == 1] = (255, 0, 0)
    colours[values == 2] = (0, 255, 0)
    file = read_mask_file(saved(tmp_path, colours))
    assert file.instances.max() == 2
    assert kinds(file) == [TOUCHING]
    palette = Image.fromarray(values).convert("P")
    palette.putpalette([0, 0, 0, 0, 0, 255, 255, 255, 0])
    assert read_mask_file(saved(tmp_path, palette)).instances.max() == 2


def test_a_label_of_several_regions_and_one_inside_another() -> None:
    values = np.zeros((100, 100), np.uint8)
    values[10:60, 10:60] = 1
    values[20:30, 20:30] = 2  # inside of 1
    values[60:90, 10:30] = 2  # below 1, another region
    values[70:90, 70:90] = 1
    instances = MaskFile(values).instances
    assert sorted(np.bincount(instances.ravel())[1:].tolist()) == [100, 400, 600, 2400]


@pytest.mark.parametrize("resample", [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC])
def test_smoothed_edges_split_nothing(resample: Any) -> None:
    one = np.asarray(Image.fromarray(two(2, 2)).resize((260, 190), resample))
    assert MaskFile(one).instances.max() == 2
    grey = np.asarray(Image.fromarray(two(255, 255, gap=0)).resize((260, 190), resample))
    assert MaskFile(grey).instances.max() == 1


def test_touching_labels_with_pixels_between_are_one_lesion() -> None:
    values = two(1, 3, gap=0)
    values[40:80, 91] = 2
    file = MaskFile(values)
    assert file.instances.max() == 1
    assert kinds(file) == [MERGED]


@settings(max_examples=60, deadline=None)
@given(arrays(np.uint8, (8, 9), elements=st.integers(0, 3)), st.integers(1, 12))
def test_instances_cover_the_lesion(coarse: Any, size: int) -> None:
    """Each is one connected region, of one label where labels have an interior."""
    values = np.kron(coarse, np.ones((size, size), np.uint8))
    file = MaskFile(values)
    instances = file.instances
    assert np.array_equal(instances > 0, values > 0)
    for number in range(1, int(instances.max()) + 1):
        assert label(instances == number)[1] == 1
        if size > 3:
            assert np.unique(values[instances == number]).size == 1
    if size > 3:
        assert instances.max() == sum(label(values == code)[1] for code in (1, 2, 3))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_inverted_mask_is_named(dtype: Any) -> None:
    values = two(255, 255).astype(dtype)
    assert kinds(MaskFile(values)) == []
    assert kinds(MaskFile(255 - values)) == [INVERTED]
    assert kinds(MaskFile((255 - values) // 255)) == [INVERTED]


@pytest.mark.parametrize(("rows", "named"), [(40, False), (80, True)])
def test_a_lesion_at_the_border_is_no_inversion(rows: int, named: bool) -> None:
    """Of an image as high as wide: a lesion over its upper 0.4 meets 0.45 of the border."""
    values = np.zeros((100, 100), np.uint8)
    values[:rows] = 255
    assert (kinds(MaskFile(values)) == [INVERTED]) is named
    assert border_share(values > 0) == pytest.approx((100 + 2 * (rows - 1)) / 396)


def test_unused_grey_levels_are_named() -> None:
    values = np.zeros((100, 100), np.uint8)
    for level in range(90):  # stripes, each a region of its own
        values[10:90, level + 2] = 20 + level
    values[20:80, 94:] = 255
    file = MaskFile(values)
    assert kinds(file) == [UNUSED]
    assert "below half of the largest (255)" in file.issues[0].text
