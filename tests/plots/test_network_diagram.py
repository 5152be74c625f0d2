"""The figure of a network, drawn from the real rows of the presets."""

from __future__ import annotations

from typing import Any

import pytest
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from sonoseg.errors import FigureError
from sonoseg.plots.network_diagram import Layer, amount, architecture, shape
from sonoseg.plots.style import save


def rows_of(preset: str) -> list[dict[str, Any]]:
    presets = pytest.importorskip("sonoseg.networks.presets")
    summary = pytest.importorskip("sonoseg.networks.layer_table")
    return [row._asdict() for row in summary.summary(presets.build(preset))]


def made_up() -> list[dict[str, Any]]:
    """Two levels with gates, channels 4 and 8, bottleneck 16, for an input of 32 x 32 x 1."""
    rows: list[tuple[Any, ...]] = [
        ("encoder.0", "encoder", 0, ((1, 32, 32),), ((4, 16, 16), (4, 32, 32)), 10, 1000),
        ("encoder.1", "encoder", 1, ((4, 16, 16),), ((8, 8, 8), (8, 16, 16)), 20, 2000),
        ("bottleneck", "bottleneck", 2, ((8, 8, 8),), ((16, 8, 8),), 30, 3000),
        ("gates.0", "gate", 1, ((8, 16, 16), (16, 8, 8)), ((8, 16, 16), (1, 8, 8)), 40, 4000),
        ("decoder.0", "decoder", 1, ((16, 8, 8), (8, 16, 16)), ((8, 16, 16),), 50, 5000),
        ("gates.1", "gate", 0, ((4, 32, 32), (8, 16, 16)), ((4, 32, 32), (1, 16, 16)), 60, 6000),
        ("decoder.1", "decoder", 0, ((8, 16, 16), (4, 32, 32)), ((4, 32, 32),), 70, 7000),
        ("head", "head", 0, ((4, 32, 32),), ((1, 32, 32),), 5, 500),
    ]
    return [Layer(*row)._asdict() for row in rows]


def words(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_every_block_stands_with_its_shape(legible) -> None:
    figure = architecture(made_up(), title="Made up")
    said = words(figure)
    for name in (
        "Input 32 × 32 × 1",
        "Encoder 1",
        "Encoder 2",
        "Bottleneck",
        "Gate 1",
        "Gate 2",
        "Decoder 1",
    ):
        assert said.count(name) == 1, name
    assert "Output 32 × 32 × 1" in said
    assert any(text.startswith("8 × 8 × 16\n30 par., 3 kMAC") for text in said)
    assert any(text == "gating signal\n8 × 8 × 16" for text in said)
    assert any(text == "gating signal 16 × 16 × 8" for text in said)
    assert any("285 parameters, 28.5 kMAC per image" in text for text in said)
    assert (
        sum(isinstance(patch, FancyBboxPatch) for patch in figure.axes[0].patches) == 9
    )  # 2 + 1 + 2 + 2, the input and the output
    legible(figure)


def test_a_gate_takes_a_skip_and_a_signal() -> None:
    def arrows(rows: list[dict[str, Any]]) -> int:
        return len(architecture(rows).axes[0].findobj(FancyArrowPatch))

    plain = [row for row in made_up() if row["kind"] != "gate"]
    assert arrows(made_up()) - arrows(plain) == 2 * 2  # a gate adds the signal and cuts the skip in two
    assert "skip" in words(architecture(plain))
    assert "gated" not in words(architecture(plain))
    assert not [text for text in words(architecture(plain)) if "gating" in text]


@pytest.mark.process
def test_the_seed_is_drawn_as_its_figure_gives_it(legible) -> None:
    figure = architecture(rows_of("seed"))
    said = "\n".join(words(figure))
    for size in ("Input 256 × 256 × 3", "gating signal\n16 × 16 × 512", "gating signal 128 × 128 × 64"):
        assert size in said
    assert "10.2 M parameters, 15.8 GMAC per image" in said
    assert said.count("Gate ") == 4
    legible(figure)


@pytest.mark.process
@pytest.mark.parametrize("preset", ["unet", "compact", "quick", "sonoseg"])
def test_other_presets_are_drawn_too(preset: str, legible) -> None:
    figure = architecture(rows_of(preset), title=preset)
    assert ("Gate 1" in words(figure)) == (preset != "unet")
    assert any("stem" in text for text in words(figure)) == (preset != "unet")
    # What strides inside its blocks is not pooled; what has a presence head shows it.
    assert any("max pooling" in text for text in words(figure)) == (preset != "sonoseg")
    assert any("halved in the next" in text for text in words(figure)) == (preset == "sonoseg")
    assert ("Presence of a lesion" in words(figure)) == (preset == "sonoseg")
    legible(figure)


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(FigureError, match="architecture: nothing to draw"):
        architecture([])
    with pytest.raises(FigureError, match=r"a row with the keys name.*Give rows with the keys name, kind"):
        architecture([{"name": "encoder.0"}])
    with pytest.raises(FigureError, match="decoder for every encoder"):
        architecture([row for row in made_up() if row["name"] != "decoder.1"])
    with pytest.raises(FigureError, match="0 bottlenecks"):
        architecture([row for row in made_up() if row["kind"] != "bottleneck"])


def test_the_same_rows_give_the_same_bytes(tmp_path) -> None:
    one, two = (save(architecture(made_up()), tmp_path / f"{n}.svg").read_bytes() for n in "ab")
    assert one == two


def test_numbers_are_short() -> None:
    assert shape((3, 256, 128)) == "256 × 128 × 3"
    assert [amount(n) for n in (7, 1500, 10_203_681, 15_760_000_000)] == ["7", "1.5 k", "10.2 M", "15.8 G"]
