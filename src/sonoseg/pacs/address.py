"""Where an archive is and how to speak with it: over DIMSE (PS3.7, PS3.8) or over DICOMweb (PS3.18).

In a settings file an address is a table with its `kind`; on the command line it is one word: see `parse`.
Secrets are never part of an address: it names the environment variable that holds them.
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

OUR_AE = "SONOSEG"


def _ae_title(text: str) -> str:
    # PS3.5 section 6.2, AE: 1 to 16 signs of the default repertoire, no backslash, no control characters.
    title = text.strip(" ")
    if not 1 <= len(title) <= 16 or not all(" " <= sign <= "~" and sign != "\\" for sign in title):
        raise ValueError(f"an AE title has 1 to 16 printable ASCII signs and no backslash, not {text!r}")
    return title


AeTitle = Annotated[str, AfterValidator(_ae_title)]
"""An application entity's title, stripped."""
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class PeerTls(StrictModel):
    """How a DIMSE peer is trusted, and how we show who we are (PS3.15 annex B.12, BCP 195).

    ca: a PEM file of the authorities that we trust; None trusts the system's own.
    certificate, key: our own PEM files, where the peer asks for them.
    name: the name in the peer's certificate, where it is not the host's.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    name: str | None = None

    @model_validator(mode="after")
    def _both_or_none(self) -> PeerTls:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together: give both or neither")
        return self


class DimseAddress(StrictModel):
    """An archive spoken to over DIMSE.

    ae, host, port: the archive's own. our_ae: the title we call ourselves.
    retrieve: get asks for the instances on the same association (C-GET); move has the archive call us back
        (C-MOVE), at `listen_port`, where it must know `our_ae` by that host and port.
    timeout: seconds to wait for an answer; connect_timeout: seconds to wait for a connection.
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
            raise ValueError("retrieve by C-MOVE needs listen_port, where the archive sends the instances")
        return self

    def __str__(self) -> str:
        return f"{self.ae}@{self.host}:{self.port}"


class WebAddress(StrictModel):
    """An archive spoken to over DICOMweb.

    url: the root of its services, e.g. https://pacs.example/dicom-web, without name and password.
    user, password_variable: HTTP Basic; the environment variable holds the password.
    token_variable: the environment variable holds a bearer token.
    ca: a PEM file of the authorities that we trust; None trusts the usual ones.
    certificate, key: our own PEM files, where the archive asks for them.
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
            raise ValueError("url must not hold a name or password: use user and password_variable")
        if (self.user is None) != (self.password_variable is None):
            raise ValueError("user and password_variable belong together: give both or neither")
        if self.user is not None and self.token_variable is not None:
            raise ValueError("give user and password_variable, or token_variable, not all three")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together: give both or neither")
        return self

    def secret(self) -> str | None:
        """The password or token, from the environment. Raises UsageError where its variable is not set."""
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
"""Either way, told apart by `kind`: "dimse" or "web". A field of this type belongs into a pydantic model."""

_DIMSE = re.compile(r"(?P<ae>[^@]+)@(?P<host>\[[^\]]+\]|[^:\[\]]+):(?P<port>[0-9]+)")


def parse(text: str, **options: Any) -> DimseAddress | WebAddress:
    """The address that one word says: AE@HOST:PORT, or http(s)://...; `options` are further fields of it.

    Options that are None are left out. Raises UsageError.
    """
    given = {key: value for key, value in options.items() if value is not None}
    try:
        if "://" in text:
            return WebAddress(kind="web", url=text, **given)
        match = _DIMSE.fullmatch(text)
        if match is None:
            raise UsageError(
                "is no address of an archive",
                where=text,
                remedy="Write AE@HOST:PORT, or http(s)://HOST/dicom-web",
            )
        return DimseAddress(ae=match["ae"], host=match["host"].strip("[]"), port=int(match["port"]), **given)
    except ValidationError as error:
        invalid = describe(error, WebAddress if "://" in text else DimseAddress)
        raise UsageError(
            invalid.problem,
            where=text,
            remedy=invalid.remedy or "See docs/pacs.md for the parts of an address",
        ) from error
