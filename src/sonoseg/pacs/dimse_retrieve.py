"""Retrieval of instances over DIMSE: C-GET and C-MOVE (PS3.4 annex C), written atomically."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from sonoseg._util.files import atomic_write_bytes
from sonoseg._util.text import first_line
from sonoseg.errors import OutputError, PacsError, UsageError
from sonoseg.pacs.address import DimseAddress
from sonoseg.pacs.archive import Fetched, FetchOutcome, instance_path
from sonoseg.pacs.association import GET, MAX_CONTEXTS, MAX_PDU, MOVE, associate
from sonoseg.pacs.node_settings import NodeLimits
from sonoseg.pacs.query import QueryMatch
from sonoseg.pacs.status_codes import NOT_AUTHORISED, OUT_OF_RESOURCES, PENDING, SUCCESS, status_text

if TYPE_CHECKING:
    from pydicom import Dataset
    from pynetdicom.events import Event
    from pynetdicom.presentation import PresentationContext

SOP_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.6.1",  # Ultrasound Image
    "1.2.840.10008.5.1.4.1.1.3.1",  # Ultrasound Multi-frame Image
    "1.2.840.10008.5.1.4.1.1.7",  # Secondary Capture
    "1.2.840.10008.5.1.4.1.1.66.4",  # Segmentation
    "1.2.840.10008.5.1.4.1.1.88.33",  # Comprehensive SR
    "1.2.840.10008.5.1.4.1.1.88.34",  # Comprehensive 3D SR
)
"""The SOP classes to request if an archive does not return an instance's: ultrasound and our results."""

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
"""One context each, so that the archive sends an instance in the syntax that it has; most common first."""

UIDS_PER_REQUEST = 100  # 6.5 kB at most, below every limit met


class RetrievedInstances:
    """Receives the instances that an archive sends: only the requested ones, each into its own file."""

    def __init__(self, wanted: Sequence[QueryMatch], folder: Path) -> None:
        self.folder = folder
        self._written: SimpleQueue[Fetched] = SimpleQueue()
        self._missing = {item.instance or "" for item in wanted}
        self._lock = Lock()
        self._failure: OutputError | None = None

    def receive(self, event: Event) -> int:
        """Write one instance and return the status of its C-STORE response."""
        request: Any = event.request
        instance = str(request.AffectedSOPInstanceUID)
        with self._lock:
            requested = instance in self._missing
            self._missing.discard(instance)
        if not requested:
            return NOT_AUTHORISED
        path = instance_path(self.folder, instance)
        try:
            if not path.exists():
                atomic_write_bytes(path, event.encoded_dataset())
        except OutputError as error:
            self._failure = error
            return OUT_OF_RESOURCES
        self._written.put(Fetched(instance, FetchOutcome.FETCHED, path))
        return SUCCESS

    def drain(self) -> Iterator[Fetched]:
        """Yield the instances written since. Raises OutputError if a file could not be written."""
        while True:
            try:
                yield self._written.get_nowait()
            except Empty:
                break
        if self._failure is not None:
            raise self._failure

    def missing(self, reason: str) -> Iterator[Fetched]:
        """Yield the instances that were not sent."""
        with self._lock:
            missing = sorted(self._missing)
        for instance in missing:
            yield Fetched(instance, FetchOutcome.FAILED, reason=reason)


def get(address: DimseAddress, wanted: Sequence[QueryMatch], folder: Path) -> Iterator[Fetched]:
    """Retrieve instances of one series by C-GET. Raises PacsError, OutputError."""
    from pynetdicom import build_context, build_role, evt

    classes = _classes(wanted)
    contexts = [build_context(GET), *_contexts(classes)][:MAX_CONTEXTS]
    roles = [build_role(sop_class, scp_role=True) for sop_class in classes]
    instances = RetrievedInstances(wanted, folder)
    handlers = [(evt.EVT_C_STORE, instances.receive)]
    reason = "the archive did not send it"
    with associate(address, contexts, roles=roles, handlers=handlers) as association:
        for identifier in _identifiers(wanted):
            try:
                answers = association.send_c_get(identifier, GET)
                for status, _ in answers:
                    yield from instances.drain()
                    reason = _failure_text(status) or reason
            except (ValueError, RuntimeError) as error:
                raise PacsError(f"C-GET failed: {first_line(error)}", where=str(address)) from error
    yield from instances.drain()
    yield from instances.missing(reason)


def move(address: DimseAddress, wanted: Sequence[QueryMatch], folder: Path) -> Iterator[Fetched]:
    """Retrieve instances of one series by C-MOVE to a temporary Storage SCP of ours.

    Raises PacsError, OutputError; UsageError if the port is in use.
    """
    from pynetdicom import AE, build_context, evt

    from sonoseg.pacs.transport import LimitedServer

    instances = RetrievedInstances(wanted, folder)
    listener = AE(ae_title=address.our_ae)
    listener.maximum_pdu_size = MAX_PDU
    listener.require_called_aet = True
    listener.require_calling_aet = [address.ae]
    for context in _contexts(_classes(wanted)):
        listener.add_supported_context(
            context.abstract_syntax or "", [str(s) for s in context.transfer_syntax]
        )
    try:
        server = LimitedServer(
            listener,
            (address.listen_host, address.listen_port or 0),
            listener.supported_contexts,
            NodeLimits(),
            handlers=[(evt.EVT_C_STORE, instances.receive)],
        )
    except OSError as error:
        raise UsageError(
            f"cannot listen: {error.strerror or error}",
            where=f"{address.listen_host}:{address.listen_port}",
            remedy="Choose a free port, the one that is configured in the archive",
        ) from error
    Thread(target=server.serve_forever, args=(0.1,), name="sonoseg-move", daemon=True).start()
    reason = "the archive did not send it"
    try:
        with associate(address, [build_context(MOVE)]) as association:
            for identifier in _identifiers(wanted):
                try:
                    for status, _ in association.send_c_move(identifier, address.our_ae, MOVE):
                        yield from instances.drain()
                        reason = _failure_text(status) or reason
                except (ValueError, RuntimeError) as error:
                    raise PacsError(f"C-MOVE failed: {first_line(error)}", where=str(address)) from error
    finally:
        server.shutdown()
    yield from instances.drain()
    yield from instances.missing(reason)


def _classes(wanted: Sequence[QueryMatch]) -> list[str]:
    named = dict.fromkeys(item.values.get("SOPClassUID", "") for item in wanted)
    return [*(name for name in named if name), *(SOP_CLASSES if "" in named else ())][
        : MAX_CONTEXTS // len(SYNTAXES)
    ]


def _contexts(classes: Sequence[str]) -> list[PresentationContext]:
    from pynetdicom import build_context

    return [build_context(sop_class, syntax) for sop_class in classes for syntax in SYNTAXES]


def _identifiers(wanted: Sequence[QueryMatch]) -> Iterator[Dataset]:
    """The requests, each with a list of UIDs (PS3.4 C.4.2.1.4)."""
    from pydicom import Dataset

    for start in range(0, len(wanted), UIDS_PER_REQUEST):
        part = wanted[start : start + UIDS_PER_REQUEST]
        identifier = Dataset()
        identifier.QueryRetrieveLevel = "IMAGE"
        identifier.StudyInstanceUID = part[0].study
        identifier.SeriesInstanceUID = part[0].series
        uids: Any = [item.instance for item in part]
        identifier.SOPInstanceUID = uids if len(uids) > 1 else uids[0]
        yield identifier


def _failure_text(status: Dataset) -> str:
    code = status.get("Status")
    if code is None:
        return "the archive stopped responding"
    if code in PENDING or code == SUCCESS:
        return ""
    return status_text(code, str(status.get("ErrorComment") or ""))
