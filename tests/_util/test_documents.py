"""JSON and YAML from strangers: values, or a ValueError, within bounds."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sonoseg._util.documents import MAX_DEPTH, parse_json, parse_yaml

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(VALUES)
def test_values_come_back(value: object) -> None:
    assert parse_json(json.dumps(value)) == value
    assert parse_yaml(yaml.safe_dump(value)) == value


@pytest.mark.parametrize("parse", [parse_json, parse_yaml])
@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_a_depth_beyond_the_interpreter_is_a_value_error(parse: object, opening: str) -> None:
    with pytest.raises(ValueError, match="more than 64 levels deep"):
        parse(opening * 200_000)  # type: ignore[operator]


@pytest.mark.parametrize("parse", [parse_json, parse_yaml])
def test_the_bound_of_the_depth(parse: object) -> None:
    assert parse("[" * MAX_DEPTH + "]" * MAX_DEPTH)  # type: ignore[operator]
    with pytest.raises(ValueError, match="levels deep"):
        parse("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))  # type: ignore[operator]


@pytest.mark.parametrize(
    "text",
    [
        "&a [*a]",
        "!!timestamp x",
        "!!int ''",
        "!!bool x",
        "!!binary aGk=",
        "!!set {a}",
        "2024-13-45",
        "!!python/object/apply:os.system [true]",
        '"\\ud800"',
        "{",
        "\x00",
    ],
)
def test_what_yaml_stumbles_over_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # PyYAML's own words differ
        parse_yaml(text)


def test_aliases_do_not_multiply(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sonoseg._util.documents.MAX_VALUES", 10_000)
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20))]
    with pytest.raises(ValueError, match=r"more than 10,000 values"):
        parse_yaml("\n".join(lines))


@pytest.mark.parametrize("text", ['"\\ud800"', '{"\\udfff": 1}', "", "nul", b"\xff"])
def test_what_json_stumbles_over_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse_json(text)
