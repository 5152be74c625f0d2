"""Fifteen images that stand for a set."""

from __future__ import annotations

import pandas as pd

from sonoseg.data.sampling import sample

TABLE = pd.DataFrame(
    {
        "label": ["benign"] * 40 + ["malignant"] * 15 + ["normal"] * 5,
        "group": [f"g{number // 2}" for number in range(60)],
    },
    index=[f"s/{number}" for number in range(60)],
)


def test_every_class_and_no_group_twice() -> None:
    drawn = sample(TABLE, 15)
    assert len(set(drawn)) == 15
    rows = TABLE.loc[drawn]
    assert rows["group"].is_unique
    assert min(rows["label"].value_counts()) >= 2
    assert set(rows["label"]) == {"benign", "malignant", "normal"}


def test_the_seed_decides() -> None:
    assert sample(TABLE, 15, 1) == sample(TABLE, 15, 1) != sample(TABLE, 15, 2)


def test_fewer_groups_than_asked_for() -> None:
    assert len(sample(TABLE, 100)) == TABLE["group"].nunique()
