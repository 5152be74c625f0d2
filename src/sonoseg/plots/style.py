"""The look of every figure, and the one way to write one.

Colours are Okabe and Ito's (Color Universal Design, 2008), which people with colour-blindness tell apart;
maps are matplotlib's viridis and cividis. Figures are nine inches wide: saved at 150 dots an inch and shown
900 pixels wide, their smallest letters are 11 pixels high.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any, Final

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from sonoseg._util.files import atomic_path
from sonoseg.errors import FigureError

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY: Final = "#767676"
INK: Final = "#262626"
SERIES: Final = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, GREY, BLACK)

CLASSES: Final = {"benign": BLUE, "malignant": VERMILION, "normal": GREEN, "unknown": GREY}
SPLITS: Final = {"train": BLUE, "validation": VERMILION, "test": GREEN}
TRUE, PREDICTED = SKY, ORANGE
SETS: Final = (SKY, PURPLE, ORANGE, GREY, YELLOW)
PROBABILITY_MAP: Final = "viridis"
ATTENTION_MAP: Final = "cividis"

WIDTH: Final = 9.0
SMALL: Final = 8.5

_LOOK: Final[Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "figure.titlesize": 12,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#8C8C8C",
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.8,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.hashsalt": "sonoseg",  # matplotlib names an SVG's parts at random without one
    "svg.fonttype": "none",
}
_LOCK = RLock()


@contextmanager
def look() -> Iterator[None]:
    """Set the project's look for the block. One thread at a time, since matplotlib's settings are global."""
    with _LOCK, rc_context(_LOOK):
        yield


def blank(width: float = WIDTH, height: float = 4.0) -> Figure:
    """A figure of width x height inches on its own canvas; pyplot keeps every figure, so it is never used."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: str | Path, dpi: int = 150) -> Path:
    """Write the figure, whole or not at all; the ending says the format (.png, .svg, .pdf, .jpg).

    The same figure gives the same bytes. Returns the path.
    Raises FigureError for an unknown ending, OutputError where the file cannot be written.
    """
    path = Path(path)
    kind = path.suffix.lstrip(".").lower()
    known = figure.canvas.get_supported_filetypes()
    if kind not in known:
        raise FigureError(
            f"a figure cannot be written as '{path.suffix or 'no ending'}'",
            where=path,
            remedy="Use .png, .svg, .pdf or .jpg",
        )
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    with look(), atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=dpi, format=kind, metadata=undated)
    return path


def grid(axes: Axes, which: Any = "both") -> None:
    """A light grid behind the data."""
    axes.grid(visible=True, which="major", axis=which)


def log_axis(axes: Axes, which: str = "x") -> None:
    """A logarithmic axis that labels 1, 2 and 5 of each decade in plain numbers."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def share_axis(axes: Axes, which: str = "y", low: float = 0.0, high: float = 1.0) -> None:
    """Limit an axis to a share, with room for the points that lie on its ends."""
    margin = 0.02 * (high - low)
    (axes.set_ylim if which == "y" else axes.set_xlim)(low - margin, high + margin)
