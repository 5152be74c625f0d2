"""Decoding of one frame by its transfer syntax: uncompressed, JPEG, JPEG-LS, JPEG 2000, RLE.

A codec is called for one frame at a time, and only after the size in the stream's own header agrees with the
file's header (hostile files announce other sizes). The extra `dicom` brings the codecs; lossless and 12-bit
JPEG need the GPL codec of the extra `dicom-gpl`.
"""

from __future__ import annotations

import io
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sonoseg._util.packages import is_installed, missing_extra
from sonoseg.dicom.reading.fragments import PixelDataError
from sonoseg.dicom.reading.header import ImageHeader, quiet_pydicom

RLE = "1.2.840.10008.1.2.5"
JPEG = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")
JPEG_LOSSLESS = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
JPEG_2000 = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91")
HT_JPEG_2000 = ("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203")

NEWER = {
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
    "1.2.840.10008.1.2.8.1": "Deflated Image Frame Compression",
}
"""Transfer syntaxes (PS3.6 table A-1) that pydicom 3.0 does not know."""

MAX_RLE_SEGMENT = 16 << 20
"""Most bytes of an RLE segment: pydicom decodes it whole, to at most 64 times as many (1 GiB)."""

Values = NDArray[np.uint8] | NDArray[np.uint16]

Colour = Literal["stored", "rgb", "luma"]


class Samples(NamedTuple):
    """One decoded frame: (H, W) stored values or luma, or (H, W, 3) RGB, as `colour` says.

    irregularities: what cannot be decided about it, as messages. ycbcr: (H, W, 3) that the luma is part of,
    of 8 bits; None where it is not known.
    """

    values: Values
    colour: Colour
    irregularities: tuple[str, ...] = ()
    ycbcr: NDArray[np.uint8] | None = None


class StreamHeader(NamedTuple):
    """The header of a JPEG, JPEG-LS or JPEG 2000 stream."""

    height: int
    width: int
    components: int
    bits: int
    lossless_process: bool = False
    component_ids: bytes = b""
    subsampled: bool = False
    jfif: bool = False
    adobe: int | None = None


def check_codec(syntax: str) -> None:
    """Raise MissingExtra if the codec of a transfer syntax is not installed.

    Raises PixelDataError for an unsupported transfer syntax.
    """
    if syntax in JPEG_LS and not is_installed("jpeg_ls"):
        raise missing_extra("pyjpegls", "dicom")
    if syntax in JPEG_2000 + HT_JPEG_2000 and not is_installed("openjpeg"):
        raise missing_extra("pylibjpeg-openjpeg", "dicom")
    if syntax in JPEG_LOSSLESS:
        _need_libjpeg()
    known = (RLE, *JPEG, *JPEG_LOSSLESS, *JPEG_LS, *JPEG_2000, *HT_JPEG_2000)
    if syntax not in known:
        raise PixelDataError(
            f"unsupported compression: {_name(syntax)}",
            "Export it uncompressed, or as JPEG or JPEG 2000",
        )


def decode(data: bytes, header: ImageHeader) -> Samples:
    """Decode one encapsulated frame. Raises PixelDataError and MissingExtra."""
    syntax = header.syntax
    if syntax == RLE:
        return _rle(data, header)
    if syntax in JPEG_2000 + HT_JPEG_2000:
        return _jpeg_2000(data, header)
    stream = jpeg_stream(data)
    _check(stream, header)
    if syntax in JPEG_LS:
        return _jpeg_ls(data, header)
    if stream.lossless_process or stream.bits != 8:
        return _libjpeg(data, header)
    return _jpeg(data, stream, header)


def native(data: bytes, header: ImageHeader) -> Samples:
    """Return the samples of one uncompressed frame of exactly frame_bytes(header) bytes."""
    height, width = header.rows, header.columns
    if subsampled(header):
        # PS3.3 C.7.6.3.1.2: two luma samples, then the pair's blue and red.
        pairs = np.frombuffer(data, dtype=np.uint8).reshape(height, -1, 4)
        chroma = pairs[:, :, 2:].repeat(2, axis=1)
        return _luma(np.dstack([pairs[:, :, :2].reshape(height, width), chroma]))
    order = ">" if header.big_endian else "<"
    flat = np.frombuffer(data, dtype=np.dtype(f"{order}u{header.allocated // 8}"))
    irregularities: tuple[str, ...] = ()
    if (shift := header.high + 1 - header.stored) > 0:
        if (flat & ((1 << shift) - 1)).any() and not (flat >> header.stored).any():
            irregularities = (NOT_ALIGNED.format(high=header.high, stored=header.stored),)
        else:
            flat = flat >> shift
    values = flat.astype(flat.dtype.newbyteorder("="), copy=False)
    if header.samples == 1:
        return Samples(values.reshape(height, width), "stored", irregularities)
    shape = (3, height, width) if header.planar == 1 else (height, width, 3)
    return _of_samples(values.reshape(shape), header, planar=header.planar == 1)


def subsampled(header: ImageHeader) -> bool:
    """Return whether uncompressed data hold two luma samples per pair of chroma samples (YBR_FULL_422)."""
    if header.encapsulated or not header.photometric.endswith("_422") or header.columns % 2:
        return False
    # Some files say 422 and hold all three samples of each pixel: the length shows which.
    whole = header.rows * header.columns * 3 * header.frames
    return header.allocated == 8 and (header.length is None or header.length < whole)


def frame_bytes(header: ImageHeader) -> int:
    """Return the number of bytes of one uncompressed frame."""
    samples = 2 if subsampled(header) else header.samples
    return header.rows * header.columns * samples * (header.allocated // 8)


def _of_samples(values: Values, header: ImageHeader, *, planar: bool) -> Samples:
    """Label decoded samples ((H, W), (H, W, 3), or (3, H, W) if planar) with the file's colour space."""
    if values.ndim == 2:
        return Samples(values, "stored")
    if header.photometric.startswith("YBR") and header.photometric not in ("YBR_RCT", "YBR_ICT"):
        return _luma(np.moveaxis(values, 0, 2) if planar else values, header.stored)
    return _checked_rgb(np.moveaxis(values, 0, 2) if planar else values, header.stored)


def _luma(values: Values, bits: int = 8, irregularities: tuple[str, ...] = ()) -> Samples:
    """Return (H, W, 3) YCbCr of so many bits as its luma."""
    ycbcr: Any = values if values.dtype == np.uint8 and bits == 8 else None
    luma: Any = np.ascontiguousarray(values[..., 0])
    return Samples(luma, "luma", irregularities, ycbcr)


NOT_ALIGNED = (
    "HighBit is {high} with {stored} bits stored, but the values lie in the lowest {stored} bits: read there"
)

CHROMA_TOLERANCE = 8
"""Grey levels of 256 within which two components count as equal, or chroma as neutral."""

UNMARKED = (
    "neither the JPEG stream nor its pixels show whether its colours are RGB or YCbCr: taken for RGB, as the "
    "header says"
)

MISLABELLED = "labelled RGB, but its pixels are YCbCr (luma with neutral chroma): read as YCbCr"


def _checked_rgb(values: Values, bits: int, *, marked: bool = True) -> Samples:
    """Return (H, W, 3) that is labelled RGB as RGB, or as luma where its pixels can only be YCbCr.

    A scan is mostly grey. Grey in RGB has three equal components; in YCbCr the second and third are neutral
    (half of the range) while the first varies. marked: whether anything but the header names the colour
    space; if not, an image that is neither for the most part is read with a warning.
    """
    neutral, tolerance = 1 << (bits - 1), CHROMA_TOLERANCE << max(bits - 8, 0)
    # A sample of the rows and columns decides, to save time.
    thin = values[:: max(1, values.shape[0] // 256), :: max(1, values.shape[1] // 256)].astype(np.int32)
    chroma = (np.abs(thin[..., 1:] - neutral) <= tolerance).all(axis=-1)
    equal = (np.abs(thin[..., 1:] - thin[..., :1]) <= 2 * tolerance).all(axis=-1)
    if chroma.mean() > 0.5 and (chroma & equal).sum() < 0.5 * chroma.sum():
        return _luma(values, bits, (MISLABELLED,))
    return Samples(values, "rgb", () if marked or equal.mean() > 0.5 else (UNMARKED,))


def _jpeg(data: bytes, stream: StreamHeader, header: ImageHeader) -> Samples:
    """Baseline and 8-bit extended JPEG by Pillow. Of colour the luma is the grey."""
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        if stream.components == 1:
            image.load()
            return Samples(np.asarray(image), "stored")
        # The stream's markers take precedence over PhotometricInterpretation, which is often wrong in copies.
        if stream.component_ids.upper() == b"RGB" or stream.adobe == 0:
            return _checked_rgb(np.asarray(image.convert("RGB")), 8)
        unmarked = not stream.jfif and stream.adobe is None and not stream.subsampled
        if unmarked and not header.photometric.startswith("YBR"):
            # RGB samples without a marker: libjpeg assumes YCbCr; asked for YCbCr it returns them unchanged.
            image.draft("YCbCr", image.size)
            return _checked_rgb(np.asarray(image), 8, marked=False)
        # Chroma is subsampled, never red, green or blue: YCbCr, whatever the header says.
        image.draft("YCbCr", image.size)
        return _luma(np.asarray(image.convert("YCbCr")))


def _jpeg_ls(data: bytes, header: ImageHeader) -> Samples:
    import jpeg_ls

    # CharLS (2.4) takes seconds to give up on a few hundred bytes that end without the marker.
    if b"\xff\xd9" not in data:
        raise PixelDataError("the compressed stream is truncated")
    buffer, about = jpeg_ls.decode_pixel_data(data)
    planar = about["components"] > 1 and about["interleave_mode"] == 0
    return _shaped(buffer, 1 if about["bits_per_sample"] <= 8 else 2, header, planar=planar)


def _libjpeg(data: bytes, header: ImageHeader) -> Samples:
    _need_libjpeg()
    import libjpeg

    values = np.asarray(libjpeg.decode(data))
    if values.shape[:2] != (header.rows, header.columns) or values.ndim != (3 if header.samples == 3 else 2):
        raise PixelDataError("the JPEG stream does not match the header")
    return _of_samples(values, header, planar=False)


def _jpeg_2000(data: bytes, header: ImageHeader) -> Samples:
    from openjpeg.utils import decode_pixel_data

    data = codestream(data)
    stream = jpeg_2000_stream(data)
    _check(stream, header)
    buffer = np.ascontiguousarray(decode_pixel_data(data)).tobytes()
    return _shaped(buffer, 1 if stream.bits <= 8 else 2, header, planar=False)


def _rle(data: bytes, header: ImageHeader) -> Samples:
    """Decode PS3.5 annex G by pydicom, after checking the lengths of the segments."""
    from pydicom.encaps import encapsulate
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import RLELossless

    starts = [int.from_bytes(data[4 * k : 4 * k + 4], "little") for k in range(1, 16)]
    count = int.from_bytes(data[:4], "little")
    if count != header.samples * (header.allocated // 8) or len(data) < 64:
        raise PixelDataError("the RLE header does not match the image")
    # A pair of bytes encodes at least one pixel, and at most 128.
    longest = min(2 * header.rows * header.columns + 2, MAX_RLE_SEGMENT)
    if any(end - start > longest for start, end in pairwise([*starts[:count], len(data)])):
        raise PixelDataError("an RLE segment is longer than the image allows")
    options: Any = {
        "pixel_keyword": "PixelData",
        "number_of_frames": 1,
        "rows": header.rows,
        "columns": header.columns,
        "samples_per_pixel": header.samples,
        "bits_allocated": header.allocated,
        "bits_stored": header.allocated,
        "pixel_representation": 0,
        "planar_configuration": 0,
        "photometric_interpretation": "RGB" if header.samples == 3 else "MONOCHROME2",
    }
    try:
        with quiet_pydicom():
            values, _ = get_decoder(RLELossless).as_array(encapsulate([data]), index=0, raw=True, **options)
    except (RuntimeError, ValueError) as error:
        raise PixelDataError("RLE data is truncated or damaged") from error
    return _of_samples(values, header, planar=False)


def _shaped(buffer: bytes | bytearray, deep: int, header: ImageHeader, *, planar: bool) -> Samples:
    flat: Values = np.frombuffer(buffer, dtype="<u2") if deep == 2 else np.frombuffer(buffer, dtype=np.uint8)
    height, width = header.rows, header.columns
    if flat.size != height * width * header.samples:
        raise PixelDataError("the compressed stream does not match the header")
    if header.samples == 1:
        return Samples(flat.reshape(height, width), "stored")
    return _of_samples(
        flat.reshape((3, height, width) if planar else (height, width, 3)), header, planar=planar
    )


def _check(stream: StreamHeader, header: ImageHeader) -> None:
    if (stream.height, stream.width) != (header.rows, header.columns):
        raise PixelDataError(
            f"the compressed stream has {stream.width} x {stream.height} pixels, "
            f"the header {header.columns} x {header.rows}"
        )
    if stream.components != header.samples:
        raise PixelDataError(
            f"the compressed stream has {stream.components} samples per pixel, the header {header.samples}"
        )
    if not 1 <= stream.bits <= 16:
        raise PixelDataError(
            f"the compressed stream has {stream.bits} bits per sample; 1 to 16 are supported"
        )


def jpeg_stream(data: bytes) -> StreamHeader:
    """Read the frame header of a JPEG or JPEG-LS stream (ISO/IEC 10918-1 B.2, 14495-1 C.2).

    Raises PixelDataError.
    """
    if not data.startswith(b"\xff\xd8"):
        raise PixelDataError("the compressed stream is not JPEG")
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
            return StreamHeader(
                height=int.from_bytes(body[1:3], "big"),
                width=int.from_bytes(body[3:5], "big"),
                components=body[5],
                bits=body[0],
                lossless_process=marker in (0xC3, 0xC7, 0xCB, 0xCF),
                component_ids=body[6 : 6 + 3 * body[5] : 3],
                subsampled=len(set(body[7 : 7 + 3 * body[5] : 3])) > 1,
                jfif=jfif,
                adobe=adobe,
            )
        at += 2 + length
    raise PixelDataError("the compressed stream has no frame header")


def codestream(data: bytes) -> bytes:
    """Return the JPEG 2000 codestream, extracted from a JP2 file if needed (ISO/IEC 15444-1 annex I)."""
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
    raise PixelDataError("the compressed stream is not JPEG 2000")


def jpeg_2000_stream(data: bytes) -> StreamHeader:
    """Read a codestream's SIZ segment (ISO/IEC 15444-1 A.5.1). Raises PixelDataError."""
    if len(data) < 45:
        raise PixelDataError("the compressed stream is truncated")
    right, bottom, left, top = (int.from_bytes(data[k : k + 4], "big") for k in (8, 12, 16, 20))
    components = int.from_bytes(data[40:42], "big")
    return StreamHeader(bottom - top, right - left, components, (data[42] & 0x7F) + 1)


def _need_libjpeg() -> None:
    if not is_installed("libjpeg"):
        raise missing_extra("pylibjpeg-libjpeg", "dicom-gpl")


def _name(syntax: str) -> str:
    from pydicom.uid import UID

    with quiet_pydicom():  # it warns of a UID that is none
        return NEWER.get(syntax) or UID(syntax).name
