"""`sonoseg predict`: from images to masks, overlays, tables and a page."""

from __future__ import annotations

import shutil
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from sonoseg._util.packages import require
from sonoseg.cli.choices import EngineChoice, PrecisionChoice, RuntimeChoice, TtaChoice
from sonoseg.cli.common import err
from sonoseg.cli.segment_files import Job, engine, list_all, resumable, segment_all, worded
from sonoseg.cli.summary import report
from sonoseg.errors import (
    BatchError,
    SonosegWarning,
    UsageError,
)

if TYPE_CHECKING:
    from sonoseg.image.frame import Spacing


def predict(
    paths: Annotated[
        list[str],
        typer.Argument(help="Images, folders (with all below them), or globs; with --engine ray URLs, too."),
    ],
    to: Annotated[Path, typer.Option("--out", "-o", help="The folder to write results to.")],
    model: Annotated[
        Path | None,
        typer.Option("--model", "-m", help="A model folder or training run; the shipped model by default."),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Lesion where the probability is this or more; the card's by default."),
    ] = None,
    runtime: Annotated[
        RuntimeChoice, typer.Option(help="What runs the network: the fastest installed one by default.")
    ] = RuntimeChoice.auto,
    precision: Annotated[
        PrecisionChoice,
        typer.Option(help="What it computes in: the fastest that the card allows by default."),
    ] = PrecisionChoice.auto,
    tta: Annotated[
        TtaChoice, typer.Option(help="Show each image mirrored, at other scales, or both; slower, surer.")
    ] = TtaChoice.none,
    refer: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Mark this share of the images, the most doubtful, for a person."),
    ] = None,
    spacing: Annotated[
        str | None,
        typer.Option(help="Millimetres per pixel, one number or ROW,COLUMN; before what a file says."),
    ] = None,
    spacings: Annotated[
        Path | None,
        typer.Option(help="A CSV of spacings (file, row, column); before --spacing and what a file says."),
    ] = None,
    frames: Annotated[
        str, typer.Option(help="Which frames of a DICOM clip: all, key, a number from 0, or START:STOP:STEP.")
    ] = "all",
    keep_burned_in: Annotated[
        bool,
        typer.Option(
            "--keep-burned-in", help="Keep what lies outside a DICOM file's scan regions: names, too."
        ),
    ] = False,
    probability: Annotated[
        bool, typer.Option("--probability", help="Write probabilities too, as PNG of 16 bits.")
    ] = False,
    attention: Annotated[
        bool, typer.Option("--attention", help="Write each gate's attention map too, over the image.")
    ] = False,
    coco: Annotated[bool, typer.Option("--coco", help="Write the outlines as COCO annotations.")] = False,
    labelme: Annotated[bool, typer.Option("--labelme", help="Write the outlines for LabelMe.")] = False,
    nrrd: Annotated[bool, typer.Option("--nrrd", help="Write masks that 3D Slicer opens.")] = False,
    seg: Annotated[bool, typer.Option("--seg", help="Write DICOM SEG, for DICOM sources.")] = False,
    sr: Annotated[bool, typer.Option("--sr", help="Write DICOM structured reports.")] = False,
    capture: Annotated[
        bool, typer.Option("--capture", help="Write DICOM Secondary Captures of the overlays.")
    ] = False,
    dicom: Annotated[bool, typer.Option("--dicom", help="The same as --seg --sr --capture.")] = False,
    fractional: Annotated[
        bool, typer.Option("--fractional", help="DICOM SEG of probabilities, not masks; with --probability.")
    ] = False,
    anonymise: Annotated[
        bool, typer.Option("--anonymise", help="Leave the patient and the study out of DICOM objects.")
    ] = False,
    batch: Annotated[int, typer.Option(min=1, help="Images a run of the network.")] = 8,
    engine_choice: Annotated[
        EngineChoice,
        typer.Option("--engine", help="plain: masks, tables and page; ray: millions, to Parquet."),
    ] = EngineChoice.plain,
    workers: Annotated[
        int | None, typer.Option(min=1, help="With --engine ray: networks at work; one a core by default.")
    ] = None,
    partition: Annotated[
        int | None, typer.Option(min=1, help="With --engine ray: files a partition; 1000 by default.")
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="With --engine ray: a Ray cluster; by default one is started here."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where a run with the same options was broken off.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results that are there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write results.json to stdout too.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only what went wrong.")] = False,
) -> None:
    """Outline the lesions in images, and measure them.

    Writes masks and overlays on each image's own grid, results.csv, results.json, report.html and
    report.json. Goes on past a file that cannot be read, lists it at the end and exits with 3. Broken off, it
    goes on with --resume.
    """
    millimetres = None if spacing is None else parse_spacing(spacing)
    if resume and overwrite:
        raise UsageError("both --resume and --overwrite", remedy="Go on, or begin anew: give one of them")
    if engine_choice is EngineChoice.ray:
        from sonoseg.cli.predict_ray import BatchRequest, predict_ray, refuse_options
        from sonoseg.inputs.frame_list import parse_choice

        refuse_options(
            {
                "--refer": refer,
                "--probability": probability,
                "--attention": attention,
                "--coco": coco,
                "--labelme": labelme,
                "--nrrd": nrrd,
                "--seg": seg,
                "--sr": sr,
                "--capture": capture,
                "--dicom": dicom,
                "--fractional": fractional,
                "--anonymise": anonymise,
                "--json": as_json,
            },
            "ray",
        )
        parse_choice(frames)
        predict_ray(
            BatchRequest(
                paths=paths,
                to=to,
                model=model,
                threshold=threshold,
                runtime=runtime.value,
                precision=precision.value,
                tta=tta.value,
                spacing=millimetres,
                spacings=spacings,
                frames=frames,
                keep_burned_in=keep_burned_in,
                batch=batch,
                workers=workers,
                partition=partition,
                address=ray,
                resume=resume,
                overwrite=overwrite,
                quiet=quiet,
            )
        )
        return
    if workers is not None or partition is not None or ray is not None:
        from sonoseg.cli.predict_ray import refuse_options

        refuse_options({"--workers": workers, "--partition": partition, "--ray": ray}, "plain")
    seg, sr, capture = seg or dicom or fractional, sr or dicom, capture or dicom
    if anonymise and not (seg or sr or capture):
        raise UsageError(
            "--anonymise without a DICOM object to write", remedy="Give --dicom too, or leave it out"
        )
    if seg or sr or capture:
        require("dicom", "pydicom", "highdicom")
    from sonoseg._util.files import sha256_file
    from sonoseg.cli.warnings_display import plain_warnings
    from sonoseg.dicom.reading.detection import is_dicom
    from sonoseg.inference.predictor import Predictor
    from sonoseg.inputs.file_search import find_images
    from sonoseg.inputs.frame_list import parse_choice
    from sonoseg.inputs.spacing_table import read_spacings
    from sonoseg.results.entries import RunInfo
    from sonoseg.results.result_names import result_names
    from sonoseg.results.results_folder import RequestedOutputs, ResultsFolder
    from sonoseg.results.run_manifest import RunNotes
    from sonoseg.results.writers import FOLDERS, image_writers, object_writers

    parse_choice(frames)
    table = None if spacings is None else read_spacings(spacings)
    with plain_warnings() as warned:
        # Results of a former run below a searched folder are no images to segment.
        images = find_images(paths, skip=[to / name for name in FOLDERS])
        wanted, bad = list_all(images, frames, keep_burned_in=keep_burned_in, quiet=quiet)
        engine_name, computed_in = engine(to, resume, runtime.value, precision.value)
        start = time.monotonic()
        predictor = Predictor(
            model,
            runtime=engine_name,
            precision=computed_in,
            images=len(wanted),
            threshold=threshold,
            tta=tta.value,
        )
        loaded = time.monotonic()
        gates = predictor.model.card.attention if attention else []
        if attention and not gates:
            warnings.warn(
                "this model has no attention gates: no maps are written", SonosegWarning, stacklevel=1
            )
        if seg or sr or capture:
            others = sum(not is_dicom(image) for image in images)
            if others:
                warnings.warn(
                    f"{others:,} of {len(images):,} files are not DICOM: no SEG, SR or capture is written "
                    "for them, as these belong to a DICOM source",
                    SonosegWarning,
                    stacklevel=1,
                )
        shape: dict[str, Any] = {
            "tta": tta.value,
            "spacing": None if millimetres is None else list(millimetres),
            "spacings": None if spacings is None else sha256_file(spacings),
            "frames": frames,
            "keep_burned_in": keep_burned_in,
            "files": [
                name
                for name, given in {
                    "probability": probability or fractional,
                    "attention": bool(gates),
                    "coco": coco,
                    "labelme": labelme,
                    "nrrd": nrrd,
                    "seg": seg,
                    "sr": sr,
                    "capture": capture,
                }.items()
                if given
            ],
            "fractional": fractional,
            "anonymise": anonymise,
        }
        results = ResultsFolder(
            to,
            result_names(images, paths),
            RunInfo.of(predictor, "sonoseg predict", shape),
            frames=wanted,
            outputs=RequestedOutputs(
                image_writers(
                    probability=probability or fractional,
                    gates=gates,
                    capture=capture,
                    anonymise=anonymise,
                    labelme=labelme,
                    nrrd=nrrd,
                ),
                object_writers(seg=seg, sr=sr, fractional=fractional, anonymise=anonymise),
                coco,
            ),
        )
        results.check(overwrite=overwrite, resume=resume)
        with resumable(), results:
            todo = results.begin()
            if len(todo) < len(wanted) and not quiet:
                err.print(f"{len(wanted) - len(todo):,} of {len(wanted):,} images are done already")
            for image, error in bad:
                results.refuse(image, worded(error))
            jobs = [Job.of(frame, millimetres, table, keep_burned_in) for frame in todo]
            segment_all(predictor, results, jobs, batch=batch, attention=bool(gates), quiet=quiet)
            spent = time.monotonic() - loaded
            timings = {"load": round(loaded - start, 3), "segment": round(spent, 3)}
            notes = RunNotes(timings, warned, dict(predictor.model.card.sha256))
            found = results.finish(notes, refer=refer)
    if as_json:
        with results.summary.open(encoding="utf-8") as file:
            shutil.copyfileobj(file, sys.stdout)
    elif not quiet:
        report(results, found)
    if found.refused:
        for one in found.refused:
            err.print(f"[yellow]refused:[/] {escape(one.file)}: {escape(one.reason)}", soft_wrap=True)
        files = len({one.file for one in found.refused})
        raise BatchError(f"{files} of {len(images)} files gave no result, or not all of it")


def parse_spacing(text: str) -> Spacing:
    """Read "0.08" or "0.08,0.1" (row, column) as millimetres per pixel. Raises UsageError."""
    import math

    from sonoseg.image.frame import Spacing

    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in (1, 2) or not all(math.isfinite(value) and value > 0 for value in values):
        raise UsageError(
            f"'{text}' is no spacing",
            where="--spacing",
            remedy="Give millimetres per pixel: one number above 0, or ROW,COLUMN",
        )
    return Spacing(values[0], values[-1])
