"""Losses: against their formulas and against MONAI."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sonoseg.networks.attention_unet import Outputs
from sonoseg.training.losses import LOSSES, bce, dice_bce, focal_tversky, image_losses
from sonoseg.training.recipe import LossOptions


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(4, 1, 16, 16), (torch.rand(4, 1, 16, 16) > 0.8).float()


@pytest.mark.process
def test_dice_agrees_with_monai(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    from monai.losses import DiceLoss

    logit, target = batch
    peer = DiceLoss(sigmoid=True, smooth_nr=1.0, smooth_dr=1.0, reduction="none")(logit, target)
    torch.testing.assert_close(dice_bce(logit, target) - bce(logit, target), peer.flatten())


def test_tversky_agrees_with_monai(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    from monai.losses import TverskyLoss

    logit, target = batch
    peer = TverskyLoss(sigmoid=True, alpha=0.3, beta=0.7, smooth_nr=1.0, smooth_dr=1.0, reduction="none")
    torch.testing.assert_close(focal_tversky(logit, target), peer(logit, target).flatten() ** 0.75)


@pytest.mark.parametrize("kind", list(LOSSES))
def test_better_is_smaller_and_gradients_are_finite(kind: str) -> None:
    target = torch.zeros(1, 1, 8, 8)
    target[..., :4] = 1
    right, wrong = (20 * (target - 0.5)).requires_grad_(), -20 * (target - 0.5)
    loss = LOSSES[kind](right, target)
    assert float(loss) < 0.05 < float(LOSSES[kind](wrong, target))
    loss.sum().backward()
    assert right.grad is not None
    assert bool(torch.isfinite(right.grad).all())


@pytest.mark.parametrize("kind", list(LOSSES))
def test_an_empty_mask_asks_for_an_empty_answer(kind: str) -> None:
    empty = torch.zeros(1, 1, 16, 16)
    assert float(LOSSES[kind](empty - 12, empty)) < 0.1 < float(LOSSES[kind](empty + 3, empty))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), kind=st.sampled_from(list(LOSSES)))
def test_a_images_loss_is_its_own(seed: int, kind: str) -> None:
    generator = torch.Generator().manual_seed(seed)
    logit = torch.randn(3, 1, 8, 8, generator=generator)
    target = (torch.rand(3, 1, 8, 8, generator=generator) > 0.7).float()
    together = LOSSES[kind](logit, target)
    alone = torch.cat([LOSSES[kind](logit[i : i + 1], target[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone)
    assert bool((together >= 0).all())


def test_deep_supervision_weighs_and_sums_to_one(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    logit, target = batch
    options = LossOptions(kind="bce", sides=0.5)
    alone = image_losses(Outputs(logit, [], []), target, options)
    torch.testing.assert_close(alone, bce(logit, target))
    side = torch.randn(4, 1, 8, 8)
    small = torch.nn.functional.avg_pool2d(target, 2)
    both = image_losses(Outputs(logit, [side], []), target, options)
    torch.testing.assert_close(both, (bce(logit, target) + 0.5 * bce(side, small)) / 1.5)


def test_images_without_a_lesion_weigh_as_asked(batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    logit, target = batch
    target = target.clone()
    target[1:3] = 0
    whole = image_losses(Outputs(logit, [logit], []), target, LossOptions())
    for weight in (0.0, 0.2):
        weighed = image_losses(Outputs(logit, [logit], []), target, LossOptions(normals=weight))
        torch.testing.assert_close(weighed, whole * torch.tensor([1, weight, weight, 1]))


def test_the_presence_head_hears_of_normals_whatever_the_mask_does() -> None:
    empty, presence = torch.zeros(2, 1, 8, 8), torch.zeros(2, requires_grad=True)
    options = LossOptions(normals=0, presence=0.25)
    loss = image_losses(Outputs(empty, [], [], presence), empty, options)
    torch.testing.assert_close(loss, torch.full((2,), 0.25 * float(torch.log(torch.tensor(2.0)))))
    loss.sum().backward()
    assert presence.grad is not None
    assert bool((presence.grad > 0).all())
