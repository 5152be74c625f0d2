"""Finding images: files, folders, globs; sorted, each once."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pydicom
import pytest

from sonoseg.dicom.writing import identity
from sonoseg.errors import InputError, SonosegWarning
from sonoseg.inputs import file_search as find
from sonoseg.inputs.file_search import find_images

search_root = find.search_root


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in (
        "b.png",
        "a.JPG",
        "notes.txt",
        ".hidden.png",
        "ward one/scan ü 日本.tif",
        "ward one/deep/c.bmp",
        ".cache/x.png",
        "results/masks/b.png",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def names(paths: list[Path], root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in paths]


def test_a_folder_with_all_below_it_sorted(tree: Path) -> None:
    assert names(find_images([tree]), tree) == [
        "a.JPG",
        "b.png",
        "results/masks/b.png",
        "ward one/deep/c.bmp",
        "ward one/scan ü 日本.tif",
    ]


def test_a_folder_of_results_is_left_out(tree: Path) -> None:
    found = names(find_images([tree], skip=[tree / "results"]), tree)
    assert "results/masks/b.png" not in found
    assert len(found) == 4
    assert names(find_images([str(tree / "**/*.png")], skip=[tree / "results"]), tree) == ["b.png"]


def test_a_named_file_is_taken_whatever_its_ending(tree: Path) -> None:
    assert names(find_images([tree / "notes.txt"]), tree) == ["notes.txt"]
    assert names(find_images([tree / ".hidden.png"]), tree) == [".hidden.png"]


def test_globs(tree: Path) -> None:
    assert names(find_images([tree / "*.png"]), tree) == ["b.png"]
    assert names(find_images([tree / "*"], skip=[tree / "results"]), tree) == [
        "a.JPG",
        "b.png",
        "ward one/deep/c.bmp",
        "ward one/scan ü 日本.tif",
    ]
    assert "ward one/deep/c.bmp" in names(find_images([tree / "**" / "*"]), tree)
    assert names(find_images([tree / "ward*" / "*.tif"]), tree) == ["ward one/scan ü 日本.tif"]


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tmp_path: Path) -> None:
    odd = tmp_path / "scan[1].png"
    odd.write_bytes(b"x")
    (tmp_path / "scan1.png").write_bytes(b"x")
    assert find_images([odd]) == [odd]


def test_each_image_once_however_often_named(tree: Path) -> None:
    twice = find_images([tree / "b.png", tree, tree / "*.png", tree / "ward one" / ".." / "b.png"])
    assert names(twice, tree).count("b.png") == 1
    assert len(twice) == 5


def test_relative_paths_stay_relative(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    assert find_images(["b.png", "ward one"]) == [
        Path("b.png"),
        Path("ward one/deep/c.bmp"),
        Path("ward one/scan ü 日本.tif"),
    ]


def test_a_loop_of_links_ends(tree: Path) -> None:
    (tree / "ward one" / "again").symlink_to(tree, target_is_directory=True)
    with pytest.warns(SonosegWarning, match="1 folder skipped: 1 linked folder"):
        assert len(find_images([tree])) == 5


IMAGES = {
    "photo.jfif": b"\xff\xd8\xff",
    "photo.jpe": b"\xff\xd8\xff",
    "bits.pbm": b"P4",
    "space.png ": b"\x89PNG\r\n\x1a\n",
    "scan.img": b"\0" * 128 + b"DICM",
    "scan.dic": b"\0" * 128 + b"DICM",
    "US.1.2.840.1-abc": b"\0" * 128 + b"DICM",
    "picture.image": b"II*\0",
}


def test_images_of_unusual_names_are_known_by_content(tmp_path: Path) -> None:
    for name, content in IMAGES.items():
        (tmp_path / name).write_bytes(content.ljust(200, b"\0"))
    assert set(names(find_images([tmp_path]), tmp_path)) == set(IMAGES)


def test_what_is_left_out_is_counted_by_kind(tmp_path: Path) -> None:
    for name in ("a.png", "clip.mp4", "clip2.MP4", "volume.nii", "list.csv", "README", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic")
    (tmp_path / "photo.avif").write_bytes(b"\0\0\0\x18ftypavif")
    with pytest.warns(SonosegWarning) as caught:
        assert names(find_images([tmp_path]), tmp_path) == ["a.png"]
    assert [str(one.message) for one in caught] == [
        "5 files skipped: 2 .mp4 files, 2 HEIC or AVIF images, 1 .nii file"
    ]


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("benign (1).png", "benign (1)_mask.png"),
        ("benign (1).png", "benign (1)_mask_1.png"),
        ("case001.png", "case001_tumor.png"),
        ("x.png", "x_mask.png"),
        ("bus_0001-l.png", "mask_0001-l.png"),
    ],
)
def test_masks_beside_their_images_are_left_out(tmp_path: Path, image: str, mask: str) -> None:
    for name in (image, mask):
        (tmp_path / name).write_bytes(b"x")
    with pytest.warns(SonosegWarning, match="1 file skipped: 1 mask beside its image"):
        assert names(find_images([tmp_path]), tmp_path) == [image]
    assert set(names(find_images([tmp_path], masks=True), tmp_path)) == {image, mask}
    assert find_images([tmp_path / mask]) == [tmp_path / mask]  # named itself


def test_a_mask_without_its_image_is_taken(tmp_path: Path) -> None:
    (tmp_path / "left tumour.png").write_bytes(b"x")
    assert names(find_images([tmp_path]), tmp_path) == ["left tumour.png"]


@pytest.mark.parametrize(
    ("images", "masks"), [("images", "masks"), ("Images", "Masks"), ("imagesTr", "labelsTr")]
)
def test_a_folder_of_masks_beside_its_images_is_left_out(tmp_path: Path, images: str, masks: str) -> None:
    for folder in (images, masks):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.png").write_bytes(b"x")
    with pytest.warns(SonosegWarning, match="1 folder of masks beside its images"):
        assert names(find_images([tmp_path]), tmp_path) == [f"{images}/a.png"]
    assert len(find_images([tmp_path], masks=True)) == 2
    assert names(find_images([tmp_path / masks]), tmp_path) == [f"{masks}/a.png"]


RESULT_FILES = [
    ("results.json", b'{\n  "format": "sonoseg-results/3",\n'),
    ("measures.json", b'{\n  "format": "sonoseg-measures/2",\n'),
    ("journal.sqlite", b"SQLite format 3\0"),  # an interrupted run
]


@pytest.mark.parametrize(("name", "content"), RESULT_FILES)
def test_earlier_results_are_left_out(tree: Path, name: str, content: bytes) -> None:
    (tree / "results" / name).write_bytes(content)
    (tree / "results" / "mine.png").write_bytes(b"x")
    with pytest.warns(SonosegWarning, match="1 folder skipped: 1 folder of sonoseg's results"):
        found = names(find_images([tree]), tree)
    assert "results/masks/b.png" not in found
    assert "results/mine.png" in found
    (tree / "results" / name).write_text('{"format": "another"}', "utf-8")
    assert "results/masks/b.png" in names(find_images([tree]), tree)


@pytest.mark.parametrize(
    "asked", ["results", "results/masks", "results/*/*.png", "results/masks/*.png", "results/*", "**/b.png"]
)
@pytest.mark.parametrize("relative", [False, True])
def test_results_are_left_out_wherever_a_search_starts(
    tree: Path, monkeypatch: pytest.MonkeyPatch, asked: str, relative: bool
) -> None:
    (tree / "results" / "results.json").write_bytes(RESULT_FILES[0][1])
    (tree / "b.png").unlink()
    monkeypatch.chdir(tree)
    with pytest.raises(InputError, match="no image found: 1 folder skipped: 1 folder of sonoseg's results"):
        find_images([asked if relative else tree / asked])
    monkeypatch.chdir(tree / "results" / "masks")
    with pytest.raises(InputError, match="1 folder of sonoseg's results"):
        find_images(["*.png"])
    with pytest.raises(InputError, match="1 folder of sonoseg's results"):
        find_images(["."])


def test_results_are_what_measure_and_send_want(tree: Path) -> None:
    (tree / "results" / "results.json").write_bytes(RESULT_FILES[0][1])
    (tree / "results" / "overlays").mkdir()
    (tree / "results" / "overlays" / "b.png").write_bytes(b"x")
    with pytest.warns(SonosegWarning, match="1 folder of sonoseg's results"):
        assert names(find_images([tree / "results"], masks=True), tree) == ["results/masks/b.png"]
    assert len(find_images([tree / "results"], objects=True)) == 2


def test_a_glob_leaves_out_what_a_folder_does(tmp_path: Path) -> None:
    for name in ("images/a.png", "masks/a.png", "c.png", "c_mask.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    for asked in (tmp_path, tmp_path / "**" / "*", tmp_path / "**" / "*.png", tmp_path / "*"):
        with pytest.warns(SonosegWarning) as caught:
            assert names(find_images([asked]), tmp_path) == ["c.png", "images/a.png"]
        total, _, kinds = str(caught[0].message).partition(": ")
        assert total == "1 file and 1 folder skipped"
        assert set(kinds.split(", ")) == {"1 mask beside its image", "1 folder of masks beside its images"}
    assert names(find_images([tmp_path / "masks" / "*.png"]), tmp_path) == ["masks/a.png"]


def test_named_results_and_masks_are_taken_with_a_warning(tree: Path) -> None:
    """The shell expands globs: it names files that a search would leave out."""
    (tree / "results" / "results.json").write_bytes(RESULT_FILES[0][1])
    (tree / "b_mask.png").write_bytes(b"x")
    asked = [tree / "results" / "masks" / "b.png", tree / "b.png", tree / "b_mask.png"]
    with pytest.warns(SonosegWarning) as caught:
        assert len(find_images(asked)) == 3
    assert [str(one.message) for one in caught] == [
        "1 file of sonoseg's results, 1 mask beside its image: used, because you named them. "
        "Leave out those that are not scans"
    ]


BY_CONTENT = {
    "bmp": b"BM\x36\x03\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x10\0\0\0",
    "bmp of OS2": b"BM\x36\x03\0\0\0\0\0\0\x36\0\0\0\x0c\0\0\0\x10\0\0\0",
    "pgm": b"P5\n16 16\n255\n",
    "ppm": b"P6 # by a camera\n16 16\n255\n",
    "pbm": b"P4\n# bits\n16 16\n",
    "plain pgm": b"P2 16 16 255 1 2 3",
    "webp": b"RIFF\x10\0\0\0WEBPVP8 ",
    "big tiff": b"II+\0\x08\0\0\0",
    "jpeg 2000": b"\xff\x4f\xff\x51\0\x2f",
}


def test_images_without_an_ending_are_known_by_content(tmp_path: Path) -> None:
    for number, content in enumerate(BY_CONTENT.values()):
        (tmp_path / f"IM{number}").write_bytes(content.ljust(300, b"\0"))
    assert len(find_images([tmp_path])) == len(BY_CONTENT)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "1 file without content"),
        (b"\x1a\x45\xdf\xa3\0\0", "1 file of an unknown format"),
        (b"BM\0\0 is no bitmap", "1 file of an unknown format"),
    ],
)
@pytest.mark.parametrize("name", ["IM0001", "scan.12"])
def test_other_files_without_an_ending_are_counted(
    tmp_path: Path, content: bytes, kind: str, name: str
) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    (tmp_path / name).write_bytes(content)
    (tmp_path / "BMI table").write_bytes(b"BMI of the patients, P5 and more")
    with pytest.warns(SonosegWarning, match=f"1 file skipped: {kind}$"):
        assert len(find_images([tmp_path])) == 1


def test_pipes_and_closed_files_stop_no_search(
    open_folder: Path, ordinary_rights: Callable[[], AbstractContextManager[None]]
) -> None:
    for name in ("a.png", "IM1", "clip.xyz"):
        (open_folder / name).write_bytes(b"x")
    (open_folder / "IM1").chmod(0)
    os.mkfifo(open_folder / "pipe")
    with ordinary_rights(), pytest.warns(SonosegWarning) as caught:
        # Reading a closed file names the reason.
        assert [path.name for path in find_images([open_folder])] == ["IM1", "a.png"]
    assert "2 files skipped" in str(caught[0].message)
    (open_folder / "listed").mkdir()
    (open_folder / "listed" / "b.png").write_bytes(b"x")
    (open_folder / "listed" / "IM2").write_bytes(b"x")
    (open_folder / "listed").chmod(0o444)  # its names may be read, its files not
    with ordinary_rights():
        assert [path.name for path in find_images([open_folder / "listed"])] == ["IM2", "b.png"]


@pytest.mark.parametrize(
    ("sop_class", "kind"),
    [
        ("1.2.840.10008.5.1.4.1.1.88.33", "structured report"),
        ("1.2.840.10008.5.1.4.1.1.66.4", "segmentation"),
        ("1.2.840.10008.5.1.4.1.1.11.1", "presentation state"),
        ("1.2.840.10008.1.3.10", "DICOM directory"),
    ],
)
def test_dicom_objects_without_an_image_are_left_out(
    tmp_path: Path, make_dicom: Callable[..., Path], sop_class: str, kind: str
) -> None:
    make_dicom(tmp_path / "scan.dcm", np.zeros((40, 50), np.uint8))
    other = make_dicom(tmp_path / "other.dcm", np.zeros((40, 50), np.uint8), SOPClassUID=sop_class)
    dataset = pydicom.dcmread(other)
    dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.save_as(other)
    with pytest.warns(SonosegWarning, match=f"1 {kind}"):
        assert names(find_images([tmp_path]), tmp_path) == ["scan.dcm"]
    assert len(find_images([tmp_path], objects=True)) == 2


@pytest.mark.parametrize(
    "sop_class",
    [
        "1.2.840.10008.5.1.4.1.1.6.1",  # Ultrasound Image
        "1.2.840.10008.5.1.4.1.1.3.1",  # Ultrasound Multi-frame Image
        "1.2.840.10008.5.1.4.1.1.6.2",  # Enhanced US Volume
        "1.2.840.10008.5.1.4.1.1.7.2",  # Multi-frame Grayscale Byte Secondary Capture Image
        "1.2.826.0.1.3680043.9.1",  # of a vendor
    ],
)
def test_dicom_objects_with_an_image_are_taken(
    tmp_path: Path, make_dicom: Callable[..., Path], sop_class: str
) -> None:
    path = make_dicom(tmp_path / "a.dcm", np.zeros((40, 50), np.uint8), SOPClassUID=sop_class)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.save_as(path)
    assert find_images([tmp_path]) == [path]


def test_captures_by_sonoseg_are_left_out_and_others_are_not(
    tmp_path: Path, make_dicom: Callable[..., Path]
) -> None:
    capture = "1.2.840.10008.5.1.4.1.1.7"
    for name, maker in (("ours.dcm", identity.MANUFACTURER), ("theirs.dcm", "Toshiba")):
        path = make_dicom(
            tmp_path / name, np.zeros((40, 50), np.uint8), SOPClassUID=capture, Manufacturer=maker
        )
        dataset = pydicom.dcmread(path)
        dataset.file_meta.MediaStorageSOPClassUID = capture
        dataset.save_as(path)
    with pytest.warns(SonosegWarning, match="1 capture by sonoseg"):
        assert names(find_images([tmp_path]), tmp_path) == ["theirs.dcm"]


def test_brackets_in_a_path_are_hinted_at(tmp_path: Path) -> None:
    (tmp_path / "b [1]").mkdir()
    (tmp_path / "b [1]" / "a.png").write_bytes(b"x")
    with pytest.raises(InputError, match=r"write \[\[\] for a bracket"):
        find_images([tmp_path / "b [1]" / "*.png"])
    assert len(find_images([tmp_path / "b [[]1]" / "*.png"])) == 1


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match=r"no image found.*\.png"):
        find_images([tmp_path])


def test_a_glob_without_images_is_refused(tree: Path) -> None:
    with pytest.raises(InputError, match="no image found"):
        find_images([tree / "*.webp"])


def test_what_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.png: no such file or folder"):
        find_images([tmp_path / "gone.png"])


def test_what_cannot_be_looked_at_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be accessed: File name too long"):
        find_images([tmp_path / ("x" * 5000)])


def test_folders_that_cannot_be_listed(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir
    locked = {tree / "ward one"}

    def guarded(path: str | Path) -> object:
        if Path(path) in locked:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    with pytest.warns(SonosegWarning, match="ward one: this folder cannot be listed and is left out"):
        assert names(find_images([tree]), tree) == ["a.JPG", "b.png", "results/masks/b.png"]
    locked.add(tree)
    with pytest.raises(InputError, match="this folder cannot be listed: Permission denied"):
        find_images([tree])


def test_folders_that_cannot_be_listed_for_real(
    open_folder: Path, ordinary_rights: Callable[[], AbstractContextManager[None]]
) -> None:
    for name in ("a", "b"):
        (open_folder / name).mkdir()
        (open_folder / name / "x.png").write_bytes(b"x")
    (open_folder / "a").chmod(0)
    with ordinary_rights():
        with pytest.warns(SonosegWarning, match="left out: Permission denied"):
            assert names(find_images([open_folder]), open_folder) == ["b/x.png"]
        with pytest.raises(InputError, match="cannot be listed: Permission denied"):
            find_images([open_folder / "a"])
        with pytest.raises(InputError, match="cannot be accessed: Permission denied"):
            find_images([open_folder / "a" / "x.png"])


@pytest.mark.parametrize(
    ("path", "root"),
    [
        (".", "."),
        ("b.png", "."),
        ("ward one", "ward one"),
        ("ward*/*.tif", "."),
        ("ward one/*.tif", "ward one"),
    ],
)
def test_the_root_of_a_search(tree: Path, monkeypatch: pytest.MonkeyPatch, path: str, root: str) -> None:
    monkeypatch.chdir(tree)
    assert search_root(path) == (tree / root if root != "." else tree)


def test_dicom_with_and_without_an_ending(tmp_path: Path, make_dicom: Callable[..., Path]) -> None:
    pixels = np.zeros((20, 20), dtype=np.uint8)
    for name in ("a.dcm", "b.DICOM", "c.ima", "IM0001", "1.2.840.113619.2.5", "d.txt", ".IM0002"):
        make_dicom(tmp_path / name, pixels)
    make_dicom(tmp_path / "DICOMDIR", pixels)
    (tmp_path / "README").write_text("words " * 100)
    (tmp_path / "notes.2").write_text("words")
    assert names(find_images([tmp_path]), tmp_path) == [
        "1.2.840.113619.2.5",
        "IM0001",
        "a.dcm",
        "b.DICOM",
        "c.ima",
    ]


@pytest.mark.parametrize("wrong", [b"1.2.840.1000\xff", b"Secretname\0\0\0"])
def test_values_of_a_damaged_file_are_not_in_warnings(
    tmp_path: Path, make_dicom: Callable[..., Path], recwarn: pytest.WarningsRecorder, wrong: bytes
) -> None:
    """pydicom warns of a wrong UID with its text, which may be a name after damage."""
    path = make_dicom(tmp_path / "IM1", np.zeros((20, 20), dtype=np.uint8))
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.5.1.4.1.1.6.1", wrong.ljust(27, b".")))
    recwarn.clear()
    assert find_images([tmp_path]) == [path]
    assert not recwarn.list
