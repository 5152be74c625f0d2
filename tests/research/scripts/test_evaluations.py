"""Tables of stored evaluations: a comparison is of the two that are named, seeds are averaged per image."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def tables(research_script: Callable[[str], ModuleType]) -> ModuleType:
    return research_script("page_tables.evaluations")


@pytest.mark.process
def test_a_comparison_is_of_the_two_that_are_named(tables: ModuleType) -> None:
    # An evaluation's own comparison, with whatever it was compared when it was made, must not stand here.
    one, other = (tables.evaluation_of(name) for name in ("sonoseg-busi", "compact-busi"))
    text = tables.comparison_table("sonoseg-busi", "compact-busi")
    shared = one.rows.merge(other.rows, on="id")
    lesions = shared[shared["lesion_area_px_x"] > 0]
    mean = (lesions["dice_x"] - lesions["dice_y"]).mean()
    assert f"| Dice, all lesions | {mean:.3f} [" in text
    assert tables.comparison_table("sonoseg-busi", "sonoseg-busi").count("| 0.000 [0.000, 0.000]") == 2


def test_seeds_are_averaged_image_by_image(tables: ModuleType) -> None:
    names = ["sonoseg-busi", "compact-busi"]
    both = [tables.evaluation_of(name).rows for name in names]
    lines = tables.seeds_table(*names).splitlines()
    each = [rows[rows["kind"] == "lesion"]["dice"].mean() for rows in both]
    dice = next(line for line in lines if line.startswith("| Dice |"))
    assert f"| {sum(each) / 2:.3f} [" in dice
    assert dice.endswith(f"| {each[0]:.3f} | {each[1]:.3f} |")
    assert sum("n = 15 |" in line for line in lines) == 1  # the normals
