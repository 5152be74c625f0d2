"""Measure phantoms per second.

    python research/benchmarks/phantom_speed.py [--count 60] [--workers 1]

Renders 450 x 550 px scans of all kinds in memory (no PNG is written) and prints images a second.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from sonoseg.data.phantoms import draw_spec, render

SHAPE = (450, 550)


def one(seed: int) -> int:
    """Draw and render one phantom; return its number of lesion pixels."""
    return int(render(draw_spec(seed, shape=SHAPE)).mask.sum())


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=60, help="phantoms to render")
    options.add_argument("--workers", type=int, default=1, help="processes")
    wish = options.parse_args()
    seeds = range(1000, 1000 + wish.count)
    if wish.workers == 1:
        one(0)  # the tables of the splines are made once
        start, cpu = time.perf_counter(), time.process_time()
        drawn = [one(seed) for seed in seeds]
        cpu = time.process_time() - cpu
        print(f"{len(drawn) / cpu:.1f} images a second of processor time")
    else:
        with ProcessPoolExecutor(wish.workers, mp_context=get_context("spawn")) as pool:
            list(pool.map(one, range(4 * wish.workers)))
            start = time.perf_counter()
            drawn = list(pool.map(one, seeds, chunksize=4))
    seconds = time.perf_counter() - start
    print(
        f"{len(drawn) / seconds:.1f} images/s at {SHAPE[0]}x{SHAPE[1]} px, "
        f"{wish.workers} process{'es' if wish.workers > 1 else ''} ({len(drawn)} images in {seconds:.1f} s)"
    )


if __name__ == "__main__":
    main()
