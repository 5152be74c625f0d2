"""The tables of docs/files.md: what is read, refused and warned of, by kind of file, as it is now.

Each kind is made here, and read by what the commands call. tests/research/scripts/test_file_kinds.py states
what must not change.
"""

from __future__ import annotations

import importlib.util
import re
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from page_tables.markdown import table
from sonoseg.errors import SonosegError, SonosegWarning

TESTS = Path(__file__).resolve().parents[3] / "tests" / "conftest.py"
HEIGHT, WIDTH = 120, 160
LOSS = 6.0
"""Mean difference of grey levels that compression may cause."""


OTHER_GREY = " as other grey"
OTHERS = (
    *("PNG of 1 bit", "PNG, wholly transparent", "PNG in strong colours"),
    *("black image", "document: mostly white", "black frame"),
)
"""Kinds that are not the scan; of all others the grey levels are compared with it."""


@dataclass(frozen=True)
class Kind:
    """A kind of file. group: its table. make: writes it into a folder and returns what to read."""

    group: str
    name: str
    make: Callable[[Path], Path]


@dataclass(frozen=True)
class Outcome:
    """What became of a file: what it was read as, and what was said (paths and remedies left out)."""

    result: str
    said: str = ""


def _scan() -> NDArray[np.uint8]:
    """Speckle with a dark disc, of all grey levels; the same at every call."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    grey = np.random.default_rng(3).gamma(4.0, 25.0, (HEIGHT, WIDTH)) + rows / 3
    grey = np.where((rows - 60) ** 2 + (columns - 70) ** 2 < 900, grey / 6, grey)
    smooth = sum(np.roll(grey, (i, j), (0, 1)) for i in range(3) for j in range(3)) / 9
    return np.rint((smooth - smooth.min()) / np.ptp(smooth) * 255).astype(np.uint8)


SCAN = _scan()
RGB = np.dstack([SCAN] * 3)
DEEP = np.rint(SCAN / 255 * 4095).astype(np.uint16)


def kinds() -> list[Kind]:
    """All kinds, in the order of the page."""
    found = []
    for group, members in (
        ("images", _images()),
        ("tiff", _tiffs()),
        ("dicom", _dicom()),
        ("masks", _masks()),
        ("spacings", _spacings()),
        ("sets", _sets()),
        ("folders", _folders()),
    ):
        found += [Kind(group, name, make) for name, make in members]
    return found


Made = Iterator[tuple[str, Callable[[Path], Path]]]


def _saved(name: str, pixels: Any, folder: Path, **options: Any) -> Path:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def _bytes(name: str, data: bytes, folder: Path) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def _images() -> Made:
    image = Image.fromarray(SCAN)
    for name, ending in (
        ("PNG", "png"),
        ("BMP", "bmp"),
        ("GIF", "gif"),
        ("JPEG", "jpg"),
        ("JPEG 2000", "jp2"),
        ("PGM", "pgm"),
        ("WebP", "webp"),
    ):
        yield name, partial(_saved, f"a.{ending}", image)
    yield "PNG of 16 bits", partial(_saved, "a.png", SCAN.astype(np.uint16) * 257)
    yield "PNG of 16 bits, of which 12 are used", partial(_saved, "a.png", DEEP)
    yield "PNG of 1 bit", partial(_saved, "a.png", image.point(lambda grey: 255 * (grey > 90)).convert("1"))
    yield "PNG with a palette", partial(_saved, "a.png", image.convert("P"))
    yield "PNG in colour, all of it grey", partial(_saved, "a.png", RGB)
    yield "PNG with opaque alpha", partial(_saved, "a.png", Image.fromarray(RGB).convert("RGBA"))
    clear = Image.fromarray(np.dstack([RGB, np.zeros_like(SCAN)]))
    yield "PNG, wholly transparent", partial(_saved, "a.png", clear)
    strong = np.dstack([SCAN, SCAN[::-1], SCAN[:, ::-1]])
    yield "PNG in strong colours", partial(_saved, "a.png", strong)
    yield "JPEG in CMYK", partial(_saved, "a.jpg", Image.fromarray(RGB).convert("CMYK"), quality=95)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = Image.fromarray(np.rot90(SCAN))
    yield "JPEG turned by EXIF", partial(_saved, "a.jpg", turned, exif=exif, quality=95)
    yield "PNG turned by EXIF", partial(_saved, "a.png", turned, exif=exif)
    yield "PGM of 12 bits", partial(_bytes, "a.pgm", _pnm("P5", DEEP.astype(">u2")))
    yield "PPM of 12 bits", partial(_bytes, "a.ppm", _pnm("P6", np.dstack([DEEP] * 3).astype(">u2")))
    deep = Image.fromarray(SCAN.astype(np.uint16) * 257)
    yield "JPEG 2000 of 16 bits, without JP2", partial(_saved, "a.j2k", deep, no_jp2=True)
    yield (
        "MPO photograph with a preview",
        partial(_saved, "a.mpo", image, save_all=True, append_images=[image.resize((80, 60))], quality=95),
    )
    yield "black image", partial(_saved, "a.png", np.zeros_like(SCAN))
    yield "document: mostly white", partial(_saved, "a.png", np.where(SCAN < 40, 0, 255).astype(np.uint8))
    yield (
        "GIF of several frames",
        partial(_saved, "a.gif", image, save_all=True, append_images=[image.rotate(90), image.rotate(180)]),
    )
    yield "animated PNG", partial(_saved, "a.png", image, save_all=True, append_images=[image.rotate(180)])
    yield "8 x 8 pixels", partial(_saved, "a.png", SCAN[:8, :8])
    yield "text named .png", partial(_bytes, "a.png", b"no image at all\n")
    yield "PDF", partial(_bytes, "a.pdf", b"%PDF-1.4\n")
    yield "empty file", partial(_bytes, "a.png", b"")
    yield "HEIC", partial(_bytes, "a.heic", b"\0\0\0\x18ftypheic" + bytes(40))
    yield "AVI video", partial(_bytes, "a.avi", b"RIFF\0\1\0\0AVI LIST" + bytes(40))
    yield "MP4 video", partial(_bytes, "a.mp4", b"\0\0\0\x18ftypmp42" + bytes(40))
    yield "cut PNG", _cut


def _pnm(kind: str, pixels: NDArray[Any]) -> bytes:
    return f"{kind} {WIDTH} {HEIGHT} 4095\n".encode() + pixels.tobytes()


def _cut(folder: Path) -> Path:
    path = _saved("a.png", SCAN, folder)
    path.write_bytes(path.read_bytes()[:5000])
    return path


def _tiffs() -> Made:
    white = TiffImagePlugin.ImageFileDirectory_v2()
    white[262] = 0
    inverted = Image.fromarray(255 - SCAN)
    yield "8 bits", partial(_saved, "a.tif", SCAN)
    yield "16 bits", partial(_saved, "a.tif", DEEP)
    yield "32-bit integers", partial(_saved, "a.tif", SCAN.astype(np.int32) * 1000 - 5)
    yield "32-bit floats", partial(_saved, "a.tif", SCAN.astype(np.float32) / 255)
    for kind in ("i1", "i2", "u4", "f2", "f8", "i8"):
        yield f"{8 * int(kind[1])}-bit {_word(kind)}, own writer", partial(_raw_tiff, kind, 1)
    for kind in ("u1", "u2", "f4", "i2", "u4"):
        yield f"MinIsWhite, {8 * int(kind[1])}-bit {_word(kind)}", partial(_raw_tiff, kind, 0)
    floats = SCAN.astype(np.float32) / 255
    floats[0, :2] = np.nan, np.inf
    yield "32-bit floats, some not a number or infinite", partial(_saved, "a.tif", floats)
    yield "RGB", partial(_saved, "a.tif", RGB)
    for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        yield (
            f"compressed by {name.removeprefix('tiff_').replace('_', ' ')}",
            partial(_saved, "a.tif", SCAN, compression=name),
        )
    yield "BigTIFF", partial(_saved, "a.tif", SCAN, big_tiff=True)
    yield "two pages", partial(_saved, "a.tif", inverted, save_all=True, append_images=[inverted])


def _word(kind: str) -> str:
    return {"u": "unsigned integers", "i": "signed integers", "f": "floats"}[kind[0]]


def _raw_tiff(kind: str, photometric: int, folder: Path) -> Path:
    """Write a TIFF that Pillow does not write: any sample format, white as 0 or as the greatest value."""
    import struct

    values = SCAN.astype(np.float64) if photometric else 255.0 - SCAN
    if kind[0] == "i":
        values = values - 128
    values = values / 255 if kind[0] == "f" else values
    data = values.astype(f"<{kind}").tobytes()
    sample = {"u": 1, "i": 2, "f": 3}[kind[0]]
    tags = {256: WIDTH, 257: HEIGHT, 258: 8 * int(kind[1]), 259: 1, 262: photometric, 273: 8}
    tags |= {277: 1, 278: HEIGHT, 279: len(data), 339: sample}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = struct.pack("<2sHI", b"II", 42, 8 + len(data))
    return _bytes("a.tif", head + data + struct.pack("<H", len(tags)) + entries + bytes(4), folder)


def _tests() -> Any:
    """The tests' writer of DICOM: tests/conftest.py."""
    name = "file_kinds_conftest"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, TESTS)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def _written(pixels: NDArray[Any], options: dict[str, Any], folder: Path) -> Path:
    options = {"regions": [_region()], **options}
    path: Path = _tests().write_dicom(folder / "a.dcm", pixels, **options)
    return path


def _region(x: int = 0, y: int = 0, right: int = WIDTH - 1, bottom: int = HEIGHT - 1, **options: Any) -> Any:
    return _tests().region(x, y, right, bottom, **{"delta": (0.009, 0.009), **options})


def _dicom() -> Made:
    from pydicom.uid import JPEG2000, HTJ2KLossless, JPEG2000Lossless, JPEGLSLossless, RLELossless

    clip = np.stack([SCAN, SCAN])
    syntaxes = {
        "implicit little endian": "1.2.840.10008.1.2",
        "explicit little endian": "1.2.840.10008.1.2.1",
        "explicit big endian": "1.2.840.10008.1.2.2",
        "deflated": "1.2.840.10008.1.2.1.99",
        "JPEG baseline": "1.2.840.10008.1.2.4.50",
        "RLE": RLELossless,
        "JPEG-LS": JPEGLSLossless,
        "JPEG 2000 without loss": JPEG2000Lossless,
    }
    for name, syntax in syntaxes.items():
        yield name, partial(_written, SCAN, {"syntax": syntax})
    marked = _tests().jpeg(SCAN)
    for name, uid in (
        ("MPEG-4 video", "1.2.840.10008.1.2.4.102"),
        ("JPEG 2000 with a JPEG stream in it", JPEG2000),
        ("HTJ2K with a JPEG stream in it", HTJ2KLossless),
    ):
        yield name, partial(_written, SCAN, {"syntax": uid, "frames": [marked]})
    yield "JPEG XL", _jpeg_xl
    yield "12 of 16 bits", partial(_written, DEEP, {"BitsStored": 12, "HighBit": 11})
    yield "16 bits, signed", partial(_written, DEEP.astype(np.int16) - 2000, {})
    yield (
        "12 bits in the upper ones of 16",
        partial(_written, (DEEP << 4).astype(np.uint16), {"BitsStored": 12, "HighBit": 15}),
    )
    yield (
        "12 of 16 bits, others above them",
        partial(_written, DEEP | np.uint16(0xF000), {"BitsStored": 12, "HighBit": 11}),
    )
    yield "8 bits, signed", partial(_written, (SCAN.astype(np.int16) - 128).astype(np.int8), {})
    yield "RescaleSlope 0", partial(_written, SCAN, {"RescaleSlope": "0", "RescaleIntercept": "0"})
    yield "WindowWidth 0", partial(_written, SCAN, {"WindowCenter": "0", "WindowWidth": "0"})
    yield "MONOCHROME1", partial(_written, 255 - SCAN, {"photometric": "MONOCHROME1"})
    yield "PresentationLUTShape INVERSE", partial(_written, 255 - SCAN, {"PresentationLUTShape": "INVERSE"})
    yield "no PhotometricInterpretation", partial(_written, SCAN, {"PhotometricInterpretation": None})
    yield "RGB", partial(_written, RGB, {})
    planes = np.ascontiguousarray(RGB.transpose(2, 0, 1)).tobytes()
    yield "RGB in planes", partial(_written, RGB, {"PlanarConfiguration": 1, "data": planes})
    neutral = np.full_like(SCAN, 128)
    ybr = np.dstack([SCAN, neutral, neutral])
    yield "YBR_FULL, uncompressed", partial(_written, ybr, {"photometric": "YBR_FULL"})
    yield "labelled RGB, with pixels in YCbCr", partial(_written, ybr, {})
    four = np.dstack([RGB, neutral]).tobytes()
    yield "four samples per pixel", partial(_written, RGB, {"SamplesPerPixel": 4, "data": four})
    yield (
        "JPEG labelled RGB, with the JFIF marker",
        partial(_written, RGB, {"syntax": "1.2.840.10008.1.2.4.50", "photometric": "RGB"}),
    )
    bare = _without_markers(_tests().jpeg(RGB, subsampling="4:2:0"))
    yield (
        "JPEG labelled RGB, subsampled, no marker",
        partial(_written, RGB, {"syntax": "1.2.840.10008.1.2.4.50", "photometric": "RGB", "frames": [bare]}),
    )
    yield "clip of two frames", partial(_written, clip, {})
    yield "no preamble", partial(_written, SCAN, {"preamble": False})
    yield "NumberOfFrames 0", partial(_written, SCAN, {"NumberOfFrames": 0})
    yield "HighBit 15 of 8 bits", partial(_written, SCAN, {"HighBit": 15})
    yield "Modality MR", partial(_written, SCAN, {"Modality": "MR"})
    yield "no Rows", partial(_written, SCAN, {"Rows": None})
    yield "cut pixel data", partial(_written, SCAN, {"data": SCAN.tobytes()[:5000]})
    yield "more pixel data than announced", partial(_written, SCAN, {"data": SCAN.tobytes() * 2})
    yield "black frame", partial(_written, np.zeros_like(SCAN), {})
    regions: dict[str, list[Any]] = {
        "no region": [],
        "region that ends at Columns and Rows": [_region(right=WIDTH, bottom=HEIGHT)],
        "negative PhysicalDeltaY": [_region(delta=(0.009, -0.009))],
        "negative PhysicalDeltaX": [_region(delta=(-0.009, 0.009))],
        "both deltas negative": [_region(delta=(-0.009, -0.009))],
        "region that ends two beyond Columns": [_region(right=WIDTH + 1)],
        "corners of the region in the wrong order": [_region(x=WIDTH - 1, right=0)],
        "PhysicalDeltaX of NaN": [_region(delta=(float("nan"), 0.009))],
        "PhysicalDeltas of 0.00001 cm": [_region(delta=(1e-5, 1e-5))],
        "the same region twice": [_region(), _region()],
        "colour flow within tissue": [_region(), _region(40, 30, 100, 90, kind=(1, 2))],
        "PhysicalDeltaX of 0": [_region(delta=(0.0, 0.009))],
        "units of seconds": [_region(units=(4, 4))],
        "colour flow region only": [_region(kind=(1, 2))],
        "M-mode region only": [_region(kind=(2, 1))],
        "spectral Doppler region only": [_region(kind=(3, 3))],
        "region far beyond the frame": [_region(right=900, bottom=700)],
        "two regions side by side": [_region(right=70), _region(x=80)],
    }
    for name, items in regions.items():
        yield name, partial(_written, SCAN, {"regions": items})
    yield (
        "region beyond the frame, confirmed by PixelSpacing",
        partial(_written, SCAN, {"regions": [_region(right=300)], "PixelSpacing": [0.09, 0.09]}),
    )


def _jpeg_xl(folder: Path) -> Path:
    """Label JPEG as JPEG XL, a transfer syntax that pydicom does not write."""
    options = {"syntax": "1.2.840.10008.1.2.4.201", "frames": [_tests().jpeg(SCAN)]}
    path = _written(SCAN, options, folder)
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.4.201", b"1.2.840.10008.1.2.4.110"))
    return path


def _without_markers(stream: bytes) -> bytes:
    """Remove the JFIF marker of a JPEG stream."""
    assert stream[2:4] == b"\xff\xe0"
    return stream[:2] + stream[4 + int.from_bytes(stream[4:6], "big") :]


def _discs(*values: float, dtype: Any = np.uint8) -> NDArray[Any]:
    """Two discs, the first larger, with these values on 0; one where there is one value."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    mask = np.zeros((HEIGHT, WIDTH), dtype)
    for value, column, radius in zip(values, (50, 120), (30, 20), strict=False):
        mask[(rows - 60) ** 2 + (columns - column) ** 2 < radius**2] = value
    return mask


def _masks() -> Made:
    two, one = _discs(255, 255), _discs(255)
    yield "0 and 255", partial(_saved, "a.png", two)
    yield "0 and 1", partial(_saved, "a.png", _discs(1, 1))
    yield "1 bit", partial(_saved, "a.png", Image.fromarray(two).convert("1"))
    yield "labels 1 and 2", partial(_saved, "a.png", _discs(1, 2))
    yield "labels 1 and 40", partial(_saved, "a.png", _discs(1, 40))
    yield "labels 85 and 255", partial(_saved, "a.png", _discs(85, 255))
    yield "labels 1 and 40, 16 bits", partial(_saved, "a.png", _discs(1, 40, dtype=np.uint16))
    yield "labels 1 and 40 as JPEG", partial(_saved, "a.jpg", _discs(1, 40))
    yield "labels 128 and 255 as JPEG", partial(_saved, "a.jpg", _discs(128, 255))
    yield "0 and 255 as JPEG", partial(_saved, "a.jpg", two)
    yield "0 and 1 as JPEG", partial(_saved, "a.jpg", _discs(1, 1))
    yield (
        "alpha alone",
        partial(_saved, "a.png", Image.merge("LA", (Image.new("L", (WIDTH, HEIGHT)), Image.fromarray(two)))),
    )
    yield "RGB, red lesion", partial(_saved, "a.png", np.dstack([two, two * 0, two * 0]))
    yield "palette", partial(_saved, "a.png", Image.fromarray(_discs(1, 1)).convert("P"))
    yield "negative labels in a TIFF of floats", partial(_saved, "a.tif", _discs(-1, 3, dtype=np.float32))
    yield "TIFF of floats, 0 and 1", partial(_saved, "a.tif", _discs(1, 1, dtype=np.float32))
    yield "labels 254 and 255", partial(_saved, "a.png", _discs(254, 255))
    yield "labels 1 and 65535, 16 bits", partial(_saved, "a.png", _discs(1, 65535, dtype=np.uint16))
    yield "labels 0.5 and 1 in a TIFF of floats", partial(_saved, "a.tif", _discs(0.5, 1, dtype=np.float32))
    background = np.where(two > 0, np.float32(1), np.float32("nan"))
    yield "NaN as background in a TIFF of floats", partial(_saved, "a.tif", background)
    red = np.dstack([one, _discs(0, 255), np.zeros_like(one)])
    yield "a red and a green lesion", partial(_saved, "a.png", red)
    yield "background 10", partial(_saved, "a.png", np.maximum(two, 10))
    yield "WebP with loss", partial(_saved, "a.webp", two)
    yield "inverted: lesion black", partial(_saved, "a.png", 255 - one)
    touching = _discs(1)
    touching[:, 50:] *= 2
    yield "touching labels 1 and 2", partial(_saved, "a.png", touching)
    yield "empty", partial(_saved, "a.png", two * 0)
    yield "a scan", partial(_saved, "a.png", SCAN)
    yield "no image", partial(_bytes, "a.png", b"text")
    yield "DICOM scan", partial(_written, SCAN, {})


def _spacings() -> Made:
    texts = {
        "commas": "file,row,column\na.png,0.09,0.09\n",
        "semicolons, decimal commas": "file;row;column\na.png;0,09;0,09\n",
        "tabs": "file\trow\tcolumn\na.png\t0.09\t0.09\n",
        "sep=; in the first line": "sep=;\nfile;spacing\na.png;0,09\n",
        "capitals, one column spacing": "File,Spacing\na.png,0.09\n",
        "names without an ending": "file,spacing\na,0.09\n",
        "backslashes": "file,spacing\nclinic\\a.png,0.09\n",
        "empty cells": "file,spacing\na.png,\n",
        "90 in place of 0.09": "file,spacing\na.png,90\n",
        "a unit in the cell": "file,spacing\na.png,0.09 mm\n",
        "one file twice, with other spacings": "file,spacing\na.png,0.09\na.png,0.1\n",
        "no header": "a.png,0.09\n",
        "a negative number": "file,spacing\na.png,-0.09\n",
        "1.000,5": "file;spacing\na.png;1.000,5\n",
        "one of row and column": "file,row,column\na.png,0.09,\n",
        "vertical bars": "file|spacing\na.png|0.09\n",
        "lines that end in CR": "file,spacing\ra.png,0.09\r",
        "the name in capitals": "file,spacing\nA.PNG,0.09\n",
        "a row with too many cells": "file,spacing\na.png,0.09,0.1\n",
    }
    for name, text in texts.items():
        yield name, partial(_bytes, "spacings.csv", text.encode())
    yield (
        "UTF-8 with a byte-order mark",
        partial(_bytes, "s.csv", "\ufefffile,spacing\na.png,0.09\n".encode()),
    )
    yield "UTF-16", partial(_bytes, "s.csv", "file,spacing\na.png,0.09\n".encode("utf-16"))
    yield "Windows-1252", partial(_bytes, "s.csv", "file,spacing\na.png,0.09\né.png,0.1\n".encode("cp1252"))


def _set(files: dict[str, Any], folder: Path) -> Path:
    """Write a set: images, masks (arrays) and tables (texts) by path. Returns its table, or the folder."""
    tables = []
    for name, content in files.items():
        if isinstance(content, str):
            tables.append(_bytes(name, content.encode(), folder))
        else:
            _saved(name, content, folder)
    return tables[0] if len(tables) == 1 else folder


def _sets() -> Made:
    mask, pair = _discs(255), {"a.png": SCAN, "m/a.png": _discs(255)}
    texts = {
        "CSV with commas": "image,mask\na.png,m/a.png\n",
        "CSV with semicolons": "image;mask\na.png;m/a.png\n",
        "CSV with tabs": "image\tmask\na.png\tm/a.png\n",
        "CSV with sep=;": "sep=;\nimage;mask\na.png;m/a.png\n",
        "CSV with capitals": "Image,Mask\na.png,m/a.png\n",
        "CSV with backslashes": "image,mask\na.png,m\\a.png\n",
        "CSV that names a missing file": "image,mask\na.png,m/b.png\n",
        "CSV without the column mask": "image,label\na.png,benign\n",
        "CSV that names a file twice": "image,mask\na.png,m/a.png\na.png,m/a.png\n",
    }
    for name, text in texts.items():
        yield name, partial(_set, {**pair, "list.csv": text})
    layouts = {
        "images/ and masks/": ("images/a.png", "masks/a.png"),
        "Images/ and Masks/": ("Images/a.png", "Masks/a.png"),
        "imagesTr/ and labelsTr/": ("imagesTr/a.png", "labelsTr/a.png"),
        "x_mask.png beside x.png": ("a.png", "a_mask.png"),
        "masks of other names": ("images/a.png", "masks/b.png"),
    }
    for name, (first, second) in layouts.items():
        yield name, partial(_set, {first: SCAN, second: mask})
    yield (
        "a.png beside a.jpg",
        partial(_set, {"images/a.png": SCAN, "images/a.jpg": SCAN, "masks/a.png": mask}),
    )
    yield "a mask of another size", partial(_set, {"images/a.png": SCAN, "masks/a.png": mask[:100]})
    yield "labels 85 and 255", partial(_set, {"images/a.png": SCAN, "masks/a.png": _discs(85, 255)})


def _folders() -> Made:
    names = ("a.jfif", "a.jpe", "a.dic", "a.img", "US.1.2.840.1-abc", "a.png ", "a", "a.1")
    for name in names:
        if name.split(".")[-1] in ("dic", "img", "1") or name.startswith("US") or name == "a":
            yield f"DICOM named `{name}`", partial(_named_dicom, name)
        else:
            yield f"image named `{name}`", partial(_named_image, name)
    yield "BMP named `a`", partial(_named_image, "a", form="BMP")
    yield "PBM", partial(_saved_in, "a.pbm", Image.fromarray(_discs(255)).convert("1"))
    yield "HEIC", partial(_bytes_in, "a.heic", b"\0\0\0\x18ftypheic" + bytes(40))
    yield "AVIF", partial(_bytes_in, "a.avif", b"\0\0\0\x18ftypavif" + bytes(40))
    yield "video", partial(_bytes_in, "a.mp4", b"\0\0\0\x18ftypmp42" + bytes(40))
    yield "table, text, PDF", partial(_bytes_in, "a.csv", b"a,b\n")
    yield "hidden file", partial(_named_image, ".a.png")
    yield "`benign (1)_mask.png` beside its scan", partial(_beside, "benign (1).png", "benign (1)_mask.png")
    yield "masks/ beside images/", partial(_beside, "images/a.png", "masks/a.png")
    yield "an earlier result", _earlier_result
    for name, uid in (
        ("structured report", "1.2.840.10008.5.1.4.1.1.88.33"),
        ("segmentation", "1.2.840.10008.5.1.4.1.1.66.4"),
        ("presentation state", "1.2.840.10008.5.1.4.1.1.11.1"),
        ("encapsulated PDF", "1.2.840.10008.5.1.4.1.1.104.1"),
    ):
        yield f"DICOM {name}", partial(_object, uid)


def _saved_in(name: str, image: Any, folder: Path) -> Path:
    _saved(name, image, folder)
    return folder


def _bytes_in(name: str, data: bytes, folder: Path) -> Path:
    _bytes(name, data, folder)
    return folder


def _named_image(name: str, folder: Path, form: str = "") -> Path:
    form = form or ("PNG" if "png" in name else "JPEG")
    Image.fromarray(SCAN).save(folder / "made", format=form)
    (folder / "made").rename(folder / name)
    return folder


def _named_dicom(name: str, folder: Path) -> Path:
    _written(SCAN, {}, folder).rename(folder / name)
    return folder


def _beside(image: str, mask: str, folder: Path) -> Path:
    _saved(image, SCAN, folder)
    _saved(mask, _discs(255), folder)
    return folder


def _earlier_result(folder: Path) -> Path:
    _saved("a.png", SCAN, folder)
    _saved("results/overlays/a.png", RGB, folder)
    _bytes("results/results.json", b'{\n  "format": "sonoseg-results/3"\n}\n', folder)
    return folder


def _object(uid: str, folder: Path) -> Path:
    _saved("a.png", SCAN, folder)
    import pydicom

    dataset = pydicom.dcmread(_written(SCAN, {}, folder))
    del dataset.PixelData
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = pydicom.uid.UID(uid)
    dataset.save_as(folder / "a.dcm")
    return folder


def outcome(kind: Kind) -> Outcome:
    """Make a kind in a folder of its own, and read it as the commands do."""
    with tempfile.TemporaryDirectory(prefix="kinds-") as temporary:
        folder = Path(temporary) / "of"
        folder.mkdir()
        path = kind.make(folder)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", SonosegWarning)
            try:
                result, reason = READ[kind.group](path), ""
            except SonosegError as error:
                result, reason = "**refused**", error.found
        said = [str(one.message) for one in caught if issubclass(one.category, SonosegWarning)]
        if said and not reason:
            result += ", **warning**"
        messages = dict.fromkeys(_plain(text, folder) for text in (*filter(None, [reason]), *said))
    if OTHER_GREY in result and kind.name not in OTHERS:
        raise ValueError(f"{kind.name}: not the grey levels that were written")
    return Outcome(result.replace(OTHER_GREY, ""), "; ".join(messages))


def _plain(text: str, folder: Path) -> str:
    """A message without the path before it and the folder in it, fit for a cell."""
    text = re.sub(rf"{re.escape(str(folder))}/?", "", text)
    text = re.sub(r"^[\w./ ()-]*\.(?:png|jpg|tif|dcm|csv|bmp|gif|mpo)(?: \(frame \d+\))?: ", "", text)
    return text.replace("|", "\\|").replace("\n", " ").strip()


def _frame(path: Path) -> str:
    """Read the first frame: "read" where its grey is that of the scan, and its pixel spacing."""
    from sonoseg.inputs.frame_list import list_frames, read

    refs = list_frames(path)
    frame = read(refs[0])
    count = f" {len(refs)} frames" if len(refs) > 1 else ""
    if frame.shape != SCAN.shape:
        return f"read{count} at another size"
    scan = np.abs(frame.pixels.astype(float) - SCAN).mean() <= LOSS
    spacing = frame.spacing
    size = f", {spacing.column:.2g} mm" if spacing else ", sizes in pixels" if frame.kind == "dicom" else ""
    if frame.kind == "dicom" and not spacing:
        warnings.warn(frame.calibration.reason, SonosegWarning, stacklevel=2)
    return f"read{count}{'' if scan else OTHER_GREY}{size}"


def _mask(path: Path) -> str:
    from sonoseg.results.mask_measurements import measure_mask_file

    lesions = measure_mask_file(path, None, None).findings.lesions
    areas = ", ".join(f"{lesion.area:,.0f}" for lesion in lesions)
    return f"{len(lesions)} of {areas} pixels" if lesions else "no lesion"


def _spacing(path: Path) -> str:
    from sonoseg.inputs.spacing_table import read_spacings

    found = read_spacings(path).of("clinic/a.png")
    return "unknown" if found is None else f"{found.column:.2g} mm"


def _checked(path: Path) -> str:
    from sonoseg.data.folder_check import check
    from sonoseg.data.readers import read_source

    reports = check([read_source(path)], threads=1)
    findings = [one for report in reports for one in report.findings]
    faults = Counter(one.kind for one in findings if one.level == "fault")
    for one in findings:
        if one.level == "note" and one.kind not in ("no class",):
            warnings.warn(f"{one.kind}: {one.text}", SonosegWarning, stacklevel=2)
    count = len(read_source(path).records)
    said = f"faults: {', '.join(sorted(faults))}" if faults else "no faults"
    return f"{count} image{'s' * (count != 1)}, {said}"


def _searched(path: Path) -> str:
    from sonoseg.inputs.file_search import find_images

    found = [one.relative_to(path).as_posix() for one in find_images([path])]
    return f"found {', '.join(f'`{name}`' for name in found)}"


READ: dict[str, Callable[[Path], str]] = {
    "images": _frame,
    "tiff": _frame,
    "dicom": _frame,
    "masks": _mask,
    "spacings": _spacing,
    "sets": _checked,
    "folders": _searched,
}
"""How each group is read."""


def file_kinds(group: str) -> str:
    """The table of one group."""
    rows = []
    for kind in kinds():
        if kind.group == group:
            found = outcome(kind)
            rows.append((kind.name, found.result, found.said))
    return table(("Kind", "Result", "Message"), rows)
