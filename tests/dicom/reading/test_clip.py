"""DICOM files: stills and clips in every encoding, constant memory, errors for every bad file."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import tracemalloc
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sonoseg.dicom.reading import clip as clip_module
from sonoseg.dicom.reading import codecs
from sonoseg.dicom.reading.clip import open_dicom
from sonoseg.errors import BurnedInTextError, InputError, MissingExtra, SonosegError, SonosegWarning
from sonoseg.image.calibration import Box, Spacing, cautions
from sonoseg.image.frame import NO_CONTRAST
from sonoseg.inputs.reading import read_frame

GREY = (np.add.outer(np.arange(48), np.arange(64)) * 2).astype(np.uint8)
"""48 rows, 64 columns, 0 to 220."""

CLIP = np.stack([np.roll(GREY, 5 * k, axis=1) for k in range(7)])

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
DEFLATED, BIG = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"
JPEG, RLE = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.5"
LOSSLESS = [
    IMPLICIT,
    EXPLICIT,
    DEFLATED,
    BIG,
    RLE,
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.90",
]

Make = Callable[..., Any]


# What is read ----------------------------------------------------------------------------------------


@pytest.mark.process
@pytest.mark.parametrize("process", ["+e1", "+el"])
def test_lossless_jpeg_by_the_gpl_codec(tmp_path: Path, make_dicom: Make, process: str) -> None:
    pytest.importorskip("libjpeg", reason="pylibjpeg-libjpeg is not installed: the extra dicom-gpl")
    coder = shutil.which("dcmcjpeg")
    if coder is None:
        pytest.skip("dcmtk's dcmcjpeg, which writes lossless JPEG, is not installed")
    pixels = np.random.default_rng(5).integers(0, 256, (40, 50), dtype=np.uint8)
    plain, packed = tmp_path / "plain.dcm", tmp_path / "packed.dcm"
    make_dicom(plain, pixels)
    subprocess.run([coder, process, plain, packed], check=True)
    with open_dicom(packed, keep_burned_in=True) as clip:
        assert np.array_equal(clip.frame(0).pixels, pixels)


@pytest.mark.parametrize("syntax", LOSSLESS)
def test_a_still_in_every_lossless_syntax(tmp_path: Path, make_dicom: Make, syntax: str) -> None:
    frame = read_frame(make_dicom(tmp_path / "scan.dcm", GREY, syntax=syntax))
    assert np.array_equal(frame.pixels, GREY)
    assert (frame.kind, frame.index, frame.name) == ("dicom", None, "scan")
    assert frame.spacing == Spacing(row=0.2, column=0.1)
    assert frame.calibration.origin == "file"


@pytest.mark.parametrize("syntax", [*LOSSLESS, JPEG])
def test_a_clip_in_any_order(tmp_path: Path, make_dicom: Make, syntax: str) -> None:
    with open_dicom(make_dicom(tmp_path / "clip.dcm", CLIP, syntax=syntax)) as clip:
        assert clip.count == 7
        for number in (6, 0, 3, 3):
            frame = clip.frame(number)
            assert np.abs(frame.pixels.astype(int) - CLIP[number]).max() <= (8 if syntax == JPEG else 0)
            assert (frame.index, frame.name) == (number, f"clip_f{number:04}")


@pytest.mark.parametrize("syntax", LOSSLESS)
def test_colour_becomes_grey_by_itu_601(tmp_path: Path, make_dicom: Make, syntax: str) -> None:
    colour = np.zeros((2, 48, 48, 3), dtype=np.uint8)
    colour[:, :, :16, 0] = colour[:, :, 16:32, 1] = colour[:, :, 32:, 2] = 255
    colour[1] //= 5
    path = make_dicom(tmp_path / "colour.dcm", colour, syntax=syntax)
    with open_dicom(path) as clip:
        assert [int(clip.frame(0).pixels[0, k]) for k in (0, 16, 32)] == [76, 150, 29]
        assert [int(clip.frame(1).pixels[0, k]) for k in (0, 16, 32)] == [15, 30, 6]


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
def test_files_without_a_preamble(tmp_path: Path, make_dicom: Make, syntax: str) -> None:
    path = make_dicom(tmp_path / "old", GREY, syntax=syntax, preamble=False)
    assert np.array_equal(read_frame(path).pixels, GREY)


def test_big_endian_words_of_odd_frames(tmp_path: Path, make_dicom: Make) -> None:
    odd = CLIP[:3, :17, :21]  # 357 bytes a frame: the second begins within a word
    flat = odd.tobytes() + b"\0"
    swapped = np.frombuffer(flat, dtype=np.uint16).byteswap().tobytes()
    path = make_dicom(tmp_path / "odd.dcm", odd, syntax=BIG, data=swapped)
    data = path.read_bytes()
    at = data.index(b"\x7f\xe0\x00\x10OB")
    path.write_bytes(data[: at + 4] + b"OW" + data[at + 6 :])
    with open_dicom(path) as clip:
        for number in range(3):
            assert np.array_equal(clip.frame(number).pixels, odd[number])


def test_planes_of_colour(tmp_path: Path, make_dicom: Make) -> None:
    colour = np.dstack([GREY, GREY // 2, GREY // 3])
    path = make_dicom(
        tmp_path / "planes.dcm", colour, data=np.moveaxis(colour, 2, 0).tobytes(), PlanarConfiguration=1
    )
    other = make_dicom(tmp_path / "pixels.dcm", colour)
    assert np.array_equal(read_frame(path).pixels, read_frame(other).pixels)


@pytest.mark.parametrize("photometric", ["YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422"])
def test_grey_of_ybr_is_the_luma(tmp_path: Path, make_dicom: Make, photometric: str) -> None:
    three = np.dstack([GREY, np.full_like(GREY, 90), np.full_like(GREY, 200)])
    data = None
    if photometric.endswith("422"):
        pairs = np.stack([GREY[:, ::2], GREY[:, 1::2], three[:, ::2, 1], three[:, ::2, 2]], axis=-1)
        data = pairs.tobytes()
    path = make_dicom(tmp_path / "ybr.dcm", three, photometric=photometric, data=data)
    expected = GREY.astype(float)
    if "PARTIAL" in photometric:
        expected = np.clip(np.rint((expected - 16) * 255 / 219), 0, 255)
    assert np.abs(read_frame(path).pixels - expected).max() <= 1


def test_ybr_422_that_is_not_subsampled(tmp_path: Path, make_dicom: Make) -> None:
    three = np.dstack([GREY, np.full_like(GREY, 90), np.full_like(GREY, 200)])
    path = make_dicom(tmp_path / "ybr.dcm", three, photometric="YBR_FULL_422")
    assert np.array_equal(read_frame(path).pixels, GREY)


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("photometric", ["YBR_FULL_422", "RGB"])
def test_colour_jpeg_as_a_viewer_shows_it(
    tmp_path: Path, make_dicom: Make, make_jpeg: Make, subsampling: str, photometric: str
) -> None:
    # The stream's own marker (JFIF: YCbCr) takes precedence over the header.
    colour = np.dstack([GREY, GREY, GREY // 2])
    stream = make_jpeg(colour, subsampling=subsampling)
    path = make_dicom(tmp_path / "j.dcm", colour, syntax=JPEG, frames=[stream], photometric=photometric)
    expected = colour @ np.array([0.299, 0.587, 0.114])
    assert np.abs(read_frame(path).pixels - expected).max() <= 8


@pytest.mark.filterwarnings("ignore:.*hardly any contrast")
def test_rgb_in_jpeg_is_not_taken_for_ybr(tmp_path: Path, make_dicom: Make, make_jpeg: Make) -> None:
    colour = np.zeros((16, 16, 3), dtype=np.uint8)
    colour[..., 0] = 200
    stream = make_jpeg(colour, keep_rgb=True, subsampling="4:4:4")
    path = make_dicom(tmp_path / "rgb.dcm", colour, syntax=JPEG, frames=[stream], photometric="RGB")
    assert np.abs(read_frame(path).pixels.astype(int) - 60).max() <= 2


def bare(stream: bytes) -> bytes:
    """A JPEG stream without JFIF and Adobe markers (APP0, APP14)."""
    kept, at = b"\xff\xd8", 2
    while stream[at + 1] != 0xDA:
        length = 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
        kept += b"" if stream[at + 1] in (0xE0, 0xEE) else stream[at : at + length]
        at += length
    return kept + stream[at:]


SCAN = np.repeat(np.clip(GREY.astype(int) - 40, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
"""A grey scan in RGB, black in a corner."""


def ycbcr(rgb: np.ndarray) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.fromarray(rgb).convert("YCbCr"))


@pytest.mark.parametrize("labelled", ["RGB", "YBR_FULL_422"])
@pytest.mark.parametrize("subsampling", ["4:2:0", "4:2:2", "4:4:4"])
@pytest.mark.parametrize("markers", [True, False])
def test_ycbcr_in_jpeg_whatever_the_label(
    tmp_path: Path, make_dicom: Make, make_jpeg: Make, labelled: str, subsampling: str, markers: bool
) -> None:
    stream = make_jpeg(SCAN, subsampling=subsampling)
    stream = stream if markers else bare(stream)
    path = make_dicom(tmp_path / "a.dcm", SCAN, syntax=JPEG, frames=[stream], photometric=labelled)
    by_pixels = not markers and subsampling == "4:4:4" and labelled == "RGB"
    with pytest.warns(SonosegWarning, match="labelled RGB") if by_pixels else nullcontext():
        frame = read_frame(path)
    assert np.abs(frame.pixels.astype(int) - SCAN[..., 0]).max() <= 8
    assert frame.warnings == ((codecs.MISLABELLED,) if by_pixels else ())


@pytest.mark.parametrize("labelled", ["RGB", "YBR_FULL"])
@pytest.mark.parametrize("markers", [True, False])
def test_rgb_in_jpeg_whatever_the_label(
    tmp_path: Path, make_dicom: Make, make_jpeg: Make, labelled: str, markers: bool
) -> None:
    stream = make_jpeg(SCAN, keep_rgb=True, subsampling="4:4:4")  # by its component ids, or Adobe's marker
    stream = stream if markers else bare(stream)
    path = make_dicom(tmp_path / "a.dcm", SCAN, syntax=JPEG, frames=[stream], photometric=labelled)
    assert np.abs(read_frame(path).pixels.astype(int) - SCAN[..., 0]).max() <= 8


@pytest.mark.filterwarnings("ignore:.*strongly coloured:sonoseg.errors.SonosegWarning")
def test_colour_that_stays_open_is_a_warning(tmp_path: Path, make_dicom: Make, make_jpeg: Make) -> None:
    colours = np.stack([GREY, 220 - GREY, np.roll(GREY, 20, axis=1)], axis=2)
    stream = bare(make_jpeg(colours, subsampling="4:4:4"))
    path = make_dicom(tmp_path / "a.dcm", colours, syntax=JPEG, frames=[stream], photometric="RGB")
    with pytest.warns(SonosegWarning, match="neither the JPEG stream nor its pixels"):
        read_frame(path)


@pytest.mark.parametrize("syntax", [EXPLICIT, BIG, DEFLATED, *LOSSLESS[4:]])
@pytest.mark.parametrize("planar", [0, 1])
def test_ycbcr_labelled_rgb_in_every_encoding(
    tmp_path: Path, make_dicom: Make, syntax: str, planar: int
) -> None:
    native = syntax in (EXPLICIT, BIG, DEFLATED)
    if planar and not native:
        pytest.skip("the codec stores the planes as it wants")
    wrong = ycbcr(SCAN)
    options = {"data": np.moveaxis(wrong, 2, 0).tobytes(), "PlanarConfiguration": 1} if planar else {}
    path = make_dicom(tmp_path / "a.dcm", wrong, syntax=syntax, photometric="RGB", **options)
    with pytest.warns(SonosegWarning, match="labelled RGB"):
        assert np.abs(read_frame(path).pixels.astype(int) - SCAN[..., 0]).max() <= 1  # of rounding


def test_a_frame_of_one_mid_grey_stays_rgb(tmp_path: Path, make_dicom: Make) -> None:
    grey = np.full((48, 64, 3), 128, np.uint8)
    grey[:8] = 60
    assert np.array_equal(read_frame(make_dicom(tmp_path / "a.dcm", grey)).pixels, grey[..., 0])


@pytest.mark.parametrize("high", [0, 6, 8, 15])
def test_a_high_bit_that_cannot_be(tmp_path: Path, make_dicom: Make, high: int) -> None:
    with pytest.warns(SonosegWarning, match=f"HighBit is {high}, where 8 of 8 bits"):
        frame = read_frame(make_dicom(tmp_path / "a.dcm", GREY, HighBit=high))
    assert np.array_equal(frame.pixels, GREY)
    assert "HighBit" in frame.warnings[0]


@pytest.mark.parametrize("high", [7, 16])
def test_a_high_bit_that_cannot_be_of_12_bits(tmp_path: Path, make_dicom: Make, high: int) -> None:
    deep = GREY.astype(np.uint16) * 18
    good = read_frame(make_dicom(tmp_path / "good.dcm", deep, BitsStored=12, HighBit=11)).pixels
    with pytest.warns(SonosegWarning, match="12 of 16 bits"):
        frame = read_frame(make_dicom(tmp_path / "a.dcm", deep, BitsStored=12, HighBit=high))
    assert np.array_equal(frame.pixels, good)


def test_12_bits_are_read_where_they_are(tmp_path: Path, make_dicom: Make) -> None:
    deep = GREY.astype(np.uint16) * 18
    good = read_frame(make_dicom(tmp_path / "good.dcm", deep, BitsStored=12, HighBit=11)).pixels
    left = make_dicom(tmp_path / "left.dcm", deep << 4, BitsStored=12, HighBit=15)
    assert np.array_equal(read_frame(left).pixels, good)
    with pytest.warns(SonosegWarning, match="HighBit is 15 with 12 bits stored"):
        frame = read_frame(make_dicom(tmp_path / "a.dcm", deep, BitsStored=12, HighBit=15))
    assert np.array_equal(frame.pixels, good)


@pytest.mark.parametrize("syntax", [EXPLICIT, RLE, JPEG])
@pytest.mark.parametrize("frames", [0, -1, ""])
@pytest.mark.filterwarnings("ignore:Invalid value for VR IS")
def test_no_number_of_frames(tmp_path: Path, make_dicom: Make, syntax: str, frames: Any) -> None:
    path = make_dicom(tmp_path / "a.dcm", GREY, syntax=syntax, NumberOfFrames=frames)
    with pytest.warns(SonosegWarning, match="NumberOfFrames is 0 or empty: read as one frame"):
        frame = read_frame(path)
    assert np.abs(frame.pixels.astype(int) - GREY).max() <= 8
    assert frame.index is None
    path = make_dicom(tmp_path / "b.dcm", CLIP, syntax=syntax, NumberOfFrames=frames)
    with pytest.raises(InputError, match="NumberOfFrames is 0 or empty, but pixel data holds 7 frames"):
        open_dicom(path)


@pytest.mark.parametrize("syntax", [EXPLICIT, RLE, JPEG])
def test_frames_beyond_the_one_announced_are_told(tmp_path: Path, make_dicom: Make, syntax: str) -> None:
    path = make_dicom(tmp_path / "a.dcm", CLIP, syntax=syntax, NumberOfFrames=1)
    with pytest.warns(SonosegWarning, match="more pixel data than its header announces"):
        assert open_dicom(path).count == 1


@pytest.mark.parametrize(
    ("number", "name"),
    [("110", "JPEG XL Lossless"), ("111", "JPEG XL JPEG Recompression"), ("112", "JPEG XL")],
)
def test_jpeg_xl_is_named(tmp_path: Path, make_dicom: Make, number: str, name: str) -> None:
    path = make_dicom(tmp_path / "a.dcm", GREY, syntax=JPEG, frames=[b"\xff\x0a\0\0"])
    written = path.read_bytes()  # pydicom writes no syntax that it does not know
    known, wanted = JPEG.encode(), f"1.2.840.10008.1.2.4.{number}\0".encode()
    longer = (int.from_bytes(written[140:144], "little") + len(wanted) - len(known)).to_bytes(4, "little")
    patched = (
        written[:140]
        + longer
        + written[144:].replace(
            b"UI" + len(known).to_bytes(2, "little") + known,
            b"UI" + len(wanted).to_bytes(2, "little") + wanted,
            1,
        )
    )
    path.write_bytes(patched)
    with pytest.raises(InputError, match=rf"unsupported compression: {name}\. Export it uncompressed"):
        open_dicom(path)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("value", [0, 40, 255])
def test_a_uniform_scan_is_warned_of_once(
    tmp_path: Path, make_dicom: Make, make_region: Make, photometric: str, value: int
) -> None:
    clip = np.full((3, 48, 64), value, np.uint8)
    clip[:, :10] = GREY[:10]  # text, outside of the scan
    path = make_dicom(tmp_path / "a.dcm", clip, photometric=photometric, regions=[make_region(0, 12, 63, 47)])
    for options in ({}, {"keep_burned_in": True}):
        with pytest.warns(SonosegWarning) as shown, open_dicom(path, **options) as opened:
            frames = [opened.frame(k) for k in range(3)]
        assert [str(one.message) for one in shown] == [f"{path} (frame 0): {NO_CONTRAST}"]
        assert all(frame.warnings == (NO_CONTRAST,) for frame in frames)


def test_pydicoms_own_files_give_the_same_grey(tmp_path: Path) -> None:
    """Every image that pydicom ships and both can read: our grey is that of its RGB."""
    import pydicom
    from pydicom.pixels import pixel_array

    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    read = 0
    for path in sorted([*folder.glob("SC_*.dcm"), *folder.glob("*US*.dcm"), *folder.glob("examples_*.dcm")]):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                with open_dicom(path, keep_burned_in=True) as clip:
                    pixels = clip.frame(0).pixels
            except SonosegError:
                continue
            dataset = pydicom.dcmread(path)
            if dataset.SamplesPerPixel == 1 or dataset.BitsAllocated != 8:
                continue
            try:
                rgb = pixel_array(path, index=0)
            except ValueError:  # 3.0 does not find the place of SC_rgb_jpeg's pixels
                continue
        expected = rgb @ np.array([0.299, 0.587, 0.114])
        # Luma beyond what RGB can show is cut on the way to RGB, and only there the two may differ.
        shown = ((rgb > 0) & (rgb < 255)).all(axis=2)
        assert np.abs(pixels - expected)[shown].max(initial=0) <= 3, path.name
        read += 1
    assert read > 15


# Depth, windows, inversion: more in test_grey_transform ----------------------------------------------


def test_sixteen_bits_from_their_own_range(tmp_path: Path, make_dicom: Make) -> None:
    deep = (GREY.astype(np.uint16) * 13 + 1000).astype(np.uint16)
    path = make_dicom(tmp_path / "deep.dcm", deep, BitsStored=12, HighBit=11)
    expected = np.rint(GREY / GREY.max() * 255)
    assert np.array_equal(read_frame(path).pixels, expected)


@pytest.mark.parametrize("syntax", LOSSLESS)
def test_sixteen_bits_with_a_window(tmp_path: Path, make_dicom: Make, syntax: str) -> None:
    deep = np.stack([(GREY.astype(np.uint16) * 13 + 1000).astype(np.uint16)] * 2)
    path = make_dicom(tmp_path / "deep.dcm", deep, syntax=syntax, WindowCenter="2000.5", WindowWidth="1001")
    with open_dicom(path) as clip:
        pixels = clip.frame(1).pixels
    expected = np.clip(np.rint((deep[1].astype(float) - 1500) / 1000 * 255), 0, 255)
    assert np.abs(pixels - expected).max() <= 1


def test_monochrome1_is_inverted(tmp_path: Path, make_dicom: Make) -> None:
    path = make_dicom(tmp_path / "white.dcm", GREY, photometric="MONOCHROME1")
    assert np.array_equal(read_frame(path).pixels, 255 - GREY)


def test_a_palette(tmp_path: Path, make_dicom: Make) -> None:
    path = make_dicom(
        tmp_path / "palette.dcm",
        GREY,
        photometric="PALETTE COLOR",
        **{
            f"{colour}PaletteColorLookupTable{what}": value
            for colour in ("Red", "Green", "Blue")
            for what, value in (
                ("Descriptor", [256, 0, 16]),
                ("Data", (np.arange(255, -1, -1, dtype="<u2") * 257).tobytes()),
            )
        },
    )
    assert np.array_equal(read_frame(path).pixels, 255 - GREY)


FLOW = SCAN.copy()
FLOW[:24, :24] = (200, 30, 0)
"""A scan with a red area, that as grey is none."""


def palette(colours: np.ndarray) -> dict[str, Any]:
    """The attributes of a palette of 256 colours, (256, 3)."""
    return {
        f"{name}PaletteColorLookupTable{what}": value
        for channel, name in enumerate(("Red", "Green", "Blue"))
        for what, value in (
            ("Descriptor", [256, 0, 16]),
            ("Data", (colours[:, channel].astype("<u2") * 257).tobytes()),
        )
    }


@pytest.mark.parametrize("red", [False, True])
@pytest.mark.parametrize("in_region", [False, True])
@pytest.mark.parametrize("stored", ["rgb", "jpeg", "ybr", "ybr_422", "mislabelled", "palette"])
def test_strong_colour_is_warned_of_however_it_is_stored(
    tmp_path: Path,
    make_dicom: Make,
    make_jpeg: Make,
    make_region: Make,
    stored: str,
    in_region: bool,
    red: bool,
) -> None:
    pixels = FLOW if red else SCAN
    path = tmp_path / "a.dcm"
    height, width = pixels.shape[:2]
    options: dict[str, Any] = {}
    if in_region:
        options["regions"] = [make_region(0, 0, width - 1, height - 1)]
    if stored == "jpeg":
        options |= {"syntax": JPEG, "frames": [make_jpeg(pixels)], "photometric": "YBR_FULL_422"}
    elif stored in ("ybr", "mislabelled"):
        pixels = ycbcr(pixels)
        options["photometric"] = "YBR_FULL" if stored == "ybr" else "RGB"
    elif stored == "ybr_422":
        three = ycbcr(pixels)
        pairs = np.dstack([three[:, ::2, 0], three[:, 1::2, 0], three[:, ::2, 1], three[:, ::2, 2]])
        options |= {"data": pairs.tobytes(), "photometric": "YBR_FULL_422"}
    elif stored == "palette":
        colours = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
        colours[250] = (200, 30, 0)
        index = SCAN[..., 0].copy()
        index[:24, :24] = 250 if red else 40
        pixels = index
        options |= {"photometric": "PALETTE COLOR", **palette(colours)}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_frame(make_dicom(path, pixels, **options), keep_burned_in=True)
    assert any("strongly coloured" in str(one.message) for one in caught) == red


def test_ycbcr_of_fewer_bits_is_not_coloured(tmp_path: Path, make_dicom: Make) -> None:
    pixels = ycbcr(SCAN) >> 2
    path = make_dicom(tmp_path / "a.dcm", pixels, photometric="YBR_FULL", BitsStored=6, HighBit=5)
    assert not any("coloured" in text for text in read_frame(path).warnings)


def test_a_clip_warns_of_colour_once(tmp_path: Path, make_dicom: Make) -> None:
    clip = np.stack([FLOW, np.roll(FLOW, 5, axis=1), FLOW])
    clip[1, :30, :30] = (200, 30, 0)
    with (
        warnings.catch_warnings(record=True) as caught,
        open_dicom(make_dicom(tmp_path / "a.dcm", clip), keep_burned_in=True) as opened,
    ):
        warnings.simplefilter("always")
        shares = [opened.frame(number).warnings for number in range(3)]
    assert all("strongly coloured" in text for (text,) in shares)
    assert shares[0] != shares[1]
    assert len([one for one in caught if "strongly coloured" in str(one.message)]) == 1


# Regions and privacy ---------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*a split screen:sonoseg.errors.SonosegWarning")
def test_pixels_outside_the_regions_are_blanked(tmp_path: Path, make_dicom: Make, make_region: Make) -> None:
    regions = [make_region(0, 20, 31, 47), make_region(40, 20, 63, 40), make_region(0, 0, 63, 9, kind=(1, 2))]
    path = make_dicom(tmp_path / "text.dcm", GREY + 1, regions=regions)
    frame = read_frame(path)
    inside = np.zeros_like(GREY, dtype=bool)
    inside[20:48, 0:32] = inside[20:41, 40:64] = True
    assert np.array_equal(frame.pixels, np.where(inside, GREY + 1, 0))
    assert [one.box for one in frame.calibration.regions] == [Box(20, 0, 28, 32), Box(20, 40, 21, 24)]
    kept = read_frame(path, keep_burned_in=True)
    assert np.array_equal(kept.pixels, GREY + 1)
    assert kept.spacing == frame.spacing


@pytest.mark.parametrize("regions", [0, 1, 2])
def test_without_a_scan_region_the_file_is_refused(
    tmp_path: Path, make_dicom: Make, make_region: Make, regions: int
) -> None:
    path = make_dicom(tmp_path / "text.dcm", GREY, regions=[make_region(0, 0, 63, 47, kind=(1, 3))] * regions)
    said = {
        0: "describes no ultrasound region",
        1: "its only ultrasound region is not 2D tissue",
        2: "none of its 2 ultrasound regions is 2D tissue",
    }[regions]
    with pytest.raises(BurnedInTextError, match=f"burned-in text .*{said}.*Export the image without text"):
        read_frame(path)
    frame = read_frame(path, keep_burned_in=True)
    assert np.array_equal(frame.pixels, GREY)
    assert frame.spacing is None
    assert said in frame.calibration.reason


def test_region_that_leaves_the_frame_has_no_spacing(
    tmp_path: Path, make_dicom: Make, make_region: Make
) -> None:
    path = make_dicom(tmp_path / "cut.dcm", GREY + 1, regions=[make_region(10, 4, 80, 40)])
    with pytest.warns(SonosegWarning, match=r"\(10, 4\)-\(80, 40\) leaves the frame of 64 x 48.*text"):
        frame = read_frame(path)
    assert frame.spacing is None
    assert "leaves the frame" in frame.calibration.reason
    assert not frame.pixels[:, :10].any()
    assert np.array_equal(frame.pixels[4:41, 10:], GREY[4:41, 10:] + 1)


def test_given_spacing_overrides_the_file(tmp_path: Path, make_dicom: Make) -> None:
    path = make_dicom(tmp_path / "scan.dcm", GREY)
    frame = read_frame(path, spacing=Spacing(0.08, 0.09))
    assert frame.spacing == Spacing(0.08, 0.09)
    assert frame.calibration.origin == "given"
    assert len(frame.calibration.regions) == 1  # the depth still follows from it


CROPPED = {"PixelSpacing": [0.2, 0.1]}


@pytest.mark.parametrize(
    ("attributes", "corners", "kept"),
    [
        (CROPPED, (40, 20, 240, 79), True),  # as high as the scan that is seen, wider than the frame
        (CROPPED, (20, 60, 139, 240), True),  # as wide, higher than the frame
        (CROPPED, (40, 20, 240, 139), False),  # neither: the frame was resampled
        ({"PixelSpacing": [0.2, 0.102]}, (40, 20, 240, 79), False),
        ({"PixelSpacing": [0.1, 0.2]}, (40, 20, 240, 79), False),
        ({"PixelSpacing": [0.1]}, (40, 20, 240, 79), False),
        ({}, (40, 20, 240, 79), False),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_cropped_frame_keeps_millimetres_that_are_confirmed(
    attributes: dict[str, Any],
    corners: tuple[int, int, int, int],
    kept: bool,
    tmp_path: Path,
    make_dicom: Make,
    make_region: Callable[..., Any],
) -> None:
    pixels = np.zeros((100, 200), dtype=np.uint8)
    pixels[10:70, 30:150] = 90  # 60 x 120 pixels
    pixels[10:70:10, 20:22] = 200  # a depth ruler
    path = make_dicom(tmp_path / "scan.dcm", pixels, regions=[make_region(*corners)], **attributes)
    frame = read_frame(path)
    assert (frame.spacing is not None) == kept
    if kept:
        assert frame.spacing == pytest.approx((0.2, 0.1))
        assert frame.calibration.regions[0].box == Box(10, 30, 60, 120)
        assert np.array_equal(frame.pixels, np.where(pixels == 90, pixels, 0))
        assert "which was cropped" in cautions(frame.calibration.origin)[0]
    else:
        assert "leaves the frame" in frame.calibration.reason


@pytest.mark.real
@pytest.mark.filterwarnings("ignore:.*split screen:sonoseg.errors.SonosegWarning")
def test_the_real_files(real_data: Path) -> None:
    folder = real_data / "dicom"
    for number, size in ((1, (434, 447)), (2, (432, 595)), (3, (439, 582))):
        with pytest.warns(SonosegWarning, match="leaves the frame, which was cropped"):
            frame = read_frame(folder / f"breast-{number}.dcm")
        assert frame.shape == size
        millimetres = 0.15789473429322243 if number == 1 else 0.10526316240429878
        assert frame.spacing == pytest.approx((millimetres, millimetres))
        assert frame.calibration.origin == "region, confirmed by PixelSpacing (cropped frame)"
        (region,) = frame.calibration.regions
        assert region.box.height == 379  # the region has 381 rows
        assert frame.pixels.max() > 100
        assert not frame.pixels[:, : region.box.left].any()  # the depth ruler
    with (
        pytest.warns(SonosegWarning, match="delta is negative"),
        pytest.warns(SonosegWarning, match="more than 400 mm deep"),
    ):
        clip = open_dicom(folder / "cine-8-frames.dcm")
    with clip:
        assert (clip.count, clip.key) == (8, (0, 2, 4, 5, 7))
        with pytest.warns(SonosegWarning, match="strongly coloured"):  # colour Doppler
            frames = [clip.frame(number) for number in range(8)]
    assert len({frame.pixels.tobytes() for frame in frames}) == 8
    assert all(not frame.pixels[:16].any() and not frame.pixels[218:].any() for frame in frames)
    assert frames[0].spacing == pytest.approx((2.29375, 2.29375), rel=1e-6)  # columns: -0.229375 cm
    assert frames[0].calibration.origin == "region, absolute value of a negative delta, implausible depth"
    frame = read_frame(folder / "palette-3-regions.dcm")
    assert frame.spacing == pytest.approx((0.3826530650258064, 0.3826530650258064))
    assert [one.box.left for one in frame.calibration.regions] == [32, 336]
    assert not frame.pixels[:24].any()  # hospital, name, date
    assert frame.pixels[24:416, 32:640].std() > 20


@pytest.mark.filterwarnings("ignore:.*strongly coloured:sonoseg.errors.SonosegWarning")
def test_pydicoms_ultrasound_samples() -> None:
    from pydicom import examples

    with pytest.warns(SonosegWarning, match=r"\(84, 31\)-\(595, 414\) leaves the frame of 320 x 240"):
        clip = open_dicom(examples.get_path("ybr_color"))
    with clip:
        assert clip.count == 30
        assert clip.frame(29).spacing is None
    with pytest.warns(SonosegWarning, match=r"\(120, 60\)-\(800, 518\) leaves the frame of 800 x 350"):
        assert read_frame(examples.get_path("palette_color")).spacing is None
    for name in ("rgb_color", "jpeg2k"):
        with pytest.raises(InputError, match="describes no ultrasound region"):
            read_frame(examples.get_path(name))
        assert read_frame(examples.get_path(name), keep_burned_in=True).pixels.std() > 10


# Clips: flat memory, no scanning ---------------------------------------------------------------------


@pytest.mark.parametrize("table", ["basic", "extended", "none"])
@pytest.mark.parametrize("fragments", [1, 3])
def test_fragments_find_their_frames(tmp_path: Path, make_dicom: Make, table: str, fragments: int) -> None:
    if table == "extended" and fragments > 1:
        pytest.skip("an Extended Offset Table goes with one fragment a frame (PS3.3 C.7.6.3.1.8)")
    path = make_dicom(tmp_path / "clip.dcm", CLIP, syntax=JPEG, table=table, fragments=fragments)
    with open_dicom(path) as clip:
        for number in (6, 2, 0):
            assert np.abs(clip.frame(number).pixels.astype(int) - CLIP[number]).max() <= 8


@pytest.mark.process
@pytest.mark.parametrize("syntax", [EXPLICIT, JPEG, DEFLATED])
def test_memory_does_not_grow_with_the_clip(
    tmp_path: Path, make_dicom: Make, make_jpeg: Make, syntax: str
) -> None:
    def peak(count: int) -> int:
        rng = np.random.default_rng(1)
        some = rng.integers(0, 255, (10, 64, 64), dtype=np.uint8)
        many = some[np.arange(count) % 10]
        streams = [make_jpeg(one) for one in some]
        frames = [streams[k % 10] for k in range(count)] if syntax == JPEG else None
        path = make_dicom(
            tmp_path / f"{count}.dcm", many, syntax=syntax, table="none", fragments=2, frames=frames
        )
        del many
        with open_dicom(path) as clip:  # imports and caches are paid for here
            clip.frame(count - 1)
        tracemalloc.start()
        with open_dicom(path) as clip:
            for number in range(0, count, max(1, count // 10)):
                clip.frame(number)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    few, many = peak(10), peak(2000)
    # What grows is the list of where the fragments lie, and not the 4,096 pixels of each frame.
    assert many - few < 2000 * 100, (few, many)


@pytest.mark.parametrize(("syntax", "table"), [(EXPLICIT, "basic"), (JPEG, "basic"), (JPEG, "none")])
def test_a_frame_is_read_alone(
    tmp_path: Path, make_dicom: Make, syntax: str, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_dicom(
        tmp_path / "clip.dcm", np.concatenate([CLIP] * 10), syntax=syntax, table=table, fragments=2
    )
    with open_dicom(path) as clip:
        source = clip._source
        reads: list[int] = []

        class Counted:
            def seek(self, place: int) -> int:
                return source.seek(place)

            def read(self, count: int) -> bytes:
                reads.append(count)
                return source.read(count)

        monkeypatch.setattr(clip, "_source", Counted())
        clip.frame(65)
        assert len(reads) <= 2
        assert sum(reads) < 3 * GREY.size


# Bad files -------------------------------------------------------------------------------------------


def refused(path: Path, name: str, keep: bool = False) -> str:
    """Return the message for opening and reading every frame; the patient's name must not be in it."""
    with pytest.raises(SonosegError) as caught, open_dicom(path, keep_burned_in=keep) as clip:  # noqa: PT012
        for number in range(clip.count):
            clip.frame(number)
    text = str(caught.value)
    assert str(path) in text
    assert name not in text
    assert "\n" not in text
    assert caught.value.remedy
    assert caught.value.__cause__ is None or name not in str(caught.value.__cause__)
    pickle.loads(pickle.dumps(caught.value))
    return text


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"Rows": None}, "Rows is missing"),
        ({"Columns": None}, "Columns is missing"),
        ({"BitsAllocated": None}, "BitsAllocated is missing"),
        ({"PixelData": None}, "without pixel data (Ultrasound Multi-frame Image Storage)"),
        ({"NumberOfFrames": 0}, "NumberOfFrames is 0"),
        ({"NumberOfFrames": 99}, "expected 99 frames, found 7"),
        ({"Rows": 49}, "expected 7 frames, found 6"),
        ({"Rows": 65535, "Columns": 65535}, "too large: 65,535 x 65,535 pixels"),
        ({"Rows": 0}, "64 x 0 pixels"),
        ({"Rows": 7}, "too small: 64 x 7 pixels"),
        ({"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31}, "32 bits stored in 32"),
        ({"BitsAllocated": 12}, "8 bits stored in 12"),
        ({"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}, "a segmentation"),
        ({"BitsStored": 9, "HighBit": 8}, "9 bits stored in 8"),
        ({"SamplesPerPixel": 3}, "3 samples per pixel do not fit MONOCHROME2"),
        (
            {"SamplesPerPixel": 4, "PhotometricInterpretation": "CMYK"},
            "unsupported photometric",
        ),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "palette is missing"),
    ],
)
def test_bad_headers(
    tmp_path: Path, make_dicom: Make, patient_name: str, attributes: dict[str, Any], said: str
) -> None:
    path = make_dicom(tmp_path / "bad.dcm", CLIP, **attributes)
    assert said in refused(path, patient_name)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG, DEFLATED, JPEG, RLE, *LOSSLESS[-2:]])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.97])
def test_truncated(tmp_path: Path, make_dicom: Make, patient_name: str, syntax: str, share: float) -> None:
    path = make_dicom(tmp_path / "cut.dcm", CLIP, syntax=syntax)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    assert any(word in refused(path, patient_name) for word in ("truncated", "without pixel data"))


def test_a_truncated_still(tmp_path: Path, make_dicom: Make, patient_name: str) -> None:
    path = make_dicom(tmp_path / "cut.dcm", GREY)
    path.write_bytes(path.read_bytes()[:-1000])
    assert "truncated: expected 3,072 bytes, found 2,072" in refused(path, patient_name)


def test_more_data_than_announced_is_read_with_a_warning(tmp_path: Path, make_dicom: Make) -> None:
    path = make_dicom(tmp_path / "more.dcm", CLIP, NumberOfFrames=5)
    with pytest.warns(SonosegWarning, match="more pixel data than its header announces"):
        clip = open_dicom(path)
    with clip:
        assert np.array_equal(clip.frame(4).pixels, CLIP[4])


@pytest.mark.parametrize("fragments", [1, 2])
def test_fewer_frames_than_announced_in_fragments(
    tmp_path: Path, make_dicom: Make, patient_name: str, fragments: int
) -> None:
    for table in ("basic", "none"):
        path = make_dicom(
            tmp_path / f"{table}.dcm", CLIP, syntax=JPEG, table=table, fragments=fragments, NumberOfFrames=9
        )
        assert "expected 9 frames, found 7" in refused(path, patient_name)


def test_a_corrupt_stream_names_its_frame(
    tmp_path: Path, make_dicom: Make, make_jpeg: Make, patient_name: str
) -> None:
    streams = [make_jpeg(one) for one in CLIP]
    streams[3] = streams[3][:200]
    path = make_dicom(tmp_path / "bad.dcm", CLIP, syntax=JPEG, frames=streams)
    assert "truncated or damaged (in frame 3)" in refused(path, patient_name)
    with open_dicom(path) as clip:
        clip.frame(4)  # the others are fine


@pytest.mark.parametrize("syntax", [JPEG, *LOSSLESS[-3:]])
def test_noise_as_a_stream(tmp_path: Path, make_dicom: Make, patient_name: str, syntax: str) -> None:
    noise = np.random.default_rng(0).bytes(2000)
    path = make_dicom(tmp_path / "noise.dcm", GREY, syntax=syntax, frames=[noise])
    assert any(part in refused(path, patient_name) for part in ("compressed stream", "RLE header"))


@pytest.mark.parametrize("syntax", [JPEG, *LOSSLESS[-2:]])
def test_a_stream_of_another_size_is_never_decoded(
    tmp_path: Path, make_dicom: Make, patient_name: str, syntax: str
) -> None:
    path = make_dicom(tmp_path / "size.dcm", GREY, syntax=syntax, Rows=56)
    assert "stream has 64 x 48 pixels, the header 64 x 56" in refused(path, patient_name)


def test_jp2_box_of_length_zero(tmp_path: Path, make_dicom: Make, patient_name: str) -> None:
    loop = b"\x00\x00\x00\x0cjP  \r\n\x87\n" + b"\x00\x00\x00\x00none" * 3
    path = make_dicom(tmp_path / "loop.dcm", GREY, syntax=LOSSLESS[-1], frames=[loop])
    assert "is not JPEG 2000" in refused(path, patient_name)


def test_uncompressed_data_with_a_compressed_syntax(
    tmp_path: Path, make_dicom: Make, patient_name: str
) -> None:
    path = make_dicom(tmp_path / "not.dcm", GREY)
    data = path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0", 1)
    path.write_bytes(data)
    assert "not compressed" in refused(path, patient_name)


def test_files_without_an_image_are_named(tmp_path: Path, patient_name: str) -> None:
    import pydicom

    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    assert "without an image (Basic Text SR Storage)" in refused(folder / "reportsi.dcm", patient_name)
    assert "without an image (RT Plan Storage)" in refused(folder / "rtplan.dcm", patient_name)
    assert "Media Storage Directory" in refused(folder / "dicomdirtests" / "DICOMDIR", patient_name)
    assert "a segmentation" in refused(folder / "liver_1frame.dcm", patient_name)


def test_another_modality_is_read_with_a_warning(tmp_path: Path, make_dicom: Make) -> None:
    path = make_dicom(tmp_path / "other.dcm", GREY, Modality="MG")
    with pytest.warns(SonosegWarning, match="modality is MG, not ultrasound"):
        assert np.array_equal(read_frame(path).pixels, GREY)


def test_name_in_place_of_a_code_is_not_quoted(tmp_path: Path, make_dicom: Make, patient_name: str) -> None:
    path = make_dicom(tmp_path / "bad.dcm", GREY, Modality="US")
    data = path.read_bytes()
    at = data.index(b"\x08\x00\x60\x00CS\x02\x00US")
    name = b"Secretname^Anna."
    path.write_bytes(data[:at] + b"\x08\x00\x60\x00CS" + bytes([len(name), 0]) + name + data[at + 10 :])
    with pytest.warns(SonosegWarning, match="modality is missing") as caught:
        read_frame(path)
    assert not any(patient_name in str(one.message) for one in caught)


@pytest.mark.parametrize(
    ("syntax", "said"),
    [
        ("1.2.840.10008.1.2.4.102", "unsupported compression: MPEG-4"),
        ("1.2.840.10008.1.2.4.100", "unsupported compression: MPEG2"),
    ],
)
def test_unsupported_compression(
    tmp_path: Path, make_dicom: Make, make_jpeg: Make, syntax: str, said: str
) -> None:
    path = make_dicom(tmp_path / "codec.dcm", GREY, syntax=syntax, frames=[make_jpeg(GREY)])
    with pytest.raises(SonosegError, match=said):
        read_frame(path)


@pytest.mark.parametrize(
    ("package", "syntax", "said"),
    [
        ("libjpeg", "1.2.840.10008.1.2.4.70", r"pip install 'sonoseg\[dicom-gpl\]'"),
        ("libjpeg", "1.2.840.10008.1.2.4.57", r"pip install 'sonoseg\[dicom-gpl\]'"),
        ("pydicom", EXPLICIT, "'pydicom'.*sonoseg.dicom.'"),
        ("jpeg_ls", LOSSLESS[-2], "'pyjpegls'.*sonoseg.dicom.'"),
        ("openjpeg", LOSSLESS[-1], "'pylibjpeg-openjpeg'.*sonoseg.dicom.'"),
    ],
)
def test_a_missing_extra_is_named(
    tmp_path: Path,
    make_dicom: Make,
    make_jpeg: Make,
    monkeypatch: pytest.MonkeyPatch,
    package: str,
    syntax: str,
    said: str,
) -> None:
    from importlib.util import find_spec

    from sonoseg._util import packages

    frames = [make_jpeg(GREY)] if package == "libjpeg" else None
    path = make_dicom(tmp_path / "scan.dcm", GREY, syntax=syntax, frames=frames)
    monkeypatch.setattr(packages, "find_spec", lambda name: None if name == package else find_spec(name))
    with pytest.raises(MissingExtra, match=said):
        read_frame(path)


def test_text_with_a_dicom_ending(tmp_path: Path) -> None:
    path = tmp_path / "notes.dcm"
    path.write_text("Patient came for a check.\n" * 20)
    with pytest.raises(InputError, match="holds text, not an image"):
        read_frame(path)


def test_missing_and_unreadable_files(
    tmp_path: Path,
    open_folder: Path,
    make_dicom: Make,
    ordinary_rights: Callable[[], AbstractContextManager[None]],
) -> None:
    for path, said in ((tmp_path, "a folder"), (tmp_path / "none.dcm", "does not exist")):
        with pytest.raises(InputError, match=said):
            open_dicom(path)
    path = make_dicom(open_folder / "closed.dcm", GREY)
    path.chmod(0)
    with ordinary_rights(), pytest.raises(InputError, match="permission"):
        open_dicom(path)


def test_a_deflate_bomb_stops(
    tmp_path: Path, make_dicom: Make, patient_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sonoseg.dicom.reading import header

    monkeypatch.setattr(header, "MAX_INFLATED", 10_000)
    path = make_dicom(tmp_path / "bomb.dcm", CLIP, syntax=DEFLATED)
    assert "deflated data exceeds 10,000 bytes" in refused(path, patient_name)


def test_jpeg_ls_without_its_end_is_refused_before_decoding(
    tmp_path: Path, make_dicom: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by fuzzing: CharLS took eight seconds for 680 bytes."""
    jpeg_ls = pytest.importorskip("jpeg_ls")
    path = make_dicom(tmp_path / "a.dcm", GREY, syntax="1.2.840.10008.1.2.4.80")
    data = path.read_bytes()
    assert data.count(b"\xff\xd9") == 1
    path.write_bytes(data.replace(b"\xff\xd9", b"ab"))
    monkeypatch.setattr(jpeg_ls, "decode_pixel_data", None)
    with open_dicom(path) as clip, pytest.raises(InputError, match="compressed stream is truncated"):
        clip.frame(0)


def test_a_rescale_slope_of_0_does_not_blank_the_image(tmp_path: Path, make_dicom: Make) -> None:
    path = make_dicom(tmp_path / "flat.dcm", GREY, RescaleSlope="0", RescaleIntercept="7")
    with pytest.warns(SonosegWarning, match="RescaleSlope is 0"), open_dicom(path) as clip:
        np.testing.assert_array_equal(clip.frame(0).pixels, GREY)


def test_a_damaged_deflated_file_is_closed(
    tmp_path: Path, make_dicom: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sonoseg.dicom.reading import header

    made = []
    inflate = header._inflated
    monkeypatch.setattr(header, "_inflated", lambda *of: made.append(inflate(*of)) or made[0])
    path = make_dicom(tmp_path / "deflated.dcm", GREY, syntax=DEFLATED, Rows=None)
    with pytest.raises(InputError, match="Rows is missing"):
        open_dicom(path)
    assert [file.closed for file in made] == [True]


@pytest.mark.filterwarnings("error")
def test_an_invalid_transfer_syntax_is_refused_without_a_warning(tmp_path: Path, make_dicom: Make) -> None:
    path = make_dicom(tmp_path / "odd.dcm", GREY, syntax=JPEG)
    path.write_bytes(path.read_bytes().replace(JPEG.encode(), JPEG.replace("10008", "00008").encode()))
    with pytest.raises(InputError, match=r"unsupported compression: 1\.2\.840\.00008"):
        open_dicom(path, keep_burned_in=True)


def test_frame_out_of_range(tmp_path: Path, make_dicom: Make) -> None:
    with (
        open_dicom(make_dicom(tmp_path / "clip.dcm", CLIP)) as clip,
        pytest.raises(InputError, match="frame 7 does not exist: the file has 7"),
    ):
        clip.frame(7)


def test_memory_error(tmp_path: Path, make_dicom: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(clip_module, "native", exhausted)
    with pytest.raises(InputError, match="not enough memory"):
        read_frame(make_dicom(tmp_path / "scan.dcm", GREY))


def test_pydicom_warnings_are_suppressed(tmp_path: Path, make_dicom: Make) -> None:
    path = make_dicom(tmp_path / "odd.dcm", GREY, WindowCenter=5, WindowWidth=6)
    data = path.read_bytes()
    assert b"\x28\x00\x50\x10DS\x04\x005.0 " in data
    path.write_bytes(data.replace(b"\x28\x00\x50\x10DS\x04\x005.0 ", b"\x28\x00\x50\x10DS\x04\x00Ann?", 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(read_frame(path).pixels, GREY)


def test_key_frames(tmp_path: Path, make_dicom: Make) -> None:
    named = make_dicom(tmp_path / "named.dcm", CLIP, FrameNumbersOfInterest=[6, 2, 99])
    with open_dicom(named) as clip:
        assert clip.key == (1, 5)
    one = make_dicom(tmp_path / "one.dcm", CLIP, RepresentativeFrameNumber=4)
    with open_dicom(one) as clip:
        assert clip.key == (3,)
    for count, key in ((1, (0,)), (2, (0, 1)), (5, (0, 1, 2, 3, 4)), (100, (10, 30, 50, 70, 90))):
        path = make_dicom(tmp_path / f"{count}.dcm", np.stack([GREY[:16, :16]] * count))
        with open_dicom(path) as clip:
            assert clip.key == key


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize(
    ("kind", "name"), [((2, 0), "M-mode"), ((3, 3), "spectral Doppler"), ((3, 4), "spectral")]
)
def test_m_mode_and_spectral_doppler_are_refused(
    tmp_path: Path, make_dicom: Make, make_region: Make, kind: tuple[int, int], name: str, keep: bool
) -> None:
    path = make_dicom(tmp_path / "trace.dcm", GREY, regions=[make_region(0, 0, 63, 47, kind=kind)])
    with pytest.raises(
        InputError, match=f"not a B-mode image: its ultrasound regions are {name}.*Give the B-mode"
    ):
        read_frame(path, keep_burned_in=keep)


def test_a_split_screen_is_a_warning_of_the_frame(
    tmp_path: Path, make_dicom: Make, make_region: Make
) -> None:
    regions = [make_region(0, 0, 31, 47), make_region(32, 0, 63, 47)]
    path = make_dicom(tmp_path / "split.dcm", GREY, regions=regions)
    with pytest.warns(SonosegWarning, match="a split screen: 2 images"):
        frame = read_frame(path)
    assert [text[:14] for text in frame.warnings] == ["a split screen"]
