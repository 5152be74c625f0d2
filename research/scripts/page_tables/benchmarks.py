"""The table of each benchmark, by the name of its result."""

from __future__ import annotations

from collections.abc import Callable

from page_tables.attacks import attacks, soak
from page_tables.inference import (
    folder_throughput,
    inference_speed,
    layer_profile,
    precision_loss,
    process_start,
)
from page_tables.markdown import Result
from page_tables.pacs import pacs_kills
from page_tables.peers import peer_latency
from page_tables.reading import reading_time
from page_tables.reading_faults import fuzz_readers
from page_tables.serving import batch_throughput, server_load
from page_tables.training import data_path, keras_setups, seed_parity, training_speed

BENCHMARK_TABLES: dict[str, Callable[[Result], str]] = {
    function.__name__: function
    for function in (
        training_speed,
        keras_setups,
        seed_parity,
        data_path,
        inference_speed,
        process_start,
        folder_throughput,
        layer_profile,
        precision_loss,
        peer_latency,
        server_load,
        batch_throughput,
        pacs_kills,
        attacks,
        soak,
        reading_time,
        fuzz_readers,
    )
}
