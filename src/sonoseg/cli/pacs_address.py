"""What the verbs beside an archive share: where it is, who we are, and what to look for."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sonoseg._util.validation import clause
from sonoseg.errors import UsageError

if TYPE_CHECKING:
    from sonoseg.pacs.client import DimseAddress, Query, WebAddress

ArchiveOption = Annotated[
    str | None,
    typer.Option("--archive", "-a", help="The archive: AE@HOST:PORT, or the root of DICOMweb, http(s)://..."),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Settings of a node, a TOML file: the archive is the one in there."),
]
OurAeOption = Annotated[str | None, typer.Option(help="DIMSE: our AE title; SONOSEG by default.")]
TlsOption = Annotated[
    bool, typer.Option("--tls", help="DIMSE: speak TLS; --ca and --certificate say it too.")
]
CaOption = Annotated[
    Path | None, typer.Option(help="TLS: authorities (PEM) to trust; the system's own by default.")
]
CertificateOption = Annotated[Path | None, typer.Option(help="TLS: our certificate (PEM), with --key.")]
KeyOption = Annotated[Path | None, typer.Option(help="TLS: its key (PEM).")]
UserOption = Annotated[str | None, typer.Option(help="DICOMweb: user name, with --password-variable.")]
PasswordOption = Annotated[
    str | None, typer.Option(help="DICOMweb: the environment variable that holds the password.")
]
TokenOption = Annotated[
    str | None, typer.Option(help="DICOMweb: the environment variable that holds a bearer token.")
]
TimeoutOption = Annotated[
    float | None, typer.Option(min=0.1, help="Seconds to wait for an answer; 60 by default.")
]

PatientOption = Annotated[str | None, typer.Option(help="Patient ID; * and ? stand for any signs.")]
AccessionOption = Annotated[str | None, typer.Option(help="Accession number; * and ? as above.")]
DateOption = Annotated[
    str | None, typer.Option(help="Study date: 20240131, 20240101-20240131, 20240101- or -20240131.")
]
ModalityOption = Annotated[str | None, typer.Option(help="Modality, e.g. US.")]
StudyOption = Annotated[str | None, typer.Option(help="Study Instance UID.")]
SeriesOption = Annotated[str | None, typer.Option(help="Series Instance UID.")]
InstanceOption = Annotated[str | None, typer.Option(help="SOP Instance UID.")]
LimitOption = Annotated[int | None, typer.Option(min=1, help="Stop after so many.")]


class LevelChoice(StrEnum):
    """What one line of an answer is."""

    study = "study"
    series = "series"
    instance = "instance"


def address_of(
    archive: str | None,
    config: Path | None,
    *,
    tls: bool,
    ca: Path | None,
    certificate: Path | None,
    key: Path | None,
    **more: Any,
) -> DimseAddress | WebAddress:
    """The archive that the options or the settings file say.

    more: further fields of the address; None is no option. Raises UsageError.
    """
    from sonoseg.pacs.address import parse

    if archive is None:
        if config is None:
            raise UsageError("no archive is named", remedy="Name it with --archive or --config")
        from sonoseg.pacs.node_settings import load

        if tls or any(value is not None for value in (ca, certificate, key, *more.values())):
            raise UsageError(
                "options of the connection beside --config",
                remedy="Say them in the settings file, in [archive], or name the archive with --archive",
            )
        return load(config).archive
    if config is not None:
        raise UsageError("both --archive and --config", remedy="Name the archive one way")
    files = {"ca": ca, "certificate": certificate, "key": key}
    if "://" in archive:
        if tls:
            raise UsageError("--tls with DICOMweb", where=archive, remedy="Write https:// instead")
        return parse(archive, **files, **more)
    said = {name: path for name, path in files.items() if path is not None}
    return parse(archive, tls=said if tls or said else None, **more)


def query_of(**words: Any) -> Query:
    """What to look for. Raises UsageError, naming the option."""
    from pydantic import ValidationError

    from sonoseg.pacs.client import Query

    try:
        return Query.model_validate(words)
    except ValidationError as error:
        first = error.errors()[0]
        option = "--" + ".".join(str(part) for part in first["loc"]) if first["loc"] else "the options"
        raise UsageError(clause(first), where=option, remedy="See docs/pacs.md") from error
