"""Pydantic's errors in our form."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import Field, ValidationError, field_validator

from sonoseg._util.validation import StrictModel, clause, describe, suggestion


class _Inner(StrictModel):
    rate: Annotated[float, Field(gt=0)] = 1.0


class _Outer(StrictModel):
    name: str
    inner: _Inner | None = None
    many: list[_Inner] = Field(default_factory=list)
    title: str = "x"

    @field_validator("title")
    @classmethod
    def _short(cls, title: str) -> str:
        if len(title) > 3:
            raise ValueError("AE titles are short")
        return title


@pytest.mark.parametrize(
    ("values", "problem", "remedy"),
    [
        ({"nam": "a", "name": "b"}, "unknown key 'nam'", "Did you mean 'name'"),
        ({"name": "a", "inner": {"rat": 1}}, "unknown key 'inner.rat'", "Did you mean 'rate'"),
        ({"name": "a", "many": [{"zzz": 1}]}, "unknown key 'many.0.zzz'", "Use one of: rate"),
        ({}, "'name': field required", None),
        ({"name": "a", "inner": {"rate": -1}}, "'inner.rate': input should be greater than 0, got -1", None),
        ({"name": "a", "title": "long"}, "'title': AE titles are short", None),
    ],
)
def test_the_first_error(values: dict[str, Any], problem: str, remedy: str | None) -> None:
    with pytest.raises(ValidationError) as caught:
        _Outer.model_validate(values)
    invalid = describe(caught.value, _Outer)
    assert (invalid.problem, invalid.remedy) == (problem, remedy)


def test_a_strict_model_does_not_change() -> None:
    with pytest.raises(ValidationError):
        _Inner().rate = 2.0  # type: ignore[misc]


def test_clause_and_suggestion() -> None:
    assert clause({"msg": "Value error, Not this. \nmore"}) == "not this"
    assert clause({"msg": ""}) == "refused"
    assert suggestion("sed", ["seed", "unet"]) == "Did you mean 'seed'"
    assert suggestion("q", ["seed", "unet"]) == "Use one of: seed, unet"
