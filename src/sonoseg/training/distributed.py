"""The processes of a distributed job: rank and size, rendezvous, and errors when a process ends early.

Rank and size come from the environment variables that torchrun, `accelerate launch` and MPI set.
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
"""Fragments of the messages of gloo and NCCL about a lost process."""

PATIENCE = 3.0
"""Seconds that a process waits after it has lost another."""

LATE = 10.0
"""Seconds by which a network file system may show a file late."""


def count() -> int:
    """Return the number of processes of the job; 1 without a launcher."""
    return max(1, _number(_SIZES, 1))


def rank() -> int:
    """Return this process' rank, from 0."""
    return _number(_RANKS, 0)


def is_main() -> bool:
    """Whether this process is rank 0, which writes the run folder and the messages."""
    return rank() == 0


def process_name() -> str:
    """Return a name of this process for errors: "process 1 of 0..3 on node-b"."""
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
    """Connect to the other processes of the job, if there are any. Raises TrainingError."""
    if count() == 1:
        return
    from accelerate import PartialState

    try:
        PartialState(cpu=cpu)
    except (RuntimeError, ValueError, OSError) as error:
        raise TrainingError(
            f"the processes of the job cannot connect to each other ({first_line(error)})",
            where=f"MASTER_ADDR={os.environ.get('MASTER_ADDR', '')}, "
            f"MASTER_PORT={os.environ.get('MASTER_PORT', '')}",
            remedy="Give every host the same address and port, reachable from all; where a host has several "
            "networks, name one in GLOO_SOCKET_IFNAME or NCCL_SOCKET_IFNAME",
        ) from error


def wait() -> None:
    """Wait for all processes of the job."""
    if count() > 1:
        from accelerate import PartialState

        PartialState().wait_for_everyone()


def check_shared(file: Path) -> None:
    """Check that a file of process 0 is visible on this host. Raises TrainingError."""
    end = time.monotonic() + LATE
    while not file.exists():
        if time.monotonic() > end:
            raise TrainingError(
                "the run folder of process 0 is not visible on this host",
                where=file.parent,
                remedy="Put --out on storage that every host sees under the same path",
            )
        time.sleep(0.2)


def lost_another(error: BaseException) -> bool:
    """Whether an error of torch means that another process of the job is gone."""
    if count() == 1 or not isinstance(error, RuntimeError):
        return False
    text = str(error).lower()
    return any(fragment in text for fragment in _PEER)


def another_ended(error: BaseException) -> TrainingError:
    """Return our error for that."""
    return TrainingError(
        f"another process of this job ended, and this one cannot continue alone ({first_line(error)})",
        remedy="Look for that process' own error; then continue with --resume, with any number of processes",
    )


@contextmanager
def job() -> Iterator[None]:
    """Run the block as a process of a job: errors name the process and are reported to the launcher.

    With one process, nothing is done. Raises the errors of the block, ours with the process in front, and
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
            time.sleep(PATIENCE)  # every process has the same usage error: process 0 reports it
        _report_to_launcher(placed)
        raise placed from error
    except Exception as error:
        if lost_another(error):
            # The launcher should see first the process that ended first; it ends this one meanwhile.
            time.sleep(PATIENCE)
            raise _placed(another_ended(error)) from error
        _report_to_launcher(error)
        raise
    else:
        from torch import distributed

        if distributed.is_initialized():
            distributed.destroy_process_group()


def _placed(error: SonosegError) -> SonosegError:
    where = process_name() if error.where is None else f"{process_name()}: {error.where}"
    return type(error)(error.found, where=where, remedy=error.remedy)


def _report_to_launcher(error: BaseException) -> None:
    """Write the error to torchrun's error file, so that its report ends with it."""
    name = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if name and not isinstance(error, KeyboardInterrupt):
        text = str(error) if isinstance(error, SonosegError) else "".join(traceback.format_exception(error))
        extra = {"py_callstack": text, "timestamp": str(int(time.time()))}
        with suppress(OSError):
            Path(name).write_text(json.dumps({"message": {"message": text, "extraInfo": extra}}), "utf-8")


def _number(names: tuple[str, ...], default: int) -> int:
    for name in names:
        text = os.environ.get(name, "")
        if text.isdigit():
            return int(text)
    return default
