"""Presentation contexts of the node: ultrasound in the transfer syntaxes that it decodes, and C-ECHO."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sonoseg.dicom.reading.codecs import (
    HT_JPEG_2000,
    JPEG,
    JPEG_2000,
    JPEG_LOSSLESS,
    JPEG_LS,
    RLE,
    check_codec,
)
from sonoseg.dicom.reading.header import BIG_ENDIAN, DEFLATED
from sonoseg.errors import MissingExtra
from sonoseg.pacs.association import VERIFICATION

if TYPE_CHECKING:
    from pynetdicom.presentation import PresentationContext

ULTRASOUND = (
    "1.2.840.10008.5.1.4.1.1.6.1",  # Ultrasound Image Storage
    "1.2.840.10008.5.1.4.1.1.3.1",  # Ultrasound Multi-frame Image Storage
    "1.2.840.10008.5.1.4.1.1.6",  # the retired classes of both, which old scanners send
    "1.2.840.10008.5.1.4.1.1.3",
)
"""The accepted SOP classes (PS3.4 B.5)."""

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"

NATIVE = (EXPLICIT, IMPLICIT, DEFLATED, BIG_ENDIAN)
"""Transfer syntaxes without a codec (PS3.5 A.1 to A.5)."""


def readable_syntaxes() -> list[str]:
    """Return the transfer syntaxes that this installation decodes.

    Instances are stored in the transfer syntax that they arrive in.
    """
    coded = (RLE, *JPEG, *JPEG_LOSSLESS, *JPEG_LS, *JPEG_2000, *HT_JPEG_2000)
    return [*NATIVE, *(syntax for syntax in coded if _decoded(syntax))]


def accepted_contexts() -> list[PresentationContext]:
    """Return the presentation contexts of the node as an acceptor (PS3.8 9.3.2.2)."""
    from pynetdicom.presentation import build_context

    syntaxes = readable_syntaxes()
    return [
        build_context(VERIFICATION, [EXPLICIT, IMPLICIT]),
        *(build_context(sop_class, syntaxes) for sop_class in ULTRASOUND),
    ]


def _decoded(syntax: str) -> bool:
    try:
        check_codec(syntax)
    except MissingExtra:
        return False
    return True
