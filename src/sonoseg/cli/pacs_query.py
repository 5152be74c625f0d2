"""`sonoseg pacs query`: list studies, series or instances of a PACS."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from sonoseg._util.packages import require
from sonoseg.cli.common import err, out, print_json
from sonoseg.cli.pacs_options import (
    ConnectionOptions,
    JsonOption,
    LimitOption,
    MatchingOptions,
    shared_options,
)

if TYPE_CHECKING:
    from sonoseg.pacs.query import QueryMatch

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


class LevelChoice(StrEnum):
    """The level of a query."""

    study = "study"
    series = "series"
    instance = "instance"


@shared_options
def query(
    connection: ConnectionOptions,
    matching: MatchingOptions,
    echo: Annotated[bool, typer.Option("--echo", help="Only verify the connection.")] = False,
    level: Annotated[LevelChoice, typer.Option(help="What to list.")] = LevelChoice.study,
    limit: LimitOption = 100,
    as_json: JsonOption = False,
) -> None:
    """List studies, series or instances; patients' names are never requested.

    Exit code 1 if the archive cannot be reached or refuses.
    """
    require("pacs", "pynetdicom", "dicomweb_client")
    from sonoseg.cli.warnings_display import plain_warnings
    from sonoseg.pacs.client import open_archive

    address = connection.address()
    keys = matching.query(level.value, limit)
    found: list[QueryMatch] = []
    with plain_warnings(), open_archive(address) as archive:
        if echo:
            archive.echo()
        else:
            found = list(archive.find(keys))
    if as_json:
        print_json({"archive": str(address), "found": [asdict(item) for item in found]})
    elif echo:
        out.print(f"{address} accepts our connection", markup=False, soft_wrap=True)
    else:
        _table(found, level.value)
    if limit is not None and len(found) == limit:
        err.print(f"the first {limit:,} matches: there may be more, see --limit")


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
