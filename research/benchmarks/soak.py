"""Run node and review server for an hour under mixed load, faults and kills; count losses, sample memory.

    python research/benchmarks/soak.py [--minutes 60] [--json FILE]

Two senders store phantoms, one a few seconds; a client of the server uploads, predicts and saves masks.
Meanwhile, in turns: each is killed (SIGKILL), the PACS is stopped for a minute, connections are left
half-open, and damaged instances are sent. Memory and file descriptors are sampled every half minute. At the
end every accepted instance must have its results in the PACS exactly once, and every confirmed mask must be
on the server. Exit code 1 where something is lost or double.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import itertools
import json
import random
import struct
import sys
import tempfile
import threading
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import attack_services as services
import turns
from attack_node import damage, open_connections, store
from attack_server import etag_of, png
from attack_services import Service, ask, ask_json, until
from pacs_count import Source, count
from pacs_kills import fixtures, objects, settled

FAULTS = ("kill node", "kill server", "stop PACS", "half-open connections", "damaged instances")
BETWEEN = 75.0
"""Seconds from one fault to the next."""


class Soak:
    """The load, the faults and the samples of one run."""

    def __init__(self, folder: Path, seconds: float, seed: int) -> None:
        self.folder, self.end = folder, time.monotonic() + seconds
        self.parts, self.chance = fixtures(), random.Random(seed)
        (folder / "orthanc").mkdir()
        self.orthanc = self.parts.Orthanc(folder / "orthanc")
        self.orthanc.start()
        self.node, self.server = self.start_node(), self.start_server()
        self.samples, self.faults = list[dict[str, Any]](), Counter[str]()
        self.accepted, self.answers = list[Path](), Counter[str]()
        self.masks, self.predicted = dict[str, list[str]](), 0
        self.restarting = threading.Lock()

    def start_node(self) -> Service:
        """Start the node on its state folder."""
        titles = ("SCANNER1", "SCANNER2")
        return services.node(turns.ROOT, self.folder / "node", self.orthanc.dimse, allow=titles)

    def start_server(self) -> Service:
        """Start the server on its state folder."""
        return services.server(turns.ROOT, self.folder / "server")

    def going(self) -> bool:
        """Whether the load continues."""
        return time.monotonic() < self.end

    def send(self, first: int) -> None:
        """Store phantoms until each is answered with success."""
        for number in itertools.count(first, 2):
            if not self.going():
                return
            path = self.folder / f"{number}.dcm"
            self.parts.write_phantom(
                path,
                number,
                study=str(number // 20),
                jpeg=number % 10 in (3, 7),
                frames=3 if number % 10 == 7 else 1,
            )
            while True:
                status = None
                with contextlib.suppress(OSError):
                    status = store(self.node, path)
                self.answers["none" if status is None else f"0x{status:04X}"] += 1
                if status == 0:
                    self.accepted.append(path)
                    break
                if not self.going():
                    return
                time.sleep(1)
            time.sleep(4)

    def read(self) -> None:
        """Upload images, predict, and save masks; keep the digest of each confirmed mask."""
        random_pixels = np.random.default_rng(0)
        while self.going():
            port = self.server.port
            image = png(random_pixels.integers(60, 160, (96, 96), dtype=np.uint8))
            self.predicted += ask(port, "POST", "/api/v1/predict", image)[0] == 200
            if random_pixels.random() < 0.3:
                ask(port, "POST", f"/api/v1/items?name={self.predicted}.png", image)
            listed = ask_json(port, "GET", "/api/v1/items") or {"items": []}
            for item in listed["items"][-3:]:
                path = f"/api/v1/items/{item['id']}/mask"
                tag = etag_of(port, f"{path}.png")
                mask = (random_pixels.random((96, 96)) > 0.5).astype(np.uint8) * 255
                status, _ = ask(port, "PUT", path, png(mask), {"If-Match": tag}) if tag else (0, b"")
                if 200 <= status < 300:
                    digest = hashlib.sha256(mask.tobytes()).hexdigest()
                    self.masks.setdefault(str(item["id"]), []).append(digest)
            time.sleep(2)

    def sample(self) -> None:
        """Sample memory and descriptors every half minute."""
        began = time.monotonic()
        while self.going():
            with contextlib.suppress(OSError), self.restarting:
                self.samples.append(
                    {"seconds": round(time.monotonic() - began)}
                    | {
                        f"{name} {what}": getattr(one, what)()
                        for name, one in (("node", self.node), ("server", self.server))
                        for what in ("resident", "descriptors")
                    }
                )
            time.sleep(30)

    def disturb(self) -> None:
        """Carry out the faults in turns."""
        for fault in itertools.cycle(FAULTS):
            time.sleep(BETWEEN * self.chance.uniform(0.7, 1.3))
            if self.end - time.monotonic() < 120:
                return
            self.faults[fault] += 1
            print(f"{time.monotonic():.0f} {fault}", file=sys.stderr, flush=True)
            if fault == "kill node":
                with self.restarting:
                    self.node.kill()
                    self.node = self.start_node()
            elif fault == "kill server":
                with self.restarting:
                    self.server.kill()
                    self.server = self.start_server()
            elif fault == "stop PACS":
                self.orthanc.stop()
                time.sleep(60)
                self.orthanc.start()
            elif fault == "half-open connections":
                with (
                    open_connections(self.node, 100, struct.pack(">BBI", 1, 0, 300)),
                    open_connections(self.server, 100, b"GET / HT"),
                ):
                    time.sleep(20)
            else:
                sound = self.parts.write_phantom(self.folder / "sound.dcm", 903, study="damaged").read_bytes()
                for number in range(10):
                    path = self.folder / "damaged.dcm"
                    path.write_bytes(damage(sound, self.chance, number))
                    with contextlib.suppress(OSError, ValueError, AttributeError):
                        store(self.node, path)

    def run(self) -> dict[str, Any]:
        """Run the load to its end, wait for the node, and count."""
        threads = [
            threading.Thread(target=one, args=more)
            for one, *more in ((self.send, 0), (self.send, 1), (self.read,), (self.sample,), (self.disturb,))
        ]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        queue = self.folder / "node" / "state"
        until(lambda: not (settled(queue)["received"] or settled(queue)["segmented"]), 900, step=2)
        sources = [Source.of(path) for path in self.accepted]
        result = {
            "faults": dict(self.faults),
            "answers": dict(self.answers.most_common()),
            "accepted": len(sources),
            "archive": count(sources, objects(self.orthanc), compared=25),
            "queue": settled(queue),
            "predictions": self.predicted,
            "masks": sum(map(len, self.masks.values())),
            "masks_lost": self.lost_masks(),
            "samples": self.samples,
            "ended": {"node": self.node.stop(), "server": self.server.stop()},
        }
        self.orthanc.stop()
        return result

    def lost_masks(self) -> int:
        """Confirmed masks that no revision of their item has."""
        lost = 0
        for item, digests in self.masks.items():
            path = f"/api/v1/items/{item}/mask.png"
            there, last = set[str](), int(etag_of(self.server.port, path).strip('"') or 0)
            for revision in range(last + 1):
                status, data = ask(self.server.port, "GET", f"{path}?revision={revision}")
                if status == 200:
                    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
                    there.add(hashlib.sha256(pixels.tobytes()).hexdigest())
            lost += len(set(digests) - there)
        return lost


def main() -> None:
    """Run, print and write the result."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--minutes", type=float, default=60)
    options.add_argument("--seed", type=int, default=0, help="of the moments of the faults")
    options.add_argument("--json", type=Path, help="also write the result here")
    wish = options.parse_args()
    about = turns.machine()
    with tempfile.TemporaryDirectory() as name:
        one = Soak(Path(name), 60 * wish.minutes, wish.seed).run()
    result = {
        "benchmark": "soak",
        "machine": about,
        "versions": {name: version(name) for name in ("pynetdicom", "pydicom", "uvicorn", "starlette")},
        "minutes": wish.minutes,
        **one,
    }
    print(json.dumps({key: value for key, value in one.items() if key != "samples"}, indent=2))
    if wish.json:
        wish.json.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    there = one["archive"]
    if there["double"] or there["missing"] or one["masks_lost"] or any(one["ended"].values()):
        sys.exit("something is lost or double: see above")


if __name__ == "__main__":
    main()
