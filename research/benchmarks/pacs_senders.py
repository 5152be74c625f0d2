"""Senders of pacs_kills.py: each repeats its instances until the node has answered each with success."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

from pydicom.filereader import read_file_meta_info
from pynetdicom import AE, build_context

from pacs_count import Source

SUCCESS = 0x0000


class Sender:
    """One application entity with a thread and an association of its own, as a scanner has.

    hold: asked before each instance, for as long as it says so nothing is sent.
    answers: how often each answer came, "none" among them. sure: what was answered with success.
    """

    def __init__(self, title: str, port: int, sources: Sequence[Source], hold: Callable[[], bool]) -> None:
        self.title, self.answers, self.sure = title, Counter[str](), set[str]()
        self.associations = 0
        self._port, self._sources, self._hold = port, sources, hold
        self._stopped = threading.Event()
        self.thread = threading.Thread(target=self._send, name=title, daemon=True)
        kinds = [read_file_meta_info(one.path) for one in sources]
        pairs = dict.fromkeys((one.MediaStorageSOPClassUID, one.TransferSyntaxUID) for one in kinds)
        self._contexts = [build_context(sop_class, syntax) for sop_class, syntax in pairs]

    def stop(self) -> None:
        """Stop sending."""
        self._stopped.set()

    def _send(self) -> None:
        while not self._stopped.is_set():
            left = [one for one in self._sources if one.uid not in self.sure]
            if not left:
                return
            self._associate(left)
            self._stopped.wait(0.2)

    def _associate(self, left: Sequence[Source]) -> None:
        """Send over one association until it ends."""
        entity = AE(self.title)
        association = entity.associate("127.0.0.1", self._port, contexts=self._contexts, ae_title="SONOSEG")
        if not association.is_established:
            self.answers["no association"] += 1
            return
        self.associations += 1
        for one in left:
            while self._hold() and association.is_established and not self._stopped.is_set():
                time.sleep(0.05)
            if not association.is_established or self._stopped.is_set():
                break
            try:
                status = association.send_c_store(one.path).get("Status")
            except (RuntimeError, ValueError):  # the association ended between two
                status = None
            self.answers["none" if status is None else f"0x{status:04X}"] += 1
            if status == SUCCESS:
                self.sure.add(one.uid)
        if association.is_established:
            association.release()
