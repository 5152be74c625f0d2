"""What workers do with rows: the network, and what follows it. No engine of workers is needed to call it."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sonoseg.batch.row_reading import Numbered, Wish, read_files, reason
from sonoseg.batch.rows import DONE, READ, SEEN, failed, result, table
from sonoseg.inference.predictor import Predictor
from sonoseg.inference.steps import NetworkInput, NetworkOutput, PredictionSteps

CHUNK_BYTES = 4 << 20
"""Read rows are handed on in tables of about so many bytes."""


def read_tables(files: Iterable[Numbered], wish: Wish, steps: PredictionSteps) -> Iterator[pa.Table]:
    """Read files into tables of rows.READ, a few megabytes each."""
    rows: list[dict[str, Any]] = []
    size = 0
    for row in read_files(files, wish, steps):
        rows.append(row)
        size += len(row.get("pixels", b"")) + len(row.get("image", b""))
        if size >= CHUNK_BYTES:
            yield table(rows, READ)
            rows, size = [], 0
    if rows:
        yield table(rows, READ)


def segment(predictor: Predictor, rows: pa.Table, batch: int) -> pa.Table:
    """Run the network on rows of READ, at most `batch` at a time; gives rows of SEEN, errors among them.

    Where it fails on a batch, its frames are tried one by one, so that one of them costs no other its result.
    """
    probability: list[bytes | None] = [None] * len(rows)
    errors: list[str | None] = rows.column("error").to_pylist()
    pixels = rows.column("pixels").combine_chunks()
    shapes = list(zip(rows.column("height").to_pylist(), rows.column("width").to_pylist(), strict=True))
    ready = [number for number, error in enumerate(errors) if error is None]

    def run(numbers: Sequence[int]) -> None:
        views = np.stack([_pixels(predictor.steps, pixels[number]) for number in numbers])
        grids = [predictor.steps.grid(shapes[number]) for number in numbers]
        for number, found in zip(numbers, predictor.answer(views, grids)[0], strict=True):
            probability[number] = found.tobytes()

    for start in range(0, len(ready), batch):
        numbers = ready[start : start + batch]
        try:
            run(numbers)
        except Exception:
            for number in numbers:
                try:
                    run([number])
                except Exception as error:
                    errors[number] = reason(error)
    columns = {name: rows.column(name) for name in SEEN.names if name in rows.column_names}
    columns["error"] = pa.array(errors, pa.string())
    columns["probability"] = pa.array(probability, pa.binary())
    return pa.table([columns[name] for name in SEEN.names], schema=SEEN)


def finish(rows: pa.Table, steps: PredictionSteps) -> pa.Table:
    """Measure and encode what the network gave: rows of SEEN to rows of DONE."""
    return table((_finish(row, steps) for row in rows.to_pylist()), DONE)


def _finish(row: dict[str, Any], steps: PredictionSteps) -> dict[str, Any]:
    if row["error"] is not None:
        return failed(row, row["error"])
    try:
        frame = pickle.loads(row["image"])
        grid = steps.grid(frame.shape)
        probability = np.frombuffer(row["probability"], np.float32).reshape(grid.size, grid.size)
        ready = NetworkInput(frame, grid, np.empty((0, grid.size, grid.size), np.uint8))
        return result(row, steps.finish(NetworkOutput(ready, probability, None)))
    except Exception as error:  # one frame must not end the batch
        return failed(row, reason(error))


def _pixels(steps: PredictionSteps, value: pa.BinaryScalar) -> NDArray[np.uint8]:
    size = steps.preprocessing.size
    return np.frombuffer(value.as_buffer(), np.uint8).reshape(-1, size, size)
