"""Files of this machine for the server: those of the searched folders, and no others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sonoseg.inputs.file_search import find_images
from sonoseg.review.file_import import refuse_links

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an image, a link to it, and a link to an image elsewhere."""
    folder = tmp_path / "exam"
    (folder / "sub").mkdir(parents=True)
    (folder / "own.png").write_bytes(b"x")
    (tmp_path / "private.png").write_bytes(b"x")
    (folder / "sub" / "inner.png").symlink_to(folder / "own.png")
    (folder / "outer.png").symlink_to(tmp_path / "private.png")
    return folder


def test_links_out_of_the_folder_are_refused(folder: Path) -> None:
    kept, refused = refuse_links(find_images([folder]), [folder])
    assert [path.name for path in kept] == ["own.png", "inner.png"]
    assert [(one.name, one.found) for one in refused] == [("outer.png", "a link out of the folder")]


@pytest.mark.parametrize("pattern", ["*.png", "**/*.png", "o*"])
def test_globs_follow_no_link_either(folder: Path, pattern: str) -> None:
    asked = [str(folder / pattern)]
    kept, refused = refuse_links(find_images(asked), asked)
    assert "outer.png" not in [path.name for path in kept]
    assert [one.name for one in refused] == ["outer.png"]


def test_folders_behind_a_link_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.png").write_bytes(b"x")
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    asked = [str(folder / "*" / "*.png")]
    assert [one.name for one in refuse_links(find_images(asked), asked)[1]] == ["a.png"]


def test_a_link_that_is_named_itself_is_kept(folder: Path, tmp_path: Path) -> None:
    link = folder / "outer.png"
    assert refuse_links(find_images([link]), [str(link)]) == ([link], [])
    (tmp_path / "exams").symlink_to(folder)
    assert [
        path.name for path in refuse_links(find_images([tmp_path / "exams"]), [tmp_path / "exams"])[0]
    ] == [*("own.png", "inner.png")]
