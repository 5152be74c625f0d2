"""Which files of a folder are images, by name and first bytes, and the kinds of those that are not."""

from __future__ import annotations

import io
import re
from collections import Counter
from pathlib import PurePath

from sonoseg._util.packages import is_installed
from sonoseg.dicom.reading.detection import looks_like_dicom

RASTER = frozenset(
    {".png", ".jpg", ".jpeg", ".jfif", ".jpe", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".jp2"}
    | {".pgm", ".ppm", ".pnm", ".pbm"}
)
SUFFIXES = RASTER | {".dcm", ".dicom", ".ima"}
"""The endings by which images in a folder are known; others are known by their content. A file that is named
itself may have any ending."""

COMPANIONS = frozenset(
    {".csv", ".tsv", ".txt", ".md", ".json", ".jsonl", ".html", ".htm", ".css", ".js", ".xml", ".pdf"}
    | {".xlsx", ".xls", ".ods", ".docx", ".doc", ".log", ".yaml", ".yml", ".toml", ".ini", ".py", ".sqlite"}
    | {".parquet", ".lock", ".sha256", ".md5"}
)
"""Endings of documents and tables, which are left out of a folder without a word."""

DICOMDIR = "DICOMDIR"
"""The table of contents of a DICOM medium (PS3.10, 8.6): no image, and it has no ending."""

HEAD = 4096
"""First bytes of a file that decide. DICOM's class and manufacturer lie within them."""

NRRD = b"NRRD"
"""First bytes of a label map, which is a mask."""

CAPTURE, SEGMENTATION = "capture by sonoseg", "segmentation"

_WITHOUT_IMAGE = {
    " SR ": "structured report",
    "Segmentation": SEGMENTATION,
    "Presentation State": "presentation state",
    "Document": "document in DICOM",
    "Encapsulated": "document in DICOM",
    "Waveform": "waveform",
    "Directory": "DICOM directory",
    "Structure Set": "structure set",
    "Registration": "registration",
    "Fiducials": "set of fiducials",
    "Procedure Log": "procedure log",
    "Raw Data": "raw data object",
    "Plan ": "treatment plan",
}
"""Parts of the names of SOP classes (PS3.4, B.5) that hold no image, and their kinds."""

_MAGIC = re.compile(
    rb"\x89PNG|\xff\xd8\xff|II[*+]\0|MM\0[*+]|GIF8|\0\0\0\x0cjP  |\xff\x4f\xff\x51|RIFF....WEBP"
    # BMP: the size of the header that follows. PNM: numbers or a comment.
    rb"|BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0|P[1-6]\s+[\d#]",
    re.DOTALL,
)
_HEIF = re.compile(rb"....ftyp(heic|heix|mif1|msf1|avif|avis)", re.DOTALL)
_FIRST_NOUN = ("folder", "mask", "capture", "image", "document", "set", "file")


def named_as_image(name: str) -> bool | None:
    """Whether a file is named as an image, or not as one; None where its content decides."""
    suffix = PurePath(name).suffix.strip().lower()
    if suffix in RASTER:
        return True
    return False if suffix in COMPANIONS or name.upper() == DICOMDIR else None


def kind_by_content(name: str, head: bytes, *, masks: bool = False, objects: bool = False) -> str | None:
    """Return "" for an image, the kind of what is none, and None for text that no kind is known of.

    head: the first HEAD bytes. masks: segmentations and label maps are wanted too. objects: DICOM without an
        image, and captures by sonoseg, are wanted too.
    """
    suffix = PurePath(name).suffix.strip().lower()
    if looks_like_dicom(head):
        kind = "" if objects else _kind_without_image(head)
        return "" if masks and kind == SEGMENTATION else kind
    if suffix in SUFFIXES or _MAGIC.match(head) or (masks and head.startswith(NRRD)):
        return ""
    if _HEIF.match(head):
        return "HEIC or AVIF image"
    if suffix and not suffix[1:].isdigit():
        return f"{suffix} file"
    if not head:
        return "file without content"
    return "file of an unknown format" if b"\0" in head else None


def counted_kinds(kinds: Counter[str]) -> str:
    """Format counts by kind, the most frequent first: "3 segmentations, 1 linked folder"."""
    return ", ".join(
        f"{count:,} {kind if count == 1 else _plural(kind)}" for kind, count in kinds.most_common()
    )


def skipped(kinds: Counter[str]) -> str:
    """Say what was skipped: "3 files skipped: 2 structured reports, 1 presentation state"."""
    folders = sum(count for kind, count in kinds.items() if "folder" in kind)
    counts = Counter({"file": kinds.total() - folders, "folder": folders})
    total = " and ".join(
        f"{count:,} {noun}{'' if count == 1 else 's'}" for noun, count in counts.items() if count
    )
    return f"{total} skipped: {counted_kinds(kinds)}"


def _plural(kind: str) -> str:
    first, _, rest = kind.partition(" ")
    return f"{first}s {rest}" if first in _FIRST_NOUN and rest else f"{kind}s"


def _kind_without_image(head: bytes) -> str:
    """The kind of a DICOM file that holds no image, or one that sonoseg made; "" for others."""
    if not is_installed("pydicom"):
        return ""
    from pydicom.filereader import read_partial
    from pydicom.tag import BaseTag, Tag
    from pydicom.uid import SecondaryCaptureImageStorage

    from sonoseg.dicom.reading.header import quiet_pydicom

    tags: list[BaseTag | int] = [Tag("SOPClassUID"), Tag("Manufacturer")]
    try:
        with quiet_pydicom():  # values are parsed, and warned of, where they are used
            found = read_partial(
                io.BytesIO(head), lambda tag, vr, length: tag > tags[-1], force=True, specific_tags=tags
            )
            sop_class = found.file_meta.get("MediaStorageSOPClassUID") or found.SOPClassUID
            name, maker = str(sop_class.name), str(found.get("Manufacturer"))
    except Exception:  # damage in any form: reading it names the fault
        return ""
    if sop_class == SecondaryCaptureImageStorage and maker.startswith("sonoseg"):
        return CAPTURE
    name = f"{name.removesuffix('Storage').strip()} "
    return next((kind for part, kind in _WITHOUT_IMAGE.items() if part in name), "")
