"""Measure grey levels and grain of phantoms, or of a folder's images.

    python research/benchmarks/phantom_greys.py [FOLDER]

Prints the 10 %, 50 % and 90 % quantiles over the images. With --count N only N images, chosen by seed 0.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from sonoseg.data.phantoms import make_phantoms

NAMES = ("mean", "deviation", "p5", "p50", "p95", "p99", "grain", "down px", "across px")


def width(grain: NDArray[np.float64], axis: int) -> float:
    """Full width in pixels at half height of the autocorrelation along `axis`."""
    count = grain.shape[axis]
    power = np.abs(np.fft.rfft(grain, 2 * count, axis=axis)) ** 2
    correlation = np.fft.irfft(power, axis=axis).mean(axis=1 - axis)[:count]
    correlation /= correlation[0] * np.maximum((count - np.arange(count)) / count, 0.1)
    first = int(np.argmax(correlation < 0.5))
    above, below = correlation[first - 1], correlation[first]
    return 2 * (first - 1 + float((above - 0.5) / (above - below)))


def describe(pixels: NDArray[np.uint8]) -> list[float]:
    """The values of NAMES for one image (H, W)."""
    grey = pixels.astype(float)
    grain = grey - gaussian_filter(grey, 12)
    levels = np.percentile(grey, [5, 50, 95, 99])
    return [grey.mean(), grey.std(), *levels, grain.std(), width(grain, 0), width(grain, 1)]


def images(folder: Path | None, count: int) -> Iterator[NDArray[np.uint8]]:
    """Phantoms from seed 5000 on, or the images of a folder except masks."""
    if folder is None:
        for phantom in make_phantoms(count, 5000):
            yield phantom.frame.pixels
        return
    files = sorted(
        f for f in folder.iterdir() if f.suffix.lower() in (".png", ".jpg") and "mask" not in f.name
    )
    for file in random.Random(0).sample(files, min(count, len(files))):
        with Image.open(file) as image:
            yield np.asarray(image.convert("L"))


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path, nargs="?", help="images to measure; phantoms without it")
    options.add_argument("--count", type=int, default=120, help="how many")
    wish = options.parse_args()
    table = np.array([describe(pixels) for pixels in images(wish.folder, wish.count)])
    print(" ".join(f"{name:>10}" for name in NAMES))
    for row in np.percentile(table, [10, 50, 90], axis=0):
        print(" ".join(f"{value:10.1f}" for value in row))


if __name__ == "__main__":
    main()
