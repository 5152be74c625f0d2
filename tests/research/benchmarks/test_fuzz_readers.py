"""The fuzzer of the readers detects the findings that it looks for."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sonoseg.errors import InputError

if sys.platform == "win32":
    pytest.skip("the fuzzer limits memory and time as Unix does", allow_module_level=True)


@pytest.fixture
def fuzz(benchmark_script: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_script("fuzz_readers")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "scan.png"
    Image.fromarray(np.zeros((20, 20), dtype=np.uint8)).save(path)
    return path


def test_the_same_seed_gives_the_same_mutants(fuzz: ModuleType, image: Path) -> None:
    sample = fuzz.Sample("scan", image.read_bytes())

    def mutants() -> list[bytes]:
        rng = np.random.default_rng(5)
        return [fuzz.mutate(sample, sample, rng) for _ in range(30)]

    assert mutants() == mutants()
    assert len(set(mutants())) > 20


def test_a_sound_image_is_read_and_a_bad_one_refused(fuzz: ModuleType, image: Path) -> None:
    sample = fuzz.Sample("scan", b"")
    assert fuzz.judge(image, sample, keep=False)[0] == "read"
    image.write_bytes(b"words")
    assert fuzz.judge(image, sample, keep=False)[0] == "refused"


def shout(path: Path) -> None:
    raise InputError("of Secretname", where=path)


def remark(path: Path) -> None:
    warnings.warn("as another library would", UserWarning, stacklevel=2)


def stumble(path: Path) -> None:
    raise ValueError(path)


@pytest.mark.parametrize(
    ("bad", "outcome"),
    [(shout, "FOUND a name"), (remark, "FOUND UserWarning"), (stumble, "FOUND ValueError")],
)
def test_what_must_not_be_is_found(
    fuzz: ModuleType,
    image: Path,
    monkeypatch: pytest.MonkeyPatch,
    bad: Callable[[Path], Any],
    outcome: str,
) -> None:
    from sonoseg.inputs import frame_list as frames

    monkeypatch.setattr(frames, "check_file", bad)
    sample = fuzz.Sample("scan", b"")
    sample.secrets = {"Secretname"}
    assert fuzz.judge(image, sample, keep=False)[0] == outcome
