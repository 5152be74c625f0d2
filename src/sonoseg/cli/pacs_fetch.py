"""`sonoseg pacs fetch`: instances of an archive, into a folder."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from sonoseg._util.packages import require
from sonoseg.cli.common import err, out, print_json, progress
from sonoseg.cli.pacs_address import (
    AccessionOption,
    ArchiveOption,
    CaOption,
    CertificateOption,
    ConfigOption,
    DateOption,
    InstanceOption,
    KeyOption,
    LimitOption,
    ModalityOption,
    OurAeOption,
    PasswordOption,
    PatientOption,
    SeriesOption,
    StudyOption,
    TimeoutOption,
    TlsOption,
    TokenOption,
    UserOption,
    address_of,
    query_of,
)
from sonoseg.errors import BatchError, UsageError


def fetch(
    into: Annotated[Path, typer.Option("--out", "-o", help="The folder; made where it is not there.")],
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    patient: PatientOption = None,
    accession: AccessionOption = None,
    date: DateOption = None,
    modality: ModalityOption = None,
    study: StudyOption = None,
    series: SeriesOption = None,
    instance: InstanceOption = None,
    limit: LimitOption = None,
    move_port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="DIMSE: have it sent to us at this port (C-MOVE), not C-GET."),
    ] = None,
    listen_host: Annotated[
        str | None, typer.Option(help="DIMSE: the address to listen on for C-MOVE; 127.0.0.1 by default.")
    ] = None,
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
    """Fetch what matches, each instance as OUT/<SOP Instance UID>.dcm, as the archive has it.

    A file that is there is left as it is: the same command again goes on where it broke off.
    Exit code 3 where single instances failed, 1 where the archive cannot be reached or refuses.
    """
    require("pacs", "pynetdicom", "dicomweb_client")
    if not any((patient, accession, date, modality, study, series, instance, limit)):
        raise UsageError(
            "this would fetch the whole archive", remedy="Say what to fetch, e.g. --study, or --limit"
        )
    from sonoseg.cli.warnings_display import plain_warnings
    from sonoseg.pacs.client import FetchOutcome, open_archive

    address = address_of(
        archive,
        config,
        tls=tls,
        ca=ca,
        certificate=certificate,
        key=key,
        our_ae=our_ae,
        retrieve=None if move_port is None else "move",
        listen_port=move_port,
        listen_host=listen_host,
        user=user,
        password_variable=password_variable,
        token_variable=token_variable,
        timeout=timeout,
    )
    asked = query_of(
        level="instance",
        patient=patient,
        accession=accession,
        date=date,
        modality=modality,
        study=study,
        series=series,
        instance=instance,
        limit=limit,
    )
    fetched = []
    with plain_warnings(), open_archive(address) as opened:
        for item in progress(opened.fetch(asked, into), "fetching"):
            fetched.append(item)
            if item.outcome is FetchOutcome.FAILED:
                err.print(escape(f"{item.instance}: {item.words}"), soft_wrap=True)
    counts = {outcome.value: sum(item.outcome is outcome for item in fetched) for outcome in FetchOutcome}
    if as_json:
        print_json({"archive": str(address), "counts": counts, "instances": [asdict(i) for i in fetched]})
    else:
        out.print(
            f"{counts['fetched']:,} fetched, {counts['there']:,} were there already, "
            f"{counts['failed']:,} failed"
        )
    if counts["failed"]:
        raise BatchError(f"{counts['failed']:,} of {len(fetched):,} instances could not be fetched")
