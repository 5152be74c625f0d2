"""The fuzzer of the readers detects the findings that it looks for."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from sonoseg.errors import InputError, SonosegWarning

if sys.platform == "win32":
    pytest.skip("the fuzzer limits memory and time as Unix does", allow_module_level=True)

TEXTS = ("spacings", "recipes", "cards", "documents")
"""Readers of text: their samples are made in a moment."""


@pytest.fixture
def fuzz(benchmark_script: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_script("fuzz_readers")


@pytest.mark.parametrize("name", ["raster", "tiff", "masks", "mask-objects", "sets", *TEXTS])
def test_mutants_are_read_or_refused_and_the_same_for_the_same_seed(
    fuzz: ModuleType, tmp_path: Path, name: str
) -> None:
    reader = fuzz.READERS[name]
    samples = reader.samples([])

    def mutants() -> list[tuple[int, bytes]]:
        rng = np.random.default_rng(5)
        chosen = [int(rng.integers(len(samples))) for _ in range(20)]
        return [(number, fuzz.mutate(samples[number], samples[0], rng)) for number in chosen]

    assert mutants() == mutants()
    assert len({data for _, data in mutants()}) > 10
    for number, data in mutants():
        fuzz.lay_out(tmp_path / "read", reader, samples, samples[number], data)
        outcome, said = fuzz.judge(reader, tmp_path / "read", samples[number], keep=bool(number % 2))
        assert outcome in ("read", "warned", "refused"), said


@pytest.mark.parametrize("name", TEXTS)
def test_sound_texts_are_read(fuzz: ModuleType, tmp_path: Path, name: str) -> None:
    """But for two plans of other recipes, which lie elsewhere."""
    reader = fuzz.READERS[name]
    samples = reader.samples([])
    for sample in samples:
        fuzz.lay_out(tmp_path / "read", reader, samples, sample, sample.data)
        outcome, said = fuzz.judge(reader, tmp_path / "read", sample, keep=True)
        assert outcome == "read" or "recipe" in said, said


def shout() -> None:
    raise InputError("of Secretname")


def remark() -> None:
    warnings.warn("as another library would", UserWarning, stacklevel=2)


def stumble() -> None:
    raise ValueError("stumbled")


def caution() -> None:
    warnings.warn("of Secretname", SonosegWarning, stacklevel=2)


@pytest.mark.parametrize(
    ("bad", "outcome"),
    [
        (shout, "FOUND a name"),
        (caution, "FOUND a name"),
        (remark, "FOUND UserWarning"),
        (stumble, "FOUND ValueError"),
    ],
)
def test_what_must_not_be_is_found(
    fuzz: ModuleType, tmp_path: Path, bad: Callable[[], None], outcome: str
) -> None:
    reader = fuzz.Reader("", lambda files: [], lambda folder, keep: bad())
    sample = fuzz.Sample("scan", b"", secrets=frozenset({"Secretname"}))
    assert fuzz.judge(reader, tmp_path, sample, keep=False)[0] == outcome


def test_rows_of_other_readers_stay(fuzz: ModuleType, tmp_path: Path) -> None:
    for name, findings in (("masks", 1), ("raster", 0), ("masks", 2)):
        fuzz.write({"reader": name, "findings": findings}, tmp_path / "rows.json")
    written = fuzz.json.loads((tmp_path / "rows.json").read_text("utf-8"))
    assert written["rows"] == [{"reader": "raster", "findings": 0}, {"reader": "masks", "findings": 2}]
