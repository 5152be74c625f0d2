"""Options that the client verbs of `sonoseg pacs` share: the archive's address, and matching keys."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from sonoseg.errors import UsageError

if TYPE_CHECKING:
    from sonoseg.pacs.address import DimseAddress, WebAddress
    from sonoseg.pacs.query import Query

JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON for a program to read.")]


@dataclass(frozen=True)
class ConnectionOptions:
    """Options of a connection to an archive."""

    archive: Annotated[
        str | None,
        typer.Option("--archive", "-a", help="AE@HOST:PORT, or the root of DICOMweb, http(s)://..."),
    ] = None
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="Settings file of a node (TOML): take its archive."),
    ] = None
    our_ae: Annotated[str | None, typer.Option(help="DIMSE: our AE title; SONOSEG by default.")] = None
    tls: Annotated[bool, typer.Option("--tls", help="DIMSE: use TLS; implied by --ca and --certificate.")] = (
        False
    )
    ca: Annotated[
        Path | None, typer.Option(help="TLS: trusted authorities (PEM); the system's by default.")
    ] = None
    certificate: Annotated[Path | None, typer.Option(help="TLS: our certificate (PEM), with --key.")] = None
    key: Annotated[Path | None, typer.Option(help="TLS: key of our certificate (PEM).")] = None
    user: Annotated[str | None, typer.Option(help="DICOMweb: user name, with --password-variable.")] = None
    password_variable: Annotated[
        str | None, typer.Option(help="DICOMweb: environment variable with the password.")
    ] = None
    token_variable: Annotated[
        str | None, typer.Option(help="DICOMweb: environment variable with a bearer token.")
    ] = None
    timeout: Annotated[
        float | None, typer.Option(min=0.1, help="Seconds to wait for a response; 60 by default.")
    ] = None

    def address(self, **more: Any) -> DimseAddress | WebAddress:
        """Return the archive's address. more: further fields, None for the default. Raises UsageError."""
        from sonoseg.pacs.address import parse_address

        given = asdict(self) | more
        archive, config, tls = given.pop("archive"), given.pop("config"), given.pop("tls")
        if archive is None:
            if config is None:
                raise UsageError("no archive is given", remedy="Give it with --archive or --config")
            from sonoseg.pacs.node_settings import load_settings

            if tls or any(value is not None for value in given.values()):
                raise UsageError(
                    "options of the connection with --config",
                    remedy="Set them in the file, in [archive], or give the archive with --archive",
                )
            return load_settings(config).archive
        if config is not None:
            raise UsageError("both --archive and --config", remedy="Give one of them")
        if "://" in archive:
            if tls:
                raise UsageError("--tls with DICOMweb", where=archive, remedy="Write https:// instead")
            return parse_address(archive, **given)
        files = {name: given.pop(name) for name in ("ca", "certificate", "key")}
        files = {name: path for name, path in files.items() if path is not None}
        return parse_address(archive, tls=files if tls or files else None, **given)


@dataclass(frozen=True)
class MatchingOptions:
    """Matching keys of a query."""

    patient: Annotated[str | None, typer.Option(help="Patient ID; * and ? are wildcards.")] = None
    accession: Annotated[str | None, typer.Option(help="Accession number; * and ? are wildcards.")] = None
    date: Annotated[
        str | None, typer.Option(help="Study date: 20240131, 20240101-20240131, 20240101- or -20240131.")
    ] = None
    modality: Annotated[str | None, typer.Option(help="Modality, for example US.")] = None
    study: Annotated[str | None, typer.Option(help="Study Instance UID.")] = None
    series: Annotated[str | None, typer.Option(help="Series Instance UID.")] = None
    instance: Annotated[str | None, typer.Option(help="SOP Instance UID.")] = None

    def query(self, level: str, limit: int | None) -> Query:
        """Return the query at a level. Raises UsageError, naming the option."""
        from pydantic import ValidationError

        from sonoseg._util.validation import clause
        from sonoseg.pacs.query import Query

        try:
            return Query.model_validate({"level": level, "limit": limit, **asdict(self)})
        except ValidationError as error:
            first = error.errors()[0]
            option = "--" + ".".join(str(part) for part in first["loc"]) if first["loc"] else "options"
            raise UsageError(clause(first), where=option, remedy="See docs/pacs.md") from error


LimitOption = Annotated[int | None, typer.Option(min=1, help="Maximum number of matches.")]


def shared_options(verb: Callable[..., None]) -> Callable[..., None]:
    """Decorate a verb: each parameter of a dataclass type becomes the options of its fields."""
    hints = get_type_hints(verb, include_extras=True)
    groups = {name: kind for name, kind in hints.items() if kind in (ConnectionOptions, MatchingOptions)}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(verb).parameters.items():
        if name not in groups:
            parameters.append(parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        types = get_type_hints(groups[name], include_extras=True)
        parameters += [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=field.default,
                annotation=types[field.name],
            )
            for field in fields(groups[name])
        ]

    @wraps(verb)
    def command(**given: Any) -> None:
        for name, kind in groups.items():
            given[name] = kind(**{field.name: given.pop(field.name) for field in fields(kind)})
        verb(**given)

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return command
