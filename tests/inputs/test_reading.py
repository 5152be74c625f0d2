"""Reading images: every kind as a viewer shows it, every invalid one refused with a message."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageCms

from sonoseg.errors import InputError, SonosegWarning
from sonoseg.image import raster
from sonoseg.image.calibration import Spacing
from sonoseg.image.size_limits import MAX_PIXELS, MIN_SIDE
from sonoseg.inputs.file_search import find_images
from sonoseg.inputs.reading import read_frame

GREY = (np.add.outer(np.arange(24), np.arange(32)) * 4).astype(np.uint8)
"""A ramp of 24 rows and 32 columns, 0 to 216: neither square nor symmetric."""


def save(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


# What is read ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["png", "tif", "bmp", "pgm", "gif"])
def test_lossless_grey_comes_as_it_is(tmp_path: Path, ending: str) -> None:
    frame = read_frame(save(Image.fromarray(GREY), tmp_path / f"scan.{ending}"))
    assert np.array_equal(frame.pixels, GREY)
    assert frame.pixels.dtype == np.uint8
    assert frame.source == tmp_path / f"scan.{ending}"
    assert frame.name == "scan"
    assert frame.spacing is None


@pytest.mark.parametrize("ending", ["jpg", "webp", "jp2"])
def test_lossy_grey_comes_nearly_as_it_is(tmp_path: Path, ending: str) -> None:
    frame = read_frame(save(Image.fromarray(GREY), tmp_path / f"scan.{ending}", quality=95))
    assert np.abs(frame.pixels.astype(int) - GREY).max() <= 8


def test_the_ending_does_not_matter_the_content_does(tmp_path: Path) -> None:
    path = tmp_path / "scan.dat"
    Image.fromarray(GREY).save(path, format="PNG")
    assert np.array_equal(read_frame(path).pixels, GREY)


def test_spacing_is_carried(tmp_path: Path) -> None:
    path = save(Image.fromarray(GREY), tmp_path / "scan.png")
    assert read_frame(path, spacing=Spacing(0.1, 0.2)).spacing == Spacing(0.1, 0.2)


def test_names_with_unicode_and_spaces(tmp_path: Path) -> None:
    folder = tmp_path / "Station 7 – Brüste"
    folder.mkdir()
    frame = read_frame(save(Image.fromarray(GREY), folder / "Ünïcode скан 乳腺 (1).png"))
    assert frame.name == "Ünïcode скан 乳腺 (1)"


def test_a_path_as_text(tmp_path: Path) -> None:
    assert read_frame(str(save(Image.fromarray(GREY), tmp_path / "scan.png"))).shape == (24, 32)


def test_colour_becomes_grey_by_itu_601(tmp_path: Path) -> None:
    colour = np.zeros((16, 48, 3), dtype=np.uint8)
    colour[:, :16, 0] = colour[:, 16:32, 1] = colour[:, 32:, 2] = 255
    pixels = read_frame(save(Image.fromarray(colour), tmp_path / "colour.png")).pixels
    assert [int(pixels[0, k]) for k in (0, 16, 32)] == [76, 150, 29]


def test_grey_kept_in_colour_is_the_same_grey(tmp_path: Path) -> None:
    rgb = np.repeat(GREY[:, :, None], 3, axis=2)
    assert np.array_equal(read_frame(save(Image.fromarray(rgb), tmp_path / "rgb.png")).pixels, GREY)


def test_bilevel(tmp_path: Path) -> None:
    pixels = read_frame(save(Image.fromarray(GREY > 100).convert("1"), tmp_path / "one.png")).pixels
    assert np.array_equal(pixels, np.where(GREY > 100, 255, 0))


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    image = Image.fromarray(255 - GREY, mode="L").convert("P")
    image.putpalette([255 - value for value in range(256) for _ in range(3)])  # index 0 is white
    assert np.array_equal(read_frame(save(image, tmp_path / "palette.png")).pixels, GREY)


def test_a_palette_with_transparency(tmp_path: Path) -> None:
    image = Image.fromarray((GREY > 100).astype(np.uint8), mode="P")
    image.putpalette([200, 200, 200, 90, 90, 90])
    pixels = read_frame(save(image, tmp_path / "palette.png", transparency=bytes([0, 255]))).pixels
    assert np.array_equal(pixels, np.where(GREY > 100, 90, 0))


@pytest.mark.filterwarnings("ignore:.*hardly any contrast")
@given(hnp.arrays(np.uint8, (16, 16, 4)))
@settings(max_examples=25, deadline=None)
@pytest.mark.filterwarnings("ignore:.*of the image:sonoseg.errors.SonosegWarning")
def test_transparency_lies_on_black(rgba: np.ndarray) -> None:
    pixels = _read_bytes(_bytes(Image.fromarray(rgba), "PNG"))
    colour = np.rint(rgba[:, :, :3] * (rgba[:, :, 3:].astype(float) / 255))
    expected = colour @ np.array([0.299, 0.587, 0.114])
    assert np.abs(pixels - expected).max() <= 2  # two roundings


@pytest.mark.filterwarnings("ignore:.*of the image:sonoseg.errors.SonosegWarning")
def test_grey_with_alpha_and_with_a_transparent_value(tmp_path: Path) -> None:
    alpha = np.zeros_like(GREY)
    alpha[:, 16:] = 255
    image = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(alpha)])
    pixels = read_frame(save(image, tmp_path / "la.png")).pixels
    assert np.array_equal(pixels, np.where(alpha, GREY, 0))
    keyed = np.full((16, 16), 50, dtype=np.uint8)
    keyed[8:] = 200
    pixels = read_frame(save(Image.fromarray(keyed), tmp_path / "key.png", transparency=200)).pixels
    assert pixels[:8].tolist() == keyed[:8].tolist()
    assert not pixels[8:].any()


@pytest.mark.parametrize("ending", ["jpg", "tif"])
def test_cmyk(tmp_path: Path, ending: str) -> None:
    ink = Image.fromarray(np.repeat(GREY[:, :, None], 3, axis=2)).convert("CMYK")
    pixels = read_frame(save(ink, tmp_path / f"print.{ending}")).pixels
    assert np.abs(pixels.astype(int) - GREY).max() <= 6


def test_lab_gives_its_lightness(tmp_path: Path) -> None:
    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    lab = ImageCms.applyTransform(Image.fromarray(np.repeat(GREY[:, :, None], 3, axis=2)), to_lab)
    assert lab is not None
    pixels = read_frame(save(lab, tmp_path / "lab.tif")).pixels
    assert np.array_equal(pixels, np.asarray(lab)[:, :, 0])


def test_an_odd_colour_space(tmp_path: Path) -> None:
    rgb = Image.fromarray(np.repeat(GREY[:, :, None], 3, axis=2))
    pixels = read_frame(save(rgb.convert("YCbCr"), tmp_path / "y.tif")).pixels
    assert np.abs(pixels.astype(int) - GREY).max() <= 2


# More than eight bits --------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*hardly any contrast")
@given(
    hnp.arrays(np.uint16, hnp.array_shapes(min_dims=2, max_dims=2, min_side=16, max_side=20)),
    st.sampled_from(["PNG", "TIFF"]),
)
@settings(max_examples=40, deadline=None)
def test_16_bits_are_scaled_by_their_own_range(values: np.ndarray, kind: str) -> None:
    pixels = _read_bytes(_bytes(Image.fromarray(values), kind))
    if values.max() == values.min():
        assert not pixels.any()
        return
    assert pixels.min() == 0
    assert pixels.max() == 255
    span = int(values.max()) - int(values.min())
    assert np.abs(pixels - (values.astype(float) - values.min()) / span * 255).max() <= 0.5 + 1e-6


def test_12_bits_in_16_use_the_whole_grey_range(tmp_path: Path) -> None:
    values = (GREY.astype(np.uint16) * 16) + 100
    pixels = read_frame(save(Image.fromarray(values), tmp_path / "deep.png")).pixels
    assert np.array_equal(pixels, np.rint(GREY / 216 * 255))


def png_16_bit(values: np.ndarray, *, interlaced: bool = False) -> bytes:
    """A PNG of uint16 (H, W, C): 2 channels grey with alpha, 3 RGB, 4 RGBA."""
    height, width, channels = values.shape
    kind = {2: 4, 3: 2, 4: 6}[channels]
    passes = [
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    ]
    grids = [values[y::dy, x::dx] for y, x, dy, dx in passes] if interlaced else [values]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for grid in grids for row in grid)

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, interlaced)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("top", [255, 4095, 65535])
@pytest.mark.parametrize("channels", [2, 3, 4])
@pytest.mark.parametrize("interlaced", [False, True])
def test_colour_and_alpha_of_16_bits_come_as_grey_of_16_bits_does(
    tmp_path: Path, top: int, channels: int, interlaced: bool
) -> None:
    grey = (GREY.astype(np.uint32) * top // 216).astype(np.uint16)
    values = np.repeat(grey[..., None], channels, axis=2)
    if channels != 3:
        values[..., -1] = 65535
    path = tmp_path / "deep.png"
    path.write_bytes(png_16_bit(values, interlaced=interlaced))
    expected = read_frame(save(Image.fromarray(grey), tmp_path / "grey.png")).pixels
    assert np.abs(read_frame(path).pixels.astype(int) - expected).max() <= 1  # the weights are rounded
    if channels != 3:
        values[:12, :, -1] = 0
        path.write_bytes(png_16_bit(values, interlaced=interlaced))
        assert not read_frame(path).pixels[:12].any()


def test_a_wholly_transparent_image_is_warned_of(tmp_path: Path) -> None:
    clear = Image.merge("LA", [Image.fromarray(GREY), Image.new("L", (32, 24), 0)])
    with pytest.warns(SonosegWarning, match="clear.png: the image has hardly any contrast"):
        frame = read_frame(save(clear, tmp_path / "clear.png"))
    assert not frame.has_contrast
    assert "hardly any contrast" in frame.warnings[0]


def test_32_bit_integers_and_floats(tmp_path: Path) -> None:
    ints = GREY.astype(np.int32) * 10_000_000 - 5
    assert read_frame(save(Image.fromarray(ints), tmp_path / "i.tif")).pixels.max() == 255
    floats = GREY.astype(np.float32) / 216
    floats[0, 0], floats[0, 1] = np.nan, np.inf
    pixels = read_frame(save(Image.fromarray(floats), tmp_path / "f.tif")).pixels
    assert pixels[0, 0] == 0
    assert pixels[-1, -1] == 255
    floats[:] = np.nan
    with pytest.warns(SonosegWarning, match="hardly any contrast"):
        assert not read_frame(save(Image.fromarray(floats), tmp_path / "nan.tif")).pixels.any()


# EXIF ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("orientation", "seen"),
    [
        (1, GREY),
        (2, np.fliplr(GREY)),
        (3, np.rot90(GREY, 2)),
        (4, np.flipud(GREY)),
        (5, GREY.T),
        (6, np.rot90(GREY, -1)),
        (7, np.rot90(GREY, 2).T),
        (8, np.rot90(GREY)),
    ],
)
@pytest.mark.parametrize("kind", ["png", "jpg", "tif"])
def test_exif_rotation_is_applied(tmp_path: Path, orientation: int, seen: np.ndarray, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 100} if kind == "jpg" else {}
    frame = read_frame(save(Image.fromarray(GREY), tmp_path / f"turned.{kind}", exif=exif, **options))
    assert frame.shape == seen.shape
    assert np.abs(frame.pixels.astype(int) - seen).max() <= (2 if kind == "jpg" else 0)


def test_broken_exif_costs_a_warning_not_the_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(Image.fromarray(GREY), tmp_path / "scan.png")

    def broken(image: Image.Image) -> Image.Image:
        raise struct.error("unpack requires a buffer of 2 bytes")

    monkeypatch.setattr(raster.ImageOps, "exif_transpose", broken)
    with pytest.warns(SonosegWarning, match=r"scan\.png: its EXIF block cannot be read"):
        assert np.array_equal(read_frame(path).pixels, GREY)


# What is refused -------------------------------------------------------------------------------------


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.png"
    path.touch()
    with pytest.raises(InputError, match=r"empty\.png: .*empty"):
        read_frame(path)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "WEBP", "JPEG2000", "PPM"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.8])
def test_a_truncated_file(tmp_path: Path, kind: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (80, 90), dtype=np.uint8)
    whole = _bytes(Image.fromarray(noise), kind)
    path = tmp_path / "cut.img"
    path.write_bytes(whole[: max(4, int(len(whole) * share))])
    with pytest.raises(InputError, match=r"cut\.img: .*(truncated or damaged|unsupported)"):
        read_frame(path)


def test_a_damaged_middle(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (80, 90), dtype=np.uint8)
    whole = bytearray(_bytes(Image.fromarray(noise), "PNG"))
    whole[200:1200] = bytes(1000)
    path = tmp_path / "hurt.png"
    path.write_bytes(whole)
    with pytest.raises(InputError, match="truncated or damaged"):
        read_frame(path)


@pytest.mark.parametrize(
    "text", ["hello\n", "Ünïcode, a list;\nof things\n" * 40, "\ufeffid;label\n", "<svg/>"]
)
def test_text_named_png(tmp_path: Path, text: str) -> None:
    path = tmp_path / "notes.png"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"notes\.png: .*text"):
        read_frame(path)


def test_text_cut_within_a_letter_is_still_text(tmp_path: Path) -> None:
    path = tmp_path / "notes.png"
    path.write_text("x" + "日" * 400, encoding="utf-8")  # byte 512 falls inside a letter
    with pytest.raises(InputError, match="text"):
        read_frame(path)


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (bytes(128) + b"DICM" + bytes(300), "DICOM file without an image"),
        (b"%PDF-1.7\n\xff\xfe\x00", "a PDF document"),
        (b"PK\x03\x04\x14\x00\x08\x00\xff\xfe", "unsupported"),
        (b"RIFF\0\1\0\0AVI LIST\xff", "the file is a video"),
        (b"\0\0\0\x18ftypmp42\xff", "the file is a video"),
        (b"\0\0\0\x18ftypheic\xff", "the file is a HEIC or AVIF image"),
        (b"RIFF\0\1\0\0WEBPVP8 \xff", "truncated or damaged"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\n", "text"),  # never Ghostscript
    ],
)
def test_other_kinds_are_named(tmp_path: Path, head: bytes, said: str) -> None:
    path = tmp_path / "other.png"
    path.write_bytes(head)
    with pytest.raises(InputError, match=said):
        read_frame(path)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (MIN_SIDE - 1, 200), (200, MIN_SIDE - 1)])
def test_too_small(tmp_path: Path, width: int, height: int) -> None:
    path = save(Image.new("L", (width, height)), tmp_path / "speck.png")
    with pytest.raises(InputError, match=rf"too small: {width} x {height} pixels.*at least {MIN_SIDE} pix"):
        read_frame(path)


@pytest.mark.filterwarnings("ignore:.*hardly any contrast")
def test_just_large_enough(tmp_path: Path) -> None:
    path = save(Image.new("L", (MIN_SIDE, MIN_SIDE)), tmp_path / "small.png")
    assert read_frame(path).shape == (MIN_SIDE, MIN_SIDE)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(("width", "height"), [(30_000, 30_000), (8_001, 8_000), (10_000, 12_000)])
def test_too_large_by_its_header(tmp_path: Path, width: int, height: int) -> None:
    path = tmp_path / "huge.png"
    # Not a pixel behind the header: decoding would say "truncated".
    path.write_bytes(_png_header(width, height) + _chunk(b"IDAT", b""))
    with pytest.raises(InputError, match=rf"too large: .*{MAX_PIXELS:,} pixels"):
        read_frame(path)


@pytest.mark.process
def test_30000_by_30000_costs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    row = zlib.compress(bytes(30_001))
    path.write_bytes(_png_header(30_000, 30_000) + _chunk(b"IDAT", row))
    program = (
        "import resource, sys\n"
        "from sonoseg.errors import InputError\n"
        "from sonoseg.inputs.reading import read_frame\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n    read_frame(sys.argv[1])\n"
        "except InputError as error:\n    print(error)\n"
        "assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000, 'decoded'\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "too large: 900,000,000 pixels" in done.stdout


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_an_animated_file_is_refused_with_its_count(tmp_path: Path, kind: str) -> None:
    frames = [Image.fromarray(np.roll(GREY, k * 3, axis=1)) for k in range(3)]
    path = tmp_path / "clip.img"
    frames[0].save(path, format=kind, save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match=r"clip\.img: .*3 frames"):
        read_frame(path)


def test_a_photograph_with_a_preview_is_one_image(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    Image.fromarray(GREY).save(path, format="MPO", save_all=True, append_images=[Image.fromarray(GREY // 2)])
    assert np.abs(read_frame(path).pixels.astype(int) - GREY).max() <= 8


def test_no_such_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.png: .*does not exist"):
        read_frame(tmp_path / "gone.png")
    with pytest.raises(InputError, match="a folder"):
        read_frame(tmp_path)


def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(InputError, match="not a regular file"):
        read_frame(tmp_path / "pipe.png")


@pytest.mark.parametrize("name", ["a\0b.png", "x" * 5000 + ".png"])
def test_impossible_names(name: str) -> None:
    with pytest.raises(InputError):
        read_frame(name)


def test_no_permission_to_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(Image.fromarray(GREY), tmp_path / "locked.png")

    def denied(*_: object, **__: object) -> Image.Image:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(raster.Image, "open", denied)
    with pytest.raises(InputError, match=r"locked\.png: no permission"):
        read_frame(path)
    monkeypatch.setattr(Path, "is_dir", denied)
    with pytest.raises(InputError, match="no permission"):
        read_frame(path)


def test_no_permission_to_read_for_real(
    open_folder: Path, ordinary_rights: Callable[[], AbstractContextManager[None]]
) -> None:
    path = save(Image.fromarray(GREY), open_folder / "locked.png")
    path.chmod(0)
    with ordinary_rights(), pytest.raises(InputError, match=r"locked\.png: no permission"):
        read_frame(path)
    path.chmod(0o644)
    open_folder.chmod(0)
    with ordinary_rights(), pytest.raises(InputError, match="no permission"):
        read_frame(path)


def test_memory_that_does_not_suffice_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(Image.fromarray(GREY), tmp_path / "scan.png")

    def exhausted(image: Image.Image) -> np.ndarray:
        raise MemoryError

    monkeypatch.setattr(raster, "grey_image", exhausted)
    with pytest.raises(InputError, match="not enough memory"):
        read_frame(path)


# The public sets -------------------------------------------------------------------------------------


@pytest.mark.real
def test_published_images_are_read_at_their_own_size(real_data: Path) -> None:
    with pytest.warns(SonosegWarning, match="mask"):
        images = find_images([real_data / "busi", real_data / "bus-bra"])[::40]
    assert len(images) > 50
    for path in images:
        with Image.open(path) as image:
            assert read_frame(path).shape == image.size[::-1]


# Garbage ---------------------------------------------------------------------------------------------

HEADS = [
    b"",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff\xe0",
    b"\xff\xd8\xff\xe1\x00\x20Exif\0\0",
    b"II*\0\x08\0\0\0",
    b"MM\0*",
    b"BM",
    b"GIF89a",
    b"RIFF\x00\x01\x00\x00WEBPVP8 ",
    b"\x00\x00\x00\x0cjP  \r\n\x87\n",
    b"P5\n",
]


@pytest.mark.process
@given(st.sampled_from(HEADS), st.binary(max_size=300))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@pytest.mark.filterwarnings("ignore")
def test_garbage_is_refused_and_never_crashes(head: bytes, tail: bytes) -> None:
    _frame_or_refusal(head + tail)


@pytest.mark.process
@given(
    st.sampled_from(["PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "JPEG2000", "PPM"]),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=12),
    st.floats(0, 1),
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@pytest.mark.filterwarnings("ignore")
def test_mutilated_images_never_crash(kind: str, changes: list[tuple[float, int]], cut: float) -> None:
    hurt = bytearray(_whole(kind))
    for place, value in changes:
        hurt[int(place * (len(hurt) - 1))] = value
    _frame_or_refusal(bytes(hurt[: max(1, int(len(hurt) * (1 - cut**4)))]))


_WHOLE: dict[str, bytes] = {}


def _whole(kind: str) -> bytes:
    if kind not in _WHOLE:
        _WHOLE[kind] = _bytes(Image.fromarray(GREY), kind)
    return _WHOLE[kind]


def _frame_or_refusal(data: bytes) -> None:
    with suppress(InputError):  # any other exception is a fault of ours
        pixels = _read_bytes(data)
        assert pixels.ndim == 2
        assert pixels.dtype == np.uint8
        assert min(pixels.shape) >= MIN_SIDE


def _read_bytes(data: bytes) -> np.ndarray:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "made.img")
        path.write_bytes(data)
        return read_frame(path).pixels


def _bytes(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind)
    return buffer.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png_header(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
