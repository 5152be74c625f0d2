"""The scoring policy, literally: a changed constant changes what every published figure means."""

from __future__ import annotations

from sonoseg.metrics import constants


def test_the_policy() -> None:
    assert {name: value for name, value in vars(constants).items() if name.isupper()} == {
        "MISSED_DICE": 0.1,
        "HIT_DICE": 0.1,
        "FALSE_POSITIVE_SHARE": 0.001,
        "SPECK_SHARE": 0.0001,
        "CALIBRATION_BINS": 15,
    }
