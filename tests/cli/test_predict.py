"""`sonoseg predict` on raster images."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sonoseg import RESEARCH_ONLY
from sonoseg.cli.options import parse_spacing
from sonoseg.errors import UsageError
from sonoseg.image.calibration import Spacing

Run = Callable[..., tuple[int, str, str]]


def scan(path: Path, *, size: tuple[int, int] = (120, 160), dark: bool = True) -> Path:
    """A grey image with a dark square of 40 pixels, or without."""
    pixels = np.full(size, 150, dtype=np.uint8)
    pixels[:, -8:] = 190  # an image of one grey is not assessed
    if dark:
        pixels[40:80, 60:100] = 5
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def written(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "results.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


SUMMARIES = {"report.html", "report.json", "results.csv", "results.json", "journal.sqlite"}


def test_one_image(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, told, warned = run(scan(tmp_path / "scan.png"), "--out", out)
    assert code == 0
    assert warned == ""
    assert written(out) == SUMMARIES | {"masks/scan.png", "overlays/scan.png"}
    with Image.open(out / "masks" / "scan.png") as image:
        mask = np.asarray(image)
    assert mask.shape == (120, 160)
    assert set(np.unique(mask)) == {0, 255}
    assert mask[60, 80] == 255
    assert abs((mask > 0).sum() - 1600) < 200
    for words in ("scan", "1 lesion in 1 image.", f"Results: {out / 'report.html'}", RESEARCH_ONLY, "px²"):
        assert words in told


def test_a_folder_with_sub_folders_unicode_and_spaces(run: Run, tmp_path: Path) -> None:
    scans = tmp_path / "scans"
    scan(scans / "a" / "x.png")
    scan(scans / "b" / "x.png", size=(100, 130))
    scan(scans / "Station 7" / "Ünï скан [1].png")
    code, told, _ = run(scans, "--out", tmp_path / "out")
    assert code == 0
    names = ("a/x", "b/x", "Station 7/Ünï скан [1]")
    assert written(tmp_path / "out") == SUMMARIES | {
        f"{kind}/{name}.png" for kind in ("masks", "overlays") for name in names
    }
    assert "Ünï скан [1]" in told
    with Image.open(tmp_path / "out" / "masks" / "b" / "x.png") as mask:
        assert mask.size == (130, 100)


def test_a_glob(run: Run, tmp_path: Path) -> None:
    for name in ("one.png", "two.png", "three.tif"):
        scan(tmp_path / name)
    code, _, _ = run(tmp_path / "*.png", "--out", tmp_path / "out", "--quiet")
    assert code == 0
    assert {row["image"] for row in rows(tmp_path / "out")} == {"one", "two"}


def test_probability_and_attention_on_request(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, _, _ = run(scan(tmp_path / "scan.png"), "--out", out, "--probability", "--attention")
    assert code == 0
    gates = {f"attention/scan_gate{k}.png" for k in (1, 2, 3, 4)}
    assert written(out) == SUMMARIES | gates | {f"{k}/scan.png" for k in ("masks", "overlays", "probability")}
    with Image.open(out / "probability" / "scan.png") as image:
        probability = np.asarray(image).astype(float) / 65535
    assert probability.shape == (120, 160)
    assert probability[60, 80] > 0.99
    assert probability[10, 10] < 0.1
    with Image.open(out / "attention" / "scan_gate4.png") as heat:
        assert heat.mode == "RGB"
        assert heat.size == (160, 120)


def test_attention_of_a_model_without_gates_is_a_warning(
    run: Run, make_dark_model: Callable[..., Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    plain = make_dark_model(gates=0)
    code, _, warned = run(
        scan(tmp_path / "scan.png"), "--out", out, "--attention", "--model", plain, model=False
    )
    assert code == 0
    assert "warning: this model has no attention gates" in warned
    assert written(out) == SUMMARIES | {"masks/scan.png", "overlays/scan.png"}


def test_spacing_gives_millimetres(run: Run, tmp_path: Path) -> None:
    image = scan(tmp_path / "scan.png")
    code, told, _ = run(image, "--out", tmp_path / "one", "--spacing", "0.1")
    assert code == 0
    (row,) = rows(tmp_path / "one")
    assert row["unit"] == "mm"
    assert float(row["width"]) == pytest.approx(4.0, abs=0.3)
    assert "mm²" in told
    run(image, "--out", tmp_path / "two", "--spacing", "0.1,0.2")
    (row,) = rows(tmp_path / "two")
    assert (row["spacing_row"], row["spacing_column"]) == ("0.1", "0.2")
    assert float(row["width"]) == pytest.approx(8.0, abs=0.6)
    assert float(row["height"]) == pytest.approx(4.0, abs=0.3)


@pytest.mark.parametrize("text", ["", "x", "0", "-1", "nan", "inf", "1,2,3", "0.1;0.2", "0.1,", "1e999"])
def test_an_invalid_spacing_is_refused(run: Run, tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="not a pixel spacing"):
        parse_spacing(text)
    code, _, warned = run(scan(tmp_path / "scan.png"), "--out", tmp_path / "out", f"--spacing={text}")
    assert code == 2
    assert "error: --spacing:" in warned
    assert not (tmp_path / "out").exists()


def test_spacing_is_row_then_column() -> None:
    assert parse_spacing("0.08") == Spacing(0.08, 0.08)
    assert parse_spacing(" 0.08 , 0.1") == Spacing(0.08, 0.1)


def test_stdout_is_only_json(run: Run, tmp_path: Path) -> None:
    scan(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "b.png").touch()
    code, told, warned = run(tmp_path / "in", "--out", tmp_path / "out", "--json")
    assert code == 3
    value = json.loads(told)
    assert value == json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert [image["image"] for image in value["images"]] == ["a"]
    assert len(value["refused"]) == 1
    assert "refused:" in warned


def test_quiet_prints_only_problems(run: Run, tmp_path: Path) -> None:
    image = scan(tmp_path / "scan.png")
    assert run(image, "--out", tmp_path / "one", "--quiet") == (0, "", "")
    bad = tmp_path / "bad.png"
    bad.touch()
    code, told, warned = run(image, bad, "--out", tmp_path / "two", "-q")
    assert (code, told) == (3, "")
    assert "bad.png: " in warned


def test_bad_files_are_skipped_and_listed(run: Run, tmp_path: Path) -> None:
    scans, out = tmp_path / "scans", tmp_path / "out"
    scan(scans / "a good.png")
    scan(scans / "z good.png")
    scan(scans / "y none.png", dark=False)
    (scans / "empty.png").touch()
    (scans / "text.png").write_text("hello")
    (scans / "cut.png").write_bytes((scans / "a good.png").read_bytes()[:120])
    Image.new("L", (1, 1)).save(scans / "one pixel.png")
    frames = [Image.new("L", (40, 40), k) for k in range(3)]
    frames[0].save(scans / "clip.gif", save_all=True, append_images=frames[1:])
    header = b"IHDR" + b"".join(n.to_bytes(4, "big") for n in (30_000, 30_000)) + bytes([8, 0, 0, 0, 0])
    chunk = (13).to_bytes(4, "big") + header + zlib.crc32(header).to_bytes(4, "big")
    data = b"IDAT" + zlib.compress(bytes(30_001))
    chunk += (len(data) - 4).to_bytes(4, "big") + data + zlib.crc32(data).to_bytes(4, "big")
    (scans / "huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)

    code, told, warned = run(scans, "--out", out)
    assert code == 3
    assert "2 lesions in 3 images; 1 without a lesion; 6 files refused." in told
    assert "6 of 9 files were refused" in warned
    for name, why in {
        "empty.png": "empty",
        "text.png": "text",
        "cut.png": "truncated or damaged",
        "one pixel.png": "1 x 1 pixels",
        "clip.gif": "clip of 3 frames",
        "huge.png": "64,000,000 pixels",
    }.items():
        (line,) = [line for line in warned.splitlines() if f"{name}:" in line]
        assert why in line
    assert "Traceback" not in warned
    assert {row["status"] for row in rows(out)} == {"lesion", "no lesion", "refused"}
    assert len(rows(out)) == 9
    assert "clip of 3 frames" in (out / "report.html").read_text(encoding="utf-8")


def test_every_file_bad(run: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.touch()
    code, told, _ = run(bad, "--out", tmp_path / "out")
    assert code == 3
    assert "0 lesions in 0 images; 1 file refused." in told
    assert written(tmp_path / "out") == SUMMARIES


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["gone.png"], "gone.png: no such file or folder"),
        (["nothing"], "nothing: no image found"),
        (["*.webp"], "no image found"),
    ],
)
def test_no_image_is_an_error_before_any_work(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nothing").mkdir()
    code, told, warned = run(*words, "--out", "out")
    assert code == 1
    assert told == ""
    assert said in warned
    assert not (tmp_path / "out").exists()


def test_results_are_replaced_only_with_overwrite(run: Run, tmp_path: Path) -> None:
    image, out = scan(tmp_path / "scan.png"), tmp_path / "out"
    assert run(image, "--out", out)[0] == 0
    timed = {"journal.sqlite", "report.json"}
    before = {name: (out / name).read_bytes() for name in written(out) - timed}
    (out / "masks" / "scan.png").write_text("edited by hand")
    code, told, warned = run(image, "--out", out)
    assert code == 1
    assert "results are here already" in warned
    assert "--overwrite" in warned
    assert told == ""
    assert (out / "masks" / "scan.png").read_text() == "edited by hand"
    assert run(image, "--out", out, "--overwrite")[0] == 0
    assert {name: (out / name).read_bytes() for name in written(out) - timed} == before


@pytest.mark.process
def test_results_below_the_searched_folder_are_not_searched(run: Run, tmp_path: Path) -> None:
    scan(tmp_path / "scan.png")
    for out in (tmp_path / "results", tmp_path):
        assert run(tmp_path, "--out", out, "-q")[0] == 0
        assert run(tmp_path, "--out", out, "-q", "--overwrite")[0] == 0
        assert {row["image"] for row in rows(out) if row["image"] == "scan"} == {"scan"}
        if out != tmp_path:
            assert len(rows(out)) == 1


def test_no_permission_to_write(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sonoseg.results import results_folder as folder

    def denied(**_: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(folder.tempfile, "TemporaryFile", denied)
    code, _, warned = run(scan(tmp_path / "scan.png"), "--out", tmp_path / "out")
    assert code == 1
    assert "out: cannot be written to: Permission denied" in warned
    assert "Traceback" not in warned


@pytest.mark.parametrize("threshold", ["0", "1", "7", "nan"])
def test_a_threshold_out_of_range(run: Run, tmp_path: Path, threshold: str) -> None:
    code, _, warned = run(scan(tmp_path / "s.png"), "--out", tmp_path / "out", "--threshold", threshold)
    assert code == 2
    assert "between 0 and 1" in warned


def test_the_threshold_is_used_and_recorded(run: Run, tmp_path: Path) -> None:
    code, _, _ = run(scan(tmp_path / "s.png"), "--out", tmp_path / "out", "--threshold", "0.123")
    assert code == 0
    value = json.loads((tmp_path / "out" / "results.json").read_text("utf-8"))
    assert value["threshold"] == 0.123
    assert rows(tmp_path / "out")[0]["settings_hash"] == value["settings_hash"]


def test_a_folder_without_a_model_is_refused(run: Run, tmp_path: Path) -> None:
    image = scan(tmp_path / "s.png")
    code, _, warned = run(image, "--out", tmp_path / "out", "--model", tmp_path, model=False)
    assert code == 1
    assert "not a model folder" in warned


def test_brackets_in_names_are_printed_as_they_are(run: Run, tmp_path: Path) -> None:
    bad = tmp_path / "[red]bad[bold].png"
    bad.touch()
    _, told, warned = run(bad, scan(tmp_path / "[bold]x.png"), "--out", tmp_path / "[blue]out")
    assert "[red]bad[bold].png" in warned
    assert "[bold]x" in told
    assert "[blue]out" in told


def test_a_long_table_is_cut_on_the_terminal_only(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sonoseg.cli.summary.ROWS", 2)
    for k in range(5):
        scan(tmp_path / "in" / f"{k}.png")
    _, told, _ = run(tmp_path / "in", "--out", tmp_path / "out")
    assert "and 3 more in results.csv" in told
    assert len(rows(tmp_path / "out")) == 5


@pytest.mark.process
def test_the_whole_process_imports_nothing_heavy_and_exits_3(dark_model: Path, tmp_path: Path) -> None:
    scan(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "b.png").touch()
    program = (
        "import atexit, sys\n"
        "heavy = ('torch', 'pandas', 'matplotlib', 'sklearn', 'onnx', 'yaml', 'pooch')\n"
        "atexit.register(lambda: print('loaded', [name for name in heavy if name in sys.modules]))\n"
        "from sonoseg.cli.main import main\n"
        "main()\n"
    )
    words = ["predict", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--model", str(dark_model)]
    done = subprocess.run(
        [sys.executable, "-c", program, *words, "--attention", "--probability"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 3, done.stderr
    assert "loaded []" in done.stdout
    assert "Traceback" not in done.stderr


def test_the_manifest_lists_inputs_and_outputs(run: Run, tmp_path: Path) -> None:
    good, bad, out = scan(tmp_path / "in" / "good.png"), tmp_path / "in" / "bad.png", tmp_path / "out"
    bad.touch()
    assert run(tmp_path / "in", "--out", out, "--spacing", "0.1", "--attention", "-q")[0] == 3
    value = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert value["format"] == "sonoseg-report/1"
    assert value["notice"] == RESEARCH_ONLY
    assert value["started"] <= value["ended"]
    assert value["options"]["spacing"] == [0.1, 0.1]
    assert value["options"]["tta"] == "none"
    assert value["model"]["name"] == "dark"
    assert value["counts"] | {"images": 1, "lesions": 1, "refused": 1} == value["counts"]
    assert value["versions"].keys() >= {"sonoseg", "python", "numpy", "onnxruntime"}
    assert value["timings"]["segment"] > 0
    used, refused = value["inputs"]
    assert used == {"file": str(good), "sha256": digest(good), "bytes": good.stat().st_size, "used": True}
    assert (refused["file"], refused["used"]) == (str(bad), False)
    assert {one["path"] for one in value["outputs"]} == written(out) - {"report.json", "journal.sqlite"}
    for one in value["outputs"]:
        assert one["sha256"] == digest(out / one["path"])
        assert one["bytes"] == (out / one["path"]).stat().st_size


def test_warnings_are_in_the_manifest(run: Run, make_dark_model: Callable[..., Path], tmp_path: Path) -> None:
    plain = make_dark_model(gates=0)
    words = (scan(tmp_path / "scan.png"), "--out", tmp_path / "out", "--attention", "--model", plain)
    run(*words, model=False)
    value = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert value["warnings"] == ["this model has no attention gates: no maps are written"]


def test_a_share_is_referred(run: Run, tmp_path: Path) -> None:
    for k in range(4):
        scan(tmp_path / "in" / f"{k}.png", dark=k != 2)
    code, told, _ = run(tmp_path / "in", "--out", tmp_path / "out", "--refer", "0.25")
    assert code == 0
    assert "1 image referred" in told
    assert [row["referred"] for row in rows(tmp_path / "out")].count("yes") == 1
    assert run(tmp_path / "in", "--out", tmp_path / "x", "--refer", "1.5")[0] == 2


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text here")
def test_file_names_that_are_not_utf8(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    plain = scan(folder / "plain.png")
    for name in (b"caf\xe9.png", b"caf\xe8.png"):
        (folder / os.fsdecode(name)).write_bytes(plain.read_bytes())
    (folder / os.fsdecode(b"b\xff.png")).touch()
    out = tmp_path / "out"
    code, told, warned = run(folder, "--out", out, "--coco", "--labelme")
    assert code == 3
    assert "in 3 images; 1 file refused" in told
    assert "Traceback" not in warned
    names = {image["image"] for image in json.loads((out / "results.json").read_text("utf-8"))["images"]}
    assert len(names) == 3
    assert "caf\ufffd-png" in names
    assert run(folder, "--out", out, "--coco", "--labelme", "--resume", "-q")[0] == 3


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_error_of_the_system_is_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "No such file or directory", "out/masks/a.png")

    monkeypatch.setattr("sonoseg.results.prediction_run.PredictionRun.execute", fail)
    code, _, told = run(tmp_path, "--out", tmp_path / "out")
    assert (code, told) == (1, "error: out/masks/a.png: No such file or directory\n")
    monkeypatch.setenv("SONOSEG_DEBUG", "1")
    with pytest.raises(FileNotFoundError):
        run(tmp_path, "--out", tmp_path / "out")


def test_a_workbook(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("xlsxwriter", reason="XlsxWriter is not installed: pip install 'sonoseg[xlsx]'")
    image = scan(tmp_path / "s.png")
    assert run(image, "--out", tmp_path / "out", "--xlsx", "-q")[0] == 0
    assert (tmp_path / "out" / "results.xlsx").read_bytes().startswith(b"PK")
    monkeypatch.setattr("sonoseg._util.packages.find_spec", lambda name: None)
    code, _, warned = run(image, "--out", tmp_path / "none", "--xlsx")
    assert code == 2
    assert "pip install 'sonoseg[xlsx]'" in warned.replace("\n", " ")
    assert not (tmp_path / "none").exists()


def test_skipped_files_are_counted_at_the_end_and_are_no_failure(
    run: Run, tmp_path: Path, make_dicom: Callable[..., Path]
) -> None:
    scan(tmp_path / "in" / "a.png")
    pixels = np.zeros((40, 50), np.uint8)
    for number, sop_class in enumerate(("88.33", "88.11", "11.1")):
        make_dicom(
            tmp_path / "in" / f"{number}.dcm", pixels, SOPClassUID=f"1.2.840.10008.5.1.4.1.1.{sop_class}"
        )
    summary = "3 files skipped: 2 structured reports, 1 presentation state"
    code, _, warned = run(tmp_path / "in", "--out", tmp_path / "out")
    assert (code, warned.splitlines()[-1]) == (0, summary)
    # Damage is a failure; the skipped files are named beside it.
    (tmp_path / "in" / "b.png").touch()
    code, _, warned = run(tmp_path / "in", "--out", tmp_path / "out", "--overwrite")
    assert code == 3
    assert summary in warned
    assert "b.png" in warned
