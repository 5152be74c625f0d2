"""What a run computes in: bfloat16 only where the device has it, the same in all processes, and said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sonoseg.data.prepared_set import PreparedSet
from sonoseg.data.splits import Split
from sonoseg.networks.bfloat16 import has_bf16
from sonoseg.training import device
from sonoseg.training import distributed as processes
from sonoseg.training.device import emulation_warning, resolve_precision
from sonoseg.training.recipe import load_recipe, recipe_names
from sonoseg.training.train import train

CPU = torch.device("cpu")
TINY = ["data.size=64", "batch=8", "epochs=1", "network.widths=[4,8,12,16]"]


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def of(**found: Any) -> None:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)

    return of


@pytest.mark.parametrize("name", ["avx512_bf16", "amx_bf16", "bf16", "sve_bf16"])
def test_a_processor_with_bfloat16(processor: Callable[..., None], name: str) -> None:
    processor(architecture="any", **{name: True})
    assert has_bf16(CPU)
    assert resolve_precision("auto", CPU) == "bf16"


@pytest.mark.parametrize(
    "found", [{}, {"avx2": True, "avx512_bf16": False}, {"avx512_f": True, "amx_int8": True}]
)
def test_a_processor_without(processor: Callable[..., None], found: dict[str, bool]) -> None:
    processor(**found)
    assert not has_bf16(CPU)
    assert resolve_precision("auto", CPU) == "fp32"


@pytest.mark.parametrize("has", [True, False])
def test_an_older_torch(monkeypatch: pytest.MonkeyPatch, has: bool) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has, raising=False)
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported", raising=False)
    assert has_bf16(CPU) is has


@pytest.mark.parametrize("own", [True, False])
def test_a_gpu_is_asked_for_its_own(monkeypatch: pytest.MonkeyPatch, own: bool) -> None:
    asked = []

    def supported(including_emulation: bool = True) -> bool:
        asked.append(including_emulation)
        return own

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert has_bf16(torch.device("cuda")) is own
    assert asked == [False]


def test_what_is_named_is_taken(processor: Callable[..., None]) -> None:
    processor()
    assert resolve_precision("bf16", CPU) == "bf16"
    processor(avx512_bf16=True)
    assert resolve_precision("fp32", CPU) == "fp32"


def test_one_process_without_decides_for_all(
    processor: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    processor(avx512_bf16=True)
    monkeypatch.setattr(processes, "count", lambda: 2)
    monkeypatch.setattr(device, "gather", lambda own: torch.cat([own, torch.tensor([0])]))
    assert resolve_precision("auto", CPU) == "fp32"
    monkeypatch.setattr(device, "gather", lambda own: torch.cat([own, own]))
    assert resolve_precision("auto", CPU) == "bf16"


def test_emulation_is_reported(processor: Callable[..., None]) -> None:
    processor()
    assert "emulates" in (emulation_warning("bf16", "cpu") or "")
    assert emulation_warning("auto", "cpu") is None
    assert emulation_warning("fp32", "cpu") is None
    processor(amx_bf16=True)
    assert emulation_warning("bf16", "cpu") is None


def test_packaged_recipes_leave_it_to_the_device() -> None:
    assert {load_recipe(name, []).precision for name in recipe_names()} == {"auto"}


@pytest.mark.process
@pytest.mark.usefixtures("no_onnx")
@pytest.mark.parametrize("has", [True, False])
def test_the_card_says_what_was_computed_in(
    processor: Callable[..., None],
    phantom_set: Path,
    phantom_split: Path,
    tmp_path: Path,
    has: bool,
) -> None:
    processor(avx512_bf16=has)
    recipe = load_recipe("quick", TINY)
    model = train(recipe, PreparedSet.open(phantom_set), Split.load(phantom_split), tmp_path / "run")
    assert model.card.training["precision"] == ("bf16" if has else "fp32")
    assert model.card.training["recipe"]["precision"] == "auto"
