"""Findings against phantoms of known size, echo and posterior gain: `python benchmarks/findings_phantoms.py`.

The rules of findings.echo and findings.posterior were set on phantoms of other seeds (below 2,000).
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np

from sonoseg.datasets.phantoms import make_phantoms
from sonoseg.findings.geometry import convex_hull, perpendicular
from sonoseg.findings.lesions import measure_mask


def main() -> None:
    """Measure the exact masks of phantoms and print how far the figures are off, and the words given."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=200)
    options.add_argument("--seed", type=int, default=3_000)
    wanted = options.parse_args()
    errors: list[list[float]] = []
    echoes: Counter[tuple[str, str]] = Counter()
    below: Counter[tuple[str, str]] = Counter()
    for phantom in make_phantoms(wanted.count, wanted.seed):
        spec, outline = phantom.spec, phantom.spec.outline()
        if spec.lesion is None or outline is None:
            continue
        (lesion,) = measure_mask(phantom.frame, phantom.mask).lesions
        hull = convex_hull(outline.points)
        height, width = np.ptp(outline.points, axis=0)
        _, across = perpendicular(hull, np.array(lesion.longest_axis_ends) * spec.spacing)
        pixel = max(spec.spacing)
        true = (spec.size_mm, across, width, height)
        got = (lesion.longest_axis, lesion.perpendicular, lesion.width, lesion.height)
        errors.append([(one - other) / pixel for one, other in zip(got, true, strict=True)])
        echoes[spec.kind, str(lesion.echo_level)] += 1
        below[spec.kind, str(lesion.posterior)] += 1
    table = np.array(errors)
    print(f"{len(table)} lesions; errors in pixels")
    for name, column in zip(("longest axis", "perpendicular", "width", "height"), table.T, strict=True):
        print(f"{name:14} mean {column.mean():+.2f}  largest {np.abs(column).max():.2f}")
    for title, counts in (("echo level", echoes), ("posterior", below)):
        print(title)
        for (kind, word), count in sorted(counts.items()):
            print(f"  {kind:11} {word:22} {count:4}")


if __name__ == "__main__":
    main()
