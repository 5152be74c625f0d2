"""The journal of a results folder: what is done, a line each, so that a broken run goes on where it stopped.

A line is written, and handed to the system, when all files of an image are in place. A process killed at
any moment leaves whole lines and at most one torn one at the end, which is dropped. The journal also spares
memory: the tables and the page are made from it, one line at a time, however many images there are.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from sonoseg._util.files import cannot_write
from sonoseg._util.locks import lock_file
from sonoseg.errors import OutputError
from sonoseg.results.entries import ImageEntry, Objects, Written

FORMAT = "sonoseg-journal/1"

_HEAD, _ENTRY, _OBJECTS, _SESSION = b'{"journal":', b'{"entry":', b'{"objects":', b'{"session":'


class Journal:
    """A file of lines: first what the run is, then each image done, and each session of work.

    path: the file. fingerprint: what must be equal for results to belong together, one value a name.

    Open it with `start` or `resume`, and close it, or use it as a context. Only one process at a time may.
    """

    def __init__(self, path: Path, file: BinaryIO, known: _Known) -> None:
        self.path = path
        self.sessions = known.sessions
        self.objects = known.objects
        self._file = file
        self._places = known.places

    @classmethod
    def start(cls, path: Path, fingerprint: dict[str, Any]) -> Journal:
        """Begin a new journal, in place of one that is there. Raises OutputError."""
        head = {"format": FORMAT, "fingerprint": fingerprint}
        try:
            file = path.open("a+b", buffering=0)
            _lock(file, path)
            file.truncate(0)
        except OSError as error:
            raise cannot_write(path, error) from error
        journal = cls(path, file, _Known())
        journal._append(_HEAD + _plain(head))
        return journal

    @classmethod
    def resume(cls, path: Path, fingerprint: dict[str, Any]) -> Journal:
        """Go on with a journal that is there, or start one. A torn last line is dropped.

        Raises OutputError where it cannot be read, is no journal, or belongs to a run of another model or
        with other options; the message says which.
        """
        try:
            path.stat()
            file = path.open("a+b", buffering=0)
            _lock(file, path)
            file.seek(0)
            head = file.read(len(_HEAD))
        except FileNotFoundError:
            return cls.start(path, fingerprint)
        except OSError as error:
            raise OutputError(f"this journal cannot be opened: {error.strerror}", where=path) from error
        if len(head) < len(_HEAD) and _HEAD.startswith(head):  # killed in its very first write
            file.close()
            return cls.start(path, fingerprint)
        try:
            known = _read(path, fingerprint)
            file.truncate(known.end)
        except BaseException:
            file.close()
            raise
        return cls(path, file, known)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what is in the journal can still be read."""
        self._file.close()

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __len__(self) -> int:
        return len(self._places)

    def add(self, entry: ImageEntry) -> None:
        """Note an image whose files are in place, in place of one of its name. Raises OutputError."""
        self._places[entry.name] = self._append(_ENTRY + entry.to_json())

    def add_objects(self, objects: Objects) -> None:
        """Note that what belongs to a whole clip is in place. Raises OutputError."""
        self.objects[objects.file] = objects
        self._append(_OBJECTS + _plain(asdict(objects)))

    def session(self, value: dict[str, Any]) -> None:
        """Note what is known of one stretch of work: when, how many images. Raises OutputError."""
        self.sessions.append(value)
        self._append(_SESSION + _plain(value))

    def forget(self, name: str) -> None:
        """Leave an image out: its results are to be made again."""
        self._places.pop(name, None)

    def get(self, name: str) -> ImageEntry:
        """The entry of that name. Raises KeyError."""
        with self.path.open("rb") as file:
            entry: ImageEntry = self._at(file, self._places[name])
        return entry

    def entries(self, names: Iterable[str]) -> Iterator[ImageEntry]:
        """The entries of those names that are in the journal, in that order, read one at a time."""
        with self.path.open("rb") as file:
            for name in names:
                if name in self._places:
                    yield self._at(file, self._places[name])

    @staticmethod
    def _at(file: BinaryIO, place: int) -> ImageEntry:
        file.seek(place)
        return ImageEntry.from_json(file.readline()[len(_ENTRY) : -2])

    def _append(self, line: bytes) -> int:
        """Write one line, and return where it starts."""
        try:
            place = self._file.seek(0, os.SEEK_END)
            left = memoryview(line + b"}\n")
            while left:  # without a buffer, a write may take a part
                left = left[self._file.write(left) :]
        except OSError as error:
            raise cannot_write(self.path, error) from error
        return place


def _lock(file: BinaryIO, path: Path) -> None:
    """Keep other processes out until the file is closed. Raises OutputError where one is in."""
    if not lock_file(file):
        file.close()
        raise OutputError(
            "another run is writing here",
            where=path.parent,
            remedy="Wait until it ends, or choose another folder with --out",
        )


def begun_with(path: Path) -> dict[str, Any]:
    """The fingerprint that a journal was begun with; empty where there is no journal."""
    try:
        with path.open("rb") as file:
            return dict(json.loads(file.readline())["journal"]["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}


@dataclass
class _Known:
    """What a journal holds: where each entry's line starts, the rest, and where the last whole line ends."""

    places: dict[str, int] = field(default_factory=dict)
    objects: dict[str, Objects] = field(default_factory=dict)
    sessions: list[dict[str, Any]] = field(default_factory=list)
    end: int = 0


def _read(path: Path, fingerprint: dict[str, Any]) -> _Known:
    known = _Known()
    with path.open("rb") as file:
        for number, line in enumerate(file):
            if not line.endswith(b"}\n"):
                break
            try:
                if number == 0:
                    _same(path, json.loads(line)["journal"], fingerprint)
                elif line.startswith(_ENTRY):
                    known.places[ImageEntry.from_json(line[len(_ENTRY) : -2]).name] = known.end
                elif line.startswith(_OBJECTS):
                    objects = _objects(json.loads(line)["objects"])
                    known.objects[objects.file] = objects
                elif line.startswith(_SESSION):
                    known.sessions.append(json.loads(line)["session"])
            except (ValueError, KeyError, TypeError) as error:
                if number == 0:
                    raise _not_ours(path) from error
                break  # damaged: what follows is made again
            known.end += len(line)
    if known.end == 0:
        raise _not_ours(path)
    return known


def _objects(value: dict[str, Any]) -> Objects:
    files = {kind: Written(**one) for kind, one in value["files"].items()}
    return Objects(value["file"], files, tuple(value["faults"]))


def _same(path: Path, head: dict[str, Any], fingerprint: dict[str, Any]) -> None:
    if head["format"] != FORMAT:
        raise ValueError(head["format"])
    then, now = head["fingerprint"], json.loads(_plain(fingerprint))
    differing = [
        f"{name} was {then.get(name)!r} and is {now.get(name)!r}"
        for name in sorted(then.keys() | now.keys())
        if then.get(name) != now.get(name)
    ]
    if differing:
        raise OutputError(
            f"these results were begun otherwise: {'; '.join(differing)}",
            where=path.parent,
            remedy="Go on with the same model and options, or begin anew with --overwrite or another --out",
        )


def _plain(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def _not_ours(path: Path) -> OutputError:
    return OutputError(
        "this is not a journal of sonoseg, or its first line is damaged",
        where=path,
        remedy="Choose another --out, or begin anew with --overwrite",
    )
