"""`sonoseg pacs query`: what an archive has."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from sonoseg._util.packages import require
from sonoseg.cli.common import err, out, print_json
from sonoseg.cli.pacs_address import (
    AccessionOption,
    ArchiveOption,
    CaOption,
    CertificateOption,
    ConfigOption,
    DateOption,
    InstanceOption,
    KeyOption,
    LevelChoice,
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

if TYPE_CHECKING:
    from sonoseg.pacs.client import QueryMatch

_COLUMNS = {
    "study": {
        "patient": "PatientID",
        "date": "StudyDate",
        "accession": "AccessionNumber",
        "modalities": "ModalitiesInStudy",
        "instances": "NumberOfStudyRelatedInstances",
    },
    "series": {
        "modality": "Modality",
        "number": "SeriesNumber",
        "description": "SeriesDescription",
        "instances": "NumberOfSeriesRelatedInstances",
    },
    "instance": {"number": "InstanceNumber", "frames": "NumberOfFrames", "class": "SOPClassUID"},
}


def query(
    archive: ArchiveOption = None,
    config: ConfigOption = None,
    echo: Annotated[
        bool, typer.Option("--echo", help="Only ask whether it is there and lets us in.")
    ] = False,
    level: Annotated[LevelChoice, typer.Option(help="What one line is.")] = LevelChoice.study,
    patient: PatientOption = None,
    accession: AccessionOption = None,
    date: DateOption = None,
    modality: ModalityOption = None,
    study: StudyOption = None,
    series: SeriesOption = None,
    instance: InstanceOption = None,
    limit: LimitOption = 100,
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
    """List studies, series or instances of an archive; names of patients are not asked for.

    Exit code 1 where the archive cannot be reached or refuses.
    """
    require("pacs", "pynetdicom", "dicomweb_client")
    from sonoseg.cli.warnings_display import plain_warnings
    from sonoseg.pacs.client import open_archive

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
    asked = query_of(
        level=level.value,
        patient=patient,
        accession=accession,
        date=date,
        modality=modality,
        study=study,
        series=series,
        instance=instance,
        limit=limit,
    )
    with plain_warnings(), open_archive(address) as opened:
        if echo:
            opened.echo()
            found = []
        else:
            found = list(opened.find(asked))
    if as_json:
        print_json({"archive": str(address), "found": [asdict(item) for item in found]})
    elif echo:
        out.print(f"{address} is there and lets us in", markup=False, soft_wrap=True)
    else:
        _table(found, level.value)
    if limit is not None and len(found) == limit:
        err.print(f"the first {limit:,}: there may be more, see --limit")


def _table(found: list[QueryMatch], level: str) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    columns = _COLUMNS[level]
    table = Table(*columns, "UID")
    for item in found:
        uid = item.instance or item.series or item.study
        table.add_row(*(escape(item.values.get(keyword, "")) for keyword in columns.values()), uid)
    # A narrow terminal folds the UID; a file or a program gets whole lines.
    table.columns[-1].overflow, table.columns[-1].min_width = "fold", 16
    (out if out.is_terminal else Console(file=out.file, width=10_000)).print(table)
