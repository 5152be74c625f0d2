"""Calibration by hand: the pixel spacing from a line of known length, for an image, an exam or a device."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sonoseg.dicom.reading.clip import Clip
from sonoseg.errors import SonosegError
from sonoseg.image.calibration import CALIBRATED, SPACING_RANGE, Spacing, plausible
from sonoseg.review.http_errors import Stale, Unusable, WrongStatus
from sonoseg.review.items import Item
from sonoseg.review.reading import Reader
from sonoseg.review.store import Store

MIN_LENGTH = 20.0
"""Shortest line in pixels: an end is placed to about half a pixel, so that the spacing is within 5 %."""

Scope = Literal["image", "exam", "device"]
Coordinate = Annotated[float, Field(ge=-1, le=1 << 20, allow_inf_nan=False)]


class KnownLength(BaseModel):
    """A line of known length, drawn along the depth ruler or a calliper, and the images it applies to.

    ends: row and column in pixels. scope: "image" is the file with all its frames; "exam" the DICOM study and
    "device" all files of this manufacturer and model, both only for files of the same size that have no
    spacing of their own, those that are added later too. The pixels are taken as square.
    """

    model_config = ConfigDict(extra="forbid")

    ends: tuple[tuple[Coordinate, Coordinate], tuple[Coordinate, Coordinate]]
    millimetres: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]
    scope: Scope = "image"
    reader: Reader = ""


@dataclass(frozen=True)
class Calibrated:
    """Items by what became of them.

    changed: those with the new spacing. signed: left as they are, because they are signed. own: those of the
    exam or device that keep the spacing of their file, or that was given for them.
    """

    changed: int
    signed: int
    own: int


def calibrate(store: Store, identity: str, line: KnownLength) -> Calibrated:
    """Set the pixel spacing that follows from a line of known length.

    Raises Unusable for a line that is too short or gives no plausible spacing, and for an exam or a device
    that the file does not name; WrongStatus where the item is signed.
    """
    item = store.item(identity)
    if item.status == "signed":
        raise WrongStatus(f"the item is signed by {item.reader}", where=identity, remedy="Reopen it first")
    spacing = _spacing(line)
    origin = f"{CALIBRATED}{line.reader.strip() or 'a reader'} ({line.scope})"
    how: dict[str, Any] = {"ends": line.ends, "millimetres": line.millimetres, "on": identity}
    if line.scope != "image":
        how |= {"mark": _mark(store, item, line.scope), "size": [item.height, item.width]}
    changed = signed = own = 0
    for one in _meant(store, item, line.scope):
        if (
            one.clip != item.clip
            and one.spacing_origin != "none"
            and not one.spacing_origin.startswith(CALIBRATED)
        ):
            own += 1
            continue
        try:
            store.set_spacing(one.id, spacing, origin, reader=line.reader, content=how)
        except (WrongStatus, Stale):
            signed += 1
        else:
            changed += 1
    return Calibrated(changed, signed, own)


def calibrate_added(store: Store, items: list[Item]) -> list[Item]:
    """Give the items of a file that is added the last calibration of their exam or device, if any.

    As in `calibrate` only where the file has no spacing of its own, and has the size of the calibrated one.
    Signed items stay as they are.
    """
    first = items[0]
    if first.spacing_origin != "none":
        return items
    marks = [mark for scope in ("exam", "device") if (mark := _mark(store, first, scope))]
    found = store.last_calibration(marks, (first.height, first.width))
    if found is None:
        return items
    spacing, content, reader = found
    origin = content.pop("origin")
    try:
        return [store.set_spacing(one.id, spacing, origin, reader=reader, content=content) for one in items]
    except (WrongStatus, Stale):
        return [store.item(one.id) for one in items]


def _spacing(line: KnownLength) -> Spacing:
    length = math.dist(*line.ends)
    if length < MIN_LENGTH:
        raise Unusable(
            f"a line of {length:.0f} pixels is too short to calibrate with",
            where="ends",
            remedy=f"Draw along a longer part of the ruler, at least {MIN_LENGTH:.0f} pixels",
        )
    value = line.millimetres / length
    if not plausible([value]):
        raise Unusable(
            f"{line.millimetres:g} mm along {length:.0f} pixels are {value:.3g} mm per pixel: "
            f"{SPACING_RANGE}",
            where="millimetres",
            remedy="Give the length of the line in millimetres",
        )
    return Spacing(value, value)


def _meant(store: Store, item: Item, scope: Scope) -> list[Item]:
    """The items of the scope, those of the item's own file first."""
    items = store.items().items
    same = [one for one in items if one.clip == item.clip]
    if scope == "image":
        return same
    mark = _mark(store, item, scope)
    if not mark:
        name = "exam (StudyInstanceUID)" if scope == "exam" else "device (manufacturer and model)"
        raise Unusable(f"the file names no {name}", where="scope", remedy="Calibrate this image alone")
    marks: dict[str, str] = {}
    for one in items:
        if one.clip != item.clip and (one.height, one.width) == (item.height, item.width):
            if one.clip not in marks:
                marks[one.clip] = _mark(store, one, scope)
            if marks[one.clip] == mark:
                same.append(one)
    return same


def _mark(store: Store, item: Item, scope: Scope) -> str:
    """What the files of an exam, or of a device, have in common; "" where the file does not say."""
    if item.kind != "dicom":
        return ""
    try:
        with Clip(store.path(item.id), keep_burned_in=True) as clip:
            mark = clip.study if scope == "exam" else clip.device
            return f"{scope} {mark}" if mark else ""
    except SonosegError:  # damaged since it was added
        return ""
