"""One frame's bytes to its samples, by transfer syntax: native, JPEG, JPEG-LS, JPEG 2000, RLE.

A decoder is called for one frame at a time, and only after the stream's own header agrees with the file's: a
stream that claims other sizes is never unfolded. Codecs come with the extra `dicom`; JPEG in lossless or
12-bit form needs the GPL codec of the extra `dicom-gpl`.
"""

from __future__ import annotations

import io
from importlib.util import find_spec
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sonoseg.dicom.reading.fragments import Damaged
from sonoseg.dicom.reading.header import Header
from sonoseg.errors import missing_extra

RLE = "1.2.840.10008.1.2.5"
JPEG = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")
JPEG_LOSSLESS = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
JPEG_2000 = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91")
HT_JPEG_2000 = ("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203")

Values = NDArray[np.uint8] | NDArray[np.uint16]

Colour = Literal["stored", "rgb", "luma"]


class Samples(NamedTuple):
    """One decoded frame. values: (H, W) stored values or luma, or (H, W, 3) RGB; colour says which."""

    values: Values
    colour: Colour


class Stream(NamedTuple):
    """What a JPEG, JPEG-LS or JPEG 2000 stream says of itself."""

    height: int
    width: int
    components: int
    bits: int
    lossless_process: bool = False
    component_ids: bytes = b""
    jfif: bool = False
    adobe: int | None = None


def check_codec(syntax: str) -> None:
    """Raise MissingExtra, naming the extra, where no installed codec decodes this transfer syntax.

    Raises Damaged (worded) for one that no codec of ours reads.
    """
    if syntax in JPEG_LS and find_spec("jpeg_ls") is None:
        raise missing_extra("pyjpegls", "dicom")
    if syntax in JPEG_2000 + HT_JPEG_2000 and find_spec("openjpeg") is None:
        raise missing_extra("pylibjpeg-openjpeg", "dicom")
    if syntax in JPEG_LOSSLESS:
        _need_libjpeg()
    known = (RLE, *JPEG, *JPEG_LOSSLESS, *JPEG_LS, *JPEG_2000, *HT_JPEG_2000)
    if syntax not in known:
        raise Damaged(f"it is compressed as {_name(syntax)}, which is not read")


def decode(data: bytes, header: Header) -> Samples:
    """Decode one encapsulated frame. Raises Damaged, in words, and MissingExtra."""
    syntax = header.syntax
    if syntax == RLE:
        return _of_samples(_rle(data, header), header, planar=False)
    if syntax in JPEG_2000 + HT_JPEG_2000:
        return _jpeg_2000(data, header)
    stream = jpeg_stream(data)
    _check(stream, header)
    if syntax in JPEG_LS:
        return _jpeg_ls(data, header)
    if stream.lossless_process or stream.bits != 8:
        return _libjpeg(data, header)
    return _jpeg(data, stream, header)


def native(data: bytes, header: Header) -> Samples:
    """The samples of one uncompressed frame of exactly frame_bytes(header) bytes."""
    height, width = header.rows, header.columns
    if subsampled(header):
        # PS3.3 C.7.6.3.1.2: two luma samples, then the pair's blue and red.
        pairs = np.frombuffer(data, dtype=np.uint8).reshape(height, -1, 4)
        return Samples(np.ascontiguousarray(pairs[:, :, :2]).reshape(height, width), "luma")
    order = ">" if header.big_endian else "<"
    flat = np.frombuffer(data, dtype=np.dtype(f"{order}u{header.allocated // 8}"))
    if header.high + 1 > header.stored:
        flat = flat >> (header.high + 1 - header.stored)
    values = flat.astype(flat.dtype.newbyteorder("="), copy=False)
    if header.samples == 1:
        return Samples(values.reshape(height, width), "stored")
    shape = (3, height, width) if header.planar == 1 else (height, width, 3)
    return _of_samples(values.reshape(shape), header, planar=header.planar == 1)


def subsampled(header: Header) -> bool:
    """Whether native data hold two luma samples for each pair of chroma samples (YBR_FULL_422)."""
    if header.encapsulated or not header.photometric.endswith("_422") or header.columns % 2:
        return False
    # Files exist that say 422 and hold all three samples of each pixel: the length tells.
    whole = header.rows * header.columns * 3 * header.frames
    return header.allocated == 8 and (header.length is None or header.length < whole)


def frame_bytes(header: Header) -> int:
    """Bytes of one uncompressed frame."""
    samples = 2 if subsampled(header) else header.samples
    return header.rows * header.columns * samples * (header.allocated // 8)


def _of_samples(values: Values, header: Header, *, planar: bool) -> Samples:
    """Name decoded samples ((H, W), (H, W, 3), or (3, H, W) where planar) by the file's colour space."""
    if values.ndim == 2:
        return Samples(values, "stored")
    if header.photometric.startswith("YBR") and header.photometric not in ("YBR_RCT", "YBR_ICT"):
        luma = values[0] if planar else values[:, :, 0]
        return Samples(np.ascontiguousarray(luma), "luma")
    return Samples(np.moveaxis(values, 0, 2) if planar else values, "rgb")


def _jpeg(data: bytes, stream: Stream, header: Header) -> Samples:
    """Baseline and 8-bit extended JPEG by Pillow. Of colour only the luma is decoded: it is the grey."""
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        if stream.components == 1:
            image.load()
            return Samples(np.asarray(image), "stored")
        # The stream's markers go before the header's word, which copies often get wrong.
        if stream.component_ids.upper() == b"RGB" or stream.adobe == 0:
            return Samples(np.asarray(image.convert("RGB")), "rgb")
        if not stream.jfif and stream.adobe is None and not header.photometric.startswith("YBR"):
            # RGB samples without a marker: libjpeg takes them for YCbCr, and hands them out untouched so.
            image.draft("YCbCr", image.size)
            return Samples(np.asarray(image), "rgb")
        image.draft("L", image.size)
        return Samples(np.asarray(image.convert("L")), "luma")


def _jpeg_ls(data: bytes, header: Header) -> Samples:
    import jpeg_ls

    buffer, about = jpeg_ls.decode_pixel_data(data)
    planar = about["components"] > 1 and about["interleave_mode"] == 0
    return _shaped(buffer, 1 if about["bits_per_sample"] <= 8 else 2, header, planar=planar)


def _libjpeg(data: bytes, header: Header) -> Samples:
    _need_libjpeg()
    import libjpeg

    values = np.asarray(libjpeg.decode(data))
    if values.shape[:2] != (header.rows, header.columns) or values.ndim != (3 if header.samples == 3 else 2):
        raise Damaged("its JPEG stream does not fit its header")
    return _of_samples(values, header, planar=False)


def _jpeg_2000(data: bytes, header: Header) -> Samples:
    from openjpeg.utils import decode_pixel_data

    data = codestream(data)
    stream = jpeg_2000_stream(data)
    _check(stream, header)
    buffer = np.ascontiguousarray(decode_pixel_data(data)).tobytes()
    return _shaped(buffer, 1 if stream.bits <= 8 else 2, header, planar=False)


def _rle(data: bytes, header: Header) -> Values:
    """PS3.5 annex G: a segment for each byte of each sample, the most significant first."""
    deep = header.allocated // 8
    count = int.from_bytes(data[:4], "little")
    if count != header.samples * deep or len(data) < 64:
        raise Damaged("its RLE header does not fit the image")
    starts = [int.from_bytes(data[4 * k : 4 * k + 4], "little") for k in range(1, count + 1)]
    ends = [*starts[1:], len(data)]
    size = header.rows * header.columns
    planes = [
        np.frombuffer(_packbits(data[start:end], size), dtype=np.uint8)
        for start, end in zip(starts, ends, strict=True)
    ]
    together = np.stack(planes, axis=-1).reshape(header.rows, header.columns, header.samples, deep)
    # The bytes of a sample lie side by side now, the upper one first.
    values: Values = together[..., 0] if deep == 1 else np.ascontiguousarray(together).view(">u2")[..., 0]
    return values[:, :, 0] if header.samples == 1 else values


def _packbits(data: bytes, size: int) -> bytes:
    """Unfold one RLE segment to exactly `size` bytes."""
    out = bytearray()
    at, end = 0, len(data)
    while len(out) < size and at < end:
        head = data[at]
        if head < 128:
            out += data[at + 1 : at + 2 + head]
            at += 2 + head
        elif head > 128:
            out += data[at + 1 : at + 2] * (257 - head)
            at += 2
        else:
            at += 1
    if len(out) < size:
        raise Damaged("its RLE data are truncated")
    return bytes(out[:size])


def _shaped(buffer: bytes | bytearray, deep: int, header: Header, *, planar: bool) -> Samples:
    flat: Values = np.frombuffer(buffer, dtype="<u2") if deep == 2 else np.frombuffer(buffer, dtype=np.uint8)
    height, width = header.rows, header.columns
    if flat.size != height * width * header.samples:
        raise Damaged("its compressed stream does not fit its header")
    if header.samples == 1:
        return Samples(flat.reshape(height, width), "stored")
    return _of_samples(
        flat.reshape((3, height, width) if planar else (height, width, 3)), header, planar=planar
    )


def _check(stream: Stream, header: Header) -> None:
    if (stream.height, stream.width) != (header.rows, header.columns):
        raise Damaged(
            f"its header says {header.columns} x {header.rows} pixels, "
            f"its compressed stream {stream.width} x {stream.height}"
        )
    if stream.components != header.samples:
        raise Damaged(
            f"its header says {header.samples} samples a pixel, its compressed stream {stream.components}"
        )
    if not 1 <= stream.bits <= 16:
        raise Damaged(f"its compressed stream has {stream.bits} bits a sample")


def jpeg_stream(data: bytes) -> Stream:
    """Read a JPEG or JPEG-LS stream's frame header (ISO/IEC 10918-1 B.2, 14495-1 C.2). Raises Damaged."""
    if not data.startswith(b"\xff\xd8"):
        raise Damaged("its compressed stream does not begin as JPEG")
    at, jfif, adobe = 2, False, None
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        body = data[at + 4 : at + 2 + length]
        if marker in (0xD9, 0xDA) or length < 2:
            break
        if marker == 0xE0 and body.startswith(b"JFIF"):
            jfif = True
        elif marker == 0xEE and body.startswith(b"Adobe") and len(body) >= 12:
            adobe = body[11]
        elif (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)) or marker == 0xF7:
            if len(body) < 6 + 3 * body[5] if len(body) >= 6 else True:
                break
            return Stream(
                height=int.from_bytes(body[1:3], "big"),
                width=int.from_bytes(body[3:5], "big"),
                components=body[5],
                bits=body[0],
                lossless_process=marker in (0xC3, 0xC7, 0xCB, 0xCF),
                component_ids=body[6 : 6 + 3 * body[5] : 3],
                jfif=jfif,
                adobe=adobe,
            )
        at += 2 + length
    raise Damaged("its compressed stream has no frame header")


def codestream(data: bytes) -> bytes:
    """The JPEG 2000 codestream, taken out of a JP2 file where it is in one (ISO/IEC 15444-1 annex I)."""
    if data.startswith(b"\xff\x4f\xff\x51"):
        return data
    at = 0
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        head = 8
        if length == 1:
            length, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        if data[at + 4 : at + 8] == b"jp2c":
            inside = data[at + head : at + length if length else None]
            if inside.startswith(b"\xff\x4f\xff\x51"):
                return inside
            break
        if length < head:
            break
        at += length
    raise Damaged("its compressed stream does not begin as JPEG 2000")


def jpeg_2000_stream(data: bytes) -> Stream:
    """Read a codestream's SIZ segment (ISO/IEC 15444-1 A.5.1). Raises Damaged."""
    if len(data) < 45:
        raise Damaged("its compressed stream is truncated")
    right, bottom, left, top = (int.from_bytes(data[k : k + 4], "big") for k in (8, 12, 16, 20))
    components = int.from_bytes(data[40:42], "big")
    return Stream(bottom - top, right - left, components, (data[42] & 0x7F) + 1)


def _need_libjpeg() -> None:
    if find_spec("libjpeg") is None:
        raise missing_extra("pylibjpeg-libjpeg", "dicom-gpl")


def _name(syntax: str) -> str:
    from pydicom.uid import UID

    return UID(syntax).name
