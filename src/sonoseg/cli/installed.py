"""What is installed, by the extra that brings it, read from the package's own metadata."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version

CORE = "core"

_REQUIREMENT = re.compile(
    r"^(?P<name>[\w.-]+)\s*(?P<extras>\[[^]]*\])?\s*(?P<floor>[^;]*)(;(?P<marker>.*))?$"
)
_EXTRA = re.compile(r"""extra\s*==\s*['"](?P<extra>[^'"]+)['"]""")


@dataclass(frozen=True)
class Package:
    """One package that sonoseg asks for. floor: the least version. version: the one there is, or None."""

    name: str
    floor: str
    version: str | None

    @property
    def recent(self) -> bool:
        """Whether it is there and not older than its floor."""
        return self.version is not None and _numbers(self.version) >= _numbers(self.floor)


def packages(skip: Iterable[str] = ("dev",)) -> dict[str, list[Package]]:
    """The packages of the core and of each extra but those of `skip`; none where sonoseg is not installed."""
    try:
        wanted = requires("sonoseg") or []
    except PackageNotFoundError:
        return {}
    found: dict[str, list[Package]] = {CORE: []}
    for line in wanted:
        parts = _REQUIREMENT.match(line)
        if parts is None or parts["name"].lower() == "sonoseg":
            continue
        extra = _EXTRA.search(parts["marker"] or "")
        name = extra["extra"] if extra else CORE
        if name not in skip:
            floor = parts["floor"].strip().removeprefix(">=")
            found.setdefault(name, []).append(Package(parts["name"], floor, _version(parts["name"])))
    return found


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _numbers(text: str) -> tuple[int, ...]:
    """The release number of a version: (2, 13, 0) of "2.13.0+cpu"."""
    release = re.match(r"[\d.]*", text)
    return tuple(int(part) for part in (release[0] if release else "").split(".") if part)
