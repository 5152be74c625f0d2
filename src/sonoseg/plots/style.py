"""The style of every figure, and how figures are saved.

Colours are Okabe and Ito's (Color Universal Design, 2008), which people with colour blindness distinguish;
maps are matplotlib's viridis and cividis. Figures are nine inches wide: saved at 150 dpi and shown 900
pixels wide, their smallest letters are 11 pixels high.
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
    "svg.hashsalt": "sonoseg",  # without one matplotlib's names of an SVG's parts are random
    "svg.fonttype": "none",
}
_LOCK = RLock()


@contextmanager
def look() -> Iterator[None]:
    """Set the project's style for the block; one thread at a time, since matplotlib's settings are global."""
    with _LOCK, rc_context(_LOOK):
        yield


def blank(width: float = WIDTH, height: float = 4.0) -> Figure:
    """Create a figure of width x height inches. pyplot is never used, since it keeps every figure."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: str | Path, dpi: int = 150) -> Path:
    """Save the figure atomically, in the format of its extension (.png, .svg, .pdf, .jpg); return the path.

    The same figure gives the same bytes. Raises FigureError for an unknown extension, OutputError.
    """
    path = Path(path)
    kind = path.suffix.lstrip(".").lower()
    known = figure.canvas.get_supported_filetypes()
    if kind not in known:
        raise FigureError(
            f"a figure cannot be saved as '{path.suffix or 'no extension'}'",
            where=path,
            remedy="Use .png, .svg, .pdf or .jpg",
        )
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    with look(), atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=dpi, format=kind, metadata=undated)
    return path


def label_point(
    axes: Axes, text: str, point: tuple[float, float], offset: tuple[float, float], **style: Any
) -> None:
    """Write small text beside a point of the data, at an offset in points; centred by default."""
    style = {"ha": "center"} | style
    axes.annotate(text, point, xytext=offset, textcoords="offset points", fontsize=SMALL, **style)


def grid(axes: Axes, which: Any = "both") -> None:
    """Draw a light grid behind the data."""
    axes.grid(visible=True, which="major", axis=which)


def log_axis(axes: Axes, which: str = "x") -> None:
    """Make an axis logarithmic, with labels at 1, 2 and 5 of each decade."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def share_axis(axes: Axes, which: str = "y", low: float = 0.0, high: float = 1.0) -> None:
    """Limit an axis to a share, with a margin for points at its ends."""
    margin = 0.02 * (high - low)
    (axes.set_ylim if which == "y" else axes.set_xlim)(low - margin, high + margin)
