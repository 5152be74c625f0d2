"""From one instance to the objects that go back: read, segmented, measured, written, on disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sonoseg._util.files import sync_folder
from sonoseg.dicom.writing.attributes import encode
from sonoseg.dicom.writing.capture import make_capture
from sonoseg.dicom.writing.identity import Kind, uid
from sonoseg.dicom.writing.seg import make_seg
from sonoseg.dicom.writing.sr import make_sr
from sonoseg.errors import InputError, OutputError
from sonoseg.inference.predictor import Predictor
from sonoseg.inputs.frame_list import list_frames, read
from sonoseg.lesions.measurement import Findings, measure
from sonoseg.pacs.node_settings import NodeSettings
from sonoseg.pacs.presentation_contexts import ULTRASOUND
from sonoseg.pacs.queue import RESULTS
from sonoseg.pacs.queue_rows import QueuedResult, QueueRow
from sonoseg.results.lazy_segmentations import PackedSegmentation, unpacked

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_AGAIN = "Send it again from its source"


class _Made(NamedTuple):
    """One object and the name of its file."""

    kind: Kind
    name: str
    dataset: Dataset


class Segmenter:
    """Makes results with one model, in one thread at a time.

    settings: what is sent back, and how. Raises as Predictor.
    """

    def __init__(self, settings: NodeSettings) -> None:
        self._settings = settings
        self._predictor = Predictor(
            settings.model,
            runtime=settings.runtime,
            precision=settings.precision,
            threshold=settings.threshold,
            threads=settings.threads,
        )
        model = self._predictor.model
        self.model = f"{model.card.name} ({model.hash})"

    def results(self, row: QueueRow, source: Path, folder: Path) -> list[QueuedResult]:
        """Segment an instance and put its objects into `folder`, on disk, in place of what is there.

        source: its file. folder: in the results of a state folder.

        Raises InputError and MissingExtra for an instance that cannot be used, OutputError where results
        cannot be written, ModelError where the network fails.
        """
        check_ultrasound(row, source)
        half = folder.with_name(f".{folder.name}")
        results = []
        try:
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir(parents=True)
            for kind, name, dataset in self._objects(row, source):
                _write(half / name, encode(dataset))
                results.append(
                    QueuedResult(
                        uid=str(dataset.SOPInstanceUID),
                        source=row.uid,
                        kind=kind,
                        file=f"{RESULTS}/{folder.name}/{name}",
                        model=self.model,
                    )
                )
            sync_folder(half)
            shutil.rmtree(folder, ignore_errors=True)
            half.rename(folder)
            sync_folder(folder.parent)
        except OSError as error:
            raise OutputError(
                f"cannot be written: {error.strerror or error}", where=folder, remedy="Free some space"
            ) from error
        finally:
            shutil.rmtree(half, ignore_errors=True)
        return results

    def _objects(self, row: QueueRow, source: Path) -> Iterator[_Made]:
        """One after the other: captures as their frames come, then what belongs to the whole instance."""
        asked, anonymise = self._settings.send_back, self._settings.anonymise
        # The same moment each time, so that an object that is made again is the same to the last byte.
        when = datetime.fromisoformat(row.received_at).astimezone().replace(tzinfo=None)
        packed, findings = list[PackedSegmentation](), list[Findings]()
        frames = list_frames(source, self._settings.frames)
        for found in self._predictor.predict_many([partial(read, frame) for frame in frames]):
            measured = measure(found)
            if "capture" in asked:
                number = found.frame.index
                capture = make_capture(
                    source,
                    found,
                    measured,
                    anonymise=anonymise,
                    when=when,
                    instance_uid=self.uid("capture", row.uid, number),
                )
                name = "capture.dcm" if number is None else f"capture-{number + 1:05}.dcm"
                yield _Made("capture", name, capture)
            packed.append(PackedSegmentation.of(found))
            findings.append(measured)
        kept, seg = unpacked(packed), None
        if "seg" in asked:
            seg = make_seg(
                source,
                kept,
                findings,
                anonymise=anonymise,
                when=when,
                instance_uid=self.uid("seg", row.uid),
            )
            yield _Made("seg", "seg.dcm", seg)
        if "sr" in asked:
            sr = make_sr(
                source,
                kept,
                findings,
                seg=seg,
                anonymise=anonymise,
                when=when,
                instance_uid=self.uid("sr", row.uid),
            )
            yield _Made("sr", "sr.dcm", sr)

    def uid(self, kind: Kind, source: str, frame: int | None = None) -> str:
        """The SOP Instance UID of an object: of its source, the model's hash and its kind, and nothing that
        chance or a machine could change. Sent twice, it is in the archive once.
        """
        return uid("node", kind, source, frame, self.model, self._settings.anonymise)


def check_ultrasound(row: QueueRow, source: Path) -> None:
    """Raise InputError unless a file is the ultrasound image that its sender announced.

    What is said of it quotes only UIDs and codes, for the rest of a header may name the patient.
    """
    from pydicom import dcmread
    from pydicom.uid import UID

    from sonoseg.dicom.reading.header import quiet_pydicom

    if not source.is_file():
        raise InputError("its file is gone", remedy=_AGAIN)
    wanted = ["SOPClassUID", "SOPInstanceUID", "Modality"]
    try:
        with quiet_pydicom():
            header = dcmread(source, stop_before_pixels=True, specific_tags=list(wanted))
            sop_class, instance, modality = (str(header.get(name) or "").strip() for name in wanted)
    except Exception as error:  # pydicom meets damage with any exception, which may quote the file: not said
        raise InputError("its header is damaged", remedy=_AGAIN) from error
    if not sop_class or not instance:
        raise InputError("its header is damaged: it says no SOP class or instance", remedy=_AGAIN)
    if sop_class not in ULTRASOUND:
        name = UID(sop_class).name if sop_class.replace(".", "").isdigit() else "something unknown"
        raise InputError(f"not ultrasound, but {name}", remedy="Send ultrasound images")
    if modality != "US":
        shown = modality if modality.isalnum() and modality.isupper() and len(modality) <= 16 else "unknown"
        raise InputError(f"not ultrasound: its modality is {shown}", remedy="Send ultrasound images")
    if instance != row.uid or (row.sop_class and sop_class != row.sop_class):
        raise InputError(
            "its header names another instance or SOP class than its sender", remedy="See to the sender"
        )


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
