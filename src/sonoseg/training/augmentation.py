"""Augmentation, batched on the training device: each picture's change is drawn first, then applied.

A draw is a plain record of numbers, so it can be kept, replayed and looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional as F

from sonoseg.training.recipe import AugmentationOptions


@dataclass(frozen=True)
class Draw:
    """The change of each picture of a batch; every field is float (N,).

    flip: 1 or -1. angle: radians. scale: factor, above one enlarges. stretch: factor on the width, its
    inverse on the height. shift_x, shift_y: share of the side. brightness: added. contrast: factor about
    the mean. gamma: exponent. speckle: standard deviation of multiplied noise. blur: standard deviation in
    pixels. noise_seed: seeds the noise's pattern.
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

    def __getitem__(self, which: slice) -> Draw:
        return Draw(**{item.name: getattr(self, item.name)[which] for item in fields(self)})

    def to(self, device: torch.device) -> Draw:
        """The same draw on another device."""
        return Draw(**{item.name: getattr(self, item.name).to(device) for item in fields(self)})


def draw(options: AugmentationOptions, n: int, generator: torch.Generator) -> Draw:
    """Draw the changes of `n` pictures from `generator` (on the CPU)."""

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
    )


def apply(change: Draw, images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Change pictures and masks alike.

    images: float (N, 1, H, W) grey in 0..1; masks: float (N, 1, H, W), 0 or 1. Returns both, in the same
    ranges. What lies outside a picture is black, and no lesion.
    """
    images, masks = _move(change, images, masks)
    return _look(change, images), masks


def _move(change: Draw, images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    cos, sin = change.angle.cos(), change.angle.sin()
    across, down = 1 / (change.scale * change.stretch), change.stretch / change.scale
    # Rows of the matrix that takes a place of the result to a place of the source, in -1..1.
    first = torch.stack([change.flip * cos * across, -change.flip * sin * across, 2 * change.shift_x], dim=1)
    second = torch.stack([sin * down, cos * down, 2 * change.shift_y], dim=1)
    matrix = torch.stack([first, second], dim=1).to(images)
    places = F.affine_grid(matrix, list(images.shape), align_corners=False)
    # Shifted by half a grey value of a mask, one call moves both.
    moved = F.grid_sample(torch.cat([images, masks], dim=1), places, mode="bilinear", align_corners=False)
    return moved[:, :1], (moved[:, 1:] >= 0.5).float()


def _look(change: Draw, images: Tensor) -> Tensor:
    def each(values: Tensor) -> Tensor:
        return values.to(images)[:, None, None, None]

    if bool((change.blur > 0).any()):
        images = _blur(images, change.blur)
    if bool((change.speckle > 0).any()):
        images = images * (1 + each(change.speckle) * _noise(change.noise_seed, images))
    images = images.clamp(0, 1) ** each(change.gamma)
    mean = images.mean((2, 3), keepdim=True)
    return ((images - mean) * each(change.contrast) + mean + each(change.brightness)).clamp(0, 1)


def _noise(seeds: Tensor, images: Tensor) -> Tensor:
    """Speckle-like noise, (N, 1, H, W), mean 0, unit spread; each picture's own, whoever shares its batch."""
    height, width = images.shape[2:]
    patterns = []
    for seed in seeds.tolist():
        generator = torch.Generator().manual_seed(int(seed))
        patterns.append(torch.randn(1, -(-height // 2), width, generator=generator))
    # Grain is longer across the beam than along it; drawn at half the rows, on the CPU for repeatability.
    coarse = torch.stack(patterns).to(images)
    smooth = F.avg_pool2d(coarse, (1, 3), stride=1, padding=(0, 1)) * 3**0.5
    return F.interpolate(smooth, size=(height, width), mode="nearest")


def _blur(images: Tensor, deviation: Tensor) -> Tensor:
    """Gaussian blur, each picture by its own standard deviation in pixels."""
    reach = max(1, int(3 * float(deviation.max())))
    offsets = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    spread = deviation.to(images)[:, None].clamp_min(1e-3)
    # Cut at each picture's own reach, so that its batch does not change it.
    kernel = torch.exp(-(offsets**2) / (2 * spread**2)) * (offsets.abs() <= 3 * spread)
    kernel = kernel / kernel.sum(1, keepdim=True)
    n = images.shape[0]
    rows = F.conv2d(images.transpose(0, 1), kernel[:, None, :, None], padding=(reach, 0), groups=n)
    return F.conv2d(rows, kernel[:, None, None, :], padding=(0, reach), groups=n).transpose(0, 1)
