"""The catalogue is whole, and every set in it has a reader."""

from __future__ import annotations

import re

import pytest

from sonoseg.data.catalogue import CATALOGUE, entry_of
from sonoseg.data.readers import READERS
from sonoseg.data.record import LABELS
from sonoseg.errors import UsageError


@pytest.mark.parametrize("name", CATALOGUE)
def test_an_entry(name: str) -> None:
    entry = CATALOGUE[name]
    assert entry.name == name
    assert name in READERS
    assert "doi:10." in entry.citation
    assert entry.counts["images"] == sum(entry.counts.get(label, 0) for label in LABELS)
    assert entry.downloads
    for item in entry.downloads:
        assert item.url.startswith("https://")
        assert item.sha256 is None or re.fullmatch("[0-9a-f]{64}", item.sha256)
    assert entry.by_hand_command.count("--from") == len(entry.downloads)


def test_an_unknown_name() -> None:
    with pytest.raises(UsageError, match=r"no public set is called 'busy'.*busi, bus-bra"):
        entry_of("busy")
