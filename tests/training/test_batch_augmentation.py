"""Augmentation: drawn once, replayed exactly, equal for an image and its mask."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from sonoseg.training import batch_augmentation as augmentation
from sonoseg.training.batch_augmentation import Draw, draw
from sonoseg.training.recipe import AugmentationOptions, load_recipe

NOTHING = AugmentationOptions()


def disc(n: int = 2, size: int = 64, row: float = 24, column: float = 40, radius: float = 9) -> torch.Tensor:
    """Discs (n, 1, size, size)."""
    y, x = torch.meshgrid(torch.arange(size) + 0.5, torch.arange(size) + 0.5, indexing="ij")
    return ((y - row) ** 2 + (x - column) ** 2 <= radius**2).float().expand(n, 1, -1, -1).clone()


def still(n: int, **changes: float) -> Draw:
    """A draw that changes nothing, but for `changes`."""
    plain = draw(NOTHING, n, torch.Generator().manual_seed(0))
    return Draw(
        **{
            name: torch.full((n,), changes[name]) if name in changes else value
            for name, value in vars(plain).items()
        }
    )


def apply(change: Draw, images: torch.Tensor, masks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """As the module's, with images and masks apart; what is given must not change."""
    pairs = torch.cat([images, masks], dim=1)
    kept = pairs.clone()
    changed = augmentation.apply(change, pairs)
    assert torch.equal(pairs, kept)
    return changed[:, :1], changed[:, 1:]


def speckled(images: torch.Tensor, deviation: torch.Tensor, seeds: torch.Tensor) -> torch.Tensor:
    images = images.clone()
    augmentation._speckle(images, deviation, seeds)
    return images


def centre(mask: torch.Tensor) -> tuple[float, float]:
    rows, columns = torch.nonzero(mask[0, 0], as_tuple=True)
    return float(rows.float().mean()) + 0.5, float(columns.float().mean()) + 0.5


def test_nothing_drawn_nothing_changed() -> None:
    images, masks = torch.rand(3, 1, 32, 32), (torch.rand(3, 1, 32, 32) > 0.5).float()
    changed, moved = apply(still(3), images, masks)
    torch.testing.assert_close(changed, images, atol=1e-5, rtol=0)
    assert torch.equal(moved, masks)


def test_flip_is_left_right_only() -> None:
    images = torch.rand(2, 1, 32, 32)
    changed, moved = apply(still(2, flip=-1.0), images, disc(2, 32))
    torch.testing.assert_close(changed, images.flip(3), atol=1e-5, rtol=0)
    assert torch.equal(moved, disc(2, 32).flip(3))


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_scale_scales_the_area(factor: float) -> None:
    _, moved = apply(still(1, scale=factor), disc(1), disc(1, row=32, column=32))
    assert float(moved.sum()) == pytest.approx(float(disc(1).sum()) * factor**2, rel=0.06)


def test_rotation_turns_about_the_centre() -> None:
    _, moved = apply(still(1, angle=math.radians(30)), disc(1), disc(1))
    row, column = centre(moved)
    # (24, 40) is 8 up and 8 right of the centre of 64: its distance stays, its direction turns by 30 degrees.
    assert math.hypot(row - 32, column - 32) == pytest.approx(math.hypot(8, 8), abs=0.3)
    turned = math.degrees(math.atan2(row - 32, column - 32) - math.atan2(-8, 8))
    assert abs(turned) == pytest.approx(30, abs=2)
    assert float(moved.sum()) == pytest.approx(float(disc(1).sum()), rel=0.05)


def test_shift_moves_by_its_share() -> None:
    _, moved = apply(still(1, shift_x=0.125, shift_y=-0.125), disc(1), disc(1, row=32, column=32))
    row, column = centre(moved)
    assert (row, column) == pytest.approx((32 + 8, 32 - 8), abs=0.1)


def test_brightness_contrast_gamma() -> None:
    images = torch.full((1, 1, 8, 8), 0.25)
    assert float(apply(still(1, brightness=0.1), images, images)[0].mean()) == pytest.approx(0.35, abs=1e-4)
    assert float(apply(still(1, gamma=0.5), images, images)[0].mean()) == pytest.approx(0.5, abs=1e-4)
    images[..., :4] = 0.75
    changed = apply(still(1, contrast=0.5), images, images)[0]
    assert float(changed.max() - changed.min()) == pytest.approx(0.25, abs=1e-4)


def test_blur_keeps_the_mean_and_smooths() -> None:
    images = disc(2)
    changed, moved = apply(still(2, blur=2.0), images, images)
    assert float(changed.mean()) == pytest.approx(float(images.mean()), rel=1e-3)
    assert float(changed.max()) <= 1
    assert float(changed.diff(dim=3).abs().max()) < 0.5
    assert torch.equal(moved, images)


def test_places_are_those_of_affine_grid() -> None:
    change = draw(load_recipe("compact").augmentation, 3, torch.Generator().manual_seed(2))
    theirs = torch.nn.functional.affine_grid(
        augmentation._matrix(change), [3, 1, 24, 40], align_corners=False
    )
    torch.testing.assert_close(
        augmentation._sampling_grid(augmentation._matrix(change), torch.rand(3, 1, 24, 40)), theirs
    )


def test_blur_is_a_gaussian_of_each_images_own_width() -> None:
    images, deviations = torch.rand(3, 1, 20, 30), [0.0, 0.6, 1.7]
    blurred = augmentation._blur(images, torch.tensor(deviations))
    assert torch.equal(blurred[0], images[0])
    for image, mine, deviation in zip(images[1:, 0], blurred[1:, 0], deviations[1:], strict=True):
        theirs = gaussian_filter(image.numpy(), deviation, mode="constant", radius=int(3 * deviation))
        torch.testing.assert_close(mine, torch.from_numpy(theirs), atol=1e-6, rtol=0)


@pytest.mark.parametrize("shape", [(64, 64), (63, 50)])
def test_speckle_multiplies_by_noise_of_its_own_spread(shape: tuple[int, int]) -> None:
    plain, deviation = torch.ones(60, 1, *shape), torch.full((60, 1, 1, 1), 0.1)
    noise = (speckled(plain, deviation, torch.arange(60).double()) - 1) / 0.1
    assert float(noise.mean()) == pytest.approx(0, abs=0.02)
    assert float(noise.std()) == pytest.approx(1, abs=0.02)
    # As wide at the borders as inside, and no two images equal.
    assert float(noise[..., [0, -1]].std()) == pytest.approx(1, abs=0.05)
    assert len({float(pattern.sum()) for pattern in noise}) == 60
    assert torch.equal(speckled(plain * 0, deviation, torch.arange(60).double()), plain * 0)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), n=st.integers(1, 5))
def test_a_draw_replays_and_does_not_depend_on_its_batch(seed: int, n: int) -> None:
    options = load_recipe("compact").augmentation
    images, masks = torch.rand(n, 1, 32, 32), disc(n, 32, 16, 16, 7)
    change = draw(options, n, torch.Generator().manual_seed(seed))
    changed, moved = apply(change, images, masks)
    again = draw(options, n, torch.Generator().manual_seed(seed))
    for mine, theirs in zip(vars(change).values(), vars(again).values(), strict=True):
        assert torch.equal(mine, theirs)
    # A share of the batch, as another process takes it, comes out the same.
    own, own_masks = apply(change[slice(0, None, 2)], images[::2], masks[::2])
    torch.testing.assert_close(own, changed[::2], atol=1e-5, rtol=1e-5)
    assert torch.equal(own_masks, moved[::2])
    assert changed.shape == images.shape
    assert float(changed.min()) >= 0
    assert float(changed.max()) <= 1
    assert set(moved.unique().tolist()) <= {0.0, 1.0}


def test_draws_stay_in_their_ranges() -> None:
    o = load_recipe("compact").augmentation
    change = draw(o, 2000, torch.Generator().manual_seed(1))
    assert float((change.flip < 0).float().mean()) == pytest.approx(o.flip, abs=0.05)
    assert float(change.angle.abs().max()) <= math.radians(o.rotate)
    assert 1 / (1 + o.scale) <= float(change.scale.min()) < float(change.scale.max()) <= 1 + o.scale
    assert float(change.shift_x.abs().max()) <= o.shift
    assert float(change.blur.max()) <= o.blur


def test_gain_lights_the_depths_and_dims_the_near_field() -> None:
    images, masks = torch.full((1, 1, 64, 64), 0.3), torch.zeros(1, 1, 64, 64)
    bright, _ = apply(still(1, gain_down=0.4), images, masks)
    rows = bright[0, 0].mean(1)
    assert bool((rows.diff() > 0).all())
    assert float(rows[-1] / rows[0]) == pytest.approx(math.exp(2 * 0.4 * 63 / 64), rel=1e-3)
    assert float(bright[0, 0].mean(0).diff().abs().max()) < 1e-5


def test_gain_across_leans_to_one_side_and_none_is_none() -> None:
    images, masks = torch.full((2, 1, 32, 48), 0.3), torch.zeros(2, 1, 32, 48)
    changed, _ = apply(still(2, gain_down=1e-6, gain_across=0.2), images, masks)
    assert bool((changed[0, 0].mean(0).diff() > 0).all())
    draws = draw(AugmentationOptions(gain=0.5), 500, torch.Generator().manual_seed(1))
    assert float(draws.gain_down.abs().max()) <= math.log(1.5) + 1e-6
    assert float(draws.gain_across.abs().max()) <= math.log(1.5) / 2 + 1e-6
    assert float(draws.gain_down.std()) > 0.1
    assert not draw(NOTHING, 5, torch.Generator()).gain_down.any()
