"""The journal of a search: one file to which several processes add, and which a killed one may break off.

Optuna keeps a line an operation in it. A process that is killed, or finds the disk full, in the middle of a
line leaves a piece of one, behind which Optuna reads no more: it is cut off before anything is added.
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


class _Mended(JournalFileBackend):
    """Optuna's file, with an unfinished last line cut off before more is written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(str(path), _MendingLock(path))


class _MendingLock(JournalFileSymlinkLock):
    """Optuna's lock; whoever holds it may write, and finds whole lines."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.path = path

    def acquire(self) -> bool:
        held = super().acquire()
        try:
            _cut_unfinished(self.path)
        except OSError:
            self.release()
            raise
        return held


def open_journal(path: Path, name: str, direction: Literal["minimize", "maximize"]) -> optuna.Study:
    """The search in the journal at `path`, begun where there is none. Raises OutputError."""
    optuna.logging.set_verbosity(logging.ERROR)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return optuna.create_study(
            storage=JournalStorage(_Mended(path)), study_name=name, direction=direction, load_if_exists=True
        )
    except (OSError, ValueError, KeyError) as error:
        raise OutputError(
            f"the journal cannot be read or written ({first_line(error)})",
            where=path,
            remedy="Free some space, or put back a whole copy of it; a new search needs another --out",
        ) from error


def _cut_unfinished(path: Path) -> None:
    with path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        if end == 0:
            return
        file.seek(end - 1)
        if file.read(1) == b"\n":
            return
        file.seek(0)
        whole = file.read().rfind(b"\n") + 1
        file.truncate(whole)


def distributions(search: dict[str, Any]) -> dict[str, optuna.distributions.BaseDistribution]:
    """Optuna's words for a plan's ranges and choices."""
    from sonoseg.experiments.search_plan import as_text

    found: dict[str, optuna.distributions.BaseDistribution] = {}
    for key, one in search.items():
        if isinstance(one, list):
            found[key] = optuna.distributions.CategoricalDistribution([as_text(choice) for choice in one])
        elif one.whole:
            step = 1 if one.step is None else int(one.step)
            found[key] = optuna.distributions.IntDistribution(int(one.low), int(one.high), one.log, step)
        else:
            found[key] = optuna.distributions.FloatDistribution(one.low, one.high, one.log, one.step)
    return found
