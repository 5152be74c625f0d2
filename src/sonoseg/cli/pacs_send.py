"""`sonoseg pacs send`: DICOM files into an archive."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from sonoseg._util.packages import require
from sonoseg.cli.common import err, out, print_json, progress
from sonoseg.cli.pacs_address import (
    ArchiveOption,
    CaOption,
    CertificateOption,
    ConfigOption,
    KeyOption,
    OurAeOption,
    PasswordOption,
    TimeoutOption,
    TlsOption,
    TokenOption,
    UserOption,
    address_of,
)
from sonoseg.errors import BatchError, PacsError

_AT_ONCE = 50  # files an association: the progress moves, and the rest is not tried where the archive is away


def send(
    paths: Annotated[list[Path], typer.Argument(help="DICOM files, or folders of them.")],
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON for a program to read.")] = False,
    our_ae: OurAeOption = None,
    tls: TlsOption = False,
    ca: CaOption = None,
    certificate: CertificateOption = None,
    key: KeyOption = None,
    user: UserOption = None,
    password_variable: PasswordOption = None,
    token_variable: TokenOption = None,
    timeout: TimeoutOption = None,
) -> None:
    """Send files as they are; nothing of a patient is taken out. An archive keeps what is sent twice once.

    Exit code 3 where it refused single files, 1 where it cannot be reached.
    """
    require("pacs", "pynetdicom", "dicomweb_client")
    from sonoseg.cli.warnings_display import plain_warnings
    from sonoseg.pacs.client import Stored, StoreOutcome, open_archive

    address = address_of(
        archive,
        config,
        tls=tls,
        ca=ca,
        certificate=certificate,
        key=key,
        our_ae=our_ae,
        user=user,
        password_variable=password_variable,
        token_variable=token_variable,
        timeout=timeout,
    )
    files = _dicom_files(paths)
    stored: list[Stored] = []
    with plain_warnings(), open_archive(address) as opened:
        parts = [files[start : start + _AT_ONCE] for start in range(0, len(files), _AT_ONCE)]
        for part in progress(parts, "sending", len(parts)):
            stored += opened.store(part)
            if stored[-1].outcome is StoreOutcome.UNREACHABLE:
                break
    for item in stored:
        if not item.stored:
            err.print(escape(f"{item.path}: {item.outcome.value}: {item.words}"), soft_wrap=True)
    counts = {outcome.value: sum(item.outcome is outcome for item in stored) for outcome in StoreOutcome}
    counts["unreachable"] += len(files) - len(stored)
    if as_json:
        print_json({"archive": str(address), "counts": counts, "files": [asdict(item) for item in stored]})
    else:
        out.print(
            f"{counts['stored']:,} stored, {counts['refused']:,} refused, "
            f"{counts['unreachable']:,} without an answer"
        )
    if counts["unreachable"]:
        raise PacsError(
            f"{counts['unreachable']:,} of {len(files):,} files had no answer",
            where=str(address),
            remedy="Send them again: what is there already is not stored twice",
        )
    if counts["refused"]:
        raise BatchError(f"{counts['refused']:,} of {len(files):,} files were refused")


def _dicom_files(paths: list[Path]) -> list[Path]:
    """The files named, and the DICOM files of the folders. Raises InputError where there are none."""
    from sonoseg.dicom.reading.detection import is_dicom
    from sonoseg.inputs.file_search import find_images

    named = {path for path in paths if path.is_file()}
    return [path for path in find_images(paths) if path in named or is_dicom(path)]
