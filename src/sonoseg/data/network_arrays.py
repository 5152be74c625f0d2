"""The memory-mapped arrays of a prepared set at network size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sonoseg._util.csv_text import read_csv
from sonoseg._util.files import atomic_path
from sonoseg.data.parallel import parallel, silent
from sonoseg.errors import DatasetError
from sonoseg.image.network_grid import Fit, Grid


def arrays_folder(folder: Path, size: int, fit: Fit) -> Path:
    """Where the arrays of one grid lie in a prepared set."""
    return folder / "grid" / f"{size}-{fit}"


def build_arrays(
    folder: Path,
    size: int,
    fit: Fit,
    *,
    threads: int | None = None,
    track: Callable[[Iterable[Any], str, int], Iterator[Any]] | None = None,
) -> tuple[Path, Path]:
    """Write grid/SIZE-FIT/pixels.npy and masks.npy, uint8 (N, size, size), where they are not yet.

    The rows follow images.csv; masks hold 0 and 1. Each file is written atomically, pixels first.
    Raises DatasetError where the set's own images are missing or damaged.
    """
    arrays = arrays_folder(folder, size, fit)
    pixels_path, masks_path = arrays / "pixels.npy", arrays / "masks.npy"
    if pixels_path.is_file() and masks_path.is_file():
        return pixels_path, masks_path
    with (folder / "images.csv").open(encoding="utf-8", newline="") as file:
        ids = [row["id"] for row in read_csv(file)]

    def load(name: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        return grid_pair(folder, name, size, fit)

    with atomic_path(pixels_path) as pixels_file, atomic_path(masks_path) as masks_file:
        shape = (len(ids), size, size)
        pixels = np.lib.format.open_memmap(pixels_file, mode="w+", dtype=np.uint8, shape=shape)
        masks = np.lib.format.open_memmap(masks_file, mode="w+", dtype=np.uint8, shape=shape)
        pairs = (track or silent)(parallel(load, ids, threads), f"{size} x {size} arrays", len(ids))
        for row, pair in enumerate(pairs):
            pixels[row], masks[row] = pair
        pixels.flush()
        masks.flush()
        del pixels, masks
    return pixels_path, masks_path


def grid_pair(folder: Path, name: str, size: int, fit: Fit) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One image of a prepared set on the network's grid: pixels and mask (0 or 1), uint8 (size, size)."""
    pixels = read_own(folder / "images" / f"{name}.png").astype(np.uint8)
    mask = read_own(folder / "masks" / f"{name}.png") > 0
    height, width = pixels.shape
    grid = Grid((height, width), size, fit)
    return grid.to_network(pixels), grid.mask_to_network(mask).astype(np.uint8)


def read_own(path: Path) -> NDArray[Any]:
    """Read an image or a mask of a prepared set, uint8 or bool (H, W). Raises DatasetError."""
    try:
        with Image.open(path, formats=("PNG",)) as image:
            return np.asarray(image)
    except Exception as error:  # decoders meet damage with any exception
        raise DatasetError(
            f"a file of the prepared set is missing or damaged ({error})",
            where=path,
            remedy="Prepare the set again with sonoseg data prepare --overwrite",
        ) from error
