"""`sonoseg predict --resume`: a run killed at any moment ends with the results of an uninterrupted one."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sonoseg._util.files import atomic_write_bytes, cannot_write
from sonoseg.errors import OutputError
from sonoseg.results.journal import SCHEMA
from sonoseg.results.ledger import Ledger

Run = Callable[..., tuple[int, str, str]]

TIMED = {"journal.sqlite", "report.json"}
"""Files that hold times, and so differ from run to run."""


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Sixty files: images with a dark square each, all different, and one text file."""
    folder = tmp_path / "scans"
    folder.mkdir()
    draw = np.random.default_rng(3)
    for number in range(60):
        pixels = draw.integers(120, 180, (90, 120), dtype=np.uint8)
        top, left, side = (int(value) for value in draw.integers(10, 40, 3))
        pixels[top : top + side, left : left + side] = 5
        Image.fromarray(pixels).save(folder / f"{number:02d}.png")
    (folder / "31.png").write_text("no image")
    return folder


def contents(out: Path) -> dict[str, str]:
    """The hash of every file, those that hold times left out."""
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in out.rglob("*")
        if path.is_file() and path.name not in TIMED
    }


def recorded(out: Path) -> int:
    """Count the images in the journal."""
    try:
        with Ledger(out / "journal.sqlite", SCHEMA, read_only=True) as ledger, ledger.read() as connection:
            return int(connection.execute("SELECT COUNT(*) FROM images").fetchone()[0])
    except OutputError:  # not there yet
        return 0


def killed(words: list[str], out: Path, after: int) -> int:
    """Run the command, kill it after this many images, and return how many were done."""
    # One image per batch and slow writing, so that there is time to kill it.
    program = (
        "import time\n"
        "from sonoseg.results.result_files import ImageFiles as R\n"
        "write = R.write\n"
        "R.write = lambda self, found: (time.sleep(0.1), write(self, found))[1]\n"
        "from sonoseg.cli.main import main\n"
        "main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + 120
        while recorded(out) < after and process.poll() is None and time.monotonic() < end:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGKILL
    return recorded(out)


@pytest.mark.process
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_run_killed_twice_ends_as_an_uninterrupted_one(
    run: Run, dark_model: Path, scans: Path, tmp_path: Path
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert run(scans, "--out", whole, "-q", "--batch", 1)[0] == 3
    words = ["predict", str(scans), "--out", str(broken), "--model", str(dark_model), "-q", "--batch", "1"]
    first = killed(words, broken, 7)
    assert 7 <= first < 59
    assert not (broken / "results.csv").exists()
    second = killed([*words, "--resume"], broken, first + 9)
    assert first < second < 59
    # Half-written files are removed when the run is resumed.
    whole_ones = [path for path in (broken / "masks").iterdir() if not path.name.startswith(".")]
    times = {path: path.stat().st_mtime_ns for path in whole_ones}
    code, _, warned = run(scans, "--out", broken, "--batch", 1, "--resume")
    assert code == 3
    assert f"{second} of 60 images are done already" in warned
    assert contents(broken) == contents(whole)
    kept = sum(path.stat().st_mtime_ns == before for path, before in times.items())
    assert kept >= second  # what was done was left as it was
    manifest = json.loads((broken / "report.json").read_text(encoding="utf-8"))
    assert len(manifest["sessions"]) == 3
    unbroken = json.loads((whole / "report.json").read_text(encoding="utf-8"))
    assert manifest["inputs"] == unbroken["inputs"]
    assert manifest["counts"] == unbroken["counts"]


@pytest.mark.process
def test_a_finished_run_has_nothing_left_to_do(
    run: Run, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    for number in range(5, 60):
        (scans / f"{number:02d}.png").unlink()
    assert run(scans, "--out", out, "-q")[0] == 0
    before = contents(out)
    code, _, warned = run(scans, "--out", out, "--resume")
    assert (code, contents(out)) == (0, before)
    assert "5 of 5 images are done already" in warned
    # An image more: only that one is segmented.
    (scans / "05.png").write_bytes((scans / "04.png").read_bytes())
    code, told, warned = run(scans, "--out", out, "--resume")
    assert code == 0
    assert "5 of 6 images are done already" in warned
    assert "in 6 images" in told


@pytest.mark.process
def test_other_options_are_refused_and_changed_images_redone(run: Run, scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    image = scans / "00.png"
    assert run(image, "--out", out, "-q")[0] == 0
    code, _, warned = run(image, "--out", out, "--resume", "--threshold", "0.3", "--spacing", "0.1")
    assert code == 1
    assert "options.spacing was None and is [0.1, 0.1]" in warned
    assert "threshold was 0.5 and is 0.3" in warned
    image.write_bytes((scans / "01.png").read_bytes())
    code, _, warned = run(image, "--out", out, "--resume")
    assert code == 0
    assert "done already" not in warned  # another image under its name: segmented again
    code, _, warned = run(image, "--out", out, "--resume", "--overwrite")
    assert code == 2
    assert "both --resume and --overwrite" in warned


@pytest.mark.process
def test_a_full_disk_and_an_interrupt_can_be_resumed(
    run: Run, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    done = 0

    def full(path: Path, data: bytes) -> None:
        nonlocal done
        done += 1
        if done > 12:
            raise cannot_write(path, OSError(28, "No space left on device"))
        atomic_write_bytes(path, data)

    with monkeypatch.context() as patched:
        patched.setattr("sonoseg.results.writers.atomic_write_bytes", full)
        code, _, warned = run(scans, "--out", out, "-q")
    assert code == 1
    assert "No space left on device" in warned
    assert "repeat the command with --resume" in warned
    assert "Traceback" not in warned
    kept = recorded(out)
    assert 1 <= kept <= 6
    code, _, warned = run(scans, "--out", out, "-q")
    assert code == 1
    assert "an interrupted run" in warned

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("sonoseg.results.results_folder.ResultsFolder.commit", stop)
        code, _, warned = run(scans, "--out", out, "-q", "--resume")
    assert code == 130
    assert "interrupted; completed results are kept" in warned
    assert run(scans, "--out", out, "-q", "--resume")[0] == 3
    assert recorded(out) == 59
