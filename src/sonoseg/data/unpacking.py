"""Unpack an untrusted ZIP archive."""

from __future__ import annotations

import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath, PureWindowsPath

from sonoseg.errors import DownloadError, OutputError

MOST_FILES = 100_000
MOST_BYTES = 20 * 1024**3
MOST_GROWTH = 200
"""Largest accepted ratio of the content to the archive, against ZIP bombs; images compress far less."""


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a ZIP file into `folder`.

    Every member is checked before the first byte is written: none may leave the folder, be a link or a
    device; the total size is limited and must fit the disk. Each file's checksum is verified.
    Raises DownloadError for a bad archive, OutputError where `folder` cannot take it.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            members = [member for member in file.infolist() if not member.is_dir()]
            _judge(members, archive)
            _room(sum(member.file_size for member in members), folder)
            for member in members:
                target = folder / member.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                with file.open(member) as source, target.open("wb") as sink:
                    shutil.copyfileobj(source, sink, 1 << 20)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        # zipfile raises RuntimeError for an encrypted member, ValueError for a name with a null byte.
        raise DownloadError(
            f"not a valid ZIP archive ({str(error).rstrip('.')})",
            where=archive,
            remedy="Download it again; unpack another kind of archive by hand",
        ) from error
    except OSError as error:
        raise OutputError(
            f"the archive cannot be unpacked here ({error.strerror or error})",
            where=folder,
            remedy="Free some space, or choose a folder you may write to",
        ) from error


def _judge(members: list[zipfile.ZipInfo], archive: Path) -> None:
    total = sum(member.file_size for member in members)
    packed = archive.stat().st_size
    if len(members) > MOST_FILES or total > MOST_BYTES or total > MOST_GROWTH * max(packed, 1 << 20):
        raise DownloadError(
            f"it would unpack to {len(members)} files of {total / 1e9:.1f} GB, more than any known set",
            where=archive,
            remedy="Download it again from the set's home page",
        )
    for member in members:
        name = member.filename
        kind = stat.S_IFMT(member.external_attr >> 16)
        leaves = (
            PurePosixPath(name).is_absolute()
            or bool(PureWindowsPath(name).drive)
            or "\\" in name
            or ".." in PurePosixPath(name).parts
        )
        if leaves or kind not in (0, stat.S_IFREG):
            raise DownloadError(
                f"it holds '{name}', which is outside its folder or not a regular file",
                where=archive,
                remedy="Do not use this archive; download it from the set's home page",
            )


def _room(needed: int, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OutputError(
            f"the archive needs {needed / 1e9:.2f} GB, {free / 1e9:.2f} GB are free",
            where=folder,
            remedy="Free some space, or choose another folder",
        )
