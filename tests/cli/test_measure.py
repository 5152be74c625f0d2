"""`sonoseg measure`, as a user calls it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import nrrd
import numpy as np
import pytest
from PIL import Image

from sonoseg import RESEARCH_ONLY
from sonoseg.lesions.callipers import WHITE
from sonoseg.lesions.measurement import PLANE_NOTE

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(command: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `sonoseg measure` in process: exit code, stdout, stderr."""
    monkeypatch.setenv("COLUMNS", "100")
    return lambda *words: command("measure", *words)


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


def mask_file(path: Path, *, high: int = 20, wide: int = 40) -> Path:
    mask = np.zeros((120, 160))
    mask[30 : 30 + high, 50 : 50 + wide] = 255
    return save(path, mask)


def scan_file(path: Path) -> Path:
    pixels = np.full((120, 160), 100)
    pixels[30:50, 50:90] = 10
    pixels[51:, 50:90] = 150
    return save(path, pixels + np.indices(pixels.shape).sum(axis=0) % 2)


def test_one_mask_in_pixels(run: Run, tmp_path: Path) -> None:
    code, told, errors = run(mask_file(tmp_path / "a.png"))
    assert (code, errors) == (0, "")
    assert "44 × " in told  # the diagonal of 40 by 20, between the middles of pixel sides
    assert "800 px²" in told
    assert "no spacing was given" in told
    assert PLANE_NOTE in told
    assert RESEARCH_ONLY in told


def test_with_image_and_spacing_as_json(run: Run, tmp_path: Path) -> None:
    mask, scan = mask_file(tmp_path / "a_mask.png"), scan_file(tmp_path / "a.png")
    code, told, _ = run(mask, "--image", scan, "--spacing", "0.1,0.2", "--json")
    assert code == 0
    value = json.loads(told)
    assert value["format"] == "sonoseg-measures/4"
    assert value["notice"] == RESEARCH_ONLY
    assert value["plane_note"] == PLANE_NOTE
    (one,) = value["masks"]
    assert (one["mask"], one["image"], one["unit"]) == (str(mask), str(scan), "mm")
    (lesion,) = one["lesions"]
    assert (lesion["width"], lesion["height"], lesion["depth"]) == (8, 2, 3)
    assert (lesion["echo_level"], lesion["posterior"]) == ("anechoic", "enhancement")
    assert lesion["spacing"] == [0.1, 0.2]
    assert len(lesion["perpendicular_ends"]) == 2
    assert "mean_probability" not in lesion
    assert "uncertainty" not in lesion


def test_a_folder_with_its_images_writes_everything(run: Run, tmp_path: Path) -> None:
    folder, to = tmp_path / "set", tmp_path / "out"
    mask_file(folder / "a_mask.png")
    mask_file(folder / "b_mask.png", high=0)
    scan_file(folder / "a.png")
    code, told, errors = run(folder, "--image", folder, "--out", to, "--spacing", "0.1")
    assert (code, errors) == (0, "1 file skipped: 1 image of a mask\n")
    assert str(to) in told.replace("\n", "")
    written = {path.relative_to(to).as_posix() for path in to.rglob("*") if path.is_file()}
    assert written == {"measures.csv", "measures.json", "overlays/a_mask.png", "overlays/b_mask.png"}
    with (to / "measures.csv").open(newline="") as file:
        rows = {Path(row["mask"]).name: row for row in csv.DictReader(file)}
    assert rows["a_mask.png"]["status"] == "lesion"
    assert rows["a_mask.png"]["echo_level"] == "anechoic"
    assert float(rows["a_mask.png"]["width"]) == 4
    assert rows["b_mask.png"]["status"] == "no lesion"
    assert json.loads((to / "measures.json").read_text())["masks"][0]["lesions"][0]["width"] == 4
    drawn = np.asarray(Image.open(to / "overlays" / "a_mask.png"))
    assert (drawn == WHITE).all(axis=2).any()  # the callipers

    code, _, errors = run(folder, "--out", to)
    assert code == 1
    assert "results are here already" in errors
    assert run(folder, "--out", to, "--overwrite")[0] == 0


def test_two_views_make_three_dimensions(run: Run, tmp_path: Path) -> None:
    one, other = mask_file(tmp_path / "1.png", wide=40), mask_file(tmp_path / "2.png", wide=30)
    code, told, errors = run("--pair", one, other, "--spacing", "0.1")
    assert (code, errors) == (0, "")
    assert "Three dimensions: 4.4 × " in told
    assert "× 3.0 mm" in told
    assert "share the height" in told
    assert PLANE_NOTE not in told
    code, told, _ = run("--pair", one, other, "--spacing", "0.1", "--json")
    pair = json.loads(told)["pair"]
    assert pair["unit"] == "mm"
    assert pair["volume"] == pytest.approx(np.pi / 6 * np.prod(pair["dimensions"]), rel=1e-4)
    assert (pair["shared"], pair["heights"], pair["warnings"]) == ("height", [2, 2], [])

    flat = mask_file(tmp_path / "3.png", high=8)
    code, _, errors = run("--pair", one, flat, "--spacing", "0.1")
    assert code == 0
    assert "warning: the heights" in errors
    code, _, errors = run("--pair", one, mask_file(tmp_path / "4.png", high=0))
    assert code == 1
    assert "no lesion in the view" in errors
    assert "Traceback" not in errors


def test_a_batch_goes_on_past_what_is_no_mask(run: Run, tmp_path: Path) -> None:
    good = mask_file(tmp_path / "good.png")
    noise = np.random.default_rng(0).integers(30, 200, (60, 60))
    image = save(tmp_path / "image.png", noise)
    broken = tmp_path / "broken.png"
    broken.write_bytes(good.read_bytes()[:60])
    code, told, errors = run(good, image, broken)
    assert code == 3
    assert "800 px²" in told
    assert "image.png: an image, not a mask" in errors
    assert "broken.png: " in errors
    assert "2 of 3 masks" in errors
    assert "Traceback" not in errors


def test_a_image_of_another_size_is_refused(run: Run, tmp_path: Path) -> None:
    mask = mask_file(tmp_path / "m.png")
    code, _, errors = run(mask, "--image", save(tmp_path / "p.png", np.full((60, 60), 90)))
    assert code == 3
    assert "Give the mask of this image" in errors


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "no mask is given"),
        (("nowhere.png",), "no such file or folder"),
        (("a.png", "--spacing", "much"), "'much' is not a pixel spacing"),
        (("a.png", "b.png", "--image", "a.png"), "one image for 2 masks"),
        (("--pair", "a.png", "gone.png"), "gone.png: no such file"),
    ],
)
def test_wrong_words(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    mask_file(tmp_path / "a.png")
    mask_file(tmp_path / "b.png")
    code, _, errors = run(*words)
    assert code in (1, 2)
    assert said in errors
    assert "Traceback" not in errors


def test_dicom_images_and_the_options_that_are_there(
    run: Run, tmp_path: Path, make_dicom: Callable[..., Path]
) -> None:
    """An image without scan regions is named with the option that reads it; a clip without one."""
    pixels = np.asarray(Image.open(scan_file(tmp_path / "scan.png")))
    mask = mask_file(tmp_path / "mask.png")
    still = make_dicom(tmp_path / "still.dcm", pixels, regions=[])
    code, _, errors = run(mask, "--image", still)
    assert code == 3
    assert f"{still}: burned-in text" in " ".join(errors.split())
    assert "--keep-burned-in" in errors
    code, told, _ = run(mask, "--image", still, "--keep-burned-in")
    assert (code, "anechoic" in told) == (0, True)
    clip = make_dicom(tmp_path / "clip.dcm", np.stack([pixels, pixels]), regions=[])
    code, _, errors = run(mask, "--image", clip, "--keep-burned-in")
    assert code == 3
    assert "a clip of 2 frames" in errors
    assert "Export the frame as an image" in errors
    assert "--frames" not in errors


def test_an_overlay_that_cannot_be_written_stops_nothing(run: Run, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        mask_file(tmp_path / "masks" / name)
    (tmp_path / "out" / "overlays" / "a.png").mkdir(parents=True)
    code, _, errors = run(tmp_path / "masks", "--out", tmp_path / "out", "--overwrite")
    assert code == 3
    assert "overlays/a.png: cannot be written: Is a directory" in errors.replace("\n", "")
    assert "1 of 2 overlays could not be written" in errors
    assert (tmp_path / "out" / "overlays" / "b.png").is_file()
    assert len((tmp_path / "out" / "measures.csv").read_text("utf-8").splitlines()) == 3


def test_long_and_undecodable_names(run: Run, tmp_path: Path) -> None:
    mask_file(tmp_path / "masks" / f"{'日' * 83}a.png")
    odd = tmp_path / "masks" / "b\udcff.png"
    try:
        mask_file(odd)
    except (OSError, UnicodeError):
        pytest.skip("this file system has no such names")
    code, _, errors = run(tmp_path / "masks", "--out", tmp_path / "out")
    assert (code, errors) == (0, "")
    assert len(list((tmp_path / "out" / "overlays").iterdir())) == 2


def test_label_maps_in_a_folder_are_measured(run: Run, tmp_path: Path) -> None:
    """NRRD, with its pixel spacing, beside the image of its name."""
    labels = np.zeros((160, 120, 1), np.uint8)
    labels[50:90, 30:50] = 1
    labels[50:90, 50:60] = 2
    folder = tmp_path / "set"
    scan_file(folder / "a.png")
    header = {"space": "left-posterior-superior", "space directions": np.diag([0.2, 0.1, 1])}
    nrrd.write(str(folder / "a.seg.nrrd"), labels, header, index_order="F")
    code, told, _ = run(folder, "--image", folder, "--json")
    assert code == 0
    (one,) = json.loads(told)["masks"]
    assert (one["image"], one["unit"]) == (str(folder / "a.png"), "mm")
    assert [(lesion["width"], lesion["height"]) for lesion in one["lesions"]] == [(8, 2), (8, 1)]
    assert one["lesions"][0]["spacing_origin"] == "file"
    assert json.loads(run(folder, "--spacing", "1", "--json")[1])["masks"][0]["lesions"][0]["width"] == 40


def test_what_a_folder_holds_beside_masks_is_counted(run: Run, tmp_path: Path) -> None:
    for name in ("a_mask.png", "b.png", "c.png", "a.png"):
        mask_file(tmp_path / name)
    (tmp_path / "clip.mp4").write_bytes(b"x")
    code, told, errors = run(tmp_path)
    assert code == 0
    assert errors.splitlines() == [
        "1 file skipped: 1 .mp4 file",
        "3 files skipped: 2 images not named as a mask, 1 image of a mask",
    ]
    assert told.count("800 px²") == 1


def test_the_masks_of_a_set_are_those_of_its_folder_of_masks(run: Run, tmp_path: Path) -> None:
    mask_file(tmp_path / "set" / "masks" / "a.png")
    scan_file(tmp_path / "set" / "images" / "a.png")
    mask_file(tmp_path / "set" / "b.png")
    code, told, errors = run(tmp_path / "set")
    assert code == 0
    assert errors == "2 files skipped: 1 image not named as a mask, 1 image of a mask\n"
    assert told.count("800 px²") == 1
