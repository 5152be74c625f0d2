"""Augmentation, batched on the training device: parameters are drawn for each image, then applied."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional as F

from sonoseg.training.recipe import AugmentationOptions


@dataclass(frozen=True)
class Draw:
    """The augmentation parameters of each image of a batch; every field is float (N,).

    flip: 1 or -1. angle: radians. scale: factor, above one enlarges. stretch: factor on the width, its
    inverse on the height. shift_x, shift_y: fraction of the side. brightness: added. contrast: factor about
    the mean. gamma: exponent. speckle: standard deviation of multiplied noise. blur: standard deviation in
    pixels. noise_seed: seed of the noise pattern. gain_down, gain_across: logarithm of the gain at the lower
    and the right border, its negative at the opposite one.
    """

    flip: Tensor
    angle: Tensor
    scale: Tensor
    stretch: Tensor
    shift_x: Tensor
    shift_y: Tensor
    brightness: Tensor
    contrast: Tensor
    gamma: Tensor
    speckle: Tensor
    blur: Tensor
    noise_seed: Tensor
    gain_down: Tensor
    gain_across: Tensor

    def __getitem__(self, which: slice) -> Draw:
        return Draw(**{item.name: getattr(self, item.name)[which] for item in fields(self)})

    def to(self, device: torch.device) -> Draw:
        """Return the same draw on another device."""
        return Draw(**{item.name: getattr(self, item.name).to(device) for item in fields(self)})


def draw(options: AugmentationOptions, n: int, generator: torch.Generator) -> Draw:
    """Draw the parameters of `n` images from `generator` (on the CPU)."""

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(n, generator=generator) * (high - low) + low

    def both(x: float) -> Tensor:
        return uniform(-x, x)

    def factor(x: float) -> Tensor:
        return (1 + x) ** both(1.0)

    return Draw(
        flip=1 - 2 * (torch.rand(n, generator=generator) < options.flip).float(),
        angle=torch.deg2rad(both(options.rotate)),
        scale=factor(options.scale),
        stretch=factor(options.stretch).sqrt(),
        shift_x=both(options.shift),
        shift_y=both(options.shift),
        brightness=both(options.brightness),
        contrast=1 + both(options.contrast),
        gamma=factor(options.gamma),
        speckle=uniform(0, options.speckle),
        blur=uniform(0, options.blur),
        noise_seed=torch.randint(2**31, (n,), generator=generator).double(),
        gain_down=factor(options.gain).log(),
        gain_across=factor(options.gain).log() / 2,
    )


def apply(change: Draw, pairs: Tensor) -> Tensor:
    """Augment images and masks.

    pairs: float (N, 2, H, W), grey in 0..1 and the mask of 0 or 1. Returns new pairs, in the same ranges.
    Outside an image is black, without lesion.
    """
    moved = F.grid_sample(pairs, _sampling_grid(_matrix(change), pairs), mode="bilinear", align_corners=False)
    # The mask was interpolated too: from one half on a pixel is lesion. round() would round a half down.
    moved[:, 1].add_(0.5).floor_()
    _change_intensity(change, moved[:, :1])
    return moved


def _matrix(change: Draw) -> Tensor:
    """Return for each image the matrix (N, 2, 3) from positions in the result to positions in the source."""
    cos, sin = change.angle.cos(), change.angle.sin()
    across, down = 1 / (change.scale * change.stretch), change.stretch / change.scale
    first = (change.flip * cos * across, -change.flip * sin * across, 2 * change.shift_x)
    second = (sin * down, cos * down, 2 * change.shift_y)
    return torch.stack([torch.stack(row, dim=1) for row in (first, second)], dim=1)


def _sampling_grid(matrix: Tensor, pairs: Tensor) -> Tensor:
    """Return for each pixel of the result its position in the source, (N, H, W, 2), x and y in -1..1.

    As F.affine_grid, in a tenth of its time on a CPU.
    """
    n, _, height, width = pairs.shape
    x, y = _pixel_centres(width).to(pairs), _pixel_centres(height).to(pairs)
    grid = pairs.new_empty(n, height, width, 2)
    for axis, row in enumerate(matrix.to(pairs).unbind(1)):
        by_x, by_y, shift = row[:, 0:1], row[:, 1:2], row[:, 2:3]
        torch.add((by_x * x + shift)[:, None, :], (by_y * y)[:, :, None], out=grid[..., axis])
    return grid


def _pixel_centres(count: int) -> Tensor:
    """Return the centres of so many pixels, in -1..1."""
    return (torch.arange(count) + 0.5) * (2 / count) - 1


DARKEST = 1e-6
"""Lower bound of grey values under gamma: the logarithm of 0 takes a processor four times as long."""


def _change_intensity(change: Draw, images: Tensor) -> None:
    """Apply blur, speckle, gain, gamma, contrast and brightness, in place."""

    def each(values: Tensor) -> Tensor:
        return values.to(images)[:, None, None, None]

    if bool((change.blur > 0).any()):
        images.copy_(_blur(images, change.blur))
    if bool((change.speckle > 0).any()):
        _speckle(images, each(change.speckle), change.noise_seed)
    if bool((change.gain_down != 0).any()):
        # As another time gain compensation, or a probe with contact on one side only.
        height, width = images.shape[2:]
        down = (change.gain_down[:, None] * _pixel_centres(height)).exp().to(images)
        across = (change.gain_across[:, None] * _pixel_centres(width)).exp().to(images)
        images.mul_(down[:, None, :, None]).mul_(across[:, None, None, :])
    # x to the power of gamma, in two thirds of the time of pow().
    images.clamp_(DARKEST, 1).log2_().mul_(each(change.gamma)).exp2_()
    mean, contrast = images.mean((2, 3), keepdim=True), each(change.contrast)
    images.mul_(contrast).add_(mean * (1 - contrast) + each(change.brightness)).clamp_(0, 1)


def _speckle(images: Tensor, deviation: Tensor, seeds: Tensor) -> None:
    """Multiply in place by 1 + deviation × noise of zero mean and unit variance, seeded for each image.

    Speckle is wider across the beam than along it: noise is drawn at half the rows and averaged over three
    columns. The sum of three uniform bytes is nearly normal.
    """
    n, _, height, width = images.shape
    rows, columns = -(-height // 2), width + 2
    integers = torch.empty(n, -(-rows * columns // 8), dtype=torch.int64)
    for row, seed in zip(integers, seeds.tolist(), strict=True):
        # On the CPU, so that the pattern is the same for every device.
        row.random_(-(2**63), None, generator=torch.Generator().manual_seed(int(seed)))
    draws = integers.view(torch.uint8)[:, : rows * columns].view(n, 1, rows, columns).to(images)
    # The variance of a uniform byte is (256² - 1) / 12, that of a sum of three three times as much.
    total = (draws[..., :-2] + draws[..., 1:-1]).add_(draws[..., 2:]).sub_(1.5 * 255)
    factor = total.mul_(deviation * (12 / (3 * (256**2 - 1))) ** 0.5).add_(1)
    images[:, :, 0::2].mul_(factor)
    images[:, :, 1::2].mul_(factor[:, :, : height // 2])


def _blur(images: Tensor, deviation: Tensor) -> Tensor:
    """Blur each image by a Gaussian of its own standard deviation in pixels, truncated at three of them.

    A weighted sum of shifted images along each axis: a grouped convolution takes ten times as long for some
    batch sizes. Outside the image is black.
    """
    spread = deviation.to(images).clamp_min(1e-3)
    reach = int(3 * float(spread.max()))
    offsets = torch.arange(reach + 1, device=images.device, dtype=images.dtype)
    weights = torch.exp(-(offsets**2) / (2 * spread[:, None] ** 2)) * (offsets <= 3 * spread[:, None])
    weights = weights / (2 * weights.sum(1, keepdim=True) - weights[:, :1])
    for axis in (2, 3):
        blurred, size = images * weights[:, 0, None, None, None], images.shape[axis]
        for offset in range(1, min(reach, size - 1) + 1):
            weight, length = weights[:, offset, None, None, None], size - offset
            for to, since in ((offset, 0), (0, offset)):
                blurred.narrow(axis, to, length).addcmul_(images.narrow(axis, since, length), weight)
        images = blurred
    return images
