"""Compare findings with phantoms of known size, echo and posterior gain.

    python research/benchmarks/findings_phantoms.py

A mask misses tips that pass between the middles of its pixels, so sizes are compared with the curve, and with
the span between the curve and what no mask can miss of it (Outline.opened).

The rules of findings.echo and findings.posterior were set on phantoms of other seeds (below 2,000).
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from sonoseg.data.phantoms import make_phantoms
from sonoseg.lesions.geometry import convex_hull, longest_axis, perpendicular
from sonoseg.lesions.measurement import measure_mask


def known(points: NDArray[np.float64], ends: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Longest axis, perpendicular of the axis between `ends`, width and height of (n, 2) points, in mm."""
    hull = convex_hull(points)
    height, width = np.ptp(points, axis=0)
    return longest_axis(hull)[1], perpendicular(hull, ends)[1], float(width), float(height)


def main() -> None:
    """Measure the exact masks of phantoms; print the errors and the descriptors."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=200)
    options.add_argument("--seed", type=int, default=3_000)
    wanted = options.parse_args()
    errors: list[list[float]] = []
    beyond: list[list[float]] = []
    echoes: Counter[tuple[str, str]] = Counter()
    below: Counter[tuple[str, str]] = Counter()
    for phantom in make_phantoms(wanted.count, wanted.seed):
        spec, outline = phantom.spec, phantom.spec.outline()
        if spec.lesion is None or outline is None:
            continue
        (lesion,) = measure_mask(phantom.frame, phantom.mask).lesions
        ends, pixel = np.array(lesion.longest_axis_ends) * spec.spacing, max(spec.spacing)
        most = np.array(known(outline.points, ends))
        least = np.minimum(most, known(outline.opened(pixel / 2**0.5), ends))
        got = np.array([lesion.longest_axis, lesion.perpendicular, lesion.width, lesion.height])
        errors.append(list((got - most) / pixel))
        beyond.append(list((np.maximum(got - most, 0) - np.maximum(least - got, 0)) / pixel))
        echoes[spec.kind, str(lesion.echo_level)] += 1
        below[spec.kind, str(lesion.posterior)] += 1
    print(
        f"{len(errors)} lesions; errors in pixels: against the curve, and beyond what a mask can hold of it"
    )
    for name, whole, held in zip(
        ("longest axis", "perpendicular", "width", "height"),
        np.array(errors).T,
        np.array(beyond).T,
        strict=True,
    ):
        print(
            f"{name:14} mean {whole.mean():+.2f}  largest {np.abs(whole).max():.2f}   "
            f"beyond {np.abs(held).max():.2f}"
        )
    for title, counts in (("echo level", echoes), ("posterior", below)):
        print(title)
        for (kind, word), count in sorted(counts.items()):
            print(f"  {kind:11} {word:22} {count:4}")


if __name__ == "__main__":
    main()
