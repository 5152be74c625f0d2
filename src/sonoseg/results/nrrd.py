"""Masks as NRRD files that 3D Slicer opens as segmentations (.seg.nrrd).

The NRRD format, version 5: teem.sourceforge.net/nrrd/format.html. The segment fields: 3D Slicer's
documentation, "Segmentation file (.seg.nrrd)". No library is used: forty lines suffice.
"""

from __future__ import annotations

import gzip

import numpy as np

from sonoseg import RESEARCH_ONLY
from sonoseg.errors import ShapeError
from sonoseg.image.calibration import Spacing
from sonoseg.image.overlay import AMBER
from sonoseg.inference.segmentation import Segmentation
from sonoseg.lesions.lesion_masks import lesion_masks
from sonoseg.lesions.measurement import Findings

ENDING = ".seg.nrrd"

_TERMINOLOGY = (
    "Segmentation category and type - DICOM master list"
    "~SCT^49755003^Morphologically Abnormal Structure~SCT^52988006^Lesion~^^"
    "~Anatomic codes - DICOM master list~SCT^76752008^Breast~^^"
)


def nrrd(segmentation: Segmentation, findings: Findings) -> bytes:
    """Encode an image's lesions as a label map of one slice: 0 none, n lesion number n.

    Axes are columns, rows and the slice, in left-posterior-superior space as Slicer places a plain image;
    the slice is 1 thick. The spacing is that of the whole frame, or else that of all its lesions; where there
    is none it is 1 and the unit is "pixel".

    Raises ShapeError for more than 65,535 lesions.
    """
    height, width = segmentation.mask.shape
    lesions = findings.lesions
    if len(lesions) > 65535:
        raise ShapeError(f"{len(lesions)} lesions do not fit into 16 bits")
    kind, written = (np.uint8, "uint8") if len(lesions) < 256 else (np.dtype("<u2"), "uint16")
    labels = np.zeros((height, width), dtype=kind)
    for lesion, mask in zip(lesions, lesion_masks(segmentation.mask, lesions), strict=True):
        labels[mask] = lesion.number
    spacing = _spacing(segmentation, findings)
    down, right = spacing or (1.0, 1.0)
    unit = "pixel" if spacing is None else "mm"
    lines = [
        "NRRD0005",
        f"# {RESEARCH_ONLY}",
        f"type: {written}",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {width} {height} 1",
        f"space directions: ({right:.9g},0,0) (0,{down:.9g},0) (0,0,1)",
        "kinds: domain domain domain",
        f'space units: "{unit}" "{unit}" "{unit}"',
        *(["endian: little"] if written == "uint16" else []),
        "encoding: gzip",
        "space origin: (0,0,0)",
    ]
    extent = f"0 {width - 1} 0 {height - 1} 0 0"
    colour = " ".join(f"{part / 255:.6g}" for part in AMBER)
    for index, lesion in enumerate(lesions):
        segment = f"Segment{index}_"
        lines += [
            f"{segment}Color:={colour}",
            f"{segment}Extent:={extent}",
            f"{segment}ID:=lesion_{lesion.number}",
            f"{segment}LabelValue:={lesion.number}",
            f"{segment}Layer:=0",
            f"{segment}Name:=Lesion {lesion.number}",
            f"{segment}Tags:=TerminologyEntry:{_TERMINOLOGY}|",
        ]
    lines += [
        "Segmentation_ContainedRepresentationNames:=Binary labelmap|",
        "Segmentation_MasterRepresentation:=Binary labelmap",
        "Segmentation_ReferenceImageExtentOffset:=0 0 0",
        f"sonoseg_model:={segmentation.model}",
    ]
    head = "\n".join(lines) + "\n\n"
    # Without a time stamp in the stream, the same mask gives the same bytes.
    return head.encode() + gzip.compress(labels.tobytes(), compresslevel=6, mtime=0)


def _spacing(segmentation: Segmentation, findings: Findings) -> Spacing | None:
    if segmentation.frame.spacing is not None:
        return segmentation.frame.spacing
    there = {lesion.local_spacing.spacing for lesion in findings.lesions}
    return there.pop() if len(there) == 1 else None
