"""`sonoseg pacs serve` as a real process: its whole way, SIGTERM, and SIGKILL at the worst moments."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from sonoseg.pacs.queue_rows import InstanceState, QueueReader

if os.name != "posix":
    pytest.skip("SIGKILL is Unix'", allow_module_level=True)

pytestmark = pytest.mark.long

Send = Callable[..., list[int | None]]

MAIN = "from sonoseg.cli.main import main\nmain()\n"

QUICK = """
runtime = "onnx"
threads = 1
[retry]
first_delay = 0.05
max_delay = 0.2
refusals = 2
"""

KILLED_BEFORE_THE_ANSWER = """
import os, signal
from sonoseg.pacs.queue import InstanceQueue
real = InstanceQueue._insert
def insert(self, instance, *given):
    if not instance.sender:  # a row restored at the start
        return real(self, instance, *given)
    real(self, instance, *given)
    os.kill(os.getpid(), signal.SIGKILL)
InstanceQueue._insert = insert
"""

KILLED_BEFORE_THE_ROW = KILLED_BEFORE_THE_ANSWER.replace("    real(self, instance, *given)\n    os", "    os")

KILLED_AFTER_SEGMENTING = """
import os, signal
from sonoseg.pacs.queue import InstanceQueue
def segmented(self, *given):
    os.kill(os.getpid(), signal.SIGKILL)
InstanceQueue.add_results = segmented
"""

KILLED_AFTER_SENDING = """
import os, signal
from sonoseg.pacs.queue import InstanceQueue
def stored(self, uid, results):
    os.kill(os.getpid(), signal.SIGKILL)
InstanceQueue.mark_stored = stored
"""


class Process:
    """A node in a process of its own. first: Python that runs before it."""

    def __init__(self, state: Path, archive: str, model: Path, *options: str, first: str = "") -> None:
        config = state.with_name("node.toml")
        config.write_text(QUICK, "utf-8")
        words = ["pacs", "serve", "--config", str(config), "--state", str(state), "--archive", archive]
        self.process = subprocess.Popen(
            [sys.executable, "-c", first + MAIN, *words, "--port", "0", "--model", str(model), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"port (\d+)", line)
        assert found is not None, line + self.process.communicate()[1]
        self.port = int(found[1])

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def end(self) -> tuple[int, str]:
        """SIGTERM: its exit code, and what it said on stderr."""
        self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate(timeout=120)
        return self.process.returncode, said


@pytest.fixture
def serving(tmp_path: Path, fake_archive: Any, dark_model: Path) -> Iterator[Callable[..., Process]]:
    made: list[Process] = []

    def make(*options: str, first: str = "", archive: str = "") -> Process:
        made.append(
            Process(tmp_path / "state", archive or fake_archive.word, dark_model, *options, first=first)
        )
        return made[-1]

    yield make
    for one in made:
        if one.process.poll() is None:
            one.kill()


def counts(state: Path) -> dict[InstanceState, int]:
    with QueueReader(state) as rows:
        return rows.counts()


def test_the_whole_way_and_a_calm_end(
    tmp_path: Path,
    serving: Callable[..., Process],
    fake_archive: Any,
    sender: Send,
    make_phantom: Callable[..., Path],
    until: Callable[..., None],
    dark_model: Path,
) -> None:
    from sonoseg.inference.predictor import Predictor

    fake_archive.start()
    node = serving("--send-back", "seg", "--send-back", "capture")
    paths = [make_phantom(tmp_path / f"{number}.dcm", number) for number in range(3)]
    bad = make_phantom(tmp_path / "mg.dcm", 7, Modality="MG")
    assert sender(node.port, [*paths, bad]) == [0x0000] * 4
    until(lambda: counts(tmp_path / "state")[InstanceState.SENT] == 3)
    until(lambda: counts(tmp_path / "state")[InstanceState.FAILED] == 1)
    code, said = node.end()
    assert (code, "Stopped" in said, "failed: " in said) == (0, True, True)
    assert "Traceback" not in said
    assert len(fake_archive.stored) == 6
    assert set(fake_archive.stored.values()) == {1}
    for path in paths:
        source = pydicom.dcmread(path)
        (seg,) = [
            one
            for one in fake_archive.datasets.values()
            if one.Modality == "SEG"
            and one.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0].ReferencedSOPInstanceUID
            == source.SOPInstanceUID
        ]
        mask = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns).any(axis=0)
        assert np.array_equal(mask, Predictor(dark_model).predict(path).mask)
    (why,) = (tmp_path / "state" / "failed").glob("*/reason.json")
    assert "modality is MG" in json.loads(why.read_text("utf-8"))["reason"]
    audit = (tmp_path / "state" / "audit.jsonl").read_text("utf-8")
    assert [json.loads(line)["event"] for line in audit.splitlines()][-1] == "stopped"
    assert "Erika" not in audit + said


@pytest.mark.slow
def test_killed_at_the_worst_moments_it_loses_nothing_and_stores_once(
    tmp_path: Path,
    serving: Callable[..., Process],
    fake_archive: Any,
    sender: Send,
    make_phantom: Callable[..., Path],
    until: Callable[..., None],
) -> None:
    fake_archive.start()
    paths = [make_phantom(tmp_path / f"{number}.dcm", number) for number in range(3)]
    for path, first in (
        (paths[0], KILLED_BEFORE_THE_ROW),
        (paths[1], KILLED_BEFORE_THE_ANSWER),
        (paths[2], KILLED_AFTER_SEGMENTING),
        (paths[0], KILLED_AFTER_SENDING),
    ):
        node = serving("--quiet", first=first)
        with suppress(OSError):  # work from before may have ended it before it was called
            answered = sender(node.port, [path])
            assert answered == [None] or first in (KILLED_AFTER_SEGMENTING, KILLED_AFTER_SENDING)
        assert node.process.wait(120) == -signal.SIGKILL
    assert fake_archive.stored, "the last one was killed between the archive's answer and its note"
    node = serving("--quiet")
    assert sender(node.port, paths) == [0x0000] * 3, "who got no answer sends again, and the others may"
    until(lambda: counts(tmp_path / "state")[InstanceState.SENT] == 3)
    assert node.end()[0] == 0
    with QueueReader(tmp_path / "state") as rows:
        results = [one.uid for row in rows.rows() for one in rows.results(row.uid)]
    # Sent again where the kill came between the archive's answer and our note; never as another instance.
    assert set(fake_archive.stored) == set(results)
    assert len(results) == len(set(results)) == 6
    assert list((tmp_path / "state" / "incoming").iterdir()) == []


def test_an_archive_that_comes_late_gets_everything(
    tmp_path: Path,
    serving: Callable[..., Process],
    fake_archive: Any,
    sender: Send,
    make_phantom: Callable[..., Path],
    until: Callable[..., None],
) -> None:
    node = serving()
    paths = [make_phantom(tmp_path / f"{number}.dcm", number) for number in range(2)]
    assert sender(node.port, paths) == [0x0000] * 2
    until(lambda: counts(tmp_path / "state")[InstanceState.SEGMENTED] == 2)
    until(lambda: '"retry"' in (tmp_path / "state" / "audit.jsonl").read_text("utf-8"))
    fake_archive.start()
    until(lambda: counts(tmp_path / "state")[InstanceState.SENT] == 2)
    code, said = node.end()
    assert code == 0
    assert "does not respond" in said
    assert "responds again" in said


def test_what_was_given_up_is_taken_in_hand_again(
    tmp_path: Path,
    serving: Callable[..., Process],
    fake_archive: Any,
    sender: Send,
    make_phantom: Callable[..., Path],
    until: Callable[..., None],
) -> None:
    fake_archive.answer = lambda sop_class: 0xC000
    fake_archive.start()
    node = serving("--send-back", "seg")
    assert sender(node.port, [make_phantom(tmp_path / "one.dcm", 1)]) == [0x0000]
    until(lambda: counts(tmp_path / "state")[InstanceState.FAILED] == 1)
    node.end()
    fake_archive.answer = lambda sop_class: 0x0000
    node = serving("--send-back", "seg", "--retry-failed")
    until(lambda: counts(tmp_path / "state")[InstanceState.SENT] == 1)
    assert "1 failed instances requeued" in node.end()[1]
    assert list((tmp_path / "state" / "failed").iterdir()) == []


@pytest.mark.parametrize("way", ["dimse", "web"])
def test_with_a_real_archive(
    tmp_path: Path,
    serving: Callable[..., Process],
    orthanc: Any,
    sender: Send,
    make_phantom: Callable[..., Path],
    until: Callable[..., None],
    way: str,
) -> None:
    node = serving(
        "--send-back", "seg", "--send-back", "sr", "--send-back", "capture", archive=getattr(orthanc, way)
    )
    paths = [
        make_phantom(tmp_path / "still.dcm", 1),
        make_phantom(tmp_path / "clip.dcm", 2, frames=2, jpeg=True),
    ]
    assert sender(node.port, paths) == [0x0000] * 2
    until(lambda: counts(tmp_path / "state")[InstanceState.SENT] == 2)
    assert node.end()[0] == 0
    there = orthanc.instances()
    assert len(there) == 7, "segmentation and report of each, and a capture a frame"
    with QueueReader(tmp_path / "state") as rows:
        assert set(there) == {one.uid for row in rows.rows() for one in rows.results(row.uid)}
    kinds = sorted(
        pydicom.dcmread(orthanc.read(uid, tmp_path / "back.dcm"), stop_before_pixels=True).Modality
        for uid in there
    )
    assert kinds == ["OT", "OT", "OT", "SEG", "SEG", "SR", "SR"]


def test_a_wrong_start_says_why(tmp_path: Path, dark_model: Path) -> None:
    from typer.testing import CliRunner

    from sonoseg.cli.main import app

    state = str(tmp_path / "state")
    for words, said in (
        ([], "no archive"),
        (["--archive", "nonsense"], "not an address"),
        (["--archive", "A@h:1", "--host", "0.0.0.0"], "name the calling AE titles"),
        (["--archive", "A@h:1", "--key", "k.pem"], "without --certificate"),
        (["--archive", "A@h:1", "--send-back", "png"], "send_back"),
        (["--config", str(tmp_path / "none.toml")], "cannot be read"),
    ):
        ran = CliRunner().invoke(app, ["pacs", "serve", "--state", state, "--model", str(dark_model), *words])
        assert ran.exit_code != 0
        assert said in str(ran.exception), words
    assert not Path(state).exists()
