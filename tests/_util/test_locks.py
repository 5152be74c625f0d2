"""Locks: one holder at a time, and none after its process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from threading import Timer

import pytest

from sonoseg._util.locks import is_locked, lock_file, locked
from sonoseg.errors import OutputError

BUSY = ("another process works here", "Wait for it")


def test_a_second_holder_gets_an_error_with_folder_and_remedy(tmp_path: Path) -> None:
    path = tmp_path / "new" / ".lock"
    with (
        locked(path, *BUSY),
        pytest.raises(OutputError, match="another process works here") as caught,
        locked(path, *BUSY),
    ):
        pass
    assert (caught.value.where, caught.value.remedy) == (str(path.parent), "Wait for it")
    with locked(path, *BUSY):
        pass


def test_patience_waits_for_the_holder(tmp_path: Path) -> None:
    holder = locked(tmp_path / ".lock", *BUSY)
    holder.__enter__()
    timer = Timer(0.3, holder.__exit__, (None, None, None))
    timer.start()
    with locked(tmp_path / ".lock", *BUSY, patience=60):
        timer.join()


@pytest.mark.skipif(os.name != "posix", reason="passes a file descriptor")
def test_it_lasts_as_long_as_a_process_that_inherited_it(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with locked(path, *BUSY) as lock:
        orphan = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], pass_fds=(lock,))
    try:
        with pytest.raises(OutputError, match="another process"), locked(path, *BUSY):
            pass
    finally:
        orphan.kill()
        orphan.wait()
    with locked(path, *BUSY):
        pass


@pytest.mark.process
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
    with locked(path, *BUSY, patience=30):
        pass  # an OutputError would say that the lock is still held


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    with pytest.raises(OutputError, match="cannot be written"), locked(tmp_path / "file" / ".lock", *BUSY):
        pass


def test_where_and_remove(tmp_path: Path) -> None:
    path, folder = tmp_path / ".out.lock", tmp_path / "out"
    with locked(path, *BUSY, where=folder, remove=True):
        with pytest.raises(OutputError) as caught, locked(path, *BUSY, where=folder, remove=True):
            pass
        assert caught.value.where == str(folder)
        assert path.exists()
    assert not path.exists()


def test_a_lock_whose_file_was_removed_meanwhile_is_taken_anew(tmp_path: Path) -> None:
    """A process that opened the file before its holder removed it must not hold a lock on no name."""
    path = tmp_path / ".lock"
    with locked(path, *BUSY):
        path.unlink()  # as a holder with `remove` does
        with locked(path, *BUSY), pytest.raises(OutputError), locked(path, *BUSY):
            pass


def test_is_locked(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    assert is_locked(path) is False
    with locked(path, *BUSY):
        assert is_locked(path) is True
    assert is_locked(path) is False
    assert is_locked(tmp_path) is None


def test_lock_file_holds_until_the_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with path.open("a+b") as first:
        assert lock_file(first)
        with path.open("a+b") as second:
            assert not lock_file(second)
    with path.open("a+b") as third:
        assert lock_file(third)
