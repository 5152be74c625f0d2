"""What an archive's answers mean, in words: DIMSE (PS3.4 B.2.3, PS3.7 annex C) and STOW (PS3.18 I.2.2)."""

from __future__ import annotations

SUCCESS = 0x0000
DUPLICATE = 0x0111
OUT_OF_RESOURCES = 0xA700

# Warnings: the archive has the instance.
_KEPT = {
    DUPLICATE: "the archive had an instance of this UID already",
    0x0107: "attribute list error",
    0x0116: "attribute value out of range",
    0xB000: "the archive changed some data elements",
    0xB006: "the archive left out some data elements",
    0xB007: "the data set does not match its SOP class",
}
_REFUSED = {
    0x0105: "no such attribute",
    0x0106: "invalid attribute value",
    0x0110: "processing failure",
    0x0112: "no such instance",
    0x0117: "invalid instance UID",
    0x0118: "no such SOP class",
    0x0119: "class and instance do not fit",
    0x0120: "missing attribute",
    0x0121: "missing attribute value",
    0x0122: "SOP class not supported",
    0x0124: "not authorised",
    0x0210: "duplicate invocation",
    0x0211: "unrecognised operation",
    0x0212: "mistyped argument",
    0x0213: "resource limitation",
    0xA701: "out of resources: cannot count the matches",
    0xA702: "out of resources: cannot perform sub-operations",
    0xA801: "the archive does not know where to send: our AE title is not in its list",
    0xFE00: "cancelled",
}


def kept(status: int) -> bool:
    """Whether a C-STORE status says that the archive has the instance: success or a warning."""
    return status == SUCCESS or status in _KEPT or 0xB000 <= status <= 0xBFFF


def told(status: int, comment: str = "") -> str:
    """A status in words, with the archive's own comment; nothing for success without one."""
    words = _KEPT.get(status) or _REFUSED.get(status) or _of_range(status)
    return f"{words}: {comment}" if words and comment else words or comment


def _of_range(status: int) -> str:
    if status == SUCCESS:
        return ""
    if 0xA700 <= status <= 0xA7FF:
        return "out of resources"
    if 0xA900 <= status <= 0xA9FF:
        return "the data set does not match its SOP class"
    if 0xB000 <= status <= 0xBFFF:
        return "stored with a warning"
    if 0xC000 <= status <= 0xCFFF:
        return "the archive cannot understand it"
    return f"status {status:04X}"
