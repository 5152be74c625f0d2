"""Names of results: all different, sub-folders kept, nothing outside the results folder."""

from __future__ import annotations

import unicodedata
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonoseg.inputs.frame_list import FrameRef
from sonoseg.results.result_names import MAX_NAME, MAX_PART, frame_names, result_names


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for folder in ("a/deep", "b"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


def test_one_folder_gives_stems(tree: Path) -> None:
    images = [tree / "a" / "x.png", tree / "a" / "y.tif"]
    assert list(result_names(images, [tree / "a"]).values()) == ["x", "y"]


def test_one_file_gives_its_stem(tree: Path) -> None:
    image = tree / "a" / "x.y.png"
    image.touch()
    assert result_names([image], [image]) == {image: "x.y"}


def test_sub_folders_are_kept_whatever_else_is_found(tree: Path) -> None:
    assert result_names([tree / "a" / "deep" / "x.png"], [tree]) == {
        tree / "a" / "deep" / "x.png": "a/deep/x"
    }


def test_the_same_stem_in_two_folders_does_not_collide(tree: Path) -> None:
    images = [tree / "a" / "x.png", tree / "b" / "x.png"]
    for image in images:
        image.touch()
    for asked in ([tree], [tree / "a", tree / "b"], images, [tree / "*" / "x.png"]):
        assert list(result_names(images, asked).values()) == ["a/x", "b/x"]


def test_the_same_stem_with_two_endings_keeps_the_ending(tree: Path) -> None:
    images = [tree / name for name in ("x.jpg", "x.png", "y.png")]
    assert list(result_names(images, [tree]).values()) == ["x-jpg", "x-png", "y"]


def test_names_that_some_systems_hold_for_one(tree: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "ü")
    images = [tree / "Scan.png", tree / "scan.png", tree / "ü.png", tree / f"{decomposed}.png"]
    names = list(result_names(images, [tree]).values())
    assert names[:2] == ["Scan-png", "scan-png-2"]
    assert len({unicodedata.normalize("NFC", name).casefold() for name in names}) == 4


def test_a_name_made_longer_does_not_meet_another(tree: Path) -> None:
    images = [tree / name for name in ("x-png.tif", "x.jpg", "x.png")]
    assert list(result_names(images, [tree]).values()) == ["x-png", "x-jpg", "x-png-2"]


def test_relative_paths_with_dots_stay_inside(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree / "a")
    (tree / "b" / "x.png").touch()
    images = [Path("../b/x.png"), Path("y.png")]
    assert list(result_names(images, ["../b/x.png", "y.png"]).values()) == ["b/x", "a/y"]


def test_a_name_without_a_stem(tree: Path) -> None:
    (tree / ".png").touch()
    assert result_names([tree / ".png"], [tree / ".png"]) == {tree / ".png": ".png"}


PARTS = st.sampled_from(["x", "X", "x-png", "ü", "scan 1", "x-jpg", "x-png-2"])
ENDINGS = st.sampled_from([".png", ".PNG", ".jpg", ""])


@given(st.lists(st.tuples(st.lists(PARTS, max_size=2), PARTS, ENDINGS), min_size=1, max_size=12))
def test_names_are_always_apart_and_inside(found: list[tuple[list[str], str, str]]) -> None:
    root = Path.cwd()
    images = sorted({root.joinpath(*folders, stem + ending) for folders, stem, ending in found})
    names = result_names(images, [root])
    assert list(names) == images
    keys = {unicodedata.normalize("NFC", name).casefold() for name in names.values()}
    assert len(keys) == len(images)
    for image, name in names.items():
        place = PurePosixPath(name)
        assert not place.is_absolute()
        assert ".." not in place.parts
        assert place.parent == PurePosixPath(image.relative_to(root).parent.as_posix())


def test_frames_of_a_clip_are_numbered_and_never_take_a_files_name() -> None:
    clip, still, odd = Path("clip.dcm"), Path("still.dcm"), Path("clip_f0002.png")
    names = {clip: "clip", still: "still", odd: "clip_f0002"}
    refs = [FrameRef(clip, 1), FrameRef(clip, 2), FrameRef(clip, 12345), FrameRef(still), FrameRef(odd)]
    found = frame_names(refs, names)
    assert list(found) == refs
    assert list(found.values()) == ["clip_f0001", "clip_f0002-2", "clip_f12345", "still", "clip_f0002"]


@pytest.mark.parametrize("letter", ["x", "ü", "日", "\N{MICROSCOPE}"])
@pytest.mark.parametrize("count", [180, 181, 200, 240, 251])
def test_long_names_are_shortened_and_stay_apart(tree: Path, letter: str, count: int) -> None:
    stem = letter * (count // len(letter.encode()))
    images = [tree / f"{stem}{end}" for end in ("1.png", "2.png", "2.jpg", ".png", ".png.jpg")]
    names = result_names(images, [tree])
    assert names == result_names(images, [tree])
    assert len(set(names.values())) == len(images)
    for image, name in names.items():
        assert len(f"{name}_f0012-2_gate1.seg.nrrd".encode()) < 255
        assert len(image.stem.encode()) > MAX_PART or name.startswith(image.stem)
    # Other images beside them change nothing: a resumed run finds its results.
    more = [*images, tree / "other.png"]
    assert {image: result_names(more, [tree])[image] for image in images} == names


def test_the_limits_of_names() -> None:
    assert (MAX_PART, MAX_NAME) == (180, 1000)


def test_a_long_ending_of_two_files_of_one_stem(tree: Path) -> None:
    images = [tree / "a.png", tree / f"a.{'b' * 240}"]
    assert [len(name) for name in result_names(images, [tree]).values()] == [5, MAX_PART]


def test_long_folders_and_long_paths(tree: Path) -> None:
    one = tree / ("f" * 250) / "a.png"
    deep = tree.joinpath(*["d" * 100] * 12)
    names = result_names([one, deep / "a.png", deep / "b.png", deep.parent / "a.png"], [tree])
    assert len(names[one].split("/")[0]) == MAX_PART
    assert all(len(name) <= MAX_NAME for name in names.values())
    assert len(set(names.values())) == 4
    assert names[deep / "a.png"].startswith("a-")


def test_names_that_the_system_cannot_write(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the locale C without UTF-8 (PYTHONUTF8=0)."""
    images = [tree / "a.png", tree / "ü.png", tree / "ö.png"]

    def fsencode(text: str) -> bytes:
        return str(text).encode("ascii")

    monkeypatch.setattr("sonoseg.results.result_names.os.fsencode", fsencode)
    monkeypatch.setattr("sonoseg.results.result_names.printable", str)
    names = list(result_names(images, [tree]).values())
    assert names[0] == "a"
    assert all(name.isascii() for name in names)
    assert len(set(names)) == 3
