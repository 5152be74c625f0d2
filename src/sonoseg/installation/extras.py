"""Installed packages by extra, from the metadata of sonoseg."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata

from packaging.requirements import Requirement
from packaging.version import Version

from sonoseg._util.packages import installed_version

CORE = "core"


@dataclass(frozen=True)
class Package:
    """One package that sonoseg requires.

    floor: the least version, "" for any. version: the installed one, or None.
    """

    name: str
    floor: str
    version: str | None

    @property
    def recent(self) -> bool:
        """Whether it is installed and not older than its floor."""
        return self.version is not None and Version(self.version) >= Version(self.floor or "0")


def packages(skip: Iterable[str] = ("dev",)) -> dict[str, list[Package]]:
    """Return the packages of the core and of each extra except `skip`; {} where sonoseg is not installed."""
    try:
        about = metadata("sonoseg")
    except PackageNotFoundError:
        return {}
    found: dict[str, list[Package]] = {CORE: []}
    extras = about.get_all("Provides-Extra") or []
    for wanted in map(Requirement, about.get_all("Requires-Dist") or []):
        if wanted.name.lower() == "sonoseg":
            continue
        floor = next((one.version for one in wanted.specifier if one.operator == ">="), "")
        package = Package(wanted.name, floor, installed_version(wanted.name))
        if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            found[CORE].append(package)
            continue
        for extra in extras:
            if extra not in skip and wanted.marker.evaluate({"extra": extra}):
                found.setdefault(extra, []).append(package)
    return found
