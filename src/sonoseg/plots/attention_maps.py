"""Figures of the attention gates' coefficients."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from sonoseg.errors import FigureError
from sonoseg.plots.image_panels import outline, show
from sonoseg.plots.style import ATTENTION_MAP, PREDICTED, SMALL, TRUE, WIDTH, blank, look
from sonoseg.plots.table_checks import need_rows


def maps(
    pixels: NDArray[np.uint8],
    attention: Mapping[str, NDArray[np.float32]],
    *,
    true: NDArray[np.bool_] | None = None,
    predicted: NDArray[np.bool_] | None = None,
    name: str = "image",
    blend: float = 0.65,
) -> Figure:
    """Draw an image and, beside it, each gate's attention coefficients (0 to 1) over it.

    pixels: uint8 (H, W). attention: by gate, float (h, w) of any size, stretched over the image.
    true, predicted: bool (H, W), outlined where given. blend: opacity of the map, 0..1.
    Raises FigureError for no gates, or a map that is not (h, w).
    """
    need_rows(attention, "attention maps", "Predict with attention=True, with a model that has gates")
    height, width = pixels.shape[:2]
    outlined = true is not None or predicted is not None
    with look():
        columns = len(attention) + 1
        figure = blank(WIDTH, WIDTH / (columns + 0.1) * height / width + (1.5 if outlined else 1.25))
        every = figure.subplots(1, columns, squeeze=False).ravel()
        show(every[0], pixels)
        every[0].set_title(f"{name}\n{height} × {width}", fontsize=SMALL + 0.5, loc="center")
        drawn = None
        for axes, (gate, values) in zip(every[1:], attention.items(), strict=True):
            if values.ndim != 2:
                raise FigureError(
                    f"attention coefficients of shape {values.shape}",
                    where=gate,
                    remedy="Give one map (h, w) per gate",
                )
            show(axes, pixels)
            drawn = axes.imshow(
                values,
                cmap=ATTENTION_MAP,
                vmin=0.0,
                vmax=1.0,
                alpha=blend,
                interpolation="bilinear",
                extent=(-0.5, width - 0.5, height - 0.5, -0.5),
            )
            axes.set_title(
                f"{gate.replace('attention_', 'gate ')}\n{values.shape[0]} × {values.shape[1]}, "
                f"mean {float(np.mean(values)):.2f}",
                fontsize=SMALL + 0.5,
                loc="center",
            )
        for axes in every:
            if true is not None:
                outline(axes, true, TRUE, 1.2)
            if predicted is not None:
                outline(axes, predicted, PREDICTED, 1.2, "dashed")
        assert drawn is not None
        bar = figure.colorbar(drawn, ax=list(every), location="bottom", aspect=60, pad=0.04, shrink=0.6)
        bar.set_label("attention coefficient (0 closed, 1 open)")
        if bar.solids is not None:
            bar.solids.set_alpha(1.0)
        keys = []
        if true is not None:
            keys.append(Line2D([], [], color=TRUE, linewidth=2, label="true mask"))
        if predicted is not None:
            keys.append(
                Line2D([], [], color=PREDICTED, linewidth=2, linestyle="dashed", label="predicted mask")
            )
        if outlined:
            figure.legend(handles=keys, loc="outside lower center", ncols=2)
    return figure
