"""Tables of docs/runtimes.md: inference on one machine."""

from __future__ import annotations

from page_tables.markdown import Result, mebibytes, median, table

WORDS = {"onnx": "ONNX Runtime", "openvino": "OpenVINO", "torch": "torch"}


def inference_speed(result: Result) -> str:
    """Milliseconds an image of each engine and precision, the ratio to Keras, share of the limit, memory."""
    limits = result["limits"]
    rows = [
        (
            "seed network",
            f"Keras on TensorFlow, {words}",
            "fp32",
            median(result["keras"]["ms"][what], 1),
            "1" if what == "predict" else "",
            f"{result['keras']['share_of_limit'][what]:.0%} of {limits['fp32']:.0f}",
            mebibytes(result["keras"]["resident_bytes"]) if what == "predict" else "",
        )
        for what, words in (("predict", "`predict`"), ("function", "`tf.function`"))
    ]
    names = {"seed": "seed network", "shipped": "shipped model"}
    rows += [
        (
            names[row["network"]],
            WORDS[row["runtime"]],
            row["precision"],
            median(row["ms"], 1),
            f"**{median(row['ratio'], 1)}**",
            f"{row['share_of_limit']:.0%} of {limits[row['precision']]:.0f}",
            mebibytes(row["resident_bytes"]),
        )
        for row in result["rows"]
    ]
    head = ("Network", "Engine", "precision", "ms an image", "Keras / it", "share of the limit", "resident")
    targets = result["targets"]
    words = (
        "The limit is in GFLOP/s (int8: billions of operations). Targets: "
        f"{targets['seed']:g} times for the seed network, with {targets['limit_share']:.0%} of the int8 "
        f"limit; {targets['shipped']:g} times for the shipped model; "
        f"{targets['resident_bytes'] / 2**20:.0f} MiB with OpenVINO."
    )
    return f"{table(head, rows)}\n\n{words}"


def process_start(result: Result) -> str:
    """Seconds of a whole process, by the clock and of the processor, and the ratio to Keras."""
    rows = []
    for label, seconds in result["seconds"].items():
        words = "Keras, a script" if label == "keras" else f"`sonoseg predict`, {label}"
        ratio = f"**{median(result['ratio'][label], 1)}**" if label in result["ratio"] else ""
        rows.append((words, median(seconds, 2), median(result["processor_seconds"][label], 2), ratio))
    head = ("One image, whole process", "seconds", "processor seconds", "Keras / it")
    targets = result["targets"]
    return f"{table(head, rows)}\n\nTargets: {targets['seconds']:g} s, {targets['ratio']:g} times."


def folder_throughput(result: Result) -> str:
    """Images a second of a folder beside the bare network, memory, and where the time goes."""
    rows = [
        (
            "seed network" if row["model"] == "seed" else f"{row['model']} model",
            row["runtime"],
            median(row["network"], 1),
            median(row["folder"], 1),
            f"**{median(row['share'], 2)}**",
            f"{mebibytes(row['peak_bytes']['few'])} for {row['few']}, "
            f"{mebibytes(row['peak_bytes']['all'])} for {result['images']}",
        )
        for row in result["rows"]
    ]
    head = ("Network", "Runtime", "bare network, images/s", "folder, images/s", "share", "peak resident")
    text = f"{table(head, rows)}\n\nThe target is a share of {result['target']:g}."
    staged = [row for row in result["rows"] if "stages_ms" in row]
    if staged:
        stages = list(staged[0]["stages_ms"])
        lines = [(row["model"], *(f"{row['stages_ms'][stage]:.1f}" for stage in stages)) for row in staged]
        text += "\n\nProcessor time an image, ms, one stage after the other:\n\n"
        text += table(("Network", *stages), lines)
    return text


def layer_profile(result: Result) -> str:
    """Milliseconds an image and share of the whole, by kind of layer."""
    rows = [
        (
            "seed network" if row["model"] == "seed" else f"{row['model']} model",
            kind,
            str(one["layers"]),
            f"{one['ms']:.2f}",
            f"{one['share']:.0%}",
        )
        for row in result["rows"]
        for kind, one in sorted(row["kinds"].items(), key=lambda item: -item[1]["ms"])
        if one["share"] >= 0.005
    ]
    return table(("Network", "Layers", "number", "ms an image", "share"), rows)


def precision_loss(result: Result) -> str:
    """Dice lost of each engine and precision, against its bar."""
    rows = [
        (
            one["name"],
            f"{one['dice']:.4f}",
            f"**{one['loss']:.4f}** ({one['low']:.4f} to {one['high']:.4f})",
            f"{one['largest']:.3f}",
            f"{one['probability']:.1e}" if one["precision"] == "fp32" else f"{one['probability']:.2f}",
            "" if one["precision"] == "fp32" else f"{one['bar']:g}",
        )
        for one in result["losses"]
    ]
    head = (
        "Runtime",
        "Dice",
        "lost (95 % interval)",
        "most of one image",
        "probability, at most",
        "may lose",
    )
    words = (
        f"{result['model']['name']} in {result['model']['runtime']} has {result['reference_dice']:.4f} on "
        f"{result['losses'][0]['n']} lesion images. {result['statement']}."
    )
    return f"{table(head, rows)}\n\n{words}"
