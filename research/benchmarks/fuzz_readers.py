"""Read damaged files: each must be read or refused with an error, quickly and without a crash.

    python research/benchmarks/fuzz_readers.py [--readers NAME ...] [--seconds 600] [--seed 1] \
[--json FILE] [--keep FOLDER] [FILES ...]

Mutates small sound files of each reader (see fuzz_seeds.py) and the FILES. Nine in ten mutants start from a
file that can be read. A worker process reads one mutant after the other; where it dies, the mutant is kept
and another worker continues.

Findings are: any exception but SonosegError; a death, also by PATIENCE seconds of processor time; more than
SLOW seconds; more than MEMORY bytes; a warning of another library; a patient's name in a message. Exit code 1
where there is one. Same seed, same mutants, as long as no worker dies. FILE keeps the rows of other readers.
"""

from __future__ import annotations

import argparse
import collections
import faulthandler
import json
import resource
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import turns
from fuzz_mutations import Sample, mutate
from fuzz_seeds import READERS, Reader, lay_out

SLOW = 5.0
"""Processor time above which a mutant is a finding, seconds."""

PATIENCE = 10
"""Processor time after which a worker is killed, seconds."""

WAITING = 120
"""Seconds after which a worker is killed that uses no processor time."""

MEMORY = 2 << 30
"""Resident memory above which a mutant is a finding, bytes; JPEG 2000 of the most pixels needs 1.9 GiB."""

ADDRESSES = 6 << 30
"""Address space of a worker; a file that needs more must be refused."""


def judge(reader: Reader, folder: Path, sample: Sample, keep: bool) -> tuple[str, str]:
    """Read one mutant: return ("read", "warned", "refused" or "FOUND ...", message)."""
    from sonoseg.errors import SonosegError, SonosegWarning

    said = ""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            reader.read(folder, keep)
            outcome = "read"
        except SonosegError as error:
            outcome, said = "refused", error.found
        except Exception as error:
            return f"FOUND {type(error).__name__}", str(error)[:200]
    spoken = said
    for one in caught:
        if not issubclass(one.category, SonosegWarning) and not one.filename.count("PIL"):
            return f"FOUND {one.category.__name__}", str(one.message)[:200]
        spoken += str(one.message)
    if any(secret in spoken for secret in sample.secrets):
        return "FOUND a name", spoken
    return ("warned" if caught and outcome == "read" else outcome), said


def work(name: str, folder: Path, files: list[Path], seed: int, seconds: float) -> None:
    """Read mutants for some time; write the outcome of each to stdout, one JSON line each."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    faulthandler.register(signal.SIGPROF, chain=True)
    rng, reader = np.random.default_rng(seed), READERS[name]
    starts = reader.samples(files)
    place = folder / "read"
    sound = []
    for sample in starts:
        lay_out(place, reader, starts, sample, sample.data)
        if judge(reader, place, sample, keep=True)[0] in ("read", "warned"):
            sound.append(sample)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        some = sound if rng.random() < 0.9 else starts
        sample, other = some[rng.integers(len(some))], starts[rng.integers(len(starts))]
        data, keep = mutate(sample, other, rng), bool(rng.random() < 0.6)
        lay_out(place, reader, starts, sample, data)
        (folder / "mutant").write_bytes(data)
        signal.setitimer(signal.ITIMER_PROF, PATIENCE)  # kills the worker, also within a codec
        signal.alarm(WAITING)
        start = time.process_time()
        outcome, said = judge(reader, place, sample, keep)
        spent = time.process_time() - start
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        if spent > SLOW:
            outcome = f"FOUND {spent:.0f} s of processor time"
        elif peak > MEMORY:
            outcome = f"FOUND {peak >> 20:,} MiB"
        line: dict[str, Any] = {"sample": sample.name, "outcome": outcome, "said": said}
        line |= {"seconds": spent, "peak": peak}
        if outcome.startswith("FOUND"):
            kept = folder / f"{seed}-{time.time_ns()}-{Path(sample.file).name}"
            kept.write_bytes(data)
            line["kept"] = str(kept)
        print(json.dumps(line), flush=True)
        if peak > MEMORY:  # the peak would be that of all later mutants too
            return


def fuzz(name: str, folder: Path, wish: argparse.Namespace) -> dict[str, Any]:
    """Run workers on one reader until the time is over; return its row of the table."""
    folder, start = folder / name, time.monotonic()
    outcomes: collections.Counter[str] = collections.Counter()
    refusals: collections.Counter[str] = collections.Counter()
    found: list[str] = []
    slowest, peak, workers = 0.0, 0, 0
    folder.mkdir(parents=True, exist_ok=True)
    while (left := wish.seconds - (time.monotonic() - start)) > 1:
        seed = wish.seed * 1000 + workers
        workers += 1
        command = [sys.executable, __file__, "--worker", str(folder), "--readers", name, "--seed", str(seed)]
        command += ["--seconds", str(left), "--", *map(str, wish.files)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for text in process.stdout:
            line = json.loads(text)
            outcomes[line["outcome"].split()[0]] += 1
            slowest, peak = max(slowest, line["seconds"]), max(peak, line["peak"])
            if line["outcome"] == "refused":
                words = [word for word in line["said"].split() if not any(map(str.isdigit, word))]
                refusals[" ".join(words)] += 1
            elif line["outcome"].startswith("FOUND"):
                found.append(f"{line['outcome']}: {line['said']} ({line['sample']}, {line['kept']})")
                print(found[-1], flush=True)
        if process.wait():
            kept = folder / f"died-{seed}"
            if not (folder / "mutant").exists():
                sys.exit(f"{name}: the worker ended with {process.returncode} before its first mutant")
            kept.write_bytes((folder / "mutant").read_bytes())
            outcomes["FOUND"] += 1
            found.append(f"a worker ended with {process.returncode}: {kept}")
            print(found[-1], flush=True)
    return {
        "reader": name,
        "what": READERS[name].what,
        "inputs": sum(outcomes.values()),
        "outcomes": dict(outcomes),
        "messages": len(refusals),
        "slowest": round(slowest, 2),
        "peak_bytes": peak,
        "findings": len(found),
        "seconds": round(time.monotonic() - start),
        "seed": wish.seed,
        "commit": turns.machine()["commit"],
    }


def main() -> int:
    """Fuzz the readers one after the other, and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="files to start from, besides the samples")
    parser.add_argument("--readers", nargs="+", choices=READERS, default=list(READERS), metavar="NAME")
    parser.add_argument("--seconds", type=float, default=600, help="for each reader")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="where findings are kept")
    parser.add_argument("--json", type=Path, help="write the counts there")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    wish = parser.parse_args()
    if wish.worker:
        work(wish.readers[0], wish.worker, wish.files, wish.seed, wish.seconds)
        return 0
    findings = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = wish.keep or Path(temporary)
        for name in wish.readers:
            row = fuzz(name, folder, wish)
            print(json.dumps(row), flush=True)
            findings += row["findings"]
            if wish.json:
                write(row, wish.json)
    return bool(findings)


def write(row: dict[str, Any], path: Path) -> None:
    """Write a reader's row, beside those of others that are in the file."""
    rows = json.loads(path.read_text("utf-8"))["rows"] if path.is_file() else []
    rows = [one for one in rows if one["reader"] != row["reader"]] + [row]
    rows.sort(key=lambda one: list(READERS).index(one["reader"]))
    names = ("numpy", "pillow", "pydicom", "pylibjpeg-openjpeg", "pyjpegls", "pandas", "pyyaml")
    versions = {name: version(name) for name in names}
    turns.write(
        {"benchmark": "fuzz_readers", "machine": turns.machine(), "versions": versions, "rows": rows}, path
    )


if __name__ == "__main__":
    sys.exit(main())
