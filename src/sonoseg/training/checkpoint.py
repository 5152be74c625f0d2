"""Checkpoints, written atomically and checked when read."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import torch

from sonoseg._util.files import atomic_path
from sonoseg._util.text import first_line
from sonoseg.errors import OutputError, TrainingError

FORMAT = "sonoseg-checkpoint/1"


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` to `path`; an earlier checkpoint stays until the new one is complete.

    Raises OutputError where the disk is full or the folder cannot be written.
    """
    try:
        with atomic_path(path) as temporary:
            torch.save({"format": FORMAT, **state}, temporary)
    except RuntimeError as error:
        # torch's own writer reports a full disk as a RuntimeError about positions in its archive.
        raise OutputError(
            f"the checkpoint cannot be written ({first_line(error)}); the one before it is intact",
            where=path,
            remedy="Free some space, then continue with --resume",
        ) from error
    except OutputError as error:
        full = isinstance(error.__cause__, OSError) and error.__cause__.errno in (errno.ENOSPC, errno.EFBIG)
        raise OutputError(
            f"the checkpoint {error.found}; the one before it is intact",
            where=path,
            remedy=f"{'Free some space' if full else 'Remove the cause'}, then continue with --resume",
        ) from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU. Raises TrainingError where it is missing or damaged."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise TrainingError(
            "the checkpoint is missing",
            where=path,
            remedy="Start the run without --resume, in another folder",
        ) from error
    except Exception as error:  # torch raises many kinds for a damaged file
        raise TrainingError(
            f"the checkpoint is damaged ({first_line(error)})",
            where=path,
            remedy="Restore it from a copy, or start the run again in another folder",
        ) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise TrainingError("not a checkpoint of sonoseg", where=path)
    return state
