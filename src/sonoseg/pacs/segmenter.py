"""Segmentation of one queued instance: read, segment, measure, and write the DICOM objects to disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sonoseg._util.canonical_json import json_sha256
from sonoseg._util.files import sync_folder
from sonoseg.dicom.writing.attributes import encode
from sonoseg.dicom.writing.capture import make_capture
from sonoseg.dicom.writing.identity import Kind
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

FORMAT = "sonoseg-node-settings/1"
"""Part of the hash of a node's settings; a new number where its keys change."""

_AGAIN = "Send it again from its source"


class _ResultObject(NamedTuple):
    """One object and the name of its file."""

    kind: Kind
    name: str
    dataset: Dataset


class Segmenter:
    """Makes the results of instances with one model. Not thread-safe. Raises as Predictor.

    model: its name and hash. identity: the same with a hash of all settings that can change a result; the
    queue segments an instance that is sent again only if it was not segmented with this identity.
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
        self.identity = f"{self.model}, settings {self._identity()}"

    def _identity(self) -> str:
        """Return a hash of all settings that decide which objects are made, and their content."""
        settings = self._settings
        return json_sha256(
            {
                "format": FORMAT,
                "settings_hash": self._predictor.settings_hash,
                "frames": settings.frames,
                "send_back": sorted(settings.send_back),
                "anonymise": settings.anonymise,
            }
        )[:12]

    def results(self, row: QueueRow, source: Path, folder: Path) -> list[QueuedResult]:
        """Segment an instance and write its objects to `folder`, replacing the folder atomically.

        source: its file. folder: in the results of a state folder.

        Raises InputError and MissingExtra for an instance that cannot be used, OutputError if results cannot
        be written, ModelError if the network fails.
        """
        check_ultrasound(row, source)
        temporary = folder.with_name(f".{folder.name}")
        results = []
        try:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            for kind, name, dataset in self._objects(row, source):
                _write(temporary / name, encode(dataset))
                results.append(
                    QueuedResult(
                        uid=str(dataset.SOPInstanceUID),
                        source=row.uid,
                        kind=kind,
                        file=f"{RESULTS}/{folder.name}/{name}",
                        model=self.identity,
                    )
                )
            sync_folder(temporary)
            shutil.rmtree(folder, ignore_errors=True)
            temporary.rename(folder)
            sync_folder(folder.parent)
        except OSError as error:
            raise OutputError(
                f"cannot be written: {error.strerror or error}", where=folder, remedy="Free some space"
            ) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return results

    def _objects(self, row: QueueRow, source: Path) -> Iterator[_ResultObject]:
        """Yield the objects: captures as their frames are segmented, then those of the whole instance."""
        send_back, anonymise = self._settings.send_back, self._settings.anonymise
        # The time of receipt, so that an object that is made again has the same bytes.
        when = datetime.fromisoformat(row.received_at).astimezone().replace(tzinfo=None)
        packed, findings = list[PackedSegmentation](), list[Findings]()
        frames = list_frames(source, self._settings.frames)
        for found in self._predictor.predict_many([partial(read, frame) for frame in frames]):
            measured = measure(found)
            if "capture" in send_back:
                number = found.frame.index
                capture = make_capture(source, found, measured, anonymise=anonymise, when=when)
                name = "capture.dcm" if number is None else f"capture-{number + 1:05}.dcm"
                yield _ResultObject("capture", name, capture)
            packed.append(PackedSegmentation.of(found))
            findings.append(measured)
        segmentations, seg = unpacked(packed), None
        if "seg" in send_back:
            seg = make_seg(source, segmentations, findings, anonymise=anonymise, when=when)
            yield _ResultObject("seg", "seg.dcm", seg)
        if "sr" in send_back:
            sr = make_sr(source, segmentations, findings, seg=seg, anonymise=anonymise, when=when)
            yield _ResultObject("sr", "sr.dcm", sr)


def check_ultrasound(row: QueueRow, source: Path) -> None:
    """Raise InputError unless a file is the ultrasound image that its C-STORE request describes.

    Messages quote only UIDs and codes: other values of a header may name the patient.
    """
    from pydicom import dcmread
    from pydicom.uid import UID

    from sonoseg.dicom.reading.header import quiet_pydicom

    if not source.is_file():
        raise InputError("file is missing", remedy=_AGAIN)
    wanted = ["SOPClassUID", "SOPInstanceUID", "Modality"]
    try:
        with quiet_pydicom():
            header = dcmread(source, stop_before_pixels=True, specific_tags=list(wanted))
            sop_class, instance, modality = (str(header.get(name) or "").strip() for name in wanted)
    except Exception as error:  # pydicom raises any exception for damaged files, which may quote them
        raise InputError("header is damaged", remedy=_AGAIN) from error
    if not sop_class or not instance:
        raise InputError("header is damaged: SOP class or instance UID is missing", remedy=_AGAIN)
    if sop_class not in ULTRASOUND:
        name = UID(sop_class).name if sop_class.replace(".", "").isdigit() else "unknown SOP class"
        raise InputError(f"not ultrasound, but {name}", remedy="Send ultrasound images")
    if modality != "US":
        shown = modality if modality.isalnum() and modality.isupper() and len(modality) <= 16 else "unknown"
        raise InputError(f"not ultrasound: modality is {shown}", remedy="Send ultrasound images")
    if instance != row.uid or (row.sop_class and sop_class != row.sop_class):
        raise InputError(
            "header has another instance UID or SOP class than the request", remedy="Check the sender"
        )


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
