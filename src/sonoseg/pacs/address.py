"""Addresses of a PACS: over DIMSE (PS3.7, PS3.8) or over DICOMweb (PS3.18).

In a settings file an address is a table with its `kind`; on the command line it is one string: see
`parse_address`. An address never contains a secret, but the name of the environment variable that holds it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError, model_validator

from sonoseg._util.validation import StrictModel, describe
from sonoseg.errors import UsageError
from sonoseg.pacs.tls import PeerTls

OUR_AE = "SONOSEG"


def _ae_title(text: str) -> str:
    # PS3.5 6.2, AE: 1 to 16 characters of the default repertoire, no backslash, no control characters.
    title = text.strip(" ")
    if not 1 <= len(title) <= 16 or not all(" " <= letter <= "~" and letter != "\\" for letter in title):
        raise ValueError(f"an AE title has 1 to 16 printable ASCII characters and no backslash, not {text!r}")
    return title


AeTitle = Annotated[str, AfterValidator(_ae_title)]
"""The title of an application entity, stripped."""
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class DimseAddress(StrictModel):
    """A PACS over DIMSE.

    ae, host, port: of the archive. our_ae: our AE title.
    retrieve: "get" receives instances on the same association (C-GET); "move" has the archive send them to
        `listen_port` (C-MOVE), where `our_ae` must be configured with that host and port.
    timeout: seconds to wait for a response; connect_timeout: seconds to wait for a connection.
    """

    kind: Literal["dimse"] = "dimse"
    ae: AeTitle
    host: str = Field(min_length=1)
    port: Port
    our_ae: AeTitle = OUR_AE
    tls: PeerTls | None = None
    retrieve: Literal["get", "move"] = "get"
    listen_host: str = "127.0.0.1"
    listen_port: Port | None = None
    timeout: Seconds = 60.0
    connect_timeout: Seconds = 10.0

    @model_validator(mode="after")
    def _move_listens(self) -> DimseAddress:
        if self.retrieve == "move" and self.listen_port is None:
            raise ValueError("C-MOVE needs listen_port, where the archive sends the instances")
        return self

    def __str__(self) -> str:
        return f"{self.ae}@{self.host}:{self.port}"


class WebAddress(StrictModel):
    """A PACS over DICOMweb.

    url: the root of its services, for example https://pacs.example/dicom-web, without user and password.
    user, password_variable: HTTP Basic; the environment variable with the password.
    token_variable: the environment variable with a bearer token.
    ca: PEM file of the trusted authorities; None takes the usual ones.
    certificate, key: our own PEM files, if the archive requests them.
    """

    kind: Literal["web"]
    url: str
    user: str | None = None
    password_variable: str | None = None
    token_variable: str | None = None
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    timeout: Seconds = 60.0
    connect_timeout: Seconds = 10.0

    @model_validator(mode="after")
    def _fits(self) -> WebAddress:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"url must be http://... or https://..., not {self.url!r}")
        if parts.username or parts.password:
            raise ValueError("url must not contain a user or password: use user and password_variable")
        if (self.user is None) != (self.password_variable is None):
            raise ValueError("user and password_variable belong together: give both or neither")
        if self.user is not None and self.token_variable is not None:
            raise ValueError("give user and password_variable, or token_variable, not both")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together: give both or neither")
        return self

    def secret(self) -> str | None:
        """Return the password or token from the environment. Raises UsageError if its variable is not set."""
        name = self.password_variable or self.token_variable
        if name is None:
            return None
        value = os.environ.get(name)
        if not value:
            raise UsageError(
                f"the environment variable {name} is not set",
                where=str(self),
                remedy="Set it to the archive's password or token",
            )
        return value

    def __str__(self) -> str:
        return self.url


ArchiveAddress = Annotated[DimseAddress | WebAddress, Field(discriminator="kind")]
"""An address of either `kind`, "dimse" or "web", as a field of a pydantic model."""

_DIMSE = re.compile(r"(?P<ae>[^@]+)@(?P<host>\[[^\]]+\]|[^:\[\]]+):(?P<port>[0-9]+)")


def parse_address(text: str, **options: Any) -> DimseAddress | WebAddress:
    """Parse an address AE@HOST:PORT or http(s)://...; `options` are further fields, None for the default.

    Raises UsageError.
    """
    given = {key: value for key, value in options.items() if value is not None}
    try:
        if "://" in text:
            return WebAddress(kind="web", url=text, **given)
        match = _DIMSE.fullmatch(text)
        if match is None:
            raise UsageError(
                "not an address of a PACS",
                where=text,
                remedy="Write AE@HOST:PORT, or http(s)://HOST/dicom-web",
            )
        return DimseAddress(ae=match["ae"], host=match["host"].strip("[]"), port=int(match["port"]), **given)
    except ValidationError as error:
        invalid = describe(error, WebAddress if "://" in text else DimseAddress)
        raise UsageError(
            invalid.problem,
            where=text,
            remedy=invalid.remedy or "See docs/pacs.md for the keys of an address",
        ) from error
