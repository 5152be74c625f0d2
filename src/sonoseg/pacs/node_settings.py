"""Settings of the node: a TOML file, overridden by options."""

from __future__ import annotations

import ipaddress
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from sonoseg._util.validation import StrictModel, describe
from sonoseg.errors import UsageError
from sonoseg.inputs.frame_list import parse_choice
from sonoseg.pacs.address import OUR_AE, AeTitle, ArchiveAddress, parse_address
from sonoseg.pacs.tls import NodeTls

MIB = 1 << 20
ANYONE = "*"
"""In `allow`: every calling AE title."""

ResultKind = Literal["seg", "sr", "capture"]
"""Results: segmentation, structured report, secondary capture."""

_PATHS = ("state", "model", "certificate", "key", "ca")


def _frames(text: str) -> str:
    try:
        parse_choice(text)
    except UsageError as error:
        raise ValueError(error.found) from error
    return text


class Retry(StrictModel):
    """Retries of the node while the archive or a disk fails.

    first_delay, max_delay: seconds before the second attempt, and at most; doubled each time, less up to a
        half at random, so that nodes do not all retry at the same time.
    attempts: of an instance while the archive does not respond or is out of resources, or our disk is full;
        by default about a week.
    refusals: of an instance that the archive refuses.
    crashes: how often the node may end, or run out of memory, while it segments an instance before that
        instance fails.
    """

    first_delay: Annotated[float, Field(gt=0)] = 5.0
    max_delay: Annotated[float, Field(gt=0)] = 900.0
    attempts: Annotated[int, Field(ge=1)] = 700
    refusals: Annotated[int, Field(ge=1)] = 6
    crashes: Annotated[int, Field(ge=1)] = 5


class NodeLimits(StrictModel):
    """Limits of the node.

    max_bytes: of one instance. associations: at the same time. keep_free: bytes of the state folder's disk to
        leave free for results; below it instances are refused with 0xA700, out of resources.
    idle: seconds after which an idle association is aborted.
    connections, connections_per_address: at the same time, without an association; above it the oldest one is
        closed. request_timeout: seconds from the connection to its complete association request, the TLS
        handshake included. pdu_timeout: seconds from the first byte of a PDU to its last.
    """

    max_bytes: Annotated[int, Field(ge=1024)] = 2048 * MIB
    associations: Annotated[int, Field(ge=1)] = 16
    keep_free: Annotated[int, Field(ge=0)] = 256 * MIB
    idle: Annotated[float, Field(gt=0)] = 60.0
    connections: Annotated[int, Field(ge=1)] = 64
    connections_per_address: Annotated[int, Field(ge=1)] = 16
    request_timeout: Annotated[float, Field(gt=0)] = 10.0
    pdu_timeout: Annotated[float, Field(gt=0)] = 30.0


class NodeSettings(StrictModel):
    """Settings of a node.

    ae, host, port: AE title, address and port to listen on; port 0 is any free one.
    require_called_ae: refuse associations that call another AE title.
    allow: the calling AE titles that may send; "*" is any. Required if other machines can connect.
    tls: without it connections are not encrypted.
    state: folder of received instances until their results are sent; created if needed.
    archive: destination of the results. send_back: kinds of results. anonymise: without patient and study.
    keep: keep instances and results in the state folder after the results were sent.
    model, runtime, precision, threads, threshold: of Predictor. frames: of a clip, as --frames.
    batch: instances whose results are sent together.
    """

    ae: AeTitle = OUR_AE
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 11112
    require_called_ae: bool = True
    allow: tuple[AeTitle, ...] = ()
    tls: NodeTls | None = None
    state: Path = Path("sonoseg-node")
    archive: ArchiveAddress
    send_back: Annotated[tuple[ResultKind, ...], Field(min_length=1)] = ("seg", "sr")
    anonymise: bool = False
    keep: bool = False
    model: Path | None = None
    runtime: str = "auto"
    precision: str = "auto"
    threads: Annotated[int, Field(ge=1)] | None = None
    threshold: Annotated[float, Field(gt=0, lt=1)] | None = None
    frames: Annotated[str, AfterValidator(_frames)] = "all"
    batch: Annotated[int, Field(ge=1)] = 8
    retry: Retry = Retry()
    limits: NodeLimits = NodeLimits()

    @model_validator(mode="after")
    def _allow_is_given(self) -> NodeSettings:
        if not self.allow and not _local(self.host):
            raise ValueError(
                f"allow: other machines can connect to {self.host}; name the calling AE titles, or '{ANYONE}'"
            )
        return self

    @property
    def allowed(self) -> list[str]:
        """The calling AE titles that may send; [] is any."""
        return [] if ANYONE in self.allow else list(self.allow)


def load_settings(path: Path | None, **options: Any) -> NodeSettings:
    """Load the settings of a TOML file, overridden by options.

    path: None for options alone. Relative paths in the file are relative to its folder. options: by field
    name, None for none. `archive` may be a string for `parse_address`; in its table `kind` may be omitted,
    and `our_ae` is the node's `ae` by default.

    Raises UsageError, naming the key, if the file cannot be read or a value is invalid.
    """
    values: dict[str, Any] = {} if path is None else _read(path)
    values |= {name: value for name, value in options.items() if value is not None}
    if "archive" in values:
        values["archive"] = _archive(values["archive"], values.get("ae", OUR_AE))
    try:
        return NodeSettings.model_validate(values)
    except ValidationError as error:
        invalid = describe(error, NodeSettings, tags=("dimse", "web"))
        problem, remedy = invalid.problem, invalid.remedy or "See docs/pacs.md for the settings"
        if invalid.key == "archive" and "archive" not in values:
            problem, remedy = "no archive for the results", "Give it in [archive] or with --archive"
        raise UsageError(problem, where=path or "options", remedy=remedy) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            values = tomllib.load(file)
    except OSError as error:
        raise UsageError(
            f"cannot be read ({error.strerror})", where=path, remedy="Give a TOML file with --config"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"invalid TOML ({error})", where=path, remedy="Correct it there") from error
    _resolve_paths(values, path.absolute().parent)
    return values


def _archive(value: Any, ae: Any) -> Any:
    if isinstance(value, str):
        return parse_address(value) if "://" in value else parse_address(value, our_ae=ae)
    if not isinstance(value, dict):
        return value
    kind = value.get("kind", "web" if "url" in value else "dimse")
    return {"kind": kind} | ({"our_ae": ae} if kind == "dimse" else {}) | value


def _resolve_paths(values: dict[str, Any], folder: Path) -> None:
    """Make the paths in a settings file relative to its folder, wherever the node is started."""
    for key, value in values.items():
        if isinstance(value, dict):
            _resolve_paths(value, folder)
        elif key in _PATHS and isinstance(value, str):
            values[key] = str(folder / value)


def _local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a host name may resolve to any address
