"""Status codes and their texts: DIMSE (PS3.4 B.2.3, PS3.7 annex C) and STOW-RS (PS3.18 I.2.2)."""

from __future__ import annotations

SUCCESS = 0x0000
INVALID_INSTANCE = 0x0117
"""The SOP Instance UID is invalid (PS3.7 C.5.6)."""
DUPLICATE = 0x0111
NOT_AUTHORISED = 0x0124
OUT_OF_RESOURCES = 0xA700
"""Refused: the sender should try again later (PS3.4 table B.2-1)."""
SOP_CLASS_MISMATCH = 0xA900
"""The data set does not match the SOP class."""
DIFFERENT_CONTENT = 0xC111
"""Another content of the same SOP Instance UID is being processed: in the range of C-STORE failures that an
implementation defines (PS3.4 table B.2-1). Not 0x0111, which many senders take for success."""
PENDING = (0xFF00, 0xFF01)

# Warnings: the archive has the instance.
_WARNINGS = {
    DUPLICATE: "the archive already had an instance of this UID",
    0x0107: "attribute list error",
    0x0116: "attribute value out of range",
    0xB000: "the archive changed some data elements",
    0xB006: "the archive discarded some data elements",
    0xB007: "the data set does not match its SOP class",
}
_FAILURES = {
    0x0105: "no such attribute",
    0x0106: "invalid attribute value",
    0x0110: "processing failure",
    0x0112: "no such instance",
    INVALID_INSTANCE: "invalid instance UID",
    0x0118: "no such SOP class",
    0x0119: "class-instance conflict",
    0x0120: "missing attribute",
    0x0121: "missing attribute value",
    0x0122: "SOP class not supported",
    NOT_AUTHORISED: "not authorised",
    0x0210: "duplicate invocation",
    0x0211: "unrecognised operation",
    0x0212: "mistyped argument",
    0x0213: "resource limitation",
    0xA701: "out of resources: cannot count the matches",
    0xA702: "out of resources: cannot perform sub-operations",
    0xA801: "move destination unknown: our AE title is not configured in the archive",
    0xFE00: "cancelled",
}
_RANGES = (
    (range(0xA700, 0xA800), "out of resources"),
    (range(0xA900, 0xAA00), "the data set does not match its SOP class"),
    (range(0xB000, 0xC000), "stored with a warning"),
    (range(0xC000, 0xD000), "the archive cannot understand the data set"),
)


def is_stored(status: int) -> bool:
    """Return whether a C-STORE status is a success or a warning: the archive has the instance."""
    return status == SUCCESS or status in _WARNINGS or 0xB000 <= status <= 0xBFFF


def status_text(status: int, comment: str = "") -> str:
    """Return the text of a status with the archive's own comment; "" for success without one."""
    text = _WARNINGS.get(status) or _FAILURES.get(status)
    if text is None and status != SUCCESS:
        text = next((text for codes, text in _RANGES if status in codes), f"status {status:04X}")
    return ": ".join(part for part in (text, comment) if part)
