"""Rules of the repository that no linter has: what the core loads, paths in files, floors of dependencies."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "sonoseg"

# Packages that the core install does not bring.
EXTRAS = (
    "accelerate",
    "jpeg_ls",
    "keras",
    "matplotlib",
    "onnx",
    "openjpeg",
    "openpyxl",
    "openvino",
    "pandas",
)
EXTRAS += ("pooch", "pydicom", "safetensors", "sklearn", "torch", "yaml")
CORE = ("_util", "image", "inputs", "dicom", "model.card", "model.model", "inference", "lesions", "results")
CORE += ("metrics", "samples", "data.phantoms")
# torch's own runtime, and the page of an evaluation, which is made of pandas tables.
NOT_CORE = ("sonoseg.inference.runtimes.torch", "sonoseg.results.evaluation_folder")
# They break beside a CPU build of torch, or break each other: see [tool.ruff.lint.flake8-tidy-imports].
NEVER = ("torchvision", "timm", "lightning", "torchmetrics", "segmentation-models-pytorch")
TEXTS = (
    ".py",
    ".md",
    ".toml",
    ".yaml",
    ".yml",
    ".txt",
    ".json",
    ".csv",
    ".html",
    ".css",
    ".js",
    ".cfg",
    ".svg",
)


@pytest.mark.process
def test_the_core_imports_without_any_extra() -> None:
    modules = (
        ".".join(part for part in path.relative_to(SOURCE.parent).with_suffix("").parts if part != "__init__")
        for path in sorted(SOURCE.rglob("*.py"))
    )
    rooms = tuple(f"sonoseg.{room}" for room in CORE)
    core = [
        module
        for module in modules
        if module not in NOT_CORE
        and (module in rooms or module.startswith(tuple(f"{room}." for room in rooms)))
    ]
    assert len(core) > 20
    code = f"""
import importlib, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {EXTRAS!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
for module in {core!r}:
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        sys.exit(f"{{module}} needs {{error.name}}")
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr


def texts() -> list[Path]:
    """The files of the repository that hold text, as git lists them, or those of the usual folders."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    if listed.returncode == 0 and listed.stdout:
        paths = [ROOT / part for part in listed.stdout.split("\0") if part]
    else:
        folders = [ROOT / part for part in ("src", "tests", "tools", "docs", "research")]
        paths = [path for folder in folders for path in folder.rglob("*")] + list(ROOT.glob("*.*"))
    return [path for path in paths if path.is_file() and (path.suffix in TEXTS or path.name == "Makefile")]


def test_no_file_names_a_path_of_one_machine() -> None:
    # Put together here, so that this file does not find itself.
    path_of = re.compile(
        r"(?<![\w.])/(?:" + "|".join(("work", "root", "home/[a-z]+", "Users/[A-Za-z]+")) + r")/"
    )
    temporary = re.compile(r"(?<![\w.])/" + "tmp/")
    for path in texts():
        text = path.read_text("utf-8", errors="replace")
        found = path_of.search(text) or (temporary.search(text) if path.suffix in (".md", ".html") else None)
        assert found is None, f"{path.relative_to(ROOT)} names {text[found.start() :][:40]!r}"


def test_every_dependency_has_a_floor() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = (item for extra in project["optional-dependencies"].values() for item in extra)
    for item in (*project["dependencies"], *extras):
        assert item.startswith("sonoseg[") or ">=" in item, item
        assert not item.startswith(NEVER), item


def test_the_paths_of_the_mutation_tests_are_there() -> None:
    mutmut = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["mutmut"]
    for pattern in (*mutmut["only_mutate"], *mutmut["pytest_add_cli_args_test_selection"]):
        assert any(ROOT.glob(pattern)), pattern
