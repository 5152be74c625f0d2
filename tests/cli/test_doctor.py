"""`sonoseg doctor`: works, absent and broken parts are distinguished."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from email.message import Message
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from sonoseg import RESEARCH_ONLY
from sonoseg.cli.main import app
from sonoseg.inference.predictor import Predictor
from sonoseg.inference.runtimes import base
from sonoseg.inference.segmentation import Segmentation
from sonoseg.installation import extras
from sonoseg.installation import self_test as checks
from sonoseg.installation.self_test import Check, self_test, write_phantom
from sonoseg.samples import frames


def by_name(found: Iterator[Check] | list[Check]) -> dict[str, Check]:
    return {check.name: check for check in found}


@pytest.fixture
def onnx_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where no other engine is known: torch would take seconds."""
    monkeypatch.setattr(base, "ENGINES", ("onnx",))


@pytest.mark.process
@pytest.mark.usefixtures("onnx_alone")
def test_the_shipped_model_goes_through_all_of_it() -> None:
    found = by_name(self_test(None))
    for name in ("core", "hash", "onnx fp32", "sizes", "folder"):
        assert found[name].state == "works", found[name]
    assert "true 14.0 mm" in found["sizes"].detail
    assert found["onnx bf16"].state == "absent"
    assert not [check for check in found.values() if check.state == "broken"]


@pytest.mark.process
def test_the_phantom_goes_through_dicom(dark_model: Path) -> None:
    pytest.importorskip("highdicom")
    said = checks._dicom(Predictor(dark_model, threshold=0.3), frames()[0])
    assert "written and read back" in said


def test_a_model_that_was_changed_is_broken(dark_model: Path, tmp_path: Path) -> None:
    for path in dark_model.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    card = json.loads((tmp_path / "card.json").read_text())
    (tmp_path / "card.json").write_text(json.dumps(card | {"sha256": {"model.onnx": "0" * 64}}))
    found = by_name(self_test(tmp_path))
    assert found["hash"].state == "broken"
    assert "differs from its card" in found["hash"].detail
    assert "onnx fp32" not in found


def test_engines_that_disagree_are_broken(dark_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sonoseg.model.model import Model

    model, frame = Model.load(dark_model), frames()[0]
    reference = Predictor(model, runtime="onnx").predict(frame)
    _, same = checks._runtime(model, frame, "onnx", "fp32", reference)
    assert (same.state, "Dice 1.0000" in same.detail) == ("works", True)
    off = replace(reference, probability=np.clip(reference.probability + np.float32(0.01), 0, 1))
    _, other = checks._runtime(model, frame, "onnx", "fp32", off)
    assert (other.state, "within 0.01" in other.detail) == ("broken", True)

    def fails(*_: Any, **__: Any) -> Segmentation:
        raise RuntimeError("illegal instruction")

    monkeypatch.setattr(Predictor, "predict", fails)
    _, broken = checks._runtime(model, frame, "onnx", "fp32", None)
    assert (broken.state, broken.detail) == ("broken", "illegal instruction")
    _, absent = checks._runtime(model, frame, "onnx", "int8", None)
    assert absent.state == "absent"


def test_an_old_package_is_broken_and_a_missing_one_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "numpy>=999.0",
        "no-such-package>=1; extra == 'dicom'",
        'pillow>=1.0 ; extra == "openvino"',
        "sonoseg[data]; extra == 'train'",
        "pytest>=8; extra == 'dev'",
    ]
    about = Message()
    for line in lines:
        about["Requires-Dist"] = line
    for extra in ("dicom", "openvino", "train", "dev"):
        about["Provides-Extra"] = extra
    monkeypatch.setattr(extras, "metadata", lambda _: about)
    found = by_name(list(checks._packages()))
    assert set(found) == {"core", "dicom", "openvino"}
    assert found["core"].state == "broken"
    assert "needs 999.0" in found["core"].detail
    assert found["dicom"].state == "absent"
    assert "pip install 'sonoseg[dicom]'" in found["dicom"].detail
    assert found["openvino"].state == "works"


def test_versions_are_compared_by_their_numbers() -> None:
    assert extras.Package("x", "2.9", "2.13.0+cpu").recent
    assert not extras.Package("x", "2.13", "2.9.1").recent
    assert not extras.Package("x", "1", None).recent
    assert extras.Package("x", "", "0.1").recent


@pytest.mark.parametrize(("state", "code"), [("works", 0), ("absent", 0), ("broken", 1)])
def test_only_what_is_broken_is_a_failure(monkeypatch: pytest.MonkeyPatch, state: Any, code: int) -> None:
    made = [Check("packages", "core", "works", "all"), Check("runtimes", "[x]", state, "why [not]", 0.1234)]
    monkeypatch.setattr(checks, "self_test", lambda model: iter(made))
    told = CliRunner().invoke(app, ["doctor"], env={"COLUMNS": "120", "NO_COLOR": "1"})
    assert told.exit_code == code
    for words in ("[x]", state, "why [not]", RESEARCH_ONLY):
        assert words in told.output
    value = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).output)
    assert value["works"] == (code == 0)
    assert value["checks"][1] == {
        "group": "runtimes",
        "name": "[x]",
        "state": state,
        "detail": "why [not]",
        "seconds": 0.123,
    }


def test_a_phantom_of_odd_size_is_written_whole(tmp_path: Path) -> None:
    pydicom = pytest.importorskip("pydicom")
    frame = frames()[0]
    odd = replace(frame, pixels=frame.pixels[:33, :45])
    write_phantom(tmp_path / "odd.dcm", odd)
    assert np.array_equal(pydicom.dcmread(tmp_path / "odd.dcm").pixel_array, odd.pixels)
