"""`sonoseg measure`: lesions of masks that a person or another program made, measured without a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from rich.markup import escape

from sonoseg import RESEARCH_ONLY
from sonoseg.cli.common import err, out, print_json
from sonoseg.errors import BatchError, InputError, OutputError, SonosegError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sonoseg.image.frame import Frame, Spacing
    from sonoseg.lesions.measurement import Findings
    from sonoseg.lesions.orthogonal_views import Pair
    from sonoseg.results.entries import RefusedFile
    from sonoseg.results.mask_measurements import MaskMeasurements

CSV, JSON, OVERLAYS = "measures.csv", "measures.json", "overlays"


class _Measured(NamedTuple):
    """A mask with its frame, black unless it is the scan itself, and its findings."""

    path: Path
    frame: Frame
    scanned: bool
    mask: NDArray[np.bool_]
    findings: Findings


def measure(
    masks: Annotated[
        list[str] | None, typer.Argument(help="Masks, folders of masks (with all below them), or globs.")
    ] = None,
    image: Annotated[
        Path | None,
        typer.Option(
            "--image", "-i", help="The mask's image, or a folder of images of like names: for the echoes."
        ),
    ] = None,
    pair: Annotated[
        tuple[Path, Path] | None,
        typer.Option("--pair", help="Masks of two views at right angles: three dimensions and the volume."),
    ] = None,
    spacing: Annotated[
        str | None,
        typer.Option(help="Millimetres per pixel, one number or ROW,COLUMN; sizes are in px without it."),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write a CSV, a JSON and overlays to this folder.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results that are there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of tables.")] = False,
) -> None:
    """Measure the lesions of masks: sizes, orientation, shape and, with their images, echoes.

    No network is used. Goes on past a mask that cannot be used, lists it at the end and exits with 3.
    """
    if not masks and pair is None:
        raise UsageError("no mask was named", remedy="Name masks, or two views with --pair A B")
    from sonoseg.cli.predict import parse_spacing
    from sonoseg.cli.warnings_display import plain_warnings
    from sonoseg.lesions.orthogonal_views import join
    from sonoseg.results.entries import RefusedFile
    from sonoseg.results.mask_measurements import MaskMeasurements, measures_object

    scale = None if spacing is None else parse_spacing(spacing)
    with plain_warnings():
        paths = _masks(masks or [], pair, to)
        images = _image_of_each(image, paths)
        if to is not None:
            _check(to, paths, overwrite)
        done: list[_Measured] = []
        refused: list[RefusedFile] = []
        for path in paths:
            try:
                done.append(_measure(path, images.get(path), scale))
            except SonosegError as error:
                if pair is not None and path in pair:
                    raise
                reason = ". ".join(part for part in (error.found, error.remedy) if part)
                refused.append(RefusedFile(str(path), f"{reason}."))
        by_path = {one.path: one.findings for one in done}
        joined = None if pair is None else join(by_path[pair[0]], by_path[pair[1]])
    measures = [
        MaskMeasurements(str(one.path), str(one.frame.source) if one.scanned else "", one.findings)
        for one in done
    ]
    if to is not None:
        _write(to, paths, done, measures, refused, joined)
    if as_json:
        print_json(measures_object(measures, refused, joined))
    else:
        _report(measures, joined)
        if to is not None:
            out.print(f"Written: {escape(str(to))}", soft_wrap=True)
    if refused:
        for one in refused:
            err.print(f"[yellow]refused:[/] {escape(one.file)}: {escape(one.reason)}", soft_wrap=True)
        raise BatchError(f"{len(refused)} of {len(paths)} masks could not be measured")


def _masks(asked: list[str], pair: tuple[Path, Path] | None, to: Path | None) -> list[Path]:
    """The masks meant: files as they are; of a folder those named as masks, or all where none is."""
    from sonoseg.data.mask_matching import looks_like_mask
    from sonoseg.inputs.file_search import find_images

    skip = [] if to is None else [to / OVERLAYS]
    paths: list[Path] = []
    for text in asked:
        found = find_images([text], skip=skip)
        named = [path for path in found if looks_like_mask(path)]
        paths += named if named and not Path(text).is_file() else found
    return list(dict.fromkeys([*paths, *(pair or ())]))


def _image_of_each(image: Path | None, masks: list[Path]) -> dict[Path, Path]:
    """The image of each mask, where one was given."""
    from sonoseg.data.mask_matching import image_of
    from sonoseg.inputs.file_search import find_images

    if image is None:
        return {}
    if not image.is_dir():
        if len(masks) != 1:
            raise UsageError(
                f"one image for {len(masks)} masks",
                where="--image",
                remedy="Give the folder of their images",
            )
        return {masks[0]: image}
    there = find_images([image])
    images = {mask: image_of(mask, there) for mask in masks}
    return {mask: found for mask, found in images.items() if found is not None}


def _measure(path: Path, image: Path | None, spacing: Spacing | None) -> _Measured:
    import numpy as np

    from sonoseg.data.mask_reading import LARGEST_CLASS, lesion_of, mask_values
    from sonoseg.image.calibration import Calibration
    from sonoseg.image.frame import Frame
    from sonoseg.inputs.reading import read_frame
    from sonoseg.lesions.measurement import measure_mask

    if not path.is_file():
        raise InputError("no such file", where=path, remedy="Check the path")
    values = mask_values(path)
    largest = float(values.max(initial=0))
    # A mask has two levels, or few; noise at its edges (JPEG, resizing) is far from a fifth of the image.
    between = float(((values > 0.1 * largest) & (values < 0.9 * largest)).mean())
    if largest > LARGEST_CLASS and between > 0.2:
        raise InputError(
            f"an image, not a mask: {between:.0%} of its pixels are neither black nor bright",
            where=path,
            remedy="Name the mask, and give its image with --image",
        )
    mask = lesion_of(values)
    if image is None:
        scale = Calibration.of(spacing, reason="a mask says nothing of its scale, and no spacing was given")
        frame = Frame(np.zeros(mask.shape, dtype=np.uint8), name=path.stem, calibration=scale)
    else:
        frame = read_frame(image, spacing=spacing)
    found = measure_mask(frame, mask, image=image is not None)
    return _Measured(path, frame, image is not None, mask, found)


def _check(to: Path, masks: list[Path], overwrite: bool) -> None:
    wanted = [to / CSV, to / JSON, *(to / OVERLAYS / f"{name}.png" for name in _names(masks).values())]
    there = [path for path in wanted if path.exists()]
    if there and not overwrite:
        raise OutputError(
            f"results are here already ({there[0].relative_to(to).as_posix()})",
            where=to,
            remedy="Choose another folder with --out, or replace them with --overwrite",
        )


def _names(masks: list[Path]) -> dict[Path, str]:
    from sonoseg.results.result_names import result_names

    return result_names(masks, masks)


def _write(
    to: Path,
    masks: list[Path],
    done: list[_Measured],
    measures: list[MaskMeasurements],
    refused: list[RefusedFile],
    pair: Pair | None,
) -> None:
    import json

    from sonoseg._util.files import atomic_write_bytes, atomic_write_text
    from sonoseg.image.callipers import draw_callipers
    from sonoseg.image.overlay import overlay
    from sonoseg.results.mask_measurements import measures_csv, measures_object
    from sonoseg.results.png import colour_png

    names = _names(masks)
    for one in done:
        drawn = draw_callipers(overlay(one.frame.pixels, one.mask), one.findings, mask=one.mask)
        atomic_write_bytes(to / OVERLAYS / f"{names[one.path]}.png", colour_png(drawn))
    atomic_write_text(to / CSV, measures_csv(measures, refused))
    text = json.dumps(measures_object(measures, refused, pair), indent=2, ensure_ascii=False)
    atomic_write_text(to / JSON, text + "\n")


def _report(measures: list[MaskMeasurements], pair: Pair | None) -> None:
    """Print a table of lesions, why sizes are in pixels, the pair, and the research-only line."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    from sonoseg.lesions.measurement import PLANE_NOTE
    from sonoseg.lesions.orthogonal_views import SHARED
    from sonoseg.results.size_text import area_text, axes_text, size_text

    table = Table("Mask", box=SIMPLE, pad_edge=False)
    # Broken titles leave the names of masks room on a terminal of 80 columns.
    for title in ("Lesion", "Longest axis ×\nperpendicular", "Height /\nwidth", "Area", "Depth"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("In words", overflow="fold")
    for one in measures:
        name = Text(Path(one.mask).stem, overflow="fold")
        for lesion in one.findings.lesions:
            words = (lesion.orientation, lesion.echo_level, lesion.posterior)
            table.add_row(
                name,
                str(lesion.number),
                axes_text(lesion),
                f"{lesion.height_width_ratio:.2f}",
                area_text(lesion.area, lesion.unit),
                size_text(lesion.depth, lesion.unit),
                "\n".join(word for word in words if word),
            )
        if not one.findings.lesions:
            table.add_row(name, "none")
    if measures:
        out.print(table)
    for reason in dict.fromkeys(reason for one in measures for reason in one.findings.reasons):
        out.print(f"Sizes in px: {escape(reason)}.", soft_wrap=True)
    if pair is None:
        out.print(PLANE_NOTE, soft_wrap=True)
    else:
        digits = 1 if pair.unit == "mm" else 0
        sizes = " × ".join(f"{size:.{digits}f}" for size in pair.dimensions)
        cube = f"{pair.volume / 1000:.2f} ml" if pair.unit == "mm" else f"{pair.volume:,.0f} px³"
        out.print(f"Three dimensions: {sizes} {pair.unit}", soft_wrap=True)
        out.print(f"Volume as an ellipsoid: {cube}. The two views share the {SHARED}.", soft_wrap=True)
        for doubt in pair.doubts:
            err.print(f"[yellow]doubt:[/] {escape(doubt)}", soft_wrap=True)
    out.print(RESEARCH_ONLY, style="bold")
