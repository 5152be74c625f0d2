"""Tables of docs/benchmarks.md: training and its data path beside Keras and MONAI."""

from __future__ import annotations

from page_tables.markdown import Result, gibibytes, median, table


def training_speed(result: Result) -> str:
    """Images a second of both sides, their ratio, memory and share of the limit."""
    names = {
        "sonoseg": f"sonoseg, recipe `seed`, {result['precision']['sonoseg']}",
        "keras": f"Keras on TensorFlow, `{result['setup']}`, {result['precision']['keras']}",
    }
    rows = []
    for name, words in names.items():
        rate, limit = result["images_per_second"][name], result["limits"][result["precision"][name]]
        share = rate["median"] * result["gflop_per_image"] / limit
        rows.append((words, median(rate, 2), f"{share:.0%} of {limit:.0f}", gibibytes(result, name)))
    head = ("Training", "images/s", "share of the limit, GFLOP/s", "peak resident memory")
    ratio = f"Ratio in the same round: **{median(result['ratio'], 2)}**; the target is {result['target']:g}."
    return f"{table(head, rows)}\n\n{ratio}"


def keras_setups(result: Result) -> str:
    """Images a second of every way of training in Keras."""
    rows = [
        (
            f"`{setup['call']}`",
            "yes" if setup["jit"] else "no",
            setup["policy"],
            "as the system's" if not setup["allocator"] else "kept from trimming",
            median(setup["images_per_second"], 2),
            f"{setup['peak_bytes'] / 2**30:.2f} GiB" if setup["peak_bytes"] else "",
        )
        for setup in result["setups"].values()
    ]
    head = ("Call", "XLA", "precision", "allocator", "images/s", "peak resident memory")
    fastest = f"Fastest in float32 with the system's allocator: `{result['fastest']}`."
    return f"{table(head, rows)}\n\n{fastest}"


def seed_parity(result: Result) -> str:
    """How far the two networks' probabilities are apart."""
    rows = [
        (
            words,
            f"{result[key]['least']:.3f} to {result[key]['greatest']:.3f}",
            f"{result[key]['largest']:.1e}",
            f"{result[key]['mean']:.1e}",
        )
        for words, key in (
            ("drawn here, copied to Keras", "to_keras"),
            ("drawn by Keras, copied here", "from_keras"),
        )
    ]
    head = ("Weights", "probabilities", "largest difference", "mean difference")
    count = result["parameters"]
    words = (
        f"Parameters: {count['sonoseg']:,} here, {count['keras']:,} in Keras. Images: {result['images']} "
        f"of {result['size']}x{result['size']}. The limit is {result['limit']:g}."
    )
    return f"{table(head, rows)}\n\n{words}"


def data_path(result: Result) -> str:
    """Pairs a second of both sides and their ratio."""
    rate = result["pairs_per_second"]
    rows = [
        (
            "sonoseg, batched on the CPU, one process",
            median(rate["sonoseg"], 0),
            gibibytes(result, "sonoseg"),
        ),
        (f"MONAI, {result['way']}, in turns", median(rate["monai"], 0), gibibytes(result, "monai")),
        *((f"MONAI, {way}, one turn", f"{value:.0f}", "") for way, value in result["ways"].items()),
    ]
    head = ("Data path", "pairs/s", "peak resident memory")
    ratio = f"Ratio in the same round: **{median(result['ratio'], 1)}**; the target is {result['target']:g}."
    return f"{table(head, rows)}\n\n{ratio}"
