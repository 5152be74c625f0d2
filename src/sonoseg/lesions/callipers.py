"""Callipers drawn over an image: each lesion's longest axis and perpendicular, with their lengths."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from sonoseg.errors import ShapeError
from sonoseg.image.calibration import Box
from sonoseg.lesions.measurement import Ends, Findings, Lesion

WHITE = (255, 255, 255)
SKY = (136, 204, 238)
"""The colour of the perpendicular, from the muted, colour-blind safe palette of Paul Tol (2021).

The marks also differ in shape: + ends the longest axis, × the perpendicular.
"""

_HALO = (0, 0, 0)
_LESION, _LABEL = 1, 2


def draw_callipers(
    image: NDArray[np.uint8], findings: Findings, *, mask: NDArray[np.bool_] | None = None
) -> NDArray[np.uint8]:
    """Draw each lesion's callipers and their lengths over an image.

    Lines are dashed, with a dark halo for contrast on bright tissue. The label has the lesion's number and
    both lengths, each behind its mark. It lies beside the lesion and covers no lesion; without room, only the
    number is written; without room for that, the label covers as little of a lesion as possible. Labels never
    overlap. Line width and font size grow with the image; the ends of tiny lesions are marked outside them.

    image: uint8 (H, W, 3). findings: the lesions, measured on the same grid.
    mask: bool (H, W), not covered by labels; by default the lesions' boxes.

    Returns a new uint8 (H, W, 3). Raises ShapeError.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ShapeError(f"an image of {image.dtype} {image.shape}", remedy="Give uint8 of shape (H, W, 3)")
    if mask is not None and mask.shape != image.shape[:2]:
        raise ShapeError(
            f"an image of shape {image.shape} and a mask of shape {mask.shape}",
            remedy="Give both on the same grid",
        )
    canvas = Image.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    side = max(image.shape[:2])
    width, letters = max(1, round(side / 700)), max(11, round(side / 42))
    taken = np.zeros(image.shape[:2], dtype=np.uint8)
    if mask is not None:
        taken[mask.astype(bool)] = _LESION
    for lesion in findings.lesions:
        _take(taken, lesion, mask is None, round(letters * 0.35) + 2)
    for lesion in findings.lesions:
        for ends, colour, turn in (
            (lesion.perpendicular_ends, SKY, math.pi / 4),
            (lesion.longest_axis_ends, WHITE, 0.0),
        ):
            _axis(draw, image.shape[:2], ends, colour, turn, width, letters)
    for lesion in findings.lesions:
        _label(draw, lesion, taken, letters)
    return np.array(canvas)


def length_text(value: float, unit: str) -> str:
    """Format a length: tenths of a millimetre or whole pixels, with the unit."""
    return f"{value:.1f} {unit}" if unit == "mm" else f"{value:.0f} {unit}"


def _take(taken: NDArray[np.uint8], lesion: Lesion, whole: bool, arm: int) -> None:
    """Mark the pixels of a lesion's axis ends as used, and its whole box where its mask is unknown."""
    if whole:
        top, left, height, width = lesion.box
        taken[top : top + height, left : left + width] = _LESION
    for row, column in (*lesion.longest_axis_ends, *lesion.perpendicular_ends):
        y, x = max(0, round(row) - arm), max(0, round(column) - arm)
        taken[y : round(row) + arm + 1, x : round(column) + arm + 1] = _LESION


def _axis(
    draw: ImageDraw.ImageDraw,
    shape: tuple[int, ...],
    ends: Ends,
    colour: tuple[int, int, int],
    turn: float,
    width: int,
    letters: int,
) -> None:
    """One axis: dashes between its ends, and a cross at each inside the image, turned by `turn` radians."""
    (y0, x0), (y1, x1) = ends
    length = math.hypot(y1 - y0, x1 - x0)
    arm = max(2.0, letters * 0.35)
    # A cross on a tiny lesion would hide it: its crosses stand outside, as far as their own size.
    away = arm + 2 if length < 6 * arm else 0.0
    dy, dx = ((y1 - y0) / length, (x1 - x0) / length) if length else (1.0, 0.0)
    strokes = [] if away else list(_dashes(ends, 4 * width + 1, 3 * width + 2, skip=arm + width))
    for y, x in ((y0 - away * dy, x0 - away * dx), (y1 + away * dy, x1 + away * dx)):
        strokes += _cross(min(max(y, 0), shape[0] - 1), min(max(x, 0), shape[1] - 1), arm, turn)
    _strokes(draw, strokes, colour, width)


def _cross(row: float, column: float, arm: float, turn: float) -> list[Ends]:
    """The two strokes of a + (turned by 0) or a × (by a quarter of pi)."""
    strokes: list[Ends] = []
    for angle in (turn, turn + math.pi / 2):
        down, right = arm * math.sin(angle), arm * math.cos(angle)
        strokes.append(((row - down, column - right), (row + down, column + right)))
    return strokes


def _strokes(
    draw: ImageDraw.ImageDraw, strokes: list[Ends], colour: tuple[int, int, int], width: int
) -> None:
    """Straight strokes in a colour, above their common dark halo."""
    for shade, thick in ((_HALO, width + 2), (colour, width)):
        for (y0, x0), (y1, x1) in strokes:
            draw.line([round(x0), round(y0), round(x1), round(y1)], fill=shade, width=thick)


def _dashes(ends: Ends, dash: float, gap: float, *, skip: float) -> Iterator[Ends]:
    """Dashes along a line, with gaps, beginning and ending `skip` from its ends."""
    (y0, x0), (y1, x1) = ends
    length = math.hypot(y1 - y0, x1 - x0)
    inner = length - 2 * skip
    count = max(1, round((inner + gap) / (dash + gap)))
    step = (inner + gap) / count
    for k in range(count):
        start, stop = (skip + k * step) / length, (skip + k * step + step - gap) / length
        yield (
            (y0 + start * (y1 - y0), x0 + start * (x1 - x0)),
            (y0 + stop * (y1 - y0), x0 + stop * (x1 - x0)),
        )


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)


def _label(draw: ImageDraw.ImageDraw, lesion: Lesion, taken: NDArray[np.uint8], letters: int) -> None:
    """Write a lesion's label where there is room, and mark its pixels in `taken`."""
    font, halo, number = _font(letters), max(1, letters // 8), str(lesion.number)
    lines = [
        (length_text(lesion.longest_axis, lesion.unit), WHITE, 0.0),
        (length_text(lesion.perpendicular, lesion.unit), SKY, math.pi / 4),
    ]
    line, arm = round(letters * 1.25), max(2.0, letters * 0.3)
    signs = 2 * halo + math.ceil(draw.textlength(number, font=font) + letters / 4)
    texts = signs + math.ceil(2 * arm + letters / 3)
    wide = texts + math.ceil(max(draw.textlength(text, font=font) for text, _, _ in lines)) + 2 * halo
    whole, short = (2 * line + 2 * halo, wide), (line + 2 * halo, signs)
    # The whole label in free space, else the number alone, else the whole label with the least overlap.
    for size, free in ((whole, True), (short, True), (whole, False)):
        place = _place(Box(*lesion.box), *size, taken, gap=letters // 2, free=free)
        if place is not None:
            break
    else:
        return
    top, left = place
    style = {"font": font, "stroke_width": halo, "stroke_fill": _HALO, "anchor": "lm"}
    draw.text((left + halo, top + halo + line / 2), number, fill=WHITE, **style)  # type: ignore[arg-type]
    for k, (text, colour, turn) in enumerate(lines if size == whole else []):
        middle = top + halo + (k + 0.5) * line
        _strokes(draw, _cross(middle, left + signs + arm, arm, turn), colour, max(1, letters // 11))
        draw.text((left + texts, middle), text, fill=colour, **style)  # type: ignore[arg-type]
    taken[top : top + size[0], left : left + size[1]] = _LABEL


def _place(
    box: Box, height: int, width: int, taken: NDArray[np.uint8], *, gap: int, free: bool
) -> tuple[int, int] | None:
    """The position (top, left) of a label of this size nearest to a lesion's box; None without room.

    Right of the lesion, left, above and below it are tried first, then a grid over the whole image. free:
    whether the pixels must be unused; else lesions may be covered, as little as possible, but no label.
    """
    rows, columns = taken.shape
    if height > rows or width > columns:
        return None
    middle = box.top + box.height // 2 - height // 2, box.left + box.width // 2 - width // 2
    right, left = box.left + box.width + gap, box.left - gap - width
    above, below = box.top - gap - height, box.top + box.height + gap
    for top, side in ((middle[0], right), (middle[0], left), (above, middle[1]), (below, middle[1])):
        # Moved along the lesion's side, or towards it, a label near the border stays inside the image.
        at = min(max(top, 0), rows - height), min(max(side, 0), columns - width)
        if not taken[at[0] : at[0] + height, at[1] : at[1] + width].any():
            return at
    step = max(1, min(height, width) // 4)
    tops = np.unique(np.r_[np.arange(0, rows - height, step), rows - height])
    sides = np.unique(np.r_[np.arange(0, columns - width, step), columns - width])
    covered, labels = (_sums(taken == kind, tops, sides, height, width) for kind in (_LESION, _LABEL))
    far = np.hypot((tops - middle[0])[:, None], (sides - middle[1])[None, :])
    allowed = (labels == 0) & (covered <= (0 if free else covered.max()))
    if not allowed.any():
        return None
    least = allowed & (covered == covered[allowed].min())
    row, column = np.unravel_index(int(np.where(least, far, np.inf).argmin()), far.shape)
    return int(tops[row]), int(sides[column])


def _sums(
    cells: NDArray[np.bool_], tops: NDArray[np.intp], sides: NDArray[np.intp], height: int, width: int
) -> NDArray[np.int64]:
    """How many cells are set in each window of a grid: sums down, of which few rows are summed across."""
    down = np.zeros((cells.shape[0] + 1, cells.shape[1]), dtype=np.int32)
    np.cumsum(cells, axis=0, dtype=np.int32, out=down[1:])
    across = np.zeros((len(tops), cells.shape[1] + 1), dtype=np.int64)
    np.cumsum(down[tops + height] - down[tops], axis=1, out=across[:, 1:])
    return np.asarray(across[:, sides + width] - across[:, sides])
