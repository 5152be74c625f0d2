"""What workers do with tables of rows, without Ray: read, run the network, finish."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sonoseg.batch.row_reading import ListedFile, read_files
from sonoseg.batch.rows import FINISHED, INPUTS, OUTPUTS, error_row, result_row, table
from sonoseg.inference.pipeline import run_isolated
from sonoseg.inference.predictor import Predictor
from sonoseg.inference.steps import NetworkOutput, PredictionSteps
from sonoseg.inputs.reading_options import ReadingOptions, as_input_error

CHUNK_BYTES = 4 << 20
"""Approximate size of the tables that reading yields."""


def read_tables(
    files: Iterable[ListedFile],
    reading: ReadingOptions,
    base: Path,
    steps: PredictionSteps,
    *,
    anonymise: bool = False,
) -> Iterator[pa.Table]:
    """Read files into tables of INPUTS rows, a few megabytes each. Arguments as in read_files."""
    rows: list[dict[str, Any]] = []
    size = 0
    for row in read_files(files, reading, base, steps, anonymise=anonymise):
        rows.append(row)
        size += len(row.get("pixels", b"")) + len(row.get("image", b""))
        if size >= CHUNK_BYTES:
            yield table(rows, INPUTS)
            rows, size = [], 0
    if rows:
        yield table(rows, INPUTS)


def segment(predictor: Predictor, rows: pa.Table, batch: int) -> pa.Table:
    """Run the network on INPUTS rows, at most `batch` at a time; returns OUTPUTS rows, errors among them."""
    probability: list[bytes | None] = [None] * len(rows)
    distance: list[float | None] = [None] * len(rows)
    errors: list[str | None] = rows.column("error").to_pylist()
    pixels = rows.column("pixels").combine_chunks()
    shapes = list(zip(rows.column("height").to_pylist(), rows.column("width").to_pylist(), strict=True))
    readable = [index for index, error in enumerate(errors) if error is None]

    def run(indices: Sequence[int]) -> list[tuple[NDArray[np.float32], float | None]]:
        views = np.stack([_pixels(predictor.steps, pixels[index]) for index in indices])
        grids = [predictor.steps.grid(shapes[index]) for index in indices]
        found = predictor.run_pixels(views, grids)
        return list(zip(found.probability, found.training_distance, strict=True))

    for start in range(0, len(readable), batch):
        indices = readable[start : start + batch]
        for index, output in zip(indices, run_isolated(run, indices), strict=True):
            if isinstance(output, Exception):
                errors[index] = as_input_error(output).reason
            else:
                probability[index], distance[index] = output[0].tobytes(), output[1]
    columns = {name: rows.column(name) for name in OUTPUTS.names if name in rows.column_names}
    columns["error"] = pa.array(errors, pa.string())
    columns["probability"] = pa.array(probability, pa.binary())
    columns["training_distance"] = pa.array(distance, pa.float64())
    return pa.table([columns[name] for name in OUTPUTS.names], schema=OUTPUTS)


def finish(rows: pa.Table, steps: PredictionSteps) -> pa.Table:
    """Measure and encode the network's outputs: OUTPUTS rows to FINISHED rows."""
    return table((_finish(row, steps) for row in rows.to_pylist()), FINISHED)


def _finish(row: dict[str, Any], steps: PredictionSteps) -> dict[str, Any]:
    if row["error"] is not None:
        return error_row(row, row["error"])
    try:
        frame = pickle.loads(row["image"])
        grid = steps.grid(frame.shape)
        probability = np.frombuffer(row["probability"], np.float32).reshape(grid.size, grid.size)
        output = NetworkOutput(frame, grid, probability, training_distance=row["training_distance"])
        return result_row(row, steps.finish(output))
    except Exception as error:  # one odd frame must not end the batch
        return error_row(row, as_input_error(error).reason)


def _pixels(steps: PredictionSteps, value: pa.BinaryScalar) -> NDArray[np.uint8]:
    size = steps.preprocessing.size
    return np.frombuffer(value.as_buffer(), np.uint8).reshape(-1, size, size)
