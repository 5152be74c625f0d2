"""The Ray Data engine: streams files through reading, network and finishing; the driver writes the rows.

Read tasks (a partition each), actors that hold the network, and tasks that measure and encode are three
operators, decoupled by blocks: Ray Data starts no new work while the object store's share is full, and a
reader pauses where its blocks are not consumed. The driver alone writes, a partition at a time. It counts
rows, so a
worker may die at any moment: what Ray does not repeat itself is requested again, one file at a time, and a
file that ends its worker each time costs one row.

Import this within ray_start.connected, which configures Ray before it is imported.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray
import ray.data

from sonoseg._util.text import first_line, printable
from sonoseg.batch.partitions import LISTING, Listing, Partitions
from sonoseg.batch.row_gathering import RowGatherer
from sonoseg.batch.row_reading import ListedFile
from sonoseg.batch.row_steps import finish, read_tables, segment
from sonoseg.batch.rows import FINISHED, error_row, table
from sonoseg.errors import ModelError, SonosegError
from sonoseg.inference.predictor import Predictor
from sonoseg.inference.runtimes.choice import FEW
from sonoseg.inference.steps import PredictionSteps
from sonoseg.inputs.reading_options import ReadingOptions
from sonoseg.results.entries import RunInfo

SHARE = 0.5
"""Fraction of a core that a task and a thread of the network declare: there are twice as many of them as
cores, so that no core is idle while a worker waits for its next block."""

BLOCK_BYTES = 16 << 20
"""Approximate size of the blocks between the operators."""

RETRIES = 3
"""How often Ray repeats a task whose worker died, before the driver requests its files one by one."""

TOLERATED = 1000
"""Blocks that may be lost in one pass; more lost blocks are not due to single files."""


@dataclass(frozen=True)
class RayPlan:
    """What the workers do.

    model: the folder, at the same path on every node; None is the shipped model. runtime, precision,
    threshold, tta: as in Predictor. batch: images per run of the network. reading: how files are read;
    base: the folder of relative names. anonymise: without patient and examination. threads: CPU threads of
    each network. settings_hash: that every worker must have, "" before it is known.
    """

    model: str | None
    runtime: str = "auto"
    precision: str = "auto"
    threshold: float | None = None
    tta: str = "none"
    batch: int = 8
    reading: ReadingOptions = field(default_factory=ReadingOptions)
    anonymise: bool = False
    base: Path = field(default_factory=Path)
    threads: int = 1
    settings_hash: str = ""

    def with_threads(self, threads: int) -> RayPlan:
        """Return the plan with this number of threads of each network."""
        return replace(self, threads=threads)

    def with_engine(self, about: RunInfo) -> RayPlan:
        """Return the plan with the engine and settings of one worker, so that all use the same."""
        return replace(
            self, runtime=about.engine, precision=about.precision, settings_hash=about.settings_hash
        )

    def predictor(self) -> Predictor:
        """Load the network.

        Raises as Predictor, and ModelError where its settings are not those of the run: another version of
        the model, of the engine or of sonoseg on this machine.
        """
        predictor = Predictor(
            self.model,
            runtime=self.runtime,
            precision=self.precision,
            threshold=self.threshold,
            tta=self.tta,
            threads=self.threads,
            images=FEW + 1,
        )
        if self.settings_hash not in ("", predictor.settings_hash):
            raise ModelError(
                f"this worker differs from the first one ({predictor.steps.model}, {predictor.runtime})",
                where=self.model,
                remedy="Install the same versions of sonoseg, its engines and the model on every node",
            )
        return predictor


@dataclass(frozen=True)
class Resources:
    """How the networks share the machines. workers: networks. threads: CPU threads of each. gpus: of each."""

    workers: int
    threads: int
    gpus: int = 0

    @classmethod
    def of(cls, workers: int | None, runtime: str) -> Resources:
        """Choose for the connected Ray.

        With torch and GPUs: one network per GPU. Otherwise one network of one thread per core, or `workers`
        networks that share the cores.
        """
        available: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        cores, gpus = max(1, int(available.get("CPU", 1))), int(available.get("GPU", 0))
        if runtime == "torch" and gpus:
            return cls(min(workers or gpus, gpus), 1, 1)
        wanted = workers or cores
        return cls(wanted, max(1, cores // wanted))

    @property
    def arguments(self) -> dict[str, Any]:
        """The resources that an actor of the network requests from Ray."""
        return {"num_cpus": SHARE * self.threads, "num_gpus": self.gpus}


def describe(plan: RayPlan, resources: Resources) -> tuple[RunInfo, PredictionSteps]:
    """Load the network in one worker and return its description, so that a bad model fails before the work.

    Raises ModelError, MissingExtra and UsageError as Predictor.
    """
    task = ray.remote(_describe).options(max_retries=RETRIES, **resources.arguments).remote(plan)
    try:
        answer: SonosegError | tuple[RunInfo, PredictionSteps] = ray.get(task)
    except ray.exceptions.RayError as error:
        raise ModelError(
            f"a worker could not load the model ({first_line(error)})",
            where=plan.model,
            remedy="Check that the same version of sonoseg, and the model, are on every node",
        ) from error
    if isinstance(answer, SonosegError):
        raise answer
    return answer


def _describe(plan: RayPlan) -> SonosegError | tuple[RunInfo, PredictionSteps]:
    try:
        predictor = plan.predictor()
        return RunInfo.of(predictor, "sonoseg predict --engine ray"), predictor.steps
    except SonosegError as error:
        return error


def run_partitions(
    partitions: Partitions, plan: RayPlan, resources: Resources, steps: PredictionSteps
) -> Iterator[None]:
    """Run all partitions that are not done; yields once for each file that is complete.

    Raises OutputError where results cannot be written, or where so many workers die that single files cannot
    be the reason. What is done by then stays done.
    """
    size = partitions.manifest.partition
    listing = (
        ray.remote(Listing)
        # On the driver's machine, where the listing is; restarted where it dies.
        .options(num_cpus=0, max_restarts=-1, max_task_retries=-1, **_beside_driver())
        .remote(partitions.folder.absolute() / LISTING, size)
    )
    todo = {number: partitions.span(number) for number in partitions.todo()}
    gatherer = RowGatherer(todo, size)

    def take(rows: pa.Table) -> Iterator[None]:
        complete, files = gatherer.add(rows)
        for number, whole in complete:
            partitions.write(number, whole)
        yield from [None] * files

    spans: list[range] = list(todo.values())
    for _ in range(2):
        if not spans:
            return
        for rows in _stream(spans, listing, plan, resources, steps):
            yield from take(rows)
        # Missing rows were with workers that died repeatedly: one file at a time, each costs only its own.
        spans = [range(number, number + 1) for number in sorted(gatherer.missing())]
    names = Listing(partitions.folder / LISTING, size)
    for number, positions in sorted(gatherer.missing().items()):
        yield from take(_lost_rows(names.files(range(number, number + 1))[0], positions))


def _lost_rows(file: ListedFile, positions: set[int] | None) -> pa.Table:
    """Return the rows of a file that ended its worker each time. positions: of missing rows; None for all."""
    rows = []
    for position in sorted(positions or {0}):
        key = {"number": file.number, "position": position, "count": 1, "file": printable(file.name)}
        rows.append(error_row(key, "it ends the process that reads it. Look at this file by itself."))
    return table(rows, FINISHED)


def _stream(
    spans: Sequence[range], listing: Any, plan: RayPlan, resources: Resources, steps: PredictionSteps
) -> Iterable[pa.Table]:
    """Run one pass over files; yields tables of FINISHED rows as they come."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # copying touches Ray's own deprecated fields
        context = ray.data.DataContext.get_current().copy()
    context.target_max_block_size = BLOCK_BYTES
    context.max_errored_blocks = TOLERATED
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    with ray.data.DataContext.current(context), warnings.catch_warnings():
        # For max_retries and the like there is no other way yet.
        warnings.filterwarnings("ignore", "`ray_remote_args` is deprecated")
        items = [{"start": span.start, "stop": span.stop} for span in spans]
        rows = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
            _read,  # type: ignore[arg-type] # its types allow one argument, but there are fn_args
            fn_args=(listing, plan, steps),
            batch_size=None,
            batch_format="pyarrow",
            num_cpus=SHARE,
            max_retries=RETRIES,
        )
        rows = rows.map_batches(
            NetworkActor,
            fn_constructor_args=(plan,),
            batch_size=plan.batch,
            batch_format="pyarrow",
            zero_copy_batch=True,
            compute=ray.data.ActorPoolStrategy(size=resources.workers),
            max_restarts=-1,
            max_task_retries=RETRIES,
            **resources.arguments,
        ).map_batches(
            finish,  # type: ignore[arg-type]
            fn_args=(steps,),
            batch_size=None,
            batch_format="pyarrow",
            zero_copy_batch=True,
            num_cpus=SHARE,
            max_retries=RETRIES,
        )
    yield from rows.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1)


def _read(spans: pa.Table, listing: Any, plan: RayPlan, steps: PredictionSteps) -> Iterator[pa.Table]:
    """Read spans of the listing, given by start and stop.

    A task requests the names when it starts, so only those in use are held, however long the listing.
    """
    for span in spans.to_pylist():
        files = ray.get(listing.files.remote(range(span["start"], span["stop"])))
        yield from read_tables(files, plan.reading, plan.base, steps, anonymise=plan.anonymise)


class NetworkActor:
    """A Ray actor that holds the network."""

    def __init__(self, plan: RayPlan) -> None:
        self._predictor, self._batch = plan.predictor(), plan.batch

    def __call__(self, rows: pa.Table) -> pa.Table:
        """Turn INPUTS rows into OUTPUTS rows."""
        return segment(self._predictor, rows, self._batch)


def _beside_driver() -> Mapping[str, Any]:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = ray.get_runtime_context().get_node_id()
    return {"scheduling_strategy": NodeAffinitySchedulingStrategy(node_id=here, soft=False)}
