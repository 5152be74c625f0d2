"""Archives that mean harm, or are broken."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from sonoseg.data import unpacking as archives
from sonoseg.data.unpacking import unpack
from sonoseg.errors import DownloadError, OutputError


def pack(path: Path, **members: bytes) -> Path:
    """A ZIP file; the names' double underscores become slashes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name.replace("__", "/"), content)
    return path


def test_a_sound_archive(tmp_path: Path) -> None:
    unpack(pack(tmp_path / "a.zip", **{"set__x.txt": b"1", "set__deep__y.txt": b"2"}), tmp_path / "out")
    assert (tmp_path / "out" / "set" / "deep" / "y.txt").read_bytes() == b"2"


@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/etc/evil", "C:/evil", "C:evil", "..\\evil", "\\\\host\\evil"]
)
def test_names_that_leave_the_folder(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("fine.txt", b"1")
        member = zipfile.ZipInfo("x")
        member.filename = name
        file.writestr(member, b"evil")
    with pytest.raises(DownloadError, match="outside its folder"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert not list(tmp_path.rglob("*evil*"))
    assert not list(tmp_path.rglob("fine.txt"))


def test_a_link(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        member = zipfile.ZipInfo("link")
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(member, "/etc")
    with pytest.raises(DownloadError, match="not a regular file"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


@pytest.mark.process
def test_a_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = pack(tmp_path / "a.zip", zeros=bytes(210 << 20))
    assert bomb.stat().st_size < 1 << 20
    with pytest.raises(DownloadError, match="more than any known set"):
        unpack(bomb, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(archives, "MOST_FILES", 1)
    with pytest.raises(DownloadError, match="2 files"):
        unpack(pack(tmp_path / "b.zip", a=b"", b=b""), tmp_path / "out")


def test_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 3})())
    with pytest.raises(OutputError, match=r"0\.00 GB are free"):
        unpack(pack(tmp_path / "a.zip", a=b"1234"), tmp_path / "out")


@pytest.mark.parametrize("damage", ["text", "cut", "flipped"])
def test_damage(tmp_path: Path, damage: str) -> None:
    archive = pack(tmp_path / "a.zip", a=bytes(range(256)) * 40)
    content = bytearray(archive.read_bytes())
    if damage == "text":
        content = bytearray(b"<html>404</html>")
    elif damage == "cut":
        content = content[:-30]
    else:
        content[60] ^= 255
    archive.write_bytes(content)
    with pytest.raises((DownloadError, OutputError)) as caught:
        unpack(archive, tmp_path / "out")
    assert "not a valid ZIP archive" in str(caught.value)
