"""The engine: Ray Data streams files through readers, networks and finishers; the driver writes what comes.

Read tasks (a partition each), actors that hold the network, and tasks that measure and encode are three
operators, so none waits for another longer than the blocks between them allow: Ray Data begins no new work
while the object store's share is full, and a reader stops where its blocks are not taken. The driver alone
writes, a partition at a time. It counts rows, so a worker may die at any moment: what Ray does not repeat by
itself is asked for again, one file at a time, and a file that ends its worker each time costs one row.

Import this within ray_start.connected, which settles what Ray must know before its own import.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import ray
import ray.data

from sonoseg._util.text import first_line, printable
from sonoseg.batch.partitions import LISTING, Listing, Partitions
from sonoseg.batch.row_gathering import Gather
from sonoseg.batch.row_reading import Numbered, Wish
from sonoseg.batch.row_steps import finish, read_tables, segment
from sonoseg.batch.rows import DONE, failed, table
from sonoseg.errors import ModelError, SonosegError
from sonoseg.inference.predictor import Predictor
from sonoseg.inference.runtimes.choice import FEW
from sonoseg.inference.steps import PredictionSteps
from sonoseg.results.entries import RunInfo

SHARE = 0.5
"""Of a core, what a task and a thread of the network are said to take: there are twice as many of them as
cores, so that a core is not idle while a worker waits for its next block."""

BLOCK_BYTES = 16 << 20
"""About how large the blocks between the operators are."""

RETRIES = 3
"""How often Ray repeats a task whose worker died, before the driver asks for its files one by one."""

TOLERATED = 1000
"""Blocks that may be lost in this way in one pass: more is no matter of single files."""


@dataclass(frozen=True)
class RayPlan:
    """What the workers do.

    model: the folder, at the same place on every node; None is the model that ships. runtime, precision,
    threshold, tta: as Predictor has them. batch: images a run of the network. wish: how files are read.
    threads: CPU threads of each network.
    """

    model: str | None
    runtime: str = "auto"
    precision: str = "auto"
    threshold: float | None = None
    tta: str = "none"
    batch: int = 8
    wish: Wish = field(default_factory=Wish)
    threads: int = 1

    def with_threads(self, threads: int) -> RayPlan:
        """The same, with so many threads of each network."""
        return replace(self, threads=threads)

    def predictor(self) -> Predictor:
        """The network, loaded. Raises as Predictor."""
        return Predictor(
            self.model,
            runtime=self.runtime,
            precision=self.precision,
            threshold=self.threshold,
            tta=self.tta,
            threads=self.threads,
            images=FEW + 1,  # an archive has many
        )


@dataclass(frozen=True)
class Cores:
    """How the work is spread. workers: networks. threads: CPU threads of each. gpus: of each, 0 or 1."""

    workers: int
    threads: int
    gpus: int = 0

    @classmethod
    def of(cls, workers: int | None, runtime: str) -> Cores:
        """For the Ray that is connected: a network a GPU where torch is asked for and there are some, else a
        network of one thread a core, or so many networks as are wanted with the cores shared among them.
        """
        there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        cores, gpus = max(1, int(there.get("CPU", 1))), int(there.get("GPU", 0))
        if runtime == "torch" and gpus:
            return cls(min(workers or gpus, gpus), 1, 1)
        wanted = workers or cores
        return cls(wanted, max(1, cores // wanted))

    @property
    def arguments(self) -> dict[str, Any]:
        """What an actor of the network asks Ray for."""
        return {"num_cpus": SHARE * self.threads, "num_gpus": self.gpus}


def describe(plan: RayPlan, cores: Cores) -> tuple[RunInfo, PredictionSteps]:
    """What a worker's network is: asked of one, so that what is wrong with the model is told before the work.

    Raises ModelError, MissingExtra and UsageError as Predictor does.
    """
    asked = ray.remote(_describe).options(max_retries=RETRIES, **cores.arguments).remote(plan)
    try:
        told: SonosegError | tuple[RunInfo, PredictionSteps] = ray.get(asked)
    except ray.exceptions.RayError as error:
        raise ModelError(
            f"a worker could not load the model ({first_line(error)})",
            where=plan.model,
            remedy="See that sonoseg, with the same version, and the model are on every node",
        ) from error
    if isinstance(told, SonosegError):
        raise told
    return told


def _describe(plan: RayPlan) -> SonosegError | tuple[RunInfo, PredictionSteps]:
    try:
        predictor = plan.predictor()
        return RunInfo.of(predictor, "sonoseg predict --engine ray"), predictor.steps
    except SonosegError as error:
        return error


def run(
    partitions: Partitions,
    plan: RayPlan,
    cores: Cores,
    steps: PredictionSteps,
    *,
    advance: Callable[[int], None] = lambda files: None,
) -> None:
    """Do all partitions that are not done. advance: told of files as they are complete.

    Raises OutputError where results cannot be written, or so many workers die that no single file can be the
    reason. What is done by then stays done.
    """
    size = partitions.manifest.partition
    listing = (
        ray.remote(Listing)
        # On the machine of the driver, where the listing is; begun again where it dies.
        .options(num_cpus=0, max_restarts=-1, max_task_retries=-1, **_beside_driver())
        .remote(partitions.folder.absolute() / LISTING, size)
    )
    gather = Gather({number: partitions.span(number) for number in partitions.todo()}, size)

    def take(rows: pa.Table) -> None:
        complete, files = gather.add(rows)
        for number, whole in complete:
            partitions.write(number, whole)
        advance(files)

    spans: list[range] = [partitions.span(number) for number in partitions.todo()]
    for _ in range(2):
        if not spans:
            return
        for rows in _stream(spans, listing, plan, cores, steps):
            take(rows)
        # What is missing was with workers that died again and again. Alone, a file costs no other its rows.
        spans = [range(number, number + 1) for number in sorted(gather.missing())]
    names = Listing(partitions.folder / LISTING, size)
    for number, places in sorted(gather.missing().items()):
        take(_lost(names.files(range(number, number + 1))[0], places))


def _lost(one: Numbered, places: set[int] | None) -> pa.Table:
    """The rows of a file that ended its worker each time. places: that are missing, None for all."""
    rows = []
    for place in sorted(places or {0}):
        row = {"number": one.number, "place": place, "places": 1, "file": printable(one.name)}
        rows.append(failed(row, "ends the process that works on it. Look at this file by itself."))
    return table(rows, DONE)


def _stream(
    spans: Sequence[range], listing: Any, plan: RayPlan, cores: Cores, steps: PredictionSteps
) -> Iterable[pa.Table]:
    """One pass over files: tables of rows.DONE as they come."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of its own fields, which copying touches
        context = ray.data.DataContext.get_current().copy()
    context.target_max_block_size = BLOCK_BYTES
    context.max_errored_blocks = TOLERATED
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    with ray.data.DataContext.current(context), warnings.catch_warnings():
        # Of max_retries and its like, which have no other way yet.
        warnings.filterwarnings("ignore", "`ray_remote_args` is deprecated")
        asked = [{"start": span.start, "stop": span.stop} for span in spans]
        rows = ray.data.from_items(asked, override_num_blocks=len(asked)).map_batches(
            _read,  # type: ignore[arg-type] # of one argument, to its types, but there are fn_args
            fn_args=(listing, plan.wish, steps),
            batch_size=None,
            batch_format="pyarrow",
            num_cpus=SHARE,
            max_retries=RETRIES,
        )
        rows = rows.map_batches(
            Network,
            fn_constructor_args=(plan,),
            batch_size=plan.batch,
            batch_format="pyarrow",
            zero_copy_batch=True,
            compute=ray.data.ActorPoolStrategy(size=cores.workers),
            max_restarts=-1,
            max_task_retries=RETRIES,
            **cores.arguments,
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


def _read(asked: pa.Table, listing: Any, wish: Wish, steps: PredictionSteps) -> Iterator[pa.Table]:
    """Read spans of the listing, given by their start and stop: a task asks for the names when it begins.

    So no more names are held than those being read, however long the listing.
    """
    for one in asked.to_pylist():
        files = ray.get(listing.files.remote(range(one["start"], one["stop"])))
        yield from read_tables(files, wish, steps)


class Network:
    """An actor that holds the network."""

    def __init__(self, plan: RayPlan) -> None:
        self._predictor, self._batch = plan.predictor(), plan.batch

    def __call__(self, rows: pa.Table) -> pa.Table:
        """Rows of READ to rows of SEEN."""
        return segment(self._predictor, rows, self._batch)


def _beside_driver() -> Mapping[str, Any]:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = ray.get_runtime_context().get_node_id()
    return {"scheduling_strategy": NodeAffinitySchedulingStrategy(node_id=here, soft=False)}


def resolved(plan: RayPlan, about: RunInfo) -> RayPlan:
    """The plan with the engine that a worker chose, so that all choose the same."""
    return replace(plan, runtime=about.engine, precision=about.precision)
