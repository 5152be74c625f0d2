"""`sonoseg data inspect`: the pixel spacing of image files, and what their depth ruler proposes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from sonoseg.cli.common import err, out
from sonoseg.errors import BatchError

if TYPE_CHECKING:
    from sonoseg.image.frame import Frame


def inspect(
    paths: Annotated[list[Path], typer.Argument(help="Images, clips, folders, or globs.")],
) -> None:
    """Show the pixel spacing of images with its origin, and that which a depth ruler beside it proposes.

    A proposal is not used by any command: compare it with the scan, and give it with --spacing. Of a clip the
    first frame is read.
    """
    from sonoseg.cli.warnings_display import plain_warnings
    from sonoseg.inputs.file_search import find_images
    from sonoseg.inputs.frame_list import list_frames, read
    from sonoseg.inputs.reading_options import as_input_error

    refused = 0
    with plain_warnings():
        files = find_images(paths)
        for path in files:
            try:
                frame = read(list_frames(path, "0", keep_burned_in=True)[0], keep_burned_in=True)
            except Exception as error:  # one odd file must not end the list
                refused += 1
                reason = as_input_error(error, path)
                err.print(f"[yellow]refused:[/] {escape(str(reason))}", soft_wrap=True)
            else:
                _print(path, frame)
    if refused:
        raise BatchError(f"{refused} of {len(files)} files cannot be read")


def _print(path: Path, frame: Frame) -> None:
    from sonoseg.image.calibration import cautions
    from sonoseg.image.depth_ruler import find_depth_ruler
    from sonoseg.results.formatting import spacing_text

    height, width = frame.shape
    lines = [
        f"{path}: {width} x {height} pixels",
        f"  pixel spacing: {spacing_text(frame.calibration.whole)}",
    ]
    lines += [f"  caution: {text}" for text in cautions(frame.calibration.origin)]
    ruler = find_depth_ruler(frame.pixels)
    if ruler is not None:
        every = f", one of {ruler.longer} larger" if ruler.longer else ""
        lines.append(f"  depth ruler: {ruler.count} ticks, {ruler.distance:.2f} pixels apart{every}")
        lines += [
            f"    proposal: --spacing {one.spacing:.4g} if the ticks are {one.tick:g} mm apart"
            for one in ruler.proposals
        ]
    for line in lines:
        out.print(escape(line), soft_wrap=True, highlight=False)
