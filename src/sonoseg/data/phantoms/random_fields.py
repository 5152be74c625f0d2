"""Smooth random fields, made fast: white noise on a coarse grid, raised to pixels by cubic B-splines."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

F32 = NDArray[np.float32]

# The mean over a cell of the sum of squared cubic B-spline weights: the power that raised noise keeps a side.
_B_SPLINE_POWER = 0.4794


@lru_cache(maxsize=256)
def _raiser(length: int, nodes: int) -> csr_array:
    """The sparse (length, nodes) matrix of a cubic B-spline whose knots are evenly spread over the pixels."""
    position = np.linspace(0, nodes - 3 - 1e-6, length)
    first = position.astype(int)
    t = position - first
    weights = np.stack(
        [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1
    ).astype(np.float32) / np.float32(6)
    rows = np.repeat(np.arange(length), 4)
    columns = (first[:, None] + np.arange(4)).ravel()
    return csr_array((weights.ravel(), (rows, columns)), shape=(length, nodes))


def _nodes(length: int, pitch: float) -> int:
    return max(4, round(length / max(pitch, 1.0)) + 3)


def smooth_field(rng: np.random.Generator, shape: tuple[int, int], pitch: tuple[float, float]) -> F32:
    """A smooth random field, mean 0, standard deviation about 1.

    shape: (H, W) in pixels. pitch: (rows, columns) between the knots in pixels; features measure about
    twice that.
    """
    height, width = shape
    coarse = rng.standard_normal((_nodes(height, pitch[0]), _nodes(width, pitch[1])), dtype=np.float32)
    coarse *= np.float32(1 / _B_SPLINE_POWER)
    return _raise(_raiser(height, coarse.shape[0]), _raiser(width, coarse.shape[1]), coarse)


def smooth_line(rng: np.random.Generator, length: int, pitch: float) -> F32:
    """A smooth random curve of `length` pixels, mean 0, standard deviation about 1."""
    coarse = rng.standard_normal(_nodes(length, pitch), dtype=np.float32)
    raised: F32 = _raiser(length, coarse.size) @ coarse
    return raised * np.float32(_B_SPLINE_POWER**-0.5)


def enlarge(coarse: F32, shape: tuple[int, int]) -> F32:
    """Raise a coarse field to (H, W) by bilinear interpolation with the corners aligned."""
    return _raise(_linear(shape[0], coarse.shape[0]), _linear(shape[1], coarse.shape[1]), coarse)


def _raise(rows: csr_array, columns: csr_array, coarse: F32) -> F32:
    """rows (H, h) @ coarse (h, w) @ columns.T (w, W), contiguous: the small product first, and transposed."""
    wide = np.ascontiguousarray((columns @ coarse.T).T)
    raised: F32 = rows @ wide
    return raised


@lru_cache(maxsize=64)
def _linear(length: int, nodes: int) -> csr_array:
    position = np.linspace(0, nodes - 1, length)
    first = np.minimum(position.astype(int), max(nodes - 2, 0))
    t = (position - first).astype(np.float32)
    weights = np.stack([1 - t, t], axis=1)
    columns = np.minimum(first[:, None] + np.arange(2), nodes - 1)
    return csr_array(
        (weights.ravel(), (np.repeat(np.arange(length), 2), columns.ravel())), shape=(length, nodes)
    )


def slopes(field: F32) -> tuple[F32, F32]:
    """Differences between neighbours of (H, W) down and across, the last one repeated."""
    down, across = np.empty_like(field), np.empty_like(field)
    np.subtract(field[1:], field[:-1], out=down[:-1])
    np.subtract(field[:, 1:], field[:, :-1], out=across[:, :-1])
    down[-1], across[:, -1] = down[-2], across[:, -2]
    return down, across


def lines_of(field: F32, width: float) -> F32:
    """Thin lines, 1 on the zero level of `field` and falling over `width` pixels: (H, W) in 0..1.

    The level set of a smooth field makes closed, never ending curves, as connective tissue does. They fade
    where they turn away from the beam.
    """
    down, across = slopes(field)
    down *= down
    across *= across
    down += np.float32(1e-12)
    steepness: F32 = down + across
    lines: F32 = np.square(field)
    lines /= steepness
    lines *= np.float32(-1 / width**2)
    np.exp(lines, out=lines)
    across *= np.float32(6)
    across += down
    lines *= down
    lines /= across
    return lines


def warp_rows(images: list[F32], shift: F32) -> list[F32]:
    """Sample each image (H, W) `shift` (H, W) rows further down in the same column, held at the edges."""
    height, width = shift.shape
    held: F32 = shift + np.arange(height, dtype=np.float32)[:, None]
    np.clip(held, 0, np.float32(height - 1.001), out=held)
    index: NDArray[np.intp] = held.astype(np.intp)
    held -= index.astype(np.float32)
    index *= width
    index += np.arange(width)
    warped = []
    for image in images:
        flat = image.ravel()
        above: F32 = flat.take(index, mode="clip")
        below: F32 = flat[width:].take(index, mode="clip")
        below -= above
        below *= held
        below += above
        warped.append(below)
    return warped
