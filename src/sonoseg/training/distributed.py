"""The processes of one job: how they find each other, and what each says when the job ends early.

A process learns its place from its environment, as torchrun, `accelerate launch` and MPI set it.
"""

from __future__ import annotations

import json
import os
import socket
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from sonoseg._util.text import first_line
from sonoseg.errors import SonosegError, TrainingError

_SIZES: Final = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
_RANKS: Final = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")
_PEER: Final = (
    "connection closed by peer",
    "connection reset by peer",
    "connection refused",
    "broken pipe",
    "timed out waiting",
    "socket closed",
    "remote process exited",
    "gloo/transport",
    "nccl communicator was aborted",
    "nccl error",
    "connectfullmesh failed",
)
"""Of the words with which gloo and NCCL say that they lost another process."""

PATIENCE = 3.0
"""Seconds that a process lives on after it has lost another."""

LATE = 10.0
"""Seconds by which a network's file system may show a file later than it was written."""


def count() -> int:
    """How many processes the job has, as the launcher says; 1 where there is none."""
    return max(1, _number(_SIZES, 1))


def rank() -> int:
    """This process' number in the job, from 0."""
    return _number(_RANKS, 0)


def is_main() -> bool:
    """Whether this process writes the run folder and speaks for the job."""
    return rank() == 0


def here() -> str:
    """This process in words, for errors: "process 1 of 0..3 on node-b"."""
    return f"process {rank()} of 0..{count() - 1} on {socket.gethostname()}"


def note(batch: int) -> str | None:
    """Return a line on how the processes share a batch of so many images; None for a single process.

    Warns where a launcher was meant to start several processes and started one, as
    `accelerate launch --cpu --num_processes 2` does without MPI.
    """
    if count() > 1:
        return f"{count()} processes share each batch of {batch}"
    if "LOCAL_RANK" in os.environ or os.environ.get("ACCELERATE_USE_CPU") != "True":
        return None
    return (
        "this is one process: on CPUs accelerate launch starts several only through MPI; "
        "torchrun starts them without"
    )


def join(cpu: bool) -> None:
    """Meet the other processes of the job; nothing where there are none. Raises TrainingError."""
    if count() == 1:
        return
    from accelerate import PartialState

    try:
        PartialState(cpu=cpu)
    except (RuntimeError, ValueError, OSError) as error:
        raise TrainingError(
            f"the processes of the job do not find each other ({first_line(error)})",
            where=f"MASTER_ADDR={os.environ.get('MASTER_ADDR', '')}, "
            f"MASTER_PORT={os.environ.get('MASTER_PORT', '')}",
            remedy="Give every host the same address and port, reachable from all; where a host has several "
            "networks, name one in GLOO_SOCKET_IFNAME or NCCL_SOCKET_IFNAME",
        ) from error


def wait() -> None:
    """Wait until every process is here; nothing where there is one."""
    if count() > 1:
        from accelerate import PartialState

        PartialState().wait_for_everyone()


def check_shared(file: Path) -> None:
    """See that a file which process 0 has written is here too. Raises TrainingError."""
    end = time.monotonic() + LATE
    while not file.exists():
        if time.monotonic() > end:
            raise TrainingError(
                "process 0 has begun the run, and this host does not see it",
                where=file.parent,
                remedy="Put --out on storage that every host sees under the same path",
            )
        time.sleep(0.2)


def lost_another(error: BaseException) -> bool:
    """Whether this is how torch says that another process of the job is gone."""
    if count() == 1 or not isinstance(error, RuntimeError):
        return False
    text = str(error).lower()
    return any(words in text for words in _PEER)


def another_ended(error: BaseException) -> TrainingError:
    """Our words for that."""
    return TrainingError(
        f"another process of this job ended, and this one cannot go on alone ({first_line(error)})",
        remedy="Look for that process' own error; then go on with --resume, with any number of processes",
    )


@contextmanager
def job() -> Iterator[None]:
    """A process of a job for the block: an error names the process, and the launcher is told of it.

    Where there is one process, nothing. Raises what the block raises, our errors with this process in front;
    TrainingError where another process is gone.
    """
    if count() == 1:
        yield
        return
    try:
        yield
    except SonosegError as error:
        placed = _placed(error)
        if error.exit_code == 2 and not is_main():
            time.sleep(PATIENCE)  # every process has found the same wrong words: the first tells
        _leave_word(placed)
        raise placed from error
    except Exception as error:
        if lost_another(error):
            # A launcher shall see first who ended first; it ends this one meanwhile.
            time.sleep(PATIENCE)
            raise _placed(another_ended(error)) from error
        _leave_word(error)
        raise
    else:
        from torch import distributed

        if distributed.is_initialized():
            distributed.destroy_process_group()


def _placed(error: SonosegError) -> SonosegError:
    where = here() if error.where is None else f"{here()}: {error.where}"
    return type(error)(error.found, where=where, remedy=error.remedy)


def _leave_word(error: BaseException) -> None:
    """Write the error where torchrun looks for it, so that its own report ends with it."""
    name = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if name and not isinstance(error, KeyboardInterrupt):
        told = str(error) if isinstance(error, SonosegError) else "".join(traceback.format_exception(error))
        extra = {"py_callstack": told, "timestamp": str(int(time.time()))}
        with suppress(OSError):
            Path(name).write_text(json.dumps({"message": {"message": told, "extraInfo": extra}}), "utf-8")


def _number(names: tuple[str, ...], default: int) -> int:
    for name in names:
        text = os.environ.get(name, "")
        if text.isdigit():
            return int(text)
    return default
