"""Locks: one holder at a time, and none after its process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from threading import Timer

import pytest

from sonoseg._util.locks import locked
from sonoseg.errors import OutputError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="locks of files")

WORDS = ("another process works here", "Wait for it")


def test_a_second_holder_is_told_where_and_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "new" / ".lock"
    with (
        locked(path, *WORDS),
        pytest.raises(OutputError, match="another process works here") as told,
        locked(path, *WORDS),
    ):
        pass
    assert (told.value.where, told.value.remedy) == (str(path.parent), "Wait for it")
    with locked(path, *WORDS):
        pass


def test_it_waits_as_long_as_it_is_told(tmp_path: Path) -> None:
    holder = locked(tmp_path / ".lock", *WORDS)
    holder.__enter__()
    timer = Timer(0.3, holder.__exit__, (None, None, None))
    timer.start()
    with locked(tmp_path / ".lock", *WORDS, patience=60):
        timer.join()


def test_it_lasts_as_long_as_a_process_that_inherited_it(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with locked(path, *WORDS) as lock:
        orphan = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], pass_fds=(lock,))
    try:
        with pytest.raises(OutputError, match="another process"), locked(path, *WORDS):
            pass
    finally:
        orphan.kill()
        orphan.wait()
    with locked(path, *WORDS):
        pass


def test_it_ends_with_a_process_that_is_killed(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    script = (
        "import sys, time; from pathlib import Path; from sonoseg._util.locks import locked\n"
        "with locked(Path(sys.argv[1]), 'busy', 'wait'):\n    print('held', flush=True)\n    time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    holder.kill()
    holder.wait()
    began = time.monotonic()
    with locked(path, *WORDS, patience=30):
        assert time.monotonic() - began < 30


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    with pytest.raises(OutputError, match="cannot be written"), locked(tmp_path / "file" / ".lock", *WORDS):
        pass
