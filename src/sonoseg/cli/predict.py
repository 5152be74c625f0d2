"""`sonoseg predict`: from images to masks, overlays, tables and a page."""

from __future__ import annotations

import shutil
import sys
from typing import Any

from sonoseg._util.packages import require
from sonoseg.cli import options as o
from sonoseg.cli.choices import EngineChoice, PrecisionChoice, RuntimeChoice, TtaChoice
from sonoseg.errors import UsageError


def predict(
    paths: o.Paths,
    to: o.OutFolder,
    model: o.ModelFolder = None,
    threshold: o.Threshold = None,
    runtime: o.Runtime = RuntimeChoice.auto,
    precision: o.Precision = PrecisionChoice.auto,
    tta: o.Tta = TtaChoice.none,
    refer: o.Refer = None,
    spacing: o.PixelSpacing = None,
    spacings: o.SpacingTable = None,
    frames: o.Frames = "all",
    keep_burned_in: o.KeepBurnedIn = False,
    probability: o.Probability = False,
    attention: o.Attention = False,
    xlsx: o.Xlsx = False,
    coco: o.Coco = False,
    labelme: o.Labelme = False,
    nrrd: o.Nrrd = False,
    seg: o.Seg = False,
    sr: o.Sr = False,
    capture: o.Capture = False,
    dicom: o.Dicom = False,
    fractional: o.Fractional = False,
    anonymise: o.Anonymise = False,
    batch: o.Batch = 8,
    engine: o.Engine = EngineChoice.plain,
    workers: o.Workers = None,
    partition: o.Partition = None,
    ray: o.RayAddress = None,
    resume: o.Resume = False,
    overwrite: o.Overwrite = False,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
) -> None:
    """Outline and measure the lesions in images.

    Writes masks and overlays on each image's own grid, results.csv, results.json, report.html and
    report.json. Files that cannot be read are refused and listed at the end, and the exit code is 3. An
    interrupted run continues with --resume.
    """
    kinds = {
        "probability": probability,
        "attention": attention,
        "xlsx": xlsx,
        "coco": coco,
        "labelme": labelme,
        "nrrd": nrrd,
        "seg": seg or dicom,
        "sr": sr or dicom,
        "capture": capture or dicom,
        "fractional": fractional,
    }
    on_ray = engine is EngineChoice.ray
    refused: dict[str, Any] = {"workers": workers, "partition": partition, "ray": ray}
    if on_ray:
        refused = {**kinds, "dicom": dicom, "refer": refer, "json": as_json}
    wrong = [f"--{name}" for name, value in refused.items() if value is not None and value is not False]
    if wrong:
        raise UsageError(
            f"{', '.join(wrong)} cannot be used with --engine {engine.value}",
            remedy="Leave them out" if on_ray else "Give --engine ray too, or leave them out",
        )
    from sonoseg.inputs.reading_options import ReadingOptions
    from sonoseg.inputs.spacing_table import read_spacings

    shared: dict[str, Any] = {
        "paths": paths,
        "out": to,
        "model": model,
        "runtime": runtime.value,
        "precision": precision.value,
        "threshold": threshold,
        "tta": tta.value,
        "batch": batch,
        "reading": ReadingOptions(
            None if spacing is None else o.parse_spacing(spacing),
            None if spacings is None else read_spacings(spacings),
            frames,
            keep_burned_in,
        ),
        "resume": resume,
        "overwrite": overwrite,
    }
    if on_ray:
        require("scale", "ray", "pyarrow", "fsspec", "pycocotools")
        from sonoseg.batch.run import BatchRun
        from sonoseg.cli.predict_ray import predict_ray

        run = BatchRun(**shared, anonymise=anonymise, workers=workers, partition=partition, address=ray)
        predict_ray(run, quiet=quiet)
        return
    from sonoseg.cli.summary import notify, print_results, raise_refused, resumable
    from sonoseg.cli.warnings_display import late_progress, plain_warnings
    from sonoseg.results.prediction_run import OutputOptions, PredictionRun

    plain = PredictionRun(**shared, outputs=OutputOptions(**kinds, anonymise=anonymise), refer=refer)
    with plain_warnings():
        with resumable():
            completed = plain.execute(track=late_progress(quiet), notify=notify(quiet))
        if as_json:
            with completed.summary.open(encoding="utf-8") as file:
                shutil.copyfileobj(file, sys.stdout)
        elif not quiet:
            print_results(completed.results, completed.page)
        raise_refused(completed)
