"""Count the results in the PACS at the end of pacs_kills.py, and check their alignment with pydicom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread

from sonoseg.inference.predictor import Predictor
from sonoseg.inputs.frame_list import list_frames, read

KINDS = {
    "1.2.840.10008.5.1.4.1.1.66.4": "seg",
    "1.2.840.10008.5.1.4.1.1.88.33": "sr",
    "1.2.840.10008.5.1.4.1.1.7": "capture",
}


@dataclass(frozen=True)
class Source:
    """One instance that was sent, with what its results must match. frames: 1 for a still image."""

    path: Path
    uid: str
    study: str
    frame_of_reference: str | None
    rows: int
    columns: int
    frames: int

    @classmethod
    def of(cls, path: Path) -> Source:
        """Read a file."""
        found = dcmread(path, stop_before_pixels=True)
        return cls(
            path,
            str(found.SOPInstanceUID),
            str(found.StudyInstanceUID),
            str(found.FrameOfReferenceUID) if "FrameOfReferenceUID" in found else None,
            int(found.Rows),
            int(found.Columns),
            int(found.get("NumberOfFrames") or 1),
        )

    def wanted(self) -> dict[str, int]:
        """The expected number of results of each kind."""
        return {"seg": 1, "sr": 1, "capture": self.frames}


def count(
    sources: Iterable[Source], files: Iterator[bytes], *, compared: int, predictor: Predictor | None = None
) -> dict[str, Any]:
    """Sort the objects of the PACS by source and kind, and read the position of each segmentation.

    files: every object of the archive, one at a time. compared: sources whose segmentation is compared, pixel
    for pixel, with the mask that the model gives now. predictor: has that model; the shipped one by default.
    """
    by_uid = {one.uid: one for one in sources}
    found: Counter[tuple[str, str]] = Counter()
    instances: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    others, wrong = 0, list[str]()
    every = max(1, len(by_uid) // max(1, compared))
    chosen = set(sorted(by_uid)[::every][:compared])
    masks: dict[str, NDArray[np.bool_]] = {}
    for data in files:
        result = dcmread(BytesIO(data))
        instances[str(result.SOPInstanceUID)] += 1
        kind = KINDS.get(str(result.SOPClassUID))
        named = referenced(result) & set(by_uid)
        if kind is None or len(named) != 1:
            others += 1
            continue
        source = by_uid[named.pop()]
        found[source.uid, kind] += 1
        kinds[kind] += 1
        if kind == "seg":
            wrong += [f"{source.uid}: {fault}" for fault in misplaced(result, source)]
            if source.uid in chosen:
                masks[source.uid] = masks_of(result, source.frames)
    pairs = [(one, kind, wanted) for one in by_uid.values() for kind, wanted in one.wanted().items()]
    return {
        "objects": sum(instances.values()),
        "kinds": {kind: kinds[kind] for kind in KINDS.values()},
        "wanted": {kind: sum(one.wanted()[kind] for one in by_uid.values()) for kind in KINDS.values()},
        "double": sum(max(0, found[one.uid, kind] - wanted) for one, kind, wanted in pairs)
        + sum(times - 1 for times in instances.values()),
        "missing": sum(max(0, wanted - found[one.uid, kind]) for one, kind, wanted in pairs),
        "others": others,
        "aligned": kinds["seg"] - len({line.split(":")[0] for line in wrong}),
        "misaligned": wrong,
        "pixels": compare(masks, by_uid, predictor),
    }


def referenced(result: Dataset) -> set[str]:
    """The instances that an object references."""
    return {str(one.value) for one in result.iterall() if one.keyword == "ReferencedSOPInstanceUID"}


def misplaced(seg: Dataset, source: Source) -> list[str]:
    """What in a segmentation does not agree with its source (PS3.3, A.51, C.7.6.16.2.6); [] is aligned.

    Ultrasound mostly has no frame of reference; then a segmentation is placed by its derivation alone.
    """
    faults = []
    if (seg.Rows, seg.Columns) != (source.rows, source.columns):
        faults.append(f"{seg.Rows} x {seg.Columns} in place of {source.rows} x {source.columns}")
    if seg.StudyInstanceUID != source.study:
        faults.append("another study")
    if source.frame_of_reference and seg.get("FrameOfReferenceUID") != source.frame_of_reference:
        faults.append("another frame of reference")
    (series,) = seg.ReferencedSeriesSequence
    if [one.ReferencedSOPInstanceUID for one in series.ReferencedInstanceSequence] != [source.uid]:
        faults.append("another referenced instance")
    for item in seg.PerFrameFunctionalGroupsSequence:
        (derivation,) = item.DerivationImageSequence
        (image,) = derivation.SourceImageSequence
        if image.ReferencedSOPInstanceUID != source.uid:
            faults.append("derived from another instance")
        if not 1 <= int(image.get("ReferencedFrameNumber") or 1) <= source.frames:
            faults.append("derived from a frame that is not there")
    return faults


def masks_of(seg: Dataset, frames: int) -> NDArray[np.bool_]:
    """The union of the segments on each frame of the source, (frames, H, W)."""
    stored = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns).astype(bool)
    masks = np.zeros((frames, seg.Rows, seg.Columns), bool)
    for mask, item in zip(stored, seg.PerFrameFunctionalGroupsSequence, strict=True):
        image = item.DerivationImageSequence[0].SourceImageSequence[0]
        masks[int(image.get("ReferencedFrameNumber") or 1) - 1] |= mask
    return masks


def compare(
    masks: Mapping[str, NDArray[np.bool_]], sources: Mapping[str, Source], predictor: Predictor | None
) -> dict[str, int]:
    """Count the segmentations that equal the model's mask of their source, pixel by pixel."""
    if not masks:
        return {"compared": 0, "equal": 0}
    predictor, equal = predictor or Predictor(), 0
    for uid, mask in masks.items():
        reads: list[Callable[[], Any]] = [partial(read, one) for one in list_frames(sources[uid].path, "all")]
        own = np.stack([one.mask for one in predictor.predict_many(reads)])
        equal += int(np.array_equal(own, mask))
    return {"compared": len(masks), "equal": equal}
