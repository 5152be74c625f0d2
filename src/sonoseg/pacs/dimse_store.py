"""Storage SCU: sending files over DIMSE by C-STORE (PS3.4 annex B)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sonoseg._util.text import first_line
from sonoseg.errors import PacsError
from sonoseg.pacs.address import DimseAddress
from sonoseg.pacs.archive import Stored, StoreOutcome, split_sendable
from sonoseg.pacs.association import MAX_CONTEXTS, associate
from sonoseg.pacs.instance_header import Sendable
from sonoseg.pacs.status_codes import is_stored, status_text

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.presentation import PresentationContext

_UNCOMPRESSED = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")
"""Explicit and Implicit VR Little Endian: pydicom converts between them without touching a pixel."""

MAX_SILENT = 2
"""Consecutive files without a response after which the rest is not tried: each would wait for its timeout."""


def store(address: DimseAddress, files: Sequence[Path]) -> list[Stored]:
    """Send files and return one outcome each, in their order.

    If an association breaks, its file is unreachable and the rest is sent over a new one: one file that
    an archive cannot handle does not block the others.
    """
    waiting, outcomes = split_sendable(files)
    silent = 0
    while waiting:
        batch = _batch(waiting)
        try:
            with associate(address, _contexts([item for _, item in batch])) as association:
                for index, item in batch:
                    outcomes[index] = _send(association, item)
                    if outcomes[index].outcome is StoreOutcome.UNREACHABLE:
                        silent += 1
                        break
                    silent = 0
        except PacsError as error:
            silent = MAX_SILENT
            reason = error.found
        else:
            reason = "the archive stopped responding"
        waiting = [pair for pair in waiting if pair[0] not in outcomes]
        if silent >= MAX_SILENT:
            for index, item in waiting:
                outcomes[index] = Stored(item.path, StoreOutcome.UNREACHABLE, item.instance, reason=reason)
            break
    return [outcomes[index] for index in range(len(files))]


def _batch(waiting: Sequence[tuple[int, Sendable]]) -> list[tuple[int, Sendable]]:
    """Return as many of the first files as one association has contexts for."""
    pairs: set[tuple[str, str]] = set()
    batch = []
    for index, item in waiting:
        pairs |= set(_pairs(item))
        if len(pairs) > MAX_CONTEXTS:
            break
        batch.append((index, item))
    return batch


def _pairs(item: Sendable) -> list[tuple[str, str]]:
    """Return the (SOP class, transfer syntax) pairs that a file can be sent as, its own first."""
    others = _UNCOMPRESSED if item.transfer_syntax in _UNCOMPRESSED else ()
    syntaxes = [item.transfer_syntax, *(syntax for syntax in others if syntax != item.transfer_syntax)]
    return [(item.sop_class, syntax) for syntax in syntaxes]


def _contexts(items: Sequence[Sendable]) -> list[PresentationContext]:
    """Return one context per pair, so that the archive accepts or rejects each separately (PS3.8 9.3.2.2)."""
    from pynetdicom import build_context

    pairs = dict.fromkeys(pair for item in items for pair in _pairs(item))
    return [build_context(sop_class, syntax) for sop_class, syntax in pairs]


def _send(association: Association, item: Sendable) -> Stored:
    from pydicom import dcmread
    from pydicom.uid import UID

    def unsent(outcome: StoreOutcome, reason: str) -> Stored:
        return Stored(item.path, outcome, item.instance, reason=reason)

    if not association.is_established:
        return unsent(StoreOutcome.UNREACHABLE, "the archive ended the association")
    accepted = {(str(c.abstract_syntax), str(c.transfer_syntax[0])) for c in association.accepted_contexts}
    if not accepted & set(_pairs(item)):
        names = f"{UID(item.sop_class).name} in {UID(item.transfer_syntax).name}"
        return unsent(StoreOutcome.REFUSED, f"the archive does not accept {names}")
    try:
        status = association.send_c_store(dcmread(item.path))
    except Exception as error:  # for example a data set that cannot be encoded
        if not association.is_established:
            # The error's own text may quote the object.
            return unsent(StoreOutcome.UNREACHABLE, f"the association ended ({type(error).__name__})")
        return unsent(StoreOutcome.REFUSED, f"cannot be sent: {first_line(error)}")
    code = status.get("Status")
    if code is None:
        return unsent(StoreOutcome.UNREACHABLE, "no response in time, or the archive ended the association")
    outcome = StoreOutcome.STORED if is_stored(code) else StoreOutcome.REFUSED
    text = status_text(code, str(status.get("ErrorComment") or ""))
    return Stored(item.path, outcome, item.instance, code, text)
