"""Fixtures of the tests of training."""

from __future__ import annotations

from pathlib import Path

import pytest

from sonoseg.data.prepared_set import PreparedSet
from sonoseg.data.splits import Split


@pytest.fixture
def given(phantom_set: Path, phantom_split: Path) -> tuple[PreparedSet, Split]:
    return PreparedSet.open(phantom_set), Split.load(phantom_split)
