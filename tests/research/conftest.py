"""Modules of research/, imported as its scripts import each other: their folder is on the path."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

RESEARCH = Path(__file__).resolve().parents[2] / "research"


def _importer(folder: Path) -> Iterator[Callable[[str], ModuleType]]:
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(str(folder))
        yield importlib.import_module


@pytest.fixture(scope="session")
def research_script() -> Iterator[Callable[[str], ModuleType]]:
    """Import a module of research/scripts by its name."""
    yield from _importer(RESEARCH / "scripts")


@pytest.fixture(scope="session")
def benchmark_script() -> Iterator[Callable[[str], ModuleType]]:
    """Import a module of research/benchmarks by its name."""
    yield from _importer(RESEARCH / "benchmarks")
