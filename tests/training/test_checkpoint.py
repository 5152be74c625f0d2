"""A checkpoint is written atomically, and a damaged one is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from sonoseg.errors import OutputError, TrainingError
from sonoseg.training.checkpoint import load_checkpoint, save_checkpoint


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"step": 1})

    def full(_: Any, file: Any) -> None:
        Path(file).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OutputError) as caught:
        save_checkpoint(path, {"step": 2})
    assert "No space left on device" in str(caught.value)
    assert "Free some space" in str(caught.value)

    def full_in_torchs_words(_: Any, file: Any) -> None:
        Path(file).write_bytes(b"half")
        raise RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0")

    monkeypatch.setattr(torch, "save", full_in_torchs_words)
    with pytest.raises(OutputError, match="the one before it is intact"):
        save_checkpoint(path, {"step": 3})
    monkeypatch.undo()
    assert load_checkpoint(path)["step"] == 1
    assert [item.name for item in tmp_path.iterdir()] == ["last.pt"]


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a checkpoint", None])
def test_a_damaged_checkpoint_is_named(tmp_path: Path, damage: bytes | None) -> None:
    path = tmp_path / "last.pt"
    if damage is None:
        torch.save({"something": 1}, path)
    else:
        path.write_bytes(damage)
    with pytest.raises(TrainingError, match=r"last\.pt"):
        load_checkpoint(path)
    with pytest.raises(TrainingError, match="checkpoint is missing"):
        load_checkpoint(tmp_path / "none.pt")
