"""A folder of phantoms, laid out so that it is a valid set of a user's own."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sonoseg._util.csv_text import CsvWriter, read_csv
from sonoseg._util.files import atomic_write_bytes, atomic_write_text
from sonoseg._util.machine import usable_cores
from sonoseg.data.parallel import silent
from sonoseg.data.phantoms.parameter_sampling import draw_spec
from sonoseg.data.phantoms.phantom import render
from sonoseg.data.phantoms.spec import PhantomSpec
from sonoseg.errors import OutputError, UsageError

TABLE = "phantoms.csv"
COLUMNS = (
    "image", "mask", "label", "group", "spacing_row", "spacing_column", "kind", "seed", "longest_axis_mm"
)  # fmt: skip
_POOL_FROM = 50  # below this a pool costs more than it brings


def write_phantoms(
    out: str | Path,
    count: int,
    seed: int = 0,
    *,
    overwrite: bool = False,
    workers: int | None = None,
    track: Callable[[Iterator[dict[str, Any]], str, int], Iterator[dict[str, Any]]] = silent,
    **wishes: Any,
) -> Path:
    """Write `count` phantoms with the seeds seed, seed + 1, ... and return the table's path.

    Out come images/NAME.png and masks/NAME.png (0 and 255) and, last, phantoms.csv with the columns
    COLUMNS: paths relative to `out`, spacing in mm per pixel. Each phantom is a group of its own.
    parameters go to draw_spec (kind, size_mm, depth_mm, spacing, shape, style, borders, marks).
    workers: processes; None takes all cores for more than 50 phantoms, else one. track(items, description,
    total) passes the items through, as a progress bar does.
    Raises UsageError for a count below 1 or wishes that do not fit, OutputError where `out` holds files
    already (unless overwrite) or cannot be written.
    """
    out = Path(out)
    if count < 1:
        raise UsageError(f"a count of {count} phantoms", where=out, remedy="Ask for 1 or more")
    if out.exists() and not out.is_dir():
        raise OutputError("is a file, not a folder", where=out, remedy="Give a folder for the phantoms")
    if not overwrite and out.is_dir() and any(out.iterdir()):
        raise OutputError(
            "the folder is not empty",
            where=out,
            remedy="Choose another folder, or replace its files with --overwrite",
        )
    specs = [draw_spec(number, **wishes) for number in range(seed, seed + count)]
    table = out / TABLE
    if overwrite:
        _remove_earlier(table)
    digits = max(4, len(str(seed + count - 1)))
    rows = list(track(_rows(partial(_write_one, out, digits), specs, workers), "phantoms", count))
    text = io.StringIO()
    CsvWriter(text, COLUMNS).writerows(rows)
    atomic_write_text(table, text.getvalue())
    return table


def _remove_earlier(table: Path) -> None:
    """Remove an earlier run: its table first, so that none names missing images, then what it named."""
    try:
        with table.open(newline="", encoding="utf-8") as file:
            named = [row[key] for row in read_csv(file) for key in ("image", "mask") if row.get(key)]
        table.unlink()
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise OutputError(
            f"the earlier table cannot be replaced: {error}",
            where=table,
            remedy="Remove it, or choose another folder",
        ) from error
    for name in named:
        if Path(name).parent.as_posix() in ("images", "masks"):
            (table.parent / name).unlink(missing_ok=True)


def _rows(
    work: Callable[[PhantomSpec], dict[str, Any]], specs: list[PhantomSpec], workers: int | None
) -> Iterator[dict[str, Any]]:
    if workers is None:
        workers = usable_cores() if len(specs) > _POOL_FROM else 1
    if workers <= 1:
        yield from map(work, specs)
        return
    # Spawned, not forked: a caller's threads (torch, ONNX Runtime) do not survive a fork.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        left = iter(specs)
        for chunk in iter(lambda: list(islice(left, 256)), []):
            yield from pool.map(work, chunk, chunksize=4)


def _write_one(out: Path, digits: int, spec: PhantomSpec) -> dict[str, Any]:
    phantom = render(spec)
    name = f"{spec.kind}_{spec.seed:0{digits}d}"
    image, mask = f"images/{name}.png", f"masks/{name}.png"
    atomic_write_bytes(out / image, encode_png(phantom.frame.pixels))
    atomic_write_bytes(out / mask, encode_png(phantom.mask.astype(np.uint8) * 255))
    return {
        "image": image,
        "mask": mask,
        "label": phantom.label,
        "group": name,
        "spacing_row": f"{spec.spacing.row:.6g}",
        "spacing_column": f"{spec.spacing.column:.6g}",
        "kind": spec.kind,
        "seed": spec.seed,
        "longest_axis_mm": f"{spec.size_mm:.3f}",
    }


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """The PNG of a grey image uint8 (H, W)."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=4)
    return stream.getvalue()
