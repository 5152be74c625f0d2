"""From the words on the command line to sets on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sonoseg.data.readers import READERS, read_source, read_sources
from sonoseg.errors import DatasetError, UsageError


def test_every_layout_is_told_from_the_others(busi: Path, busbra: Path, busuclm: Path, breast: Path) -> None:
    kinds = [read_source(path).kind for path in (busi, busbra, busuclm, breast)]
    assert kinds == ["busi", "bus-bra", "bus-uclm", "breast"]
    assert set(kinds) <= set(READERS)


def test_joined_with_plus_and_apart(busi: Path, busbra: Path) -> None:
    joined = read_sources([f"{busi}+bus-bra={busbra}"])
    assert joined == read_sources([str(busi), str(busbra)])
    assert [source.name for source in joined] == ["busi", "bus-bra"]


def test_a_plus_or_equals_sign_in_a_folder_name(pairs: Callable[..., Path]) -> None:
    root = pairs(["a"], at="one+two=three")
    (source,) = read_sources([str(root)])
    assert source.folder == root


def test_a_name_of_ones_own(pairs: Callable[..., Path]) -> None:
    (source,) = read_sources([f"ward7={pairs(['a'])}"])
    assert source.records[0].id == "ward7/a"


def test_two_sets_of_one_name(busi: Path) -> None:
    with pytest.raises(UsageError, match="two sets have the name 'busi'"):
        read_sources([f"{busi}+{busi}"])


def test_a_forced_kind_that_does_not_fit(busi: Path) -> None:
    with pytest.raises(DatasetError, match="the layout of 'bus-bra' was not found"):
        read_source(busi, "bus-bra")
    with pytest.raises(UsageError, match="unknown kind of set 'busy'"):
        read_source(busi, "busy")


def test_nothing_and_nothing_known(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such file or folder"):
        read_source(tmp_path / "gone")
    with pytest.raises(DatasetError, match="no layout that sonoseg knows"):
        read_source(tmp_path)


def test_several_sets_in_one_folder(busi: Path, busbra: Path) -> None:
    del busi
    with pytest.raises(DatasetError, match="several sets in one folder"):
        read_source(busbra.parent)


def test_a_folder_that_may_not_be_read(busi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> object:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(DatasetError, match="cannot be read"):
        read_source(busi)
