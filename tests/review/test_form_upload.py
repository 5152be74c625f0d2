"""What comes in: counted while it comes, named safely, refused before it is decoded."""

from __future__ import annotations

import errno
import io
import struct
import zlib
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import anyio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sonoseg.errors import InputError, OutputError, SonosegError
from sonoseg.image.calibration import Spacing
from sonoseg.review import form_upload
from sonoseg.review.file_inspection import inspect, parse_spacing
from sonoseg.review.form_upload import Form, Upload, copy_files, receive, safe_name
from sonoseg.review.http_errors import Malformed, TooLarge, Unusable
from sonoseg.review.settings import ServerLimits

MIB = 1 << 20


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\system.ini", "system.ini"),
        ("/absolute/scan.png", "scan.png"),
        ("C:\\scans\\scan.png", "scan.png"),
        ("..", "image"),
        ("", "image"),
        ("a/..", "image"),
        ("scan\x00.png", "scan.png"),
        ("line\r\nbreak.png", "linebreak.png"),
        ("gnp.\u202enacs.png", "gnp.nacs.png"),
        ("Ärztin 1.png", "Ärztin 1.png"),
    ],
)
def test_a_name_cannot_lead_anywhere(given: str, name: str) -> None:
    assert safe_name(given) == name


@given(st.text(max_size=400))
def test_whatever_the_name_it_is_one_to_show(given: str) -> None:
    name = safe_name(given)
    assert 0 < len(name) <= form_upload.MAX_NAME
    assert name.isprintable()
    assert name not in (".", "..")
    assert PurePosixPath(name).name == name
    assert "\\" not in name
    assert PureWindowsPath(name).parent == PureWindowsPath() or ":" in name
    assert safe_name(name) == name


def form(*files: tuple[str, bytes], boundary: str = "b0undary", **fields: str) -> bytes:
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
        + data
        for name, data in files
    ] + [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode()
        for name, value in fields.items()
    ]
    return b"\r\n".join([*parts, f"--{boundary}--\r\n".encode()])


MULTIPART = "multipart/form-data; boundary=b0undary"


def take(
    folder: Path, body: bytes | AsyncIterator[bytes], kind: str = MULTIPART, *, step: int = 7, **limits: int
) -> Form:
    async def pieces() -> AsyncIterator[bytes]:
        if isinstance(body, bytes):
            for start in range(0, len(body), step):
                yield body[start : start + step]
        else:
            async for piece in body:
                yield piece

    async def run() -> Form:
        return await receive(pieces(), kind, "one.png", folder, ServerLimits(**limits))

    return anyio.run(run)


def test_a_form_of_several_files_and_fields(tmp_path: Path, draw: Any) -> None:
    files = [("a.png", draw.scan(1)), ("../b.png", draw.scan(2)), ("c.png", b"")]
    got = take(tmp_path / "in", form(*files, spacing="0.1"))
    assert [(file.name, file.path.read_bytes()) for file in got.files] == [
        ("a.png", files[0][1]),
        ("b.png", files[1][1]),
        ("c.png", b""),
    ]
    assert got.fields == {"spacing": "0.1"}
    assert {file.path.parent for file in got.files} == {tmp_path / "in"}
    got.discard()
    assert not list((tmp_path / "in").iterdir())


def test_bytes_without_a_form_are_one_file(tmp_path: Path, draw: Any) -> None:
    got = take(tmp_path, draw.scan(), "image/png")
    assert [(file.name, file.path.read_bytes()) for file in got.files] == [("one.png", draw.scan())]


def test_five_hundred_megabytes_are_cut_off_while_they_come(tmp_path: Path) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield form(("big.dcm", b"")).split(b"\r\n--b0undary--")[0]
        for _ in range(500):
            sent += 1
            yield bytes(MIB)

    with pytest.raises(TooLarge, match="3,145,728") as told:
        take(tmp_path, endless(), max_bytes=3 * MIB)
    assert sent == 4
    assert told.value.where == "big.dcm"
    assert not list(tmp_path.iterdir())


def test_too_many_files_and_too_long_a_field(tmp_path: Path) -> None:
    with pytest.raises(TooLarge, match="2 files"):
        take(tmp_path, form(*[(f"{n}.png", b"x") for n in range(3)]), max_files=2)
    with pytest.raises(TooLarge, match="4,096"):
        take(tmp_path, form(comment="x" * 5000))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"no form at all", MULTIPART),
        (form(("a.png", b"abc"))[:-30], MULTIPART),
        (form(("a.png", b"abc")), "multipart/form-data"),
    ],
    ids=["no form", "cut off", "no boundary"],
)
def test_a_broken_form(tmp_path: Path, body: bytes, kind: str) -> None:
    with pytest.raises(Malformed):
        take(tmp_path, body, kind)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_while_a_file_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Any, name: str, folder: Path) -> Upload:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(form_upload, "_copy", full)
    with pytest.raises(OutputError, match="No space left"):
        take(tmp_path, form(("a.png", bytes(1000))))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "spacing"),
    [("0.08", (0.08, 0.08)), ("0.08, 0.1", (0.08, 0.1)), ("", None), ("  ", None)],
)
def test_spacing(text: str, spacing: tuple[float, float] | None) -> None:
    assert parse_spacing(text) == spacing


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "1,2,3", "a", "0.1;0.2", ","])
def test_no_spacing(text: str) -> None:
    with pytest.raises(Unusable):
        parse_spacing(text)


def arrived(folder: Path, data: bytes, name: str = "scan.png") -> Upload:
    path = folder / "arrived"
    path.write_bytes(data)
    return Upload(path, name, "0" * 64, len(data))


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few kilobytes that says it has these many pixels, and would unfold to them."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(MIB)) for _ in range(8)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.fixture
def no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr(Image.Image, "load", never)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", never)


@pytest.mark.usefixtures("no_decoding")
@pytest.mark.parametrize("size", [(5000, 5000), (60_000, 60_000), (2_000_000_000, 2_000_000_000)])
def test_a_decompression_bomb_is_refused_by_its_header(tmp_path: Path, size: tuple[int, int]) -> None:
    data = bomb(*size)
    assert len(data) < 20_000
    with pytest.raises(InputError, match=r"pixels|damaged") as told:
        inspect(arrived(tmp_path, data, "bomb.png"), ServerLimits())
    assert told.value.where == "bomb.png"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:200],
        lambda data: data[:100] + bytes(50) + data[150:],
        lambda data: b"",
        lambda _: b"hi",
    ],
    ids=["cut off", "damaged", "empty", "text"],
)
def test_a_corrupt_upload_is_named(tmp_path: Path, draw: Any, spoil: Any) -> None:
    with pytest.raises(InputError) as told:
        inspect(arrived(tmp_path, spoil(draw.scan()), "mine.png"), ServerLimits())
    assert told.value.where == "mine.png"
    assert str(tmp_path) not in str(told.value)


def test_what_a_look_tells(tmp_path: Path, draw: Any) -> None:
    seen = inspect(
        arrived(tmp_path, draw.scan(), "x.dcm"), ServerLimits()
    )  # by its content, whatever its name
    assert (seen.kind, seen.suffix, seen.frames, seen.height, seen.width) == ("raster", ".png", 1, 60, 80)
    assert (seen.spacing, seen.origin) == (None, "none")
    given = inspect(arrived(tmp_path, draw.scan()), ServerLimits(), spacing=Spacing(0.1, 0.2))
    assert (given.spacing, given.origin) == ((0.1, 0.2), "given")
    buffer = io.BytesIO()
    Image.linear_gradient("L").save(buffer, format="JPEG")
    assert inspect(arrived(tmp_path, buffer.getvalue()), ServerLimits()).suffix == ".jpg"


def test_more_pixels_than_the_limit(tmp_path: Path, draw: Any) -> None:
    with pytest.raises(InputError, match="the limit is 4,000"):
        inspect(arrived(tmp_path, draw.scan()), ServerLimits(max_pixels=4000))


@pytest.mark.filterwarnings("ignore:.*hardly any contrast")
def test_a_clip_is_looked_at_by_its_header_and_one_frame(tmp_path: Path, make_clip: Any) -> None:
    frames = np.arange(3, dtype=np.uint8)[:, None, None] * np.ones((1, 40, 50), dtype=np.uint8)
    seen = inspect(arrived(tmp_path, make_clip(frames), "clip"), ServerLimits(max_frames=3))
    assert (seen.kind, seen.suffix, seen.frames, seen.height, seen.width) == ("dicom", ".dcm", 3, 40, 50)
    assert (seen.spacing, seen.origin) == ((pytest.approx(0.1), pytest.approx(0.2)), "file")
    with pytest.raises(InputError, match="a clip of 3 frames; the limit is 2"):
        inspect(arrived(tmp_path, make_clip(frames)), ServerLimits(max_frames=2))
    with pytest.raises(InputError, match="the limit is 1,000"):
        inspect(arrived(tmp_path, make_clip(frames)), ServerLimits(max_pixels=1000))
    with pytest.raises(InputError, match="found 1") as told:
        inspect(arrived(tmp_path, make_clip(frames)[:-3000], "cut.dcm"), ServerLimits())
    assert "Secretname" not in str(told.value)


@pytest.mark.filterwarnings("ignore:.*hardly any contrast")
def test_a_deflate_bomb_is_stopped_while_it_unfolds(tmp_path: Path, make_clip: Any) -> None:
    data = make_clip(np.zeros((200, 200, 300), dtype=np.uint8), deflated=True)
    assert len(data) < 20_000
    assert inspect(arrived(tmp_path, data), ServerLimits()).frames == 200
    with pytest.raises(InputError, match="deflated data exceeds"):
        inspect(arrived(tmp_path, data), ServerLimits(max_bytes=1_000_000))


def test_files_of_this_machine(tmp_path: Path, draw: Any) -> None:
    good, big, missing = tmp_path / "a.png", tmp_path / "b.png", tmp_path / "c.png"
    good.write_bytes(draw.scan())
    big.write_bytes(bytes(9000))
    first, second, third = copy_files([good, big, missing], tmp_path / "in", ServerLimits(max_bytes=8000))
    assert isinstance(first, Upload)
    assert first.path.read_bytes() == draw.scan()
    assert isinstance(second, SonosegError)
    assert "8,000 bytes" in second.found
    assert isinstance(third, SonosegError)
    assert good.exists()
