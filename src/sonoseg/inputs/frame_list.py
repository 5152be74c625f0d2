"""References to the frames of files, listed from the headers; pixels are read later, frame by frame."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sonoseg.dicom.reading.clip import Clip, open_dicom
from sonoseg.dicom.reading.detection import is_dicom
from sonoseg.errors import InputError, UsageError
from sonoseg.image.calibration import Calibration, Origin, Spacing
from sonoseg.image.frame import Frame
from sonoseg.image.raster import read_raster
from sonoseg.image.size_limits import check_file

MAX_OPEN = 4
"""Clips that a thread keeps open for the frames to come."""


@dataclass(frozen=True)
class FrameRef:
    """One frame of a file: its number from 0, or None for a still."""

    path: Path
    index: int | None = None

    def __str__(self) -> str:
        return str(self.path) if self.index is None else f"{self.path} (frame {self.index})"


class _Choice(NamedTuple):
    kind: str
    parts: tuple[int | None, int | None, int | None] = (None, None, None)


def parse_choice(choice: str) -> _Choice:
    """Check the words of --frames: "all", "key", a number ("3", from 0; "-1" is the last), or a slice as in
    Python ("10:50:5", "10:", ":-1"). Raises UsageError.
    """
    text = choice.strip().lower()
    if text in ("all", "key"):
        return _Choice(text)
    if re.fullmatch(r"-?\d{1,9}", text):
        return _Choice("one", (int(text), None, None))
    if re.fullmatch(r"(-?\d{1,9})?:(-?\d{1,9})?(:\d{0,9})?", text):
        start, stop, step = (int(part) if part else None for part in (*text.split(":"), "")[:3])
        if step != 0:
            return _Choice("slice", (start, stop, step))
    raise UsageError(
        f"'{choice}' names no frames",
        where="--frames",
        remedy="Give all, key, one number from 0, or START:STOP:STEP such as 10:50:5",
    )


def list_frames(path: str | Path, choice: str = "all", *, keep_burned_in: bool = False) -> list[FrameRef]:
    """List the frames of a file that `choice` selects, from its header; of a still image always the one.

    choice: as `parse_choice` takes it; "key" are the frames of interest that the file names, or the middles
    of five equal parts of the clip.

    Raises UsageError for a choice that is none, InputError for a file that cannot be read or that has no such
    frame. Warns (SonosegWarning) of irregularities of a DICOM file; `read` does not warn again.
    """
    kind, (start, stop, step) = parse_choice(choice)
    path = Path(path)
    check_file(path)
    if not is_dicom(path):
        return [FrameRef(path)]
    with open_dicom(path, keep_burned_in=keep_burned_in) as clip:
        if clip.count == 1:
            return [FrameRef(path)]
        numbers = range(clip.count)
        if kind == "key":
            chosen = list(clip.key)
        elif kind == "one":
            assert start is not None
            chosen = list(numbers[start : start + 1 or None])
        else:
            chosen = list(numbers[start:stop:step])
        if not chosen:
            raise InputError(
                f"none of its {clip.count} frames, counted from 0, is meant by --frames {choice}",
                where=path,
                remedy="Choose others, or all",
            )
    return [FrameRef(path, number) for number in chosen]


def read(
    ref: FrameRef,
    *,
    spacing: Spacing | None = None,
    origin: Origin = "given",
    keep_burned_in: bool = False,
) -> Frame:
    """Read the frame that is meant. Clips stay open for the next frame, a few for each thread.

    spacing: (row, column) mm per pixel that goes before what the file says. origin: who gave it.

    Raises InputError and MissingExtra as sonoseg.read_frame and open_dicom do.
    """
    check_file(ref.path)
    if not is_dicom(ref.path):
        return read_raster(ref.path, Calibration.of(spacing, origin))
    if ref.index is None:
        with Clip(ref.path, keep_burned_in=keep_burned_in, spacing=spacing, origin=origin) as clip:
            if clip.count > 1:
                raise InputError(
                    f"a clip of {clip.count} frames, where one image is needed",
                    where=ref.path,
                    remedy="Say which frame",
                )
            return clip.frame(0)
    return _open_clips.of(ref.path, keep_burned_in, spacing, origin).frame(ref.index)


_Key = tuple[str, int, int, bool, Spacing | None, Origin]


class _OpenClips(threading.local):
    """The clips that this thread has open, the last used last."""

    def __init__(self) -> None:
        self._clips: OrderedDict[_Key, Clip] = OrderedDict()

    def of(self, path: Path, keep_burned_in: bool, spacing: Spacing | None, origin: Origin) -> Clip:
        state = path.stat()  # a file that is written again is another one
        key = (str(path), state.st_mtime_ns, state.st_size, keep_burned_in, spacing, origin)
        clip = self._clips.get(key)
        if clip is None:
            clip = Clip(path, keep_burned_in=keep_burned_in, spacing=spacing, origin=origin)
            self._clips[key] = clip
            while len(self._clips) > MAX_OPEN:
                self._clips.popitem(last=False)[1].close()
        self._clips.move_to_end(key)
        return clip


_open_clips = _OpenClips()
