"""The listing: the same as a plain folder's, from paths and from a store, in order, each once."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import fsspec
import numpy as np
import pytest

from sonoseg._util.files import sha256_file
from sonoseg.batch.file_listing import list_files
from sonoseg.batch.filesystems import LocalCopy, fetch, is_url
from sonoseg.errors import InputError, MissingExtra, SonosegWarning, UsageError
from sonoseg.inputs.file_search import SkippedFiles, find_images
from sonoseg.samples import paths as samples

pytestmark = pytest.mark.filterwarnings("ignore:.*skipped")

DICOM = b"\0" * 128 + b"DICM"
FILES = (
    "b.png",
    "a/2.png",
    "a/10.jpg",
    "a-b/1.TIF",
    "a/deep/er/x.dcm",
    "a.png",
    ".hidden/a.png",
    "a/.hidden.png",
    "text.txt",
    "a/1.2.840.113619.2",
    "a/IM0001",
    "a/IM0002",
    "a/DICOMDIR",
    "results/masks/b.png",
)


WITHIN_A = ("1.2.840.113619.2", "10.jpg", "2.png", "IM0001", "deep/er/x.dcm")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with all that a listing has to tell apart."""
    for name in FILES:
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"text" if path.name == "IM0002" else DICOM)
    (tmp_path / "tree" / "a" / "loop").symlink_to(tmp_path / "tree", target_is_directory=True)
    (tmp_path / "tree" / "link.png").symlink_to(tmp_path / "tree" / "b.png")
    return tmp_path / "tree"


@pytest.fixture(params=["memory", "file"])
def store(tree: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The same on a store: of memory, or a folder that is given as a URL. What it gives starts every name."""
    system = fsspec.filesystem(request.param)
    root = "/scans" if request.param == "memory" else (tmp_path / "store" / "scans").as_posix()
    for path in tree.rglob("*"):
        if path.is_file() and not path.is_symlink() and "loop" not in path.parts:
            there = f"{root}/{path.relative_to(tree).as_posix()}"
            system.makedirs(there.rpartition("/")[0], exist_ok=True)
            system.pipe(there, path.read_bytes())
    yield f"{request.param}://{root}"
    system.rm(root, recursive=True)


def test_the_listing_is_that_of_a_plain_folder(tree: Path) -> None:
    skip = [tree / "results" / "masks"]
    assert [Path(name) for name in list_files([tree], skip=skip)] == find_images([tree], skip=skip)


def test_each_image_is_there_once_however_often_it_is_asked_for(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree)
    asked = ["a", tree, "b.png", "a/*.png", "a/**/*.dcm", "text.txt", "a*"]
    found = list(list_files(asked))
    assert set(map(Path, found)) == set(find_images(asked))
    assert [Path(name).absolute() for name in found] == sorted(Path(name).absolute() for name in found)
    assert len(found) == len(set(found)) > 8


def test_a_store_is_listed_by_the_same_rules(tree: Path, store: str) -> None:
    here = [Path(name).relative_to(tree).as_posix() for name in list_files([tree])]
    there = [name.removeprefix(f"{store}/") for name in list_files([store])]
    assert there == [name for name in here if name != "link.png"]


def test_files_and_globs_of_a_store(store: str) -> None:
    assert list(list_files([f"{store}/text.txt"])) == [f"{store}/text.txt"]
    globbed = list(list_files([f"{store}/a/*", f"{store}/a/2.png"]))
    assert globbed == [f"{store}/a/{name}" for name in WITHIN_A]


def test_paths_and_a_store_together(tree: Path, store: str) -> None:
    found = list(list_files([store, tree / "a", store]))
    assert (
        len(found) == len(set(found)) == len(list(list_files([store]))) + len(list(list_files([tree / "a"])))
    )


@pytest.mark.parametrize(
    ("asked", "kind", "why"),
    [
        ("absent", InputError, "no such file"),
        ("memory://absent", InputError, "no such file"),
        ("memory://absent/*.png", InputError, "no image"),
        ("*.nothing", InputError, "no image"),
        ("noway://x", UsageError, "unknown protocol"),
        ("\0", InputError, "no such|cannot"),
    ],
)
def test_what_is_not_there_is_told(
    asked: str, kind: type[Exception], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind, match=why):
        list(list_files([asked]))


def test_an_absent_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "s3fs", None)
    with pytest.raises(MissingExtra, match="s3fs"):
        list(list_files(["s3://bucket/scans"]))


def test_a_closed_folder_is_left_out_and_told(
    open_folder: Path, ordinary_rights: Callable[[], AbstractContextManager[None]]
) -> None:
    (open_folder / "closed").mkdir()
    shutil.copy(samples()[0], open_folder / "a.png")
    (open_folder / "closed").chmod(0)
    try:
        with ordinary_rights(), pytest.warns(SonosegWarning, match="left out"):
            assert [Path(name).name for name in list_files([open_folder])] == ["a.png"]
        with ordinary_rights(), pytest.raises(InputError, match="cannot be listed"):
            list(list_files([open_folder / "closed"]))
    finally:
        (open_folder / "closed").chmod(0o755)


@pytest.mark.parametrize("name", ["a/b.png", "C:\\a.png", "://", "a b://c", "://x"])
def test_what_is_no_url(name: str) -> None:
    assert not is_url(name)


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_a_file_is_fetched_with_its_hash(kind: str, tmp_path: Path) -> None:
    sample = samples()[0]
    system, root = fsspec.filesystem(kind), "/one" if kind == "memory" else (tmp_path / "one").as_posix()
    system.makedirs(root, exist_ok=True)
    system.pipe(f"{root}/a.png", sample.read_bytes())
    there = fetch(f"{kind}://{root}/a.png", tmp_path, tmp_path)
    assert there.path.read_bytes() == sample.read_bytes()
    assert there.path.parent == tmp_path
    assert there.path.suffix == ".png"
    assert there.sha256 == sha256_file(sample)
    assert fetch(sample.name, sample.parent, tmp_path) == LocalCopy(sample, there.sha256)
    with pytest.raises(InputError, match="no such file"):
        fetch(f"{kind}://{root}/absent.png", tmp_path, tmp_path)


def test_a_store_leaves_out_what_a_folder_does(
    tree: Path, store: str, make_dicom: Callable[..., Path]
) -> None:
    report = make_dicom(
        tree / "report.dcm", np.zeros((40, 50), np.uint8), SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33"
    )
    files = {
        "report.dcm": report.read_bytes(),
        "results/results.json": b'{"format": "sonoseg-results/3"}',
        "b_mask.png": b"x",
        "images/1.png": b"x",
        "labels/1.png": b"x",
        "video.mp4": b"x",
        "IM0009": b"P5 16 16 255",
    }
    system, _, root = store.partition("://")
    for name, content in files.items():
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_bytes(content)
        fsspec.filesystem(system).makedirs(f"{root}/{name}".rpartition("/")[0], exist_ok=True)
        fsspec.filesystem(system).pipe(f"{root}/{name}", content)
    (tree / "link.png").unlink()
    (tree / "a" / "loop").unlink()
    messages = []
    for where in (str(tree), store):
        for end in ("", "/**"):
            with pytest.warns(SkippedFiles) as caught:
                found = [name.removeprefix(f"{where}/") for name in list_files([where + end])]
            assert "IM0009" in found
            assert not {"report.dcm", "b_mask.png", "labels/1.png", "results/masks/b.png"} & set(found)
            messages.append((found, sorted(str(caught[0].message).partition(": ")[2].split(", "))))
    assert messages == messages[:1] * 4
    assert messages[0][1] == [
        "1 .mp4 file",
        "1 folder of masks beside its images",
        "1 folder of sonoseg's results",
        "1 mask beside its image",
        "1 structured report",
    ]
