"""Connects to Ray, or starts it on this machine, configured before its import."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sonoseg._util.machine import usable_cores
from sonoseg._util.text import first_line
from sonoseg.errors import OutputError

SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # no usage statistics
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",  # no progress bars but ours
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # errors arrive as exceptions
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # silences a deprecation warning
}

OBJECT_STORE = 256 << 20
"""Bytes per core of the object store, which holds the blocks between workers; at least twice that."""


@contextmanager
def connected(address: str | None = None, *, object_store: int | None = None) -> Iterator[None]:
    """Use the Ray at `address`, the one this process is connected to, or one started on this machine.

    One that is started here has no dashboard, sends no statistics, leaves no files, and ends with this
    process; if this process is killed, its log folder remains in the temporary folder. Its ports are open to
    the network, so it accepts only requests with a token made for this run, provided that Ray was not
    imported before.

    object_store: bytes of its object store. Raises OutputError where Ray cannot be started or reached.
    """
    fresh = "ray" not in sys.modules
    os.environ |= SETTINGS
    if fresh and address is None and "RAY_AUTH_MODE" not in os.environ:
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    import ray
    import ray.data

    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if ray.is_initialized():
        yield
        return
    folder = None
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    try:
        try:
            if address is None:
                folder = tempfile.mkdtemp(prefix="ray-", dir=_short_folder())
                cores = usable_cores()
                quiet |= {
                    "num_cpus": cores,
                    "object_store_memory": object_store or OBJECT_STORE * max(2, cores),
                    "include_dashboard": False,
                    "_node_ip_address": "127.0.0.1",
                    "_temp_dir": folder,
                }
            with _silent():
                ray.init(address=address or "local", **quiet)
        except Exception as error:  # its own, gRPC's and the system's
            raise OutputError(
                f"Ray cannot be started or reached ({first_line(error)})",
                where=address,
                remedy="Check that this machine has free memory, and try again"
                if address is None
                else "Check the address, or leave it out to start Ray here",
            ) from error
        yield
    finally:
        ray.shutdown()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _silent() -> Iterator[None]:
    """Discard stderr at the level of the file descriptor: Ray's C++ code writes to it."""
    sys.stderr.flush()
    before = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


def _short_folder() -> str | None:
    """Return a folder for Ray's files whose path is short: socket paths are limited to 107 characters."""
    short = Path("/", "tmp")
    return str(short) if len(tempfile.gettempdir()) > 30 and short.is_dir() else None
