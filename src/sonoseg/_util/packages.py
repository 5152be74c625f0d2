"""Installed packages: their versions, and the error for a missing optional one."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from sonoseg.errors import MissingExtra


def is_installed(module: str) -> bool:
    """Whether a top-level module can be imported. It is not imported."""
    return find_spec(module) is not None


def installed_version(package: str) -> str | None:
    """Return the version of an installed distribution; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of those of `packages` that are installed, in that order."""
    found = {package: installed_version(package) for package in packages}
    return {package: number for package, number in found.items() if number is not None}


def missing_extra(package: str, extra: str) -> MissingExtra:
    """Return the error for a missing optional package, with the command that installs it."""
    return MissingExtra(
        f"the package '{package}' is required and not installed",
        remedy=f"Install it with: pip install 'sonoseg[{extra}]'",
    )


def require(extra: str, *modules: str) -> None:
    """Raise MissingExtra unless all `modules`, which the extra `extra` installs, can be imported."""
    for module in modules:
        if not is_installed(module):
            raise missing_extra(module, extra)
