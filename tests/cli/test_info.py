"""`sonoseg info`: what this installation can do, without loading it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from sonoseg import RESEARCH_ONLY, __version__
from sonoseg.cli.main import app
from sonoseg.model.model import Model

SCRIPT = """
import sys
from sonoseg.cli.main import app
app(["info", "--json"], standalone_mode=False)
heavy = ("torch", "onnxruntime", "openvino", "pydicom", "highdicom", "pandas", "matplotlib")
print([name for name in heavy if name in sys.modules], file=sys.stderr)
"""


@pytest.mark.process
def test_everything_is_listed_and_nothing_heavy_loaded() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120, check=True
    )
    assert ran.stderr.strip().splitlines()[-1] == "[]"
    value = json.loads(ran.stdout)
    assert value["sonoseg"] == __version__
    assert value["notice"] == RESEARCH_ONLY
    assert {"predict", "doctor", "info", "train", "data phantom", "model card"} <= set(value["verbs"])
    assert all(value["verbs"].values())
    assert value["models"][0]["hash"] == Model.load().hash
    assert {"seed", "unet", "compact"} <= set(value["presets"])
    assert value["presets"]["unet"]["gate"] == "none"
    assert {"seed", "quick"} <= set(value["recipes"])
    runtimes = {one["name"]: one for one in value["runtimes"]}
    assert runtimes["onnx"]["installed"]
    assert "fp32" in runtimes["onnx"]["precisions"]
    assert sum(one["auto"] for one in runtimes.values()) == 1
    assert value["extras"]["core"]["packages"]["numpy"]
    assert {"PNG", "DICOM"} <= set(value["reads"])


def test_it_is_told_to_people_too() -> None:
    told = CliRunner().invoke(app, ["info"], env={"COLUMNS": "120", "NO_COLOR": "1"})
    assert told.exit_code == 0
    # A terminal of any width may break a line between two words.
    text = " ".join(told.output.split())
    for words in (RESEARCH_ONLY, "sonoseg predict", "onnx", "the default here", "Presets", "core"):
        assert words in text
