"""EfficientNet-Lite as the encoder: TensorFlow's padding, the levels' shapes, and the options that fit it."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sonoseg.networks import PRESETS, NetworkOptions, build
from sonoseg.networks.efficientnet import InvertedBlock, SameConv, make_encoder
from sonoseg.networks.efficientnet_stages import STEM, EncoderKind, channels, stages
from sonoseg.networks.layer_table import summary

KINDS: tuple[EncoderKind, ...] = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")


def same_in_tensorflow(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """Pixels that TensorFlow's "same" pads before and after, by its documentation."""
    total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2


@pytest.mark.parametrize("side", [2, 16, 32])
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2), (5, 1), (5, 2)])
@pytest.mark.parametrize("depthwise", [False, True])
def test_padding_is_tensorflows(kernel: int, stride: int, side: int, depthwise: bool) -> None:
    torch.manual_seed(0)
    layer = SameConv(4, 4, kernel, stride, depthwise=depthwise).eval()
    assert isinstance(layer.conv, nn.Conv2d)
    x = torch.randn(1, 4, side, side)
    before, after = same_in_tensorflow(side, kernel, stride)
    padded = F.pad(x, (before, after, before, after))
    expected = F.conv2d(padded, layer.conv.weight, stride=stride, groups=4 if depthwise else 1)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), layer.norm(expected))
    assert layer.norm.eps == 1e-3


def test_a_block_has_its_shortcut_only_where_the_shape_stays() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 8, 6, 6)
    for block, short in (
        (InvertedBlock(8, 8, 3, 1, 6), True),
        (InvertedBlock(8, 8, 3, 2, 6), False),
        (InvertedBlock(8, 12, 3, 1, 1), False),
    ):
        nn.init.zeros_(block.eval().project.norm.weight)
        with torch.no_grad():
            found = block(x)
        assert torch.equal(found, x) if short else not found.any()


def test_activations_are_cut_at_six() -> None:
    block = InvertedBlock(2, 2, 3, 1, 1).eval()
    seen: list[float] = []
    block.project.register_forward_pre_hook(lambda _, given: seen.append(float(given[0].max())))
    nn.init.ones_(block.depthwise.conv.weight)
    with torch.no_grad():
        block(torch.full((1, 2, 4, 4), 100.0))
    assert seen == [6.0]


@pytest.mark.parametrize("kind", KINDS)
def test_each_level_halves_the_image(kind: EncoderKind) -> None:
    stem, levels, bottleneck = make_encoder(kind, 1)
    x = stem.eval()(torch.rand(1, 1, 64, 96))
    assert x.shape == (1, STEM, 32, 48)
    shapes = []
    for level in levels:
        x, skip = level.eval()(x)
        assert skip is x
        shapes.append(tuple(x.shape[1:]))
    shapes.append(tuple(bottleneck.eval()(x).shape[1:]))
    expected = [(c, 32 >> k, 48 >> k) for k, c in enumerate(channels(kind))]
    assert shapes == expected
    blocks = [block for part in (*levels, bottleneck) for block in part.modules()]
    assert sum(isinstance(block, InvertedBlock) for block in blocks) == sum(s.blocks for s in stages(kind))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("inputs", [1, 3])
def test_every_size_carries_a_network(kind: EncoderKind, inputs: int) -> None:
    options = PRESETS["sonoseg"].model_copy(
        update={"encoder": kind, "channels": inputs, "widths": (8, 8, 8, 8, channels(kind)[-1])}
    )
    network = build(NetworkOptions.model_validate(options.model_dump())).train()
    outputs = network(torch.rand(2, inputs, 64, 32))
    assert outputs.logit.shape == (2, 1, 64, 32)
    assert [tuple(side.shape[2:]) for side in outputs.sides] == [(16, 8), (8, 4), (4, 2)]
    assert [tuple(one.shape[2:]) for one in outputs.attention] == [(2, 1), (4, 2), (8, 4), (16, 8)]
    (outputs.logit.square().mean() + sum(side.square().mean() for side in outputs.sides)).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"stem": 1},
        {"widths": (32, 48, 96, 128, 144)},
        {"widths": (48, 96, 128, 192), "dropout": (0.0,) * 4},
        {"encoder": "efficientnet-lite2"},
    ],
)
def test_options_that_do_not_fit_are_refused(wrong: dict[str, object]) -> None:
    values = PRESETS["sonoseg"].model_dump() | wrong
    bottom = channels(values["encoder"])[-1]
    with pytest.raises(ValueError, match=f"takes stem 2 and five widths, the last of them {bottom}"):
        NetworkOptions.model_validate(values)


def test_the_preset_in_the_table() -> None:
    """Each part of the forward pass has its row; the heads of deep supervision serve training alone."""
    network = build("sonoseg")
    rows = {row.name: row for row in summary(network, 64)}
    assert list(rows)[:7] == [
        "stem", "encoder.0", "encoder.1", "encoder.2", "encoder.3", "bottleneck", "presence",
    ]  # fmt: skip
    kinds = {row.kind for row in rows.values()}
    assert kinds == {"stem", "encoder", "bottleneck", "presence", "gate", "decoder", "head"}
    assert [rows[f"encoder.{k}"].level for k in range(4)] == [0, 1, 2, 3]
    assert rows["bottleneck"].outputs == ((192, 2, 2),)
    assert rows["gates.0"].inputs == ((112, 4, 4), (192, 2, 2))
    assert (rows["presence"].outputs, rows["presence"].level) == (((1, 1, 1),), 4)
    assert (rows["presence"].parameters, rows["presence"].macs) == (2 * 192 + 1, 2 * 192)
    served = {name: p.numel() for name, p in network.named_parameters() if not name.startswith("side_heads")}
    assert sum(row.parameters for row in rows.values()) == sum(served.values()) == 4_068_518
    # The first block, by hand: 3x3 depthwise and 1x1 from 32 to 16 channels, at half of 64 pixels.
    assert rows["encoder.0"].macs == 32 * 32 * (32 * 9 + 32 * 16)
    # Multiply-accumulates are in proportion to the places: 1.80 G at 256 pixels.
    by_place = sum(row.macs for row in rows.values() if row.name != "presence")
    assert by_place * 16 == pytest.approx(1.7972e9, rel=1e-4)
