"""`sonoseg pacs send`: store DICOM files in a PACS."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from sonoseg._util.packages import require
from sonoseg.cli.common import err, out, print_json, progress
from sonoseg.cli.pacs_options import ConnectionOptions, JsonOption, shared_options
from sonoseg.errors import BatchError, InputError, PacsError

_BATCH = 50  # files per association: progress is shown, and the rest is skipped if the archive is unreachable


@shared_options
def send(
    paths: Annotated[list[Path], typer.Argument(help="DICOM files, or folders of them.")],
    connection: ConnectionOptions,
    as_json: JsonOption = False,
) -> None:
    """Send files unchanged, patient attributes included. A PACS stores a file that is sent twice once.

    Exit code 3 if it refused single files, 1 if it cannot be reached.
    """
    require("pacs", "pynetdicom", "dicomweb_client")
    from sonoseg.cli.warnings_display import plain_warnings
    from sonoseg.pacs.archive import Stored, StoreOutcome
    from sonoseg.pacs.client import open_archive

    address = connection.address()
    stored: list[Stored] = []
    with plain_warnings():
        files = _dicom_files(paths)
    with plain_warnings(), open_archive(address) as archive:
        batches = [files[start : start + _BATCH] for start in range(0, len(files), _BATCH)]
        for batch in progress(batches, "sending", len(batches)):
            stored += archive.store(batch)
            if stored[-1].outcome is StoreOutcome.UNREACHABLE:
                break
    for item in stored:
        if item.reason:  # a stored file has one if the archive answers with a warning
            err.print(escape(f"{item.path}: {item.outcome.value}: {item.reason}"), soft_wrap=True)
    counts = {outcome.value: sum(item.outcome is outcome for item in stored) for outcome in StoreOutcome}
    counts["unreachable"] += len(files) - len(stored)
    if as_json:
        print_json({"archive": str(address), "counts": counts, "files": [asdict(item) for item in stored]})
    else:
        out.print(
            f"{counts['stored']:,} stored, {counts['refused']:,} refused, "
            f"{counts['unreachable']:,} without a response"
        )
    if counts["unreachable"]:
        raise PacsError(
            f"no response for {counts['unreachable']:,} of {len(files):,} files",
            where=str(address),
            remedy="Send them again: stored files are not stored twice",
        )
    if counts["refused"]:
        raise BatchError(f"{counts['refused']:,} of {len(files):,} files were refused")


def _dicom_files(paths: list[Path]) -> list[Path]:
    """Return the given files and the DICOM files of the folders. Raises InputError if there are none.

    Warns (SkippedFiles) of images that are not DICOM.
    """
    from sonoseg.dicom.reading.detection import is_dicom
    from sonoseg.inputs.file_kinds import skipped
    from sonoseg.inputs.file_search import SkippedFiles, find_images

    named = {path for path in paths if path.is_file()}
    found = find_images(paths, objects=True)
    files = [path for path in found if path in named or is_dicom(path)]
    others = Counter({"non-DICOM image": len(found) - len(files)})
    if not files:
        raise InputError(
            f"no DICOM file found: {skipped(others)}",
            where=", ".join(map(str, paths)),
            remedy="Give DICOM files, or folders with some",
        )
    if len(files) < len(found):
        warnings.warn(skipped(others), SkippedFiles, stacklevel=2)
    return files
