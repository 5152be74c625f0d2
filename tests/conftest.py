"""Fixtures that every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def _real(*parts: str) -> Path:
    folder = REAL_DATA.joinpath(*parts)
    if not folder.is_dir():
        pytest.skip(f"the public set {'/'.join(parts)} is not beside the repository")
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of public sets beside the repository; skips where it is absent."""
    return _real()


@pytest.fixture(scope="session")
def real_busi() -> Path:
    """BUSI in its published layout; skips where it is absent."""
    return _real("busi", "Dataset_BUSI_with_GT")


@pytest.fixture(scope="session")
def real_busbra() -> Path:
    """BUS-BRA in its published layout; skips where it is absent."""
    return _real("bus-bra", "BUSBRA")
