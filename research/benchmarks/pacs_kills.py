"""Send hundreds of instances to `sonoseg pacs serve`, kill it meanwhile, and count the results.

    python research/benchmarks/pacs_kills.py [--instances 500] [--senders 4] [--kills 3] [--at-once] \
        [--json FILE]

The node is the command itself, a process of its own with its default settings and the shipped model; the
PACS is an Orthanc server with its DICOMweb plug-in, both on loopback in a temporary folder. Results go back
over C-STORE (dimse), and everything once more over STOW-RS (web). What is sent: the public set's DICOM files
where they stand beside the repository, and phantoms, stills and clips, raw and JPEG. Each eighth instance is
given to two senders, which send it at about the same time. A sender sends again whatever was not answered
with success. Senders hold back while the node has `--ahead` instances in work, so that each kill (SIGKILL,
when a share of the instances is done, and up to a second of chance later) finds it receiving, segmenting and
sending; where it stood is read from its folder before it is started again. At the end each object in the
PACS is read by pydicom. Exit code 1 where something is double, missing, failed or not aligned.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import turns
from pacs_count import Source, count
from pacs_senders import Sender
from sonoseg.errors import OutputError
from sonoseg.pacs.queue_rows import InstanceState, QueueReader

REAL = turns.ROOT.parent / "shared" / "data" / "dicom"
WAYS = ("dimse", "web")


def main() -> None:
    """Measure, print and write the result."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--instances", type=int, default=500, help="that are sent, each way")
    options.add_argument("--senders", type=int, default=4, help="at once")
    options.add_argument("--kills", type=int, default=3, help="of the node, each way")
    options.add_argument(
        "--ahead", type=int, default=100, help="instances in work at which senders hold back"
    )
    options.add_argument("--way", action="append", choices=WAYS, help="how results go back; both by default")
    options.add_argument("--at-once", action="store_true", help="both ways at the same time")
    options.add_argument("--compared", type=int, default=25, help="segmentations compared pixel for pixel")
    options.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    options.add_argument("--patience", type=float, default=3600, help="seconds after which a way is aborted")
    options.add_argument("--json", type=Path, help="also write the result here")
    wish = options.parse_args()
    warnings.filterwarnings("ignore", module="pydicom")  # a real file names its character set wrongly
    asked = tuple(dict.fromkeys(wish.way or WAYS))
    about = turns.machine()
    with ThreadPoolExecutor(len(asked) if wish.at_once else 1) as pool:
        ways = dict(zip(asked, pool.map(lambda way: measure(wish, way), asked), strict=True))
    result = {
        "benchmark": "pacs_kills",
        "machine": about,
        "versions": {one: version(one) for one in ("pynetdicom", "dicomweb-client", "pydicom", "highdicom")},
        "at_once": wish.at_once,
        "ahead": wish.ahead,
        "ways": ways,
    }
    print(json.dumps(result["ways"], indent=2))
    if wish.json:
        wish.json.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    if not all(good(one) for one in ways.values()):
        sys.exit("something is double, missing, failed or not aligned: see above")


def good(one: Mapping[str, Any]) -> bool:
    """Whether nothing is double, missing, failed or misaligned."""
    there = one["archive"]
    return bool(
        one["accepted"] == one["instances"] == one["queue"]["sent"]
        and there["kinds"] == there["wanted"]
        and there["aligned"] == there["wanted"]["seg"]
        and there["pixels"]["compared"] == there["pixels"]["equal"]
        and not any((there["double"], there["missing"], there["others"], one["queue"]["left"]))
        and one["ended"] == 0
    )


class Node:
    """`sonoseg pacs serve` with a folder and a port of its own, started as often as it is killed."""

    def __init__(self, folder: Path, archive: str, titles: Sequence[str], port: int) -> None:
        self.state, self.port, self.log = folder / "state", port, folder / "node.log"
        words = [sys.executable, "-m", "sonoseg", "pacs", "serve", "--state", str(self.state), "--quiet"]
        words += ["--archive", archive, "--port", str(port)]
        words += [word for title in titles for word in ("--allow", title)]
        self.words = words + [word for kind in ("seg", "sr", "capture") for word in ("--send-back", kind)]
        self.seconds = self.start()

    def start(self) -> float:
        """Start the node; return the seconds until it listens."""
        began = time.perf_counter()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.words, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not re.search(rf"port {self.port}$", line.strip()):
            sys.exit(f"the node did not start: {line}{self.log.read_text('utf-8')[-3000:]}")
        return time.perf_counter() - began

    def kill(self) -> None:
        """Kill the node (SIGKILL)."""
        self.process.kill()
        self.process.communicate()

    def end(self) -> int:
        """Stop the node (SIGTERM); return its exit code."""
        self.process.terminate()
        self.process.communicate(timeout=300)
        return self.process.returncode


def measure(wish: argparse.Namespace, way: str) -> dict[str, Any]:
    """Measure one way in a folder of its own."""
    with tempfile.TemporaryDirectory() as name:
        return send_and_count(wish, way, Path(name))


def send_and_count(wish: argparse.Namespace, way: str, folder: Path) -> dict[str, Any]:
    """Send, kill, wait and count."""
    parts = fixtures()
    sources = [Source.of(path) for path in draw(parts, folder / "sources", wish.instances)]
    (folder / "orthanc").mkdir()
    orthanc = parts.Orthanc(folder / "orthanc")
    orthanc.start()
    titles = [f"SCANNER{number + 1}" for number in range(wish.senders)]
    node = Node(folder, getattr(orthanc, way), titles, parts.free_port())
    waiting = threading.Event()
    senders = [
        Sender(title, node.port, given(sources, number, wish.senders), waiting.is_set)
        for number, title in enumerate(titles)
    ]
    began = time.perf_counter()
    for sender in senders:
        sender.thread.start()
    try:
        kills = watch(wish, node, senders, waiting, orthanc)
        seconds = time.perf_counter() - began
        ended = node.end()
        answers = sum((sender.answers for sender in senders), Counter[str]())
        sure = set[str]().union(*(sender.sure for sender in senders))
        return {
            "instances": len(sources),
            "real": sum(one.path.parent == REAL for one in sources),
            "frames": sum(one.frames for one in sources),
            "senders": len(senders),
            "orthanc": orthanc.rest("/system")["Version"],
            "seconds": seconds,
            "start_seconds": node.seconds,
            "requests": sum(answers.values()) - answers["no association"],
            "answers": dict(answers.most_common()),
            "associations": sum(sender.associations for sender in senders),
            "accepted": len(sure & {one.uid for one in sources}),
            "kills": kills,
            "queue": settled(node.state),
            "archive": count(sources, objects(orthanc), compared=wish.compared),
            "ended": ended,
        }
    finally:
        for sender in senders:
            sender.stop()
        if node.process.poll() is None:
            node.kill()
        orthanc.stop()


def watch(
    wish: argparse.Namespace,
    node: Node,
    senders: Sequence[Sender],
    waiting: threading.Event,
    orthanc: Any,
) -> list[dict[str, Any]]:
    """Throttle the senders, kill the node at the given shares, and wait for the end."""
    chance, kills, began = random.Random(wish.seed), list[dict[str, Any]](), time.perf_counter()
    while time.perf_counter() - began < wish.patience:
        time.sleep(0.1)
        if node.process.poll() is not None:
            sys.exit(f"the node ended by itself: {node.log.read_text('utf-8')[-3000:]}")
        there = counts(node.state)
        in_hand = there[InstanceState.RECEIVED] + there[InstanceState.SEGMENTED]
        (waiting.set if in_hand >= wish.ahead else waiting.clear)()
        done = there[InstanceState.SENT] + there[InstanceState.FAILED]
        if len(kills) < wish.kills and done >= wish.instances * (len(kills) + 1) / (wish.kills + 1):
            time.sleep(chance.random())
            at = time.perf_counter() - began
            answered = len(set[str]().union(*(sender.sure.copy() for sender in senders)))
            node.kill()
            kills.append(
                {
                    "seconds": at,
                    "answered": answered,
                    "sending": sum(sender.thread.is_alive() for sender in senders),
                    **found(node.state, orthanc),
                    "start_seconds": node.start(),
                }
            )
            print(orthanc.folder.parent.name, json.dumps(kills[-1]), file=sys.stderr, flush=True)
        if done >= wish.instances and not in_hand and not any(one.thread.is_alive() for one in senders):
            return kills
    print(f"aborted after {wish.patience:.0f} s", file=sys.stderr)
    return kills


def counts(state: Path) -> Mapping[InstanceState, int]:
    """The number of rows in each state."""
    try:
        with QueueReader(state) as rows:
            return rows.counts()
    except OutputError:  # it is being made
        return dict.fromkeys(InstanceState, 0)


def found(state: Path, orthanc: Any) -> dict[str, Any]:
    """The state of a killed node, from its folder and from the PACS.

    begun: its segmentation, and not ended, at this kill or one before. unnoted: in the archive, and the node
    was killed before it noted so.
    rowless: files that were renamed and have no row yet; half: files and folders that were being written.
    """
    there = set(orthanc.instances())
    with QueueReader(state) as rows:
        listed = rows.rows()
        noted = {one.uid for row in listed for one in rows.results(row.uid) if one.stored_at is not None}
        result = {str(name): number for name, number in rows.counts().items()}
    uids = {row.uid for row in listed}
    incoming = list((state / "incoming").iterdir())
    half = [one for one in [*incoming, *(state / "results").iterdir()] if one.name.startswith(".")]
    return {
        "states": result,
        "begun": sum(row.state is InstanceState.RECEIVED and row.starts > 0 for row in listed),
        "unnoted": len(there - noted),
        "rowless": sum(one.stem not in uids for one in incoming if not one.name.startswith(".")),
        "half": len(half),
    }


def settled(state: Path) -> dict[str, Any]:
    """The states of the queue at the end; left: files that are still there and not needed."""
    with QueueReader(state) as rows:
        result: dict[str, Any] = {str(name): number for name, number in rows.counts().items()}
        whys = Counter(row.reason for row in rows.rows(InstanceState.FAILED))
    result["reasons"] = dict(whys.most_common(5))
    result["left"] = sum(len(list((state / name).iterdir())) for name in ("incoming", "results", "failed"))
    return result


def objects(orthanc: Any) -> Iterator[bytes]:
    """Read every object of the PACS, as a file."""
    for instance in cast("list[str]", orthanc.rest("/instances")):
        yield cast("bytes", orthanc.rest(f"/instances/{instance}/file"))


def given(sources: Sequence[Source], number: int, senders: int) -> list[Source]:
    """The instances of one sender; each eighth belongs to the next sender too."""
    return [
        one
        for k, one in enumerate(sources)
        if k % senders == number or (k % 8 == 0 and (k + 1) % senders == number)
    ]


def draw(parts: Any, folder: Path, instances: int) -> list[Path]:
    """The files to send: public ones if available, then phantoms; of ten, one is a clip and two are JPEG."""
    real = sorted(REAL.glob("*.dcm"))[:instances] if REAL.is_dir() else []
    drawn = [
        parts.write_phantom(
            folder / f"{number}.dcm",
            number,
            study=str(number // 20),
            jpeg=number % 10 in (3, 7),
            frames=3 if number % 10 == 7 else 1,
        )
        for number in range(instances - len(real))
    ]
    return [*real, *drawn]


def fixtures() -> Any:
    """Load helpers of the tests: Orthanc in a folder, and phantoms as DICOM ultrasound."""
    spec = importlib.util.spec_from_file_location("pacs_fixtures", turns.ROOT / "tests/pacs/conftest.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look for themselves there
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
