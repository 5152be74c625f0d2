"""Stored evaluations: their rows read back as they were."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from sonoseg.evaluation.evaluation import FROC, ROWS, SUMMARY, read_rows


@pytest.fixture(scope="module")
def evidence(research_script: Callable[[str], ModuleType]) -> ModuleType:
    return research_script("evidence")


@pytest.mark.process
def test_every_stored_evaluation_has_rows_a_curve_and_a_command(evidence: ModuleType) -> None:
    for name in evidence.evaluation_names():
        summary = evidence.read_json(evidence.EVALUATIONS / f"{name}.json")
        assert summary["command"].startswith("sonoseg evaluate")
        assert len(evidence.rows_of(name)) == summary["counts"]["images"]
    curves = {path.stem.removesuffix("-froc") for path in evidence.EVALUATIONS.glob("*-froc.parquet")}
    assert curves < set(evidence.evaluation_names())


def test_stored_rows_are_bit_equal(evidence: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "evaluation"
    folder.mkdir()
    rows = evidence.rows_of("sonoseg-busi")
    rows.to_csv(folder / ROWS, index=False)
    evidence.froc_of("sonoseg-busi").to_csv(folder / FROC, index=False)
    (folder / SUMMARY).write_text(json.dumps({"command": "x"}))
    evidence.store_evaluation("one", folder, tmp_path)
    stored, read = pd.read_parquet(tmp_path / "one.parquet"), read_rows(folder / ROWS)
    pd.testing.assert_frame_equal(stored, read, check_exact=True)
    for column in read.select_dtypes("number"):
        assert np.array_equal(stored[column].to_numpy(), read[column].to_numpy(), equal_nan=True)
    assert len(pd.read_parquet(tmp_path / "one-froc.parquet")) == len(evidence.froc_of("sonoseg-busi"))
