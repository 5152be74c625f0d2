"""A Ray to work with: told to be quiet, private and modest before it is imported."""

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
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is reported to anybody
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",  # no bar but ours
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # what matters comes as an exception
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # or it warns of what will be so some day
}

OBJECT_STORE = 256 << 20
"""Bytes a core of memory that blocks between the workers may take, and at least twice that."""


@contextmanager
def connected(address: str | None = None, *, object_store: int | None = None) -> Iterator[None]:
    """The Ray at `address`, the one that this process has already, or one of this machine's own.

    One of our own has no dashboard, reports nothing, leaves no files, and dies with this process. Its ports
    are open to the network, so it takes orders only with a token that is made for this run; that needs that
    Ray was not imported before. Killed, it leaves its folder of logs in the temporary folder.

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
                here = usable_cores()
                quiet |= {
                    "num_cpus": here,
                    "object_store_memory": object_store or OBJECT_STORE * max(2, here),
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
                remedy="See that this machine has memory and time for it, and try again"
                if address is None
                else "Check the address, or leave it out to start one here",
            ) from error
        yield
    finally:
        ray.shutdown()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _silent() -> Iterator[None]:
    """Nothing on stderr, not even from below Python: Ray's C++ says there how its own log is set."""
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
    """Where Ray's own files go: sockets' paths may have no more than 107 letters, so not below a long one."""
    short = Path("/", "tmp")
    return str(short) if len(tempfile.gettempdir()) > 30 and short.is_dir() else None
