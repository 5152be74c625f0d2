"""The optimiser of a recipe, and its learning rate from epoch to epoch."""

from __future__ import annotations

import pytest
import torch

from sonoseg.networks import build
from sonoseg.training.optimiser import make_optimiser, set_learning_rate
from sonoseg.training.recipe import Recipe, load_recipe


def quick(*changes: str) -> Recipe:
    return load_recipe("quick", changes)


def test_rate_warms_up_and_falls() -> None:
    schedule = ("optimiser.warmup_epochs=2", "optimiser.schedule=cosine", "optimiser.rate=0.1")
    recipe = quick("epochs=10", *schedule)
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1)
    rates = [set_learning_rate(optimiser, recipe, epoch) for epoch in (0, 1, 2, 6, 10)]
    assert rates[0] < rates[1] < rates[2] == pytest.approx(0.1)
    assert rates[3] == pytest.approx(0.05)
    assert rates[4] == pytest.approx(0)
    assert optimiser.param_groups[0]["lr"] == rates[-1]
    assert set_learning_rate(optimiser, quick("optimiser.schedule=constant", "optimiser.rate=0.2"), 1) == 0.2


@pytest.mark.parametrize(("kind", "name"), [("adam", "Adam"), ("adamw", "AdamW"), ("sgd", "SGD")])
def test_optimisers(kind: str, name: str) -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    optimiser = make_optimiser(network, quick(f"optimiser.kind={kind}").optimiser)
    assert type(optimiser).__name__ == name
    assert [group["weight_decay"] for group in optimiser.param_groups] == [0.01, 0.0]
    assert sum(len(group["params"]) for group in optimiser.param_groups) == 4


def test_the_encoder_may_learn_at_another_rate() -> None:
    network = build("quick")
    recipe = quick("optimiser.rate=0.1", "optimiser.encoder_rate=0.5", "optimiser.weight_decay=0.01")
    optimiser = make_optimiser(network, recipe.optimiser)
    assert set_learning_rate(optimiser, recipe, 0) == 0.1
    rates = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
    decays = {id(p): group["weight_decay"] for group in optimiser.param_groups for p in group["params"]}
    assert len(rates) == len(list(network.parameters()))
    for name, parameter in network.named_parameters():
        of_encoder = name.startswith(("stem.", "encoder.", "bottleneck."))
        assert rates[id(parameter)] == (0.05 if of_encoder else 0.1), name
        assert decays[id(parameter)] == (0.01 if parameter.ndim > 1 else 0.0), name


def test_a_checkpoint_without_shares_goes_on() -> None:
    """One of before the encoder had a rate of its own."""
    recipe = quick("optimiser.rate=0.2", "optimiser.schedule=constant")
    optimiser = make_optimiser(build("quick"), recipe.optimiser)
    state = optimiser.state_dict()
    for group in state["param_groups"]:
        del group["share"]
    optimiser.load_state_dict(state)
    assert set_learning_rate(optimiser, recipe, 0) == 0.2
