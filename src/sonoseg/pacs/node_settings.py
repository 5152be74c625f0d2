"""What the node is told when it starts: a TOML file, and options that go before it."""

from __future__ import annotations

import ipaddress
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from sonoseg._util.validation import StrictModel, describe
from sonoseg.errors import UsageError
from sonoseg.inputs.frame_list import parse_choice
from sonoseg.pacs.address import OUR_AE, AeTitle, ArchiveAddress, parse
from sonoseg.pacs.tls import NodeTls

MIB = 1 << 20
ANYONE = "*"
"""In `allow`: every calling AE title."""

Back = Literal["seg", "sr", "capture"]
"""What may be sent back: segmentation, structured report, secondary capture."""

_PATHS = ("state", "model", "certificate", "key", "ca")


def _frames(text: str) -> str:
    try:
        parse_choice(text)
    except UsageError as error:
        raise ValueError(error.found) from error
    return text


class Retry(StrictModel):
    """How the node goes on where the archive, or a disk, does not.

    first, most: seconds before the second try, and at most; doubled each time, less up to a half by chance,
        so that nodes that were stopped by one fault do not all come back at once.
    tries: of an instance, where the archive does not answer or is short of means, or our disk is full. The
        default is about a week.
    refusals: of an instance, where the archive answers and does not want it.
    crashes: how often the node may end, or its memory fill, while it segments an instance before the
        instance is blamed.
    """

    first: Annotated[float, Field(gt=0)] = 5.0
    most: Annotated[float, Field(gt=0)] = 900.0
    tries: Annotated[int, Field(ge=1)] = 700
    refusals: Annotated[int, Field(ge=1)] = 6
    crashes: Annotated[int, Field(ge=1)] = 5


class NodeLimits(StrictModel):
    """What is refused before it costs anything.

    max_bytes: of one instance. associations: at once. keep_free: bytes that stay free on the state folder's
        disk, so that there is room for results: below it the answer is 0xA700, out of resources.
    idle: seconds after which a silent association is ended.
    """

    max_bytes: Annotated[int, Field(ge=1024)] = 2048 * MIB
    associations: Annotated[int, Field(ge=1)] = 16
    keep_free: Annotated[int, Field(ge=0)] = 256 * MIB
    idle: Annotated[float, Field(gt=0)] = 60.0


class NodeSettings(StrictModel):
    """A node's settings.

    ae, host, port: ours; port 0 is any that is free. called: refuse who calls us by another title.
    allow: the calling AE titles that may send; "*" is everyone, which must be said where other machines
        reach the node.
    tls: without it what is sent can be read on the way.
    state: the folder that keeps what was received, until it is sent; made where it is not there.
    archive: where results go.
    send_back: which objects. anonymise: without what belongs to the patient and the study.
    keep: keep images and results in the state folder once the archive has the results.
    model, runtime, precision, threads, threshold: as Predictor takes them. frames: of a clip, as --frames.
    batch: instances that are handed to the archive together.
    """

    ae: AeTitle = OUR_AE
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 11112
    called: bool = True
    allow: tuple[AeTitle, ...] = ()
    tls: NodeTls | None = None
    state: Path = Path("sonoseg-node")
    archive: ArchiveAddress
    send_back: Annotated[tuple[Back, ...], Field(min_length=1)] = ("seg", "sr")
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
    def _said_who(self) -> NodeSettings:
        if not self.allow and not _local(self.host):
            raise ValueError(
                f"allow: other machines reach {self.host}; name the AE titles that may send, or '{ANYONE}'"
            )
        return self

    @property
    def allowed(self) -> list[str]:
        """The calling AE titles that may send; [] is everyone."""
        return [] if ANYONE in self.allow else list(self.allow)


def load(path: Path | None, **options: Any) -> NodeSettings:
    """The settings of a TOML file, with options in place of what it says.

    path: None is a file that says nothing. Files that it names are looked for beside it. options: by field
    name; None is no option. `archive` may be one word, as address.parse takes it; where an archive's table
    leaves out its `kind` or `our_ae`, the one follows from the rest, and the other is `ae`.

    Raises UsageError, naming the key, for a file that cannot be read or that says something wrong.
    """
    said: dict[str, Any] = {} if path is None else _read(path)
    said |= {name: value for name, value in options.items() if value is not None}
    if "archive" in said:
        said["archive"] = _archive(said["archive"], said.get("ae", OUR_AE))
    try:
        return NodeSettings.model_validate(said)
    except ValidationError as error:
        invalid = describe(error, NodeSettings, tags=("dimse", "web"))
        if invalid.key == "archive" and "archive" not in said:
            raise UsageError(
                "no archive to send results to",
                where=path or "options",
                remedy="Name it in [archive] or with --archive",
            ) from error
        raise UsageError(
            invalid.problem,
            where=path or "options",
            remedy=invalid.remedy or "See docs/pacs.md for every setting",
        ) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            said = tomllib.load(file)
    except OSError as error:
        raise UsageError(
            f"cannot be read ({error.strerror})", where=path, remedy="Name a TOML file with --config"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"no valid TOML ({error})", where=path, remedy="Correct it there") from error
    _beside(said, path.absolute().parent)
    return said


def _archive(said: Any, ae: Any) -> Any:
    if isinstance(said, str):
        return parse(said) if "://" in said else parse(said, our_ae=ae)
    if not isinstance(said, dict):
        return said
    kind = said.get("kind", "web" if "url" in said else "dimse")
    return {"kind": kind} | ({"our_ae": ae} if kind == "dimse" else {}) | said


def _beside(said: dict[str, Any], folder: Path) -> None:
    """Let the files that a settings file names lie beside it, wherever the node is started."""
    for key, value in said.items():
        if isinstance(value, dict):
            _beside(value, folder)
        elif key in _PATHS and isinstance(value, str):
            said[key] = str(folder / value)


def _local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name may be anybody's
