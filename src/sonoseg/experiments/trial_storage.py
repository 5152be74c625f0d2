"""The journal of a search: Optuna's file, to which several processes append.

Optuna writes a line per operation. A process that is killed, or finds the disk full, in the middle of a line
leaves a partial one, after which Optuna reads no more: it is cut off before anything is appended.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

from sonoseg._util.text import first_line
from sonoseg.errors import OutputError
from sonoseg.experiments.plan import as_text


class _RepairingLock(JournalFileSymlinkLock):
    """Optuna's lock, whose holder finds complete lines."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.path = path

    def acquire(self) -> bool:
        held = super().acquire()
        try:
            _cut_partial_line(self.path)
        except OSError:
            self.release()
            raise
        return held


def open_journal(path: Path, name: str, direction: Literal["minimize", "maximize"]) -> optuna.Study:
    """The search in the journal at `path`, started where there is none. Raises OutputError."""
    optuna.logging.set_verbosity(logging.ERROR)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        storage = JournalStorage(JournalFileBackend(str(path), _RepairingLock(path)))
        return optuna.create_study(storage=storage, study_name=name, direction=direction, load_if_exists=True)
    except (OSError, ValueError, KeyError) as error:
        raise OutputError(
            f"the journal cannot be read or written ({first_line(error)})",
            where=path,
            remedy="Free some space, or restore an intact copy of it; a new search needs another --out",
        ) from error


def _cut_partial_line(path: Path) -> None:
    with path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        if end == 0:
            return
        file.seek(end - 1)
        if file.read(1) == b"\n":
            return
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)


def distributions(search: dict[str, Any]) -> dict[str, optuna.distributions.BaseDistribution]:
    """A plan's ranges and choices as Optuna's distributions."""
    found: dict[str, optuna.distributions.BaseDistribution] = {}
    for key, one in search.items():
        if isinstance(one, list):
            found[key] = optuna.distributions.CategoricalDistribution([as_text(choice) for choice in one])
        elif one.integers:
            step = 1 if one.step is None else int(one.step)
            found[key] = optuna.distributions.IntDistribution(int(one.low), int(one.high), one.log, step)
        else:
            found[key] = optuna.distributions.FloatDistribution(one.low, one.high, one.log, one.step)
    return found
