"""The house rules that a program can check: who imports whom, what the core loads, what no file may say."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "sonoseg"
FILES = sorted(SOURCE.rglob("*.py"))

EXTRAS = (
    "openvino",
    "keras",
    "torch",
    "pandas",
    "matplotlib",
    "sklearn",
    "pooch",
    "accelerate",
    "onnx",
    "safetensors",
    "yaml",
    "openpyxl",
    "pydicom",
    "openjpeg",
    "jpeg_ls",
)
NEVER = (
    "torchvision",
    "timm",
    "lightning",
    "pytorch_lightning",
    "torchmetrics",
    "segmentation_models_pytorch",
)
CORE = (
    "_util",
    "image",
    "inputs",
    "dicom",
    "model.card",
    "model.model",
    "inference",
    "lesions",
    "results",
    "metrics",
    "samples",
    "data.phantoms",
)
# Beyond the core: torch's own runtime, and the page of a study, which is made of pandas tables.
NOT_CORE = ("sonoseg.inference.runtimes.torch", "sonoseg.results.evaluation_folder")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_of(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def room_of(path: Path) -> str:
    first, *rest = path.relative_to(SOURCE).parts
    return first if rest else path.stem


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported anywhere in the tree, functions included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_file_keeps_to_its_libraries(path: Path) -> None:
    for imported in imports(ast.parse(path.read_text("utf-8"))):
        library = imported.split(".")[0]
        assert library not in NEVER, f"{name(path)} imports {imported}"
        assert not imported.startswith("matplotlib.pyplot"), f"{name(path)}: pyplot keeps every figure"
        if library in ("matplotlib", "seaborn") and imported != "matplotlib.figure.Figure":  # as a type
            assert room_of(path) == "plots", f"{name(path)}: only plots draws"
        if library == "torch":
            assert room_of(path) in ("networks", "training", "inference", "model", "cli"), name(path)


def test_the_core_imports_without_any_extra() -> None:
    modules = [module_of(path) for path in FILES if path.name != "__main__.py"]
    core = [
        module
        for module in modules
        if any(module == f"sonoseg.{part}" or module.startswith(f"sonoseg.{part}.") for part in CORE)
        and module not in NOT_CORE
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


@pytest.mark.parametrize("path", FILES, ids=name)
def test_what_is_public_is_explained(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    assert ast.get_docstring(tree), f"{name(path)} has no docstring"
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{name(path)}: {node.name} has no docstring"


def texts() -> list[Path]:
    """The files of the repository that hold text, as git lists them; without git, the usual folders."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    if listed.returncode == 0 and listed.stdout:
        paths = [ROOT / part for part in listed.stdout.split("\0") if part]
    else:
        folders = [ROOT / part for part in ("src", "tests", "docs", "benchmarks")]
        paths = [path for folder in folders for path in folder.rglob("*")] + list(ROOT.glob("*.*"))
    endings = (
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
    return [path for path in paths if path.is_file() and (path.suffix in endings or path.name == "Makefile")]


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    # Put together here, so that this file does not find itself.
    place = re.compile(
        r"(?<![\w.])/(?:" + "|".join(("work", "root", "home/[a-z]+", "Users/[A-Za-z]+")) + r")/"
    )
    temporary = re.compile(r"(?<![\w.])/" + "tmp/")
    for path in texts():
        text = path.read_text("utf-8", errors="replace")
        found = place.search(text) or (temporary.search(text) if path.suffix in (".md", ".html") else None)
        assert found is None, f"{name(path)} names {text[found.start() :][:40]!r}"


def test_every_dependency_has_a_floor() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(item for extra in project["optional-dependencies"].values() for item in extra),
    ]
    for item in wanted:
        assert item.startswith("sonoseg[") or ">=" in item, item
        assert not item.startswith(NEVER), item
