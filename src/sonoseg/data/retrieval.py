"""Retrieve a public data set, from its publisher or from local archives, and verify it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sonoseg._util.files import sha256_file
from sonoseg.data.catalogue import CatalogueEntry, Download
from sonoseg.data.download import Report, fetch, verify
from sonoseg.data.folder_check import count_images
from sonoseg.data.folder_writing import alone, writing
from sonoseg.data.readers import read_source
from sonoseg.data.unpacking import unpack
from sonoseg.errors import DownloadError, OutputError, SonosegError


@dataclass(frozen=True)
class RetrievedSet:
    """A retrieved set: its folder, its counts, and the SHA-256 of each archive.

    fresh: False where the set was present already.
    """

    folder: Path
    counts: dict[str, int]
    checksums: dict[str, str]
    fresh: bool


def get(
    entry: CatalogueEntry,
    out: str | Path,
    *,
    files: Sequence[Path] = (),
    any_checksum: bool = False,
    keep: bool = False,
    reporter: Callable[[Download], Report] | None = None,
    wait: float = 1.0,
) -> RetrievedSet:
    """Download the set `entry`, or unpack local archives of it, into the folder `out`/NAME.

    files: local archives used in place of the download; they are only read.
    any_checksum: accept files whose SHA-256 is not the published one, if the counts agree.
    keep: keep the downloaded archives in `out`. reporter: gives a progress callback for each download.
    Raises DownloadError where a file cannot be downloaded or does not hold the set, OutputError where the
    folder holds something else.
    """
    out = Path(out)
    with alone(out / entry.name), writing(out):
        return _get(entry, out, files, any_checksum, keep, reporter, wait)


def _get(
    entry: CatalogueEntry,
    out: Path,
    files: Sequence[Path],
    any_checksum: bool,
    keep: bool,
    reporter: Callable[[Download], Report] | None,
    wait: float,
) -> RetrievedSet:
    target, downloads = out / entry.name, out / f".{entry.name}.download"
    if target.exists():
        return RetrievedSet(target, _held(entry, target), {}, fresh=False)
    if files:
        sources = _match(entry, files)
        if not any_checksum:
            for item, file in sources:
                verify(item, file)
    else:
        sources = [
            (item, _fetched(entry, item, downloads, reporter(item) if reporter else None, wait))
            for item in entry.downloads
        ]
    checksums = {file.name: sha256_file(file) for _, file in sources}

    partial = out / f".{entry.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)  # left by an interrupted run
    try:
        for item, file in sources:
            if item.name.endswith(".zip"):
                unpack(file, partial)
            else:
                partial.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, partial / item.name)
        counts = _counted(entry, partial, sources[0][1])
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    if not files and keep:
        for _, file in sources:
            file.replace(out / file.name)
    shutil.rmtree(downloads, ignore_errors=True)
    return RetrievedSet(target, counts, checksums, fresh=True)


def _fetched(entry: CatalogueEntry, item: Download, out: Path, report: Report | None, wait: float) -> Path:
    try:
        return fetch(item, out, report=report, wait=wait)
    except DownloadError as error:
        raise DownloadError(
            error.found,
            where=error.where,
            remedy=f"{error.remedy}. Or by hand: {entry.by_hand} ({entry.home}), "
            f"then: {entry.by_hand_command}",
        ) from error


def _match(entry: CatalogueEntry, files: Sequence[Path]) -> list[tuple[Download, Path]]:
    """Assign the user's files to the downloads by their suffix."""
    pairs = []
    for item in entry.downloads:
        suffix = Path(item.name).suffix
        fitting = [file for file in files if file.suffix.lower() == suffix]
        if len(fitting) != 1:
            raise DownloadError(
                f"{entry.name} needs one file ending in {suffix} ({item.name}), {len(fitting)} were given",
                where=", ".join(map(str, files)),
                remedy=f"{entry.by_hand} ({entry.home}), and give each file with --from",
            )
        pairs.append((item, fitting[0]))
    return pairs


def _counted(entry: CatalogueEntry, folder: Path, archive: Path) -> dict[str, int]:
    """The counts of an unpacked set. Raises DownloadError where they are not the published ones."""
    try:
        source = read_source(folder, entry.name)
    except SonosegError as error:
        raise DownloadError(
            f"the archive does not hold {entry.name}: {error.found}",
            where=archive,
            remedy=f"{entry.by_hand} ({entry.home})",
        ) from error
    counts = count_images(source)
    wrong = [
        f"{counts.get(k, 0)} {k} instead of {n}" for k, n in entry.counts.items() if counts.get(k, 0) != n
    ]
    if wrong:
        raise DownloadError(
            f"the archive holds {', '.join(wrong)}",
            where=archive,
            remedy=f"Download it again from {entry.home}; unpack a part of a set by hand",
        )
    return counts


def _held(entry: CatalogueEntry, target: Path) -> dict[str, int]:
    try:
        return _counted(entry, target, target)
    except DownloadError as error:
        raise OutputError(
            f"the folder exists and does not hold {entry.name} completely ({error.found})",
            where=target,
            remedy="Move it elsewhere, or choose another --out",
        ) from error
