"""Read damaged images: each must be read or refused with an error, quickly and without a crash.

    .venv/bin/python research/benchmarks/fuzz_readers.py --seconds 600 --seed 1 --keep FOLDER [FILES ...]

Mutates the FILES, pydicom's own small samples and a few raster images: bytes flipped, cut, doubled, moved
and replaced by odd numbers, elements set to odd values. Nine in ten start from a file that can be read. A
worker process reads one mutant after the other; where it dies (a crash in a codec, or an input that takes
longer than --patience), the mutant is kept and another worker continues.

Findings are: any exception but SonosegError, a death, more than SLOW seconds of processor time, a warning of
another library, a patient's name in a message. Exit 1 where there is one. Same seed, same mutants, as long as
no worker dies.
"""

from __future__ import annotations

import argparse
import collections
import faulthandler
import io
import json
import resource
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

SLOW = 5.0
"""Processor time above which a mutant is a finding, seconds."""

MAX_BYTES = 1 << 20
"""Larger samples are left out, since they allow few mutants."""

MEMORY = 6 << 30
"""Address space of a worker; a file that needs more must be refused."""

ODD = (
    0,
    1,
    2,
    7,
    0x7F,
    0x80,
    0xFF,
    0x100,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x10000,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
)

VALUES: dict[str, tuple[object, ...]] = {
    "Rows": (0, 1, 16, 17, 65535),
    "Columns": (0, 1, 16, 17, 65535),
    "NumberOfFrames": (0, -1, 1, 2, 99999999),
    "BitsAllocated": (0, 1, 7, 8, 12, 16, 32, 64),
    "BitsStored": (0, 1, 5, 8, 12, 16, 17),
    "HighBit": (0, 3, 7, 11, 15, 31),
    "SamplesPerPixel": (0, 1, 2, 3, 4),
    "PlanarConfiguration": (0, 1, 2),
    "PixelRepresentation": (0, 1, 2),
    "PhotometricInterpretation": (
        "MONOCHROME1", "MONOCHROME2", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420", "YBR_RCT",
        "PALETTE COLOR", "HSV", "",
    ),
    "WindowCenter": ("0", "-1e300", "40", "1e308"),
    "WindowWidth": ("0", "-5", "1", "1e308"),
    "RescaleSlope": ("0", "-1", "1e300"),
    "RescaleIntercept": ("0", "-1024", "1e308"),
    "Modality": ("US", "CT", "", "X" * 16),
}  # fmt: skip
REGION: dict[str, tuple[object, ...]] = {
    "RegionSpatialFormat": (0, 1, 5),
    "RegionDataType": (0, 1, 18),
    "RegionLocationMinX0": (0, 5, 100000),
    "RegionLocationMaxX1": (0, 50, 4294967295),
    "RegionLocationMinY0": (0, 5, 100000),
    "RegionLocationMaxY1": (0, 50, 4294967295),
    "PhysicalUnitsXDirection": (0, 3, 4),
    "PhysicalDeltaX": (0.0, -0.1, 1e-300, float("nan"), float("inf"), 0.01),
    "PhysicalDeltaY": (0.0, -0.1, 1e-300, float("nan"), float("inf"), 0.01),
}  # fmt: skip


class Sample:
    """A sample file: name, bytes, and the identifying values of its patient, which no message may contain."""

    def __init__(self, name: str, data: bytes) -> None:
        self.name, self.data = name, data
        self.secrets: set[str] = set()
        if data[128:132] != b"DICM":
            return
        import pydicom

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                dataset = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)
            for keyword in ("PatientName", "PatientID", "InstitutionName", "ReferringPhysicianName"):
                self.secrets |= {word for word in str(dataset.get(keyword, "")).split("^") if len(word) > 4}
        except Exception:  # the samples hold broken files too
            self.secrets = set()


def samples(files: list[Path]) -> list[Sample]:
    """The given files, pydicom's samples, and a few raster images."""
    import pydicom
    from PIL import Image

    own = Path(pydicom.__file__).parent / "data" / "test_files"
    found = [
        Sample(path.name, path.read_bytes())
        for path in [*files, *sorted(own.glob("*.dcm"))]
        if path.stat().st_size <= MAX_BYTES
    ]
    ramp = (np.add.outer(np.arange(60), np.arange(80)) % 256).astype(np.uint8)
    rgb = np.dstack([ramp, ramp[::-1], ramp])
    for ending, pixels in (
        ("png", ramp), ("jpeg", rgb), ("tiff", ramp), ("bmp", rgb), ("gif", ramp), ("webp", rgb),
        ("jpeg2000", rgb), ("ppm", rgb), ("png", ramp.astype(np.uint16) * 200),
    ):  # fmt: skip
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, format=ending)
        found.append(Sample(f"ramp.{ending}", stream.getvalue()))
    return found


def mutate(sample: Sample, other: Sample, rng: np.random.Generator) -> bytes:
    """Return a damaged copy of a sample."""
    if sample.data[128:132] == b"DICM" and rng.random() < 0.25 and (edited := _edited(sample, rng)):
        return edited
    data = bytearray(sample.data)
    for _ in range(rng.integers(1, 4)):
        if not data:
            break
        WAYS[rng.integers(len(WAYS))](data, other.data, rng)
    return bytes(data)


def _place(data: bytearray, rng: np.random.Generator) -> int:
    """Choose a position, mostly in the header."""
    return int(rng.integers(min(len(data), 4096) if rng.random() < 0.4 else len(data)))


def _flip(data: bytearray, other: bytes, rng: np.random.Generator) -> None:
    for _ in range(rng.integers(1, 9)):
        data[_place(data, rng)] ^= 1 << int(rng.integers(8))


def _noise(data: bytearray, other: bytes, rng: np.random.Generator) -> None:
    place = _place(data, rng)
    data[place : place + 8] = rng.bytes(int(rng.integers(1, 9)))


def _number(data: bytearray, other: bytes, rng: np.random.Generator) -> None:
    place, width = _place(data, rng), (2, 4)[rng.integers(2)]
    value = int(ODD[rng.integers(len(ODD))]) & (256**width - 1)
    data[place : place + width] = value.to_bytes(width, ("little", "big")[rng.integers(2)])


def _cut(data: bytearray, other: bytes, rng: np.random.Generator) -> None:
    del data[_place(data, rng) :]


def _lose(data: bytearray, other: bytes, rng: np.random.Generator) -> None:
    place = _place(data, rng)
    del data[place : place + int(rng.integers(1, 40))]


def _double(data: bytearray, other: bytes, rng: np.random.Generator) -> None:
    place, length = _place(data, rng), int(rng.integers(1, 400))
    data[place:place] = data[place : place + length] * int(rng.integers(1, 4))


def _splice(data: bytearray, other: bytes, rng: np.random.Generator) -> None:
    place, start = _place(data, rng), int(rng.integers(len(other)))
    data[place : place + 200] = other[start : start + int(rng.integers(1, 400))]


WAYS: tuple[Callable[[bytearray, bytes, np.random.Generator], None], ...] = (
    _flip, _noise, _number, _cut, _lose, _double, _splice
)  # fmt: skip


def _edited(sample: Sample, rng: np.random.Generator) -> bytes | None:
    """Return a valid file with one to three elements set to unusual values or removed."""
    import pydicom

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's on what we write on purpose
        try:
            dataset = pydicom.dcmread(io.BytesIO(sample.data))
            for _ in range(rng.integers(1, 4)):
                regions = dataset.get("SequenceOfUltrasoundRegions") or []
                target, table = (regions[0], REGION) if regions and rng.random() < 0.4 else (dataset, VALUES)
                keyword = list(table)[rng.integers(len(table))]
                values = table[keyword]
                choice = int(rng.integers(len(values) + 1))
                if choice < len(values):
                    setattr(target, keyword, values[choice])
                elif keyword in target:
                    delattr(target, keyword)
            stream = io.BytesIO()
            dataset.save_as(stream)
        except Exception:  # what pydicom cannot write is no mutant
            return None
    return stream.getvalue()


def judge(path: Path, sample: Sample, keep: bool) -> tuple[str, str]:
    """Read one mutant: return ("read", "refused" or "FOUND ...", message)."""
    from sonoseg.errors import SonosegError, SonosegWarning
    from sonoseg.inputs.frame_list import list_frames, read

    said = ""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            for ref in list_frames(path, "key", keep_burned_in=keep)[:2]:
                read(ref, keep_burned_in=keep)
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
    return outcome, said


def work(folder: Path, files: list[Path], seed: int, seconds: float, patience: int) -> None:
    """Read mutants for some time; write the outcome of each to stdout, one JSON line each."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    faulthandler.enable()
    rng = np.random.default_rng(seed)
    starts = samples(files)
    path = folder / "mutant"
    sound = []
    for sample in starts:
        path.write_bytes(sample.data)
        if judge(path, sample, keep=True)[0] == "read":
            sound.append(sample)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        some = sound if rng.random() < 0.9 else starts
        sample, other = some[rng.integers(len(some))], starts[rng.integers(len(starts))]
        path.write_bytes(mutate(sample, other, rng))
        keep = bool(rng.random() < 0.75)
        signal.alarm(patience)  # kills the worker, also within a codec
        faulthandler.dump_traceback_later(patience - 1)
        start = time.process_time()
        outcome, said = judge(path, sample, keep)
        spent = time.process_time() - start
        signal.alarm(0)
        faulthandler.cancel_dump_traceback_later()
        if spent > SLOW:
            outcome = f"FOUND {spent:.0f} s of processor time"
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        line = {"sample": sample.name, "outcome": outcome, "said": said, "seconds": spent, "peak": peak}
        if outcome.startswith("FOUND"):
            kept = folder / f"found-{seed}-{time.time_ns()}"
            kept.write_bytes(path.read_bytes())
            line["kept"] = str(kept)
        print(json.dumps(line), flush=True)


def main() -> int:
    """Run workers until the time is over, and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="files to start from, besides the samples")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--patience", type=int, default=60, help="seconds after which a worker has hung")
    parser.add_argument("--keep", type=Path, help="where findings are kept")
    parser.add_argument("--json", type=Path, help="write the counts there")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        work(asked.worker, asked.files, asked.seed, asked.seconds, asked.patience)
        return 0
    start = time.monotonic()
    counts: collections.Counter[str] = collections.Counter()
    refusals: collections.Counter[str] = collections.Counter()
    found: list[str] = []
    slowest, peak, workers = 0.0, 0, 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        while (left := asked.seconds - (time.monotonic() - start)) > 1:
            seed = asked.seed * 1000 + workers
            workers += 1
            command = [sys.executable, __file__, "--worker", str(folder), "--seed", str(seed)]
            command += ["--seconds", str(left), "--patience", str(asked.patience), *map(str, asked.files)]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert process.stdout is not None
            for text in process.stdout:
                line = json.loads(text)
                counts[line["outcome"]] += 1
                slowest, peak = max(slowest, line["seconds"]), max(peak, line["peak"])
                if line["outcome"] == "refused":
                    words = [word for word in line["said"].split() if not any(map(str.isdigit, word))]
                    refusals[" ".join(words)] += 1
                elif line["outcome"] != "read":
                    found.append(f"{line['outcome']}: {line['said']} ({line['sample']}, {line.get('kept')})")
            if process.wait():
                kept = folder / f"died-{seed}"
                kept.write_bytes((folder / "mutant").read_bytes())
                counts["FOUND a death"] += 1
                found.append(f"a worker ended with {process.returncode}: {kept}")
    result = {
        "inputs": sum(counts.values()),
        "seconds": round(time.monotonic() - start),
        "outcomes": dict(counts),
        "kinds of refusal": len(refusals),
        "slowest, seconds of processor time": round(slowest, 2),
        "peak resident MiB": peak // 1024,
        "findings": found,
    }
    print(json.dumps(result, indent=1))
    for text, count in refusals.most_common(30):
        print(f"{count:7,}  {text[:140]}")
    if asked.json:
        asked.json.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
