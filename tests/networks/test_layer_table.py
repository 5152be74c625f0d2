"""The table of layers, held against the seed's figure."""

import pytest

from sonoseg.networks import build
from sonoseg.networks.layer_table import cost, summary
from sonoseg.networks.presets import PRESETS

# The seed's figure: each part's output as rows, columns, channels.
FIGURE = {
    "encoder.0": [(128, 128, 32), (256, 256, 32)],
    "encoder.1": [(64, 64, 64), (128, 128, 64)],
    "encoder.2": [(32, 32, 128), (64, 64, 128)],
    "encoder.3": [(16, 16, 256), (32, 32, 256)],
    "bottleneck": [(16, 16, 512)],
    "gates.0": [(32, 32, 256)],
    "gates.1": [(64, 64, 128)],
    "gates.2": [(128, 128, 64)],
    "gates.3": [(256, 256, 32)],
    "decoder.0": [(32, 32, 256)],
    "decoder.1": [(64, 64, 128)],
    "decoder.2": [(128, 128, 64)],
    "decoder.3": [(256, 256, 32)],
    "head": [(256, 256, 1)],
}
GATED = {
    "gates.0": ((32, 32, 256), (16, 16, 512)),
    "gates.1": ((64, 64, 128), (32, 32, 256)),
    "gates.2": ((128, 128, 64), (64, 64, 128)),
    "gates.3": ((256, 256, 32), (128, 128, 64)),
}


def last(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[1:], shape[0])


@pytest.mark.process
def test_seed_is_the_figure() -> None:
    rows = {row.name: row for row in summary(build("seed"))}
    assert set(rows) == set(FIGURE)
    for name, shapes in FIGURE.items():
        given = [last(shape) for shape in rows[name].outputs]
        assert given[: len(shapes)] == shapes, name
    for name, (skip, gating) in GATED.items():
        assert tuple(last(shape) for shape in rows[name].inputs) == (skip, gating)
    assert rows["encoder.0"].inputs == ((3, 256, 256),)


@pytest.mark.process
def test_seed_counts() -> None:
    """Counted by hand from the figure: see design, "about 10.2 million parameters, 15.8 GMAC"."""
    network = build("seed")
    rows = summary(network)
    assert sum(row.parameters for row in rows) == sum(p.numel() for p in network.parameters()) == 10_199_141
    assert sum(row.macs for row in rows) == pytest.approx(15.763e9, rel=1e-4)
    first = next(row for row in rows if row.name == "encoder.0")
    assert first.macs == 256 * 256 * 9 * (3 * 32 + 32 * 32)


@pytest.mark.process
def test_unet_is_the_seed_without_gates() -> None:
    seed, unet = ({row.name: row.parameters for row in summary(build(name), 64)} for name in ("seed", "unet"))
    assert unet == {name: count for name, count in seed.items() if not name.startswith("gates")}


def test_summary_leaves_the_network_as_it_was() -> None:
    network = build("quick").train()
    summary(network, 64)
    assert network.training
    assert not any(module._forward_hooks for module in network.modules())


@pytest.mark.process
def test_the_cost_is_the_sum_of_the_table() -> None:
    for name in ("quick", "sonoseg"):
        rows = summary(build(name), 64)
        expected = (sum(row.parameters for row in rows), sum(row.macs for row in rows))
        assert cost(PRESETS[name], 64) == expected
