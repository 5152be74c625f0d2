"""Images and masks in a figure: what several figures share."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.contour import QuadContourSet
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from sonoseg.errors import FigureError


def show(axes: Axes, pixels: NDArray[Any]) -> AxesImage:
    """Draw grey (H, W) or colour (H, W, 3) uint8 pixels, without axes."""
    if pixels.ndim not in (2, 3) or 0 in pixels.shape:
        raise FigureError(
            f"pixels of shape {pixels.shape}",
            where="an image in a figure",
            remedy="Give (H, W) or (H, W, 3)",
        )
    bare(axes)
    axes.set_anchor("N")  # aligns the titles of images that differ in height
    return axes.imshow(pixels, cmap="grey", vmin=0, vmax=255, interpolation="antialiased")


def bare(axes: Axes) -> None:
    """Remove ticks and frame, keep titles and labels."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def fill(axes: Axes, mask: NDArray[np.bool_], colour: str, alpha: float = 0.45) -> AxesImage:
    """Fill a bool (H, W) mask with a translucent colour."""
    paint = np.zeros((*mask.shape, 4), dtype=np.float32)
    paint[mask] = to_rgba(colour, alpha)
    return axes.imshow(paint, interpolation="nearest")


def outline(
    axes: Axes, mask: NDArray[np.bool_], colour: str, width: float = 1.6, style: str = "solid"
) -> QuadContourSet | None:
    """Draw the border of a bool (H, W) mask, closed at the image's edge; None for an empty mask."""
    if not mask.any():
        return None
    height, width_px = mask.shape
    padded = np.pad(mask.astype(np.float32), 1)
    limits = axes.get_xlim(), axes.get_ylim()
    drawn = axes.contour(
        np.arange(-1, width_px + 1),
        np.arange(-1, height + 1),
        padded,
        levels=[0.5],
        colors=[colour],
        linewidths=width,
        linestyles=style,
    )
    axes.set_xlim(limits[0])
    axes.set_ylim(limits[1])
    return drawn
