"""Atomic writes of files."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from sonoseg._util import files
from sonoseg._util.files import atomic_path, atomic_write_text, remove_leftovers


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_a_file_gets_the_usual_permissions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The umask is not touched at a write: for that moment it would hold for other threads' files, too."""
    monkeypatch.setattr(os, "umask", None)
    monkeypatch.setattr(files, "_UMASK", 0o027)
    atomic_write_text(tmp_path / "a", "text")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_a_failed_block_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    atomic_write_text(path, "old")
    with pytest.raises(UnicodeEncodeError), atomic_path(path) as temporary:
        temporary.write_text("half \udcff", "utf-8")
    assert [one.name for one in path.parent.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".a.png.abcd_123.png").write_text("half")
    (tmp_path / ".a.png").write_text("the user's")
    remove_leftovers(tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == [".a.png"]
