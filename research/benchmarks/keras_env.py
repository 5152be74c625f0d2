"""Make the environment of Keras once, in research/benchmarks/.keras, from keras-requirements.txt (2.1 GB)."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDER = HERE / ".keras"
REQUIREMENTS = HERE / "keras-requirements.txt"
# What a worker's environment adds: no GPU on this side either, and no notices of TensorFlow.
VARIABLES = {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"}


def python() -> Path:
    """Return the environment's interpreter; make the environment if it is absent or its pins have changed."""
    interpreter = FOLDER / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    stamp = FOLDER / "installed.txt"
    wanted = REQUIREMENTS.read_text("utf-8")
    if not stamp.exists() or stamp.read_text("utf-8") != wanted:
        print(f"installing TensorFlow and Keras into {FOLDER} (some minutes)", file=sys.stderr)
        venv.create(FOLDER, with_pip=True, clear=FOLDER.exists() and not interpreter.exists())
        words = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(REQUIREMENTS)]
        subprocess.run([interpreter, *words], check=True)
        stamp.write_text(wanted, "utf-8")
    return interpreter
