"""Instances from an archive over DIMSE: C-GET and C-MOVE (PS3.4 annex C), written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock
from typing import TYPE_CHECKING, Any

from sonoseg._util.files import atomic_write_bytes
from sonoseg._util.text import first_line
from sonoseg.errors import OutputError, PacsError, UsageError
from sonoseg.pacs.address import DimseAddress
from sonoseg.pacs.association import GET, MOST_CONTEXTS, MOVE, associate
from sonoseg.pacs.client import Fetched, FetchOutcome, QueryMatch
from sonoseg.pacs.query_levels import place
from sonoseg.pacs.status_codes import OUT_OF_RESOURCES, SUCCESS, told

if TYPE_CHECKING:
    from pydicom import Dataset
    from pynetdicom.events import Event
    from pynetdicom.presentation import PresentationContext

# What is asked for where an archive does not say an instance's class: ultrasound, and what we make of it.
USUAL = (
    "1.2.840.10008.5.1.4.1.1.6.1",  # Ultrasound Image
    "1.2.840.10008.5.1.4.1.1.3.1",  # Ultrasound Multi-frame Image
    "1.2.840.10008.5.1.4.1.1.7",  # Secondary Capture
    "1.2.840.10008.5.1.4.1.1.66.4",  # Segmentation
    "1.2.840.10008.5.1.4.1.1.88.33",  # Comprehensive SR
    "1.2.840.10008.5.1.4.1.1.88.34",  # Comprehensive 3D SR
)
# One context each, so that the archive sends an instance as it has it: as it was acquired, most common first.
SYNTAXES = (
    "1.2.840.10008.1.2.1",  # Explicit VR Little Endian
    "1.2.840.10008.1.2",  # Implicit VR Little Endian
    "1.2.840.10008.1.2.4.50",  # JPEG Baseline
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless
    "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.4.80",  # JPEG-LS
    "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.90",  # JPEG 2000
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.5",  # RLE
    "1.2.840.10008.1.2.4.201",  # HTJ2K
    "1.2.840.10008.1.2.4.203",
    "1.2.840.10008.1.2.4.100",  # MPEG-2
    "1.2.840.10008.1.2.4.102",  # MPEG-4
    "1.2.840.10008.1.2.1.99",  # Deflated Explicit VR Little Endian
    "1.2.840.10008.1.2.2",  # Explicit VR Big Endian
)
_PENDING = (0xFF00, 0xFF01)
_AT_ONCE = 100  # UIDs in one request: 6.5 kB at most, below every limit met


class Arrivals:
    """Takes the instances that an archive sends: only those asked for, each into its own file."""

    def __init__(self, wanted: Sequence[QueryMatch], folder: Path) -> None:
        self.folder = folder
        self.arrived: SimpleQueue[Fetched] = SimpleQueue()
        self._open = {item.instance or "" for item in wanted}
        self._lock = Lock()
        self.full: OutputError | None = None

    def take(self, event: Event) -> int:
        """Write one instance; the status that answers its C-STORE."""
        request: Any = event.request
        instance = str(request.AffectedSOPInstanceUID)
        with self._lock:
            asked_for = instance in self._open
            self._open.discard(instance)
        if not asked_for:
            return 0x0124  # not authorised
        path = place(self.folder, instance)
        try:
            if not path.exists():
                atomic_write_bytes(path, event.encoded_dataset())
        except OutputError as error:
            self.full = error
            return OUT_OF_RESOURCES
        self.arrived.put(Fetched(instance, FetchOutcome.FETCHED, path))
        return SUCCESS

    def drain(self) -> Iterator[Fetched]:
        """What has arrived since. Raises OutputError where a file could not be written."""
        while True:
            try:
                yield self.arrived.get_nowait()
            except Empty:
                break
        if self.full is not None:
            raise self.full

    def missing(self, words: str) -> Iterator[Fetched]:
        """What has not arrived."""
        with self._lock:
            missing = sorted(self._open)
        for instance in missing:
            yield Fetched(instance, FetchOutcome.FAILED, words=words)


def get(address: DimseAddress, wanted: Sequence[QueryMatch], folder: Path) -> Iterator[Fetched]:
    """C-GET the wanted instances of one series. Raises PacsError, OutputError."""
    from pynetdicom import build_context, build_role, evt

    classes = _classes(wanted)
    contexts = [build_context(GET), *_contexts(classes)][:MOST_CONTEXTS]
    roles = [build_role(sop_class, scp_role=True) for sop_class in classes]
    arrivals = Arrivals(wanted, folder)
    handlers = [(evt.EVT_C_STORE, arrivals.take)]
    words = "the archive did not send it"
    with associate(address, contexts, roles=roles, handlers=handlers) as association:
        for identifier in _identifiers(wanted):
            try:
                answers = association.send_c_get(identifier, GET)
                for status, _ in answers:
                    yield from arrivals.drain()
                    words = _told(status) or words
            except (ValueError, RuntimeError) as error:
                raise PacsError(f"C-GET failed: {first_line(error)}", where=str(address)) from error
    yield from arrivals.drain()
    yield from arrivals.missing(words)


def move(address: DimseAddress, wanted: Sequence[QueryMatch], folder: Path) -> Iterator[Fetched]:
    """C-MOVE the wanted instances of one series to ourselves, listening meanwhile.

    Raises PacsError, OutputError; UsageError where the port is taken.
    """
    from pynetdicom import AE, build_context, evt

    arrivals = Arrivals(wanted, folder)
    listener = AE(ae_title=address.our_ae)
    listener.require_called_aet = True
    listener.require_calling_aet = [address.ae]
    for context in _contexts(_classes(wanted)):
        listener.add_supported_context(
            context.abstract_syntax or "", [str(s) for s in context.transfer_syntax]
        )
    try:
        server = listener.start_server(
            (address.listen_host, address.listen_port or 0),
            block=False,
            evt_handlers=[(evt.EVT_C_STORE, arrivals.take)],
        )
    except OSError as error:
        raise UsageError(
            f"cannot listen: {error.strerror or error}",
            where=f"{address.listen_host}:{address.listen_port}",
            remedy="Choose a port that is free, the one that the archive knows us by",
        ) from error
    assert server is not None
    words = "the archive did not send it"
    try:
        with associate(address, [build_context(MOVE)]) as association:
            for identifier in _identifiers(wanted):
                try:
                    for status, _ in association.send_c_move(identifier, address.our_ae, MOVE):
                        yield from arrivals.drain()
                        words = _told(status) or words
                except (ValueError, RuntimeError) as error:
                    raise PacsError(f"C-MOVE failed: {first_line(error)}", where=str(address)) from error
    finally:
        server.shutdown()
    yield from arrivals.drain()
    yield from arrivals.missing(words)


def _classes(wanted: Sequence[QueryMatch]) -> list[str]:
    named = dict.fromkeys(item.values.get("SOPClassUID", "") for item in wanted)
    return [*(name for name in named if name), *(USUAL if "" in named else ())][
        : MOST_CONTEXTS // len(SYNTAXES)
    ]


def _contexts(classes: Sequence[str]) -> list[PresentationContext]:
    from pynetdicom import build_context

    return [build_context(sop_class, syntax) for sop_class in classes for syntax in SYNTAXES]


def _identifiers(wanted: Sequence[QueryMatch]) -> Iterator[Dataset]:
    """The requests, each with a list of UIDs (PS3.4 C.4.2.1.4)."""
    from pydicom import Dataset

    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]
        asked = Dataset()
        asked.QueryRetrieveLevel = "IMAGE"
        asked.StudyInstanceUID = some[0].study
        asked.SeriesInstanceUID = some[0].series
        uids: Any = [item.instance for item in some]
        asked.SOPInstanceUID = uids if len(uids) > 1 else uids[0]
        yield asked


def _told(status: Dataset) -> str:
    code = status.get("Status")
    if code is None:
        return "the archive stopped answering"
    if code in _PENDING or code == SUCCESS:
        return ""
    return told(code, str(status.get("ErrorComment") or ""))
