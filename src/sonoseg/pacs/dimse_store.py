"""Files to an archive over DIMSE: C-STORE as a user of the service (PS3.4 annex B)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sonoseg._util.text import first_line
from sonoseg.errors import InputError, PacsError
from sonoseg.pacs.address import DimseAddress
from sonoseg.pacs.association import MOST_CONTEXTS, associate
from sonoseg.pacs.client import Stored, StoreOutcome
from sonoseg.pacs.instance_header import Sendable, read_sendable
from sonoseg.pacs.status_codes import kept, told

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.presentation import PresentationContext

_LITTLE_EXPLICIT, _LITTLE_IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
# What pydicom writes anew without touching a pixel; big endian is left out.
_PLAIN = (_LITTLE_EXPLICIT, _LITTLE_IMPLICIT)
# After so many files in a row without an answer the rest is not tried: each would wait for its timeout.
_SILENCE = 2


def store(address: DimseAddress, files: Sequence[Path]) -> list[Stored]:
    """Send files, one outcome each, in their order.

    Where an association breaks, its file is unreachable, and the rest goes on over a new one: a file that an
    archive chokes on does not keep back the others.
    """
    outcomes: dict[int, Stored] = {}
    waiting: list[tuple[int, Sendable]] = []
    for index, path in enumerate(files):
        try:
            waiting.append((index, read_sendable(path)))
        except InputError as error:
            outcomes[index] = Stored(path, StoreOutcome.REFUSED, words=error.found)
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
            silent = _SILENCE
            words = error.found
        else:
            words = "the archive stopped answering"
        waiting = [pair for pair in waiting if pair[0] not in outcomes]
        if silent >= _SILENCE:
            for index, item in waiting:
                outcomes[index] = Stored(item.path, StoreOutcome.UNREACHABLE, item.instance, words=words)
            break
    return [outcomes[index] for index in range(len(files))]


def _batch(waiting: Sequence[tuple[int, Sendable]]) -> list[tuple[int, Sendable]]:
    """As many of the first files as one association has contexts for."""
    kinds: set[tuple[str, str]] = set()
    batch = []
    for index, item in waiting:
        kinds |= set(_kinds(item))
        if len(kinds) > MOST_CONTEXTS:
            break
        batch.append((index, item))
    return batch


def _kinds(item: Sendable) -> list[tuple[str, str]]:
    """The (SOP class, transfer syntax) that an item can be sent as, its own first."""
    others = _PLAIN if item.transfer_syntax in _PLAIN else ()
    syntaxes = [item.transfer_syntax, *(syntax for syntax in others if syntax != item.transfer_syntax)]
    return [(item.sop_class, syntax) for syntax in syntaxes]


def _contexts(items: Sequence[Sendable]) -> list[PresentationContext]:
    """One context for each pair, so that the archive accepts or refuses each by itself (PS3.8 9.3.2.2)."""
    from pynetdicom import build_context

    kinds = dict.fromkeys(kind for item in items for kind in _kinds(item))
    return [build_context(sop_class, syntax) for sop_class, syntax in kinds]


def _send(association: Association, item: Sendable) -> Stored:
    from pydicom import dcmread

    if not association.is_established:
        return Stored(
            item.path, StoreOutcome.UNREACHABLE, item.instance, words="the archive ended the association"
        )
    accepted = {(str(c.abstract_syntax), str(c.transfer_syntax[0])) for c in association.accepted_contexts}
    if not accepted & set(_kinds(item)):
        from pydicom.uid import UID

        words = f"the archive takes no {UID(item.sop_class).name} in {UID(item.transfer_syntax).name}"
        return Stored(item.path, StoreOutcome.REFUSED, item.instance, words=words)
    try:
        status = association.send_c_store(dcmread(item.path))
    except Exception as error:  # of a file: a data set that cannot be encoded
        if not association.is_established:
            words = f"the association ended ({type(error).__name__})"  # its own text may quote the object
            return Stored(item.path, StoreOutcome.UNREACHABLE, item.instance, words=words)
        return Stored(
            item.path, StoreOutcome.REFUSED, item.instance, words=f"cannot be sent: {first_line(error)}"
        )
    code = status.get("Status")
    if code is None:
        words = "no answer in time, or the archive ended the association"
        return Stored(item.path, StoreOutcome.UNREACHABLE, item.instance, words=words)
    outcome = StoreOutcome.STORED if kept(code) else StoreOutcome.REFUSED
    return Stored(item.path, outcome, item.instance, code, told(code, str(status.get("ErrorComment") or "")))
