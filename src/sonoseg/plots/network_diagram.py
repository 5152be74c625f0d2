"""The diagram of a network: blocks, skip connections and attention gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from sonoseg.errors import FigureError
from sonoseg.plots.style import BLUE, GREEN, INK, ORANGE, PURPLE, SMALL, VERMILION, WIDTH, blank, look
from sonoseg.plots.table_checks import need_rows

Shape = tuple[int, ...]


class Layer(NamedTuple):
    """One block of the network, with the keys of a row of sonoseg.networks.layer_table.

    kind: stem, encoder, bottleneck, presence, gate, decoder or head. level: 0 the finest.
    inputs, outputs: shapes (C, H, W); an encoder returns (downsampled, skip), a gate takes (skip, gating
    signal) and returns (gated skip, attention coefficients).
    parameters: trainable. macs: multiply-accumulates for one image.
    """

    name: str
    kind: str
    level: int
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    parameters: int
    macs: int


_COLOURS = {
    "input": "#FFFFFF",
    "stem": "#EDEDED",
    "encoder": "#D6E6F2",
    "bottleneck": "#F3DDEA",
    "presence": "#EDEDED",
    "gate": "#FBE9C4",
    "decoder": "#D2EDE3",
    "head": "#EDEDED",
}
_EDGES = {
    "encoder": BLUE,
    "bottleneck": PURPLE,
    "gate": ORANGE,
    "decoder": GREEN,
}
# Inches: the three columns' centres, the boxes, and the step from one level to the next.
_LEFT, _MIDDLE, _RIGHT = 1.45, 4.5, 7.55
_BOX, _TALL, _STEP = 2.3, 0.78, 1.3
_FLOW, _SKIP, _GATING = INK, BLUE, VERMILION


class _Node(NamedTuple):
    x: float
    y: float
    height: float = _TALL
    width: float = _BOX

    @property
    def top(self) -> tuple[float, float]:
        return self.x, self.y + self.height / 2

    @property
    def bottom(self) -> tuple[float, float]:
        return self.x, self.y - self.height / 2

    @property
    def left(self) -> tuple[float, float]:
        return self.x - self.width / 2, self.y

    @property
    def right(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y


def architecture(rows: Sequence[Mapping[str, Any]], *, title: str | None = None) -> Figure:
    """Draw an encoder-decoder with its skip connections and attention gates.

    rows: of sonoseg.networks.layer_table, as dicts with Layer's keys, in any order. Shapes are shown as
    height x width x channels.
    Raises FigureError for no rows, other keys, or a missing bottleneck or decoder.
    """
    need_rows(rows, "architecture", "Give the rows of sonoseg.networks.layer_table")
    layers = [_layer(row) for row in rows]
    by_kind: dict[str, dict[int, Layer]] = {}
    for layer in layers:
        by_kind.setdefault(layer.kind, {})[layer.level] = layer
    encoders, decoders = by_kind.get("encoder", {}), by_kind.get("decoder", {})
    gates = by_kind.get("gate", {})
    if len(by_kind.get("bottleneck", {})) != 1 or not encoders or set(encoders) != set(decoders):
        raise FigureError(
            f"encoder levels {sorted(encoders)}, decoder levels {sorted(decoders)}, "
            f"{len(by_kind.get('bottleneck', {}))} bottlenecks",
            where="architecture",
            remedy="Give one bottleneck, and a decoder for every encoder",
        )
    (bottleneck,) = by_kind["bottleneck"].values()
    levels = sorted(encoders)
    height = _STEP * (len(levels) + 2) + (0.75 if title else 0.45)
    with look():
        figure = blank(WIDTH, height)
        figure.set_layout_engine("none")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, WIDTH)
        axes.set_ylim(0, height)
        axes.set_axis_off()
        top = height - (0.85 if title else 0.5)
        if title:
            axes.text(WIDTH / 2, height - 0.25, title, ha="center", va="center", fontsize=12, weight="bold")
        down = {level: top - _STEP * (number + 1) for number, level in enumerate(levels)}
        left = {level: _Node(_LEFT, y) for level, y in down.items()}
        right = {level: _Node(_RIGHT, y) for level, y in down.items()}
        bottom = _Node(_MIDDLE, top - _STEP * (len(levels) + 1))
        _ends(axes, by_kind, levels, left[levels[0]], right[levels[0]], top)
        for number, level in enumerate(levels, start=1):
            encoder, decoder = encoders[level], decoders[level]
            _box(axes, left[level], encoder, f"Encoder {number}", shape(encoder.outputs[-1]))
            _box(
                axes, right[level], decoder, f"Decoder {len(levels) - number + 1}", shape(decoder.outputs[0])
            )
            below = levels[number] if number < len(levels) else None
            if below is None:
                corner = (left[level].x, bottom.y)
                _line(axes, [left[level].bottom, corner, bottom.left], _FLOW)
                _line(axes, [bottom.right, (right[level].x, bottom.y), right[level].bottom], _FLOW)
            else:
                _line(axes, [left[level].bottom, left[below].top], _FLOW)
                _line(axes, [right[below].top, right[level].bottom], _FLOW)
            between = down[level] - _STEP / 2
            _text(axes, _LEFT - 0.08, between, _going_down(encoder), ha="right")
            _text(axes, _RIGHT + 0.08, between, f"upsampled by 2\n{_enlarged(decoder.inputs[0])}", ha="left")
            _skip(axes, gates.get(level), len(levels) - number + 1, left[level], right[level])
            if level in gates:
                node = _Node(_MIDDLE, down[level])
                signal = gates[level].inputs[1]
                if below is None:
                    _line(axes, [bottom.top, node.bottom], _GATING, dashed=True)
                    _text(axes, _MIDDLE + 0.08, between, f"gating signal\n{shape(signal)}", colour=_GATING)
                else:
                    start = (right[below].x - 0.75, right[below].top[1])
                    turn = between
                    _line(axes, [start, (start[0], turn), (_MIDDLE, turn), node.bottom], _GATING, dashed=True)
                    _text(axes, _MIDDLE + 0.08, turn - 0.19, f"gating signal {shape(signal)}", colour=_GATING)
        _box(axes, bottom, bottleneck, "Bottleneck", shape(bottleneck.outputs[0]))
        for presence in by_kind.get("presence", {}).values():
            under = _Node(_MIDDLE, bottom.y - 0.9, 0.5)
            lines = f"{amount(presence.parameters)} parameters"
            _frame(axes, under, "presence", ["Presence of a lesion", lines])
            _line(axes, [bottom.bottom, under.top], _FLOW)
        _key(axes, layers, bool(gates))
    return figure


def shape(sides: Shape) -> str:
    """(C, H, W) as "H × W × C"."""
    channels, height, width = sides
    return f"{height} × {width} × {channels}"


def amount(count: int) -> str:
    """A count with three significant digits: 10_203_681 -> "10.2 M"."""
    for limit, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= limit:
            return f"{count / limit:.3g} {unit}"
    return str(count)


def _layer(row: Mapping[str, Any]) -> Layer:
    if set(row) != set(Layer._fields):
        raise FigureError(
            f"a row with the keys {', '.join(map(str, row))}",
            where="architecture",
            remedy=f"Give rows with the keys {', '.join(Layer._fields)}",
        )
    return Layer(**row)


def _going_down(encoder: Layer) -> str:
    down, skip = encoder.outputs
    if down == skip:
        return f"{shape(down)}\nhalved in the next"
    return f"max pooling\n{shape(down)}"


def _enlarged(sides: Shape) -> str:
    return shape((sides[0], 2 * sides[1], 2 * sides[2]))


def _ends(
    axes: Axes,
    by_kind: dict[str, dict[int, Layer]],
    levels: list[int],
    first: _Node,
    last: _Node,
    y: float,
) -> None:
    """Draw the input (with any stem) above the encoder, and the head above the decoder."""
    stem = by_kind.get("stem", {}).get(0)
    head = by_kind.get("head", {}).get(0)
    start = stem if stem is not None else by_kind["encoder"][levels[0]]
    entrance, exit_ = _Node(_LEFT, y), _Node(_RIGHT, y)
    lines = [f"Input {shape(start.inputs[0])}"]
    if stem is not None:
        lines.append(f"stem: 3 × 3 convolution, stride 2\n→ {shape(stem.outputs[0])}")
    _frame(axes, entrance, "input", lines)
    _line(axes, [entrance.bottom, first.top], _FLOW)
    if head is None:
        return
    channels, height, width = head.outputs[0]
    size = start.inputs[0][1:]
    lines = ["Output " + shape((channels, *size)), "1 × 1 convolution, sigmoid"]
    if (height, width) != size:
        lines[1] = f"1 × 1 convolution, sigmoid\nafter upsampling by {size[0] // height}"
    if "presence" in by_kind:
        lines[1] += ", × presence"
    _frame(axes, exit_, "head", lines)
    _line(axes, [last.top, exit_.bottom], _FLOW)


def _skip(axes: Axes, gate: Layer | None, number: int, left: _Node, right: _Node) -> None:
    if gate is None:
        _line(axes, [left.right, right.left], _SKIP)
        _text(axes, _MIDDLE, left.y + 0.13, "skip", ha="center", colour=_SKIP)
        return
    node = _Node(_MIDDLE, left.y)
    coefficients = gate.outputs[1]
    _box(axes, node, gate, f"Gate {number}", f"{shape(coefficients)} coefficients")
    _line(axes, [left.right, node.left], _SKIP)
    _line(axes, [node.right, right.left], _SKIP)
    _text(axes, (left.right[0] + node.left[0]) / 2, left.y + 0.14, "skip", ha="center", colour=_SKIP)
    _text(axes, (node.right[0] + right.left[0]) / 2, left.y + 0.14, "gated", ha="center", colour=_SKIP)


def _box(axes: Axes, node: _Node, layer: Layer, name: str, shown: str) -> None:
    _frame(axes, node, layer.kind, [name, shown, f"{amount(layer.parameters)} par., {amount(layer.macs)}MAC"])


def _frame(axes: Axes, node: _Node, kind: str, lines: list[str]) -> None:
    axes.add_patch(
        FancyBboxPatch(
            (node.x - node.width / 2, node.y - node.height / 2),
            node.width,
            node.height,
            boxstyle="round,pad=0,rounding_size=0.07",
            facecolor=_COLOURS[kind],
            edgecolor=_EDGES.get(kind, INK),
            linewidth=1.2,
        )
    )
    heading, *rest = lines
    offset = 0.11 * sum(1 + line.count("\n") for line in rest)
    axes.text(node.x, node.y + offset, heading, ha="center", va="center", fontsize=10, weight="bold")
    axes.text(
        node.x,
        node.y - 0.11,
        "\n".join(rest),
        ha="center",
        va="center",
        fontsize=SMALL + 0.5,
        linespacing=1.35,
    )


def _line(axes: Axes, points: list[tuple[float, float]], colour: str, *, dashed: bool = False) -> None:
    """Draw a line through the points with an arrow head at its end."""
    style = (0, (4, 2)) if dashed else "solid"
    xs, ys = zip(*points[:-1], strict=True)
    if len(points) > 2:
        axes.plot(xs, ys, color=colour, linewidth=1.5, linestyle=style)
    axes.add_patch(
        FancyArrowPatch(
            points[-2],
            points[-1],
            arrowstyle="-|>",
            mutation_scale=12,
            color=colour,
            linewidth=1.5,
            linestyle=style,
            shrinkA=0,
            shrinkB=0,
        )
    )


def _text(axes: Axes, x: float, y: float, text: str, *, ha: str = "left", colour: str = INK) -> None:
    axes.text(x, y, text, ha=ha, va="center", fontsize=SMALL, color=colour, linespacing=1.3)


def _key(axes: Axes, layers: Sequence[Layer], gated: bool) -> None:
    total = sum(layer.parameters for layer in layers)
    macs = sum(layer.macs for layer in layers)
    keys = [Line2D([], [], color=_FLOW, label="features"), Line2D([], [], color=_SKIP, label="skip")]
    if gated:
        keys.append(Line2D([], [], color=_GATING, linestyle=(0, (4, 2)), label="gating signal"))
    axes.legend(handles=keys, loc="lower left", bbox_to_anchor=(0.005, 0.0), ncols=1)
    axes.text(
        WIDTH - 0.15,
        0.14,
        f"height × width × channels\n{amount(total)} parameters, {amount(macs)}MAC per image",
        ha="right",
        va="bottom",
        fontsize=SMALL + 0.5,
        linespacing=1.4,
    )
