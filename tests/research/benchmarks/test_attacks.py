"""The attacks on node, server and commands: none may do harm."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pynetdicom", reason="the extra 'pacs' is not installed")
pytest.importorskip("uvicorn", reason="the extra 'server' is not installed")

ROOT = Path(__file__).parents[3]


@pytest.mark.long
@pytest.mark.skipif(shutil.which("Orthanc") is None, reason="Orthanc is not installed")
def test_no_attack_does_harm(tmp_path: Path) -> None:
    result = tmp_path / "attacks.json"
    line = [sys.executable, "research/benchmarks/attacks.py", "--json", str(result)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=1800, check=False)
    rows = json.loads(result.read_text("utf-8"))["rows"]
    assert [one for one in rows if one["held"] < one["tried"]] == []
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(rows) == 26
