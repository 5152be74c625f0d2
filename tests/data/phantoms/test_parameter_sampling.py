"""Drawing the parameters of a phantom: wishes kept, wishes that cannot be kept, replay."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sonoseg.data.phantoms import KINDS, PhantomSpec, draw_spec
from sonoseg.data.phantoms.outline import Outline
from sonoseg.errors import UsageError


def test_wishes_are_kept() -> None:
    spec = draw_spec(
        3,
        kind="oval",
        size_mm=7.0,
        depth_mm=12.0,
        spacing=(0.1, 0.12),
        shape=(300, 320),
        style="soft",
        marks=True,
    )
    assert spec.lesion is not None
    assert (spec.kind, spec.lesion.size_mm, spec.lesion.depth_mm) == ("oval", 7.0, 12.0)
    assert (spec.spacing, spec.shape, spec.display.style, spec.marks) == (
        (0.1, 0.12),
        (300, 320),
        "soft",
        True,
    )


def test_a_wish_leaves_what_else_is_drawn() -> None:
    plain, marked = draw_spec(9, kind="cyst"), draw_spec(9, kind="cyst", marks=True)
    assert replace(marked, marks=False) == plain


def test_every_kind_is_drawn() -> None:
    drawn = [draw_spec(seed).kind for seed in range(60)]
    assert set(drawn) == set(KINDS)


def test_a_wished_size_draws_no_normals() -> None:
    drawn = [draw_spec(seed, size_mm=6.0) for seed in range(40)]
    assert {spec.kind for spec in drawn} == {"cyst", "oval", "spiculated"}
    assert {spec.size_mm for spec in drawn} == {6.0}


def test_a_generator_gives_the_seed() -> None:
    rng = np.random.default_rng(1)
    first, second = draw_spec(rng), draw_spec(rng)
    assert first.seed != second.seed
    assert draw_spec(first.seed) == first


def test_a_spec_goes_through_json() -> None:
    for seed in range(8):
        spec = draw_spec(seed)
        assert PhantomSpec.from_dict(json.loads(json.dumps(spec.as_dict()))) == spec


@pytest.mark.parametrize("change", [{"lesion": {"size": 3}}, {"colour": 1}, {"spacing": 3}])
def test_other_values_are_no_spec(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="as_dict"):
        PhantomSpec.from_dict({**draw_spec(1, kind="cyst").as_dict(), **change})


def test_a_drawn_lesion_always_fits() -> None:
    for seed in range(30):
        spec = draw_spec(seed, kind="spiculated", shape=(100, 100), spacing=0.11)
        outline = spec.outline()
        assert outline is not None
        assert (outline.points > 0.9).all()
        assert (outline.points < np.multiply(spec.inner, 0.11) - 0.9).all()


@pytest.mark.process
def test_an_opened_outline_loses_tips_and_keeps_discs() -> None:
    disc = Outline(np.full(720, 5.0), (10.0, 12.0))
    kept = disc.opened(0.5) - disc.centre
    assert np.hypot(*kept.T).max() == pytest.approx(5, abs=0.1)
    assert np.ptp(kept, axis=0) == pytest.approx([10, 10], abs=0.2)
    angle = np.arange(720) * (2 * np.pi / 720)
    spike = 3 * np.exp(-np.square(np.angle(np.exp(1j * angle)) / 0.02))  # 0.2 mm wide, to the right
    spiked = Outline(5 + spike, (10.0, 12.0))
    assert spiked.points[:, 1].max() == pytest.approx(20)
    assert spiked.opened(0.5)[:, 1].max() == pytest.approx(17, abs=0.3)
    assert spiked.opened(0.02)[:, 1].max() > 19


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"kind": "cist"}, "cyst, oval, spiculated, normal"),
        ({"style": "pretty"}, "clear, soft, hard, dark"),
        ({"seed": -1}, "0 or more"),
        ({"kind": "cyst", "size_mm": 90.0}, "does not fit"),
        ({"kind": "cyst", "size_mm": 0.0}, "above 0"),
        ({"kind": "cyst", "size_mm": float("nan")}, "above 0"),
        ({"kind": "cyst", "size_mm": 8.0, "depth_mm": 90.0}, "Choose a depth between"),
        ({"kind": "normal", "size_mm": 8.0}, "no lesion"),
        ({"kind": "normal", "depth_mm": 8.0}, "no lesion"),
        ({"spacing": 0.0}, "above 0"),
        ({"spacing": (0.1, float("inf"))}, "above 0"),
        ({"shape": (20, 200)}, "64 px"),
        ({"shape": (200, 200), "spacing": 0.02}, "8 mm"),
    ],
)
def test_wishes_that_do_not_fit_are_explained(wishes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        draw_spec(wishes.pop("seed", 1), **wishes)
