"""Reading label maps from NRRD files, as `sonoseg predict --nrrd` and 3D Slicer (.seg.nrrd) write them.

The NRRD format: teem.sourceforge.net/nrrd/format.html.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonoseg.errors import InputError
from sonoseg.image.calibration import Spacing, plausible
from sonoseg.image.size_limits import MAX_PIXELS

MAX_HEADER = 1 << 20
"""Most bytes of the header."""

TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "f4": ("float",),
    "f8": ("double",),
}
"""Names of the pixel types, by NumPy's."""


def read_nrrd(path: Path) -> tuple[NDArray[Any], Spacing | None]:
    """Read one slice: its numbers (H, W), and the pixel spacing where its unit is mm or is not given.

    Raises InputError for several slices, types and encodings that are not read, and damage.
    """
    with path.open("rb") as file:
        head = file.read(MAX_HEADER)
        end = re.search(rb"\r?\n\r?\n", head)
        if end is None:
            raise InputError("the NRRD file has no end of its header", where=path, remedy="Export it again")
        fields = dict(re.findall(r"^([^:#\n]+): *(.*?)\r?$", head[: end.start()].decode("latin-1"), re.M))
        file.seek(end.end())
        try:
            return _pixels(fields, file.read(), path), _spacing(fields)
        except (KeyError, ValueError, zlib.error) as error:
            raise InputError(
                f"the NRRD file is damaged ({error})", where=path, remedy="Export it again"
            ) from error


def _pixels(fields: Mapping[str, str], data: bytes, path: Path) -> NDArray[Any]:
    width, height, *rest = map(int, fields["sizes"].split())
    if any(size != 1 for size in rest):
        raise InputError(
            f"an NRRD file of the sizes {fields['sizes']}, not of one slice",
            where=path,
            remedy="Save the slice that the mask belongs to",
        )
    kind = next((kind for kind, names in TYPES.items() if fields["type"].lower() in names), "")
    encoding = fields["encoding"].lower()
    if not kind or encoding not in ("raw", "gzip", "gz") or {"data file", "datafile"} & set(fields):
        raise InputError(
            f"unsupported NRRD file: type {fields['type']}, encoding {encoding}, or data in another file",
            where=path,
            remedy="Save whole numbers in one file, with gzip or without compression",
        )
    dtype = np.dtype(kind).newbyteorder(">" if fields.get("endian", "").lower() == "big" else "<")
    if not 0 < width * height <= MAX_PIXELS:
        raise ValueError(f"sizes {fields['sizes']}")
    length = width * height * dtype.itemsize
    if encoding != "raw":
        data = zlib.decompressobj(wbits=31).decompress(data, length)
    if len(data) < length:
        raise ValueError(f"expected {length:,} bytes of pixels, found {len(data):,}")
    return np.frombuffer(data[:length], dtype).reshape(height, width).astype(dtype.newbyteorder("="))


def _spacing(fields: Mapping[str, str]) -> Spacing | None:
    units = re.findall(r'"([^"]*)"', fields.get("space units", fields.get("units", "")))
    if any(unit not in ("mm", "") for unit in units[:2]):
        return None
    if "space directions" in fields:
        vectors = re.findall(r"\(([^)]*)\)", fields["space directions"])
        lengths = [math.hypot(*map(float, vector.split(","))) for vector in vectors]
    else:
        lengths = [float(part) for part in fields.get("spacings", "").split()]
    if len(lengths) < 2 or not plausible(lengths[:2]):
        return None
    column, row = lengths[:2]
    return Spacing(row, column)
