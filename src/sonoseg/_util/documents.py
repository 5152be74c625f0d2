"""Values from JSON and YAML texts that anybody may have written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import Any, Final

MAX_DEPTH: Final = 64
"""Levels of lists and mappings within each other; what sonoseg writes has at most eight."""

MAX_VALUES: Final = 5_000_000
"""Values of a document, repeated YAML aliases counted each time."""


def parse_json(text: str | bytes) -> Any:
    """Parse JSON. Raises ValueError for invalid text, and beyond MAX_DEPTH or MAX_VALUES."""
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise _too_deep() from error
    _check(value)
    return value


def parse_yaml(text: str) -> Any:
    """Parse YAML as JSON's types and dates. Raises ValueError as `parse_json` does, and for other types."""
    import yaml

    try:
        value = yaml.safe_load(text)
    except RecursionError as error:
        raise _too_deep() from error
    except Exception as error:  # for a wrong tag PyYAML raises whatever its constructor meets
        raise ValueError(f"not readable as YAML: {' '.join(str(error).split())}") from error
    _check(value)
    return value


def _check(value: Any) -> None:
    """Raise ValueError beyond the limits, and for what no text in UTF-8 can hold again."""
    count = 0
    stack: list[Iterator[Any]] = [iter([value])]
    while stack:
        for one in stack[-1]:
            count += 1
            if count > MAX_VALUES:
                raise ValueError(f"more than {MAX_VALUES:,} values")
            if isinstance(one, str):
                one.encode()  # half of a surrogate pair raises UnicodeEncodeError, a ValueError
            elif isinstance(one, dict | list):
                if len(stack) > MAX_DEPTH:
                    raise _too_deep()
                stack.append(iter([*one, *one.values()] if isinstance(one, dict) else one))
                break
            elif one is not None and not isinstance(one, int | float | date):
                raise ValueError(f"a value of type {type(one).__name__}, which sonoseg does not use")
        else:
            stack.pop()


def _too_deep() -> ValueError:
    return ValueError(f"lists or mappings more than {MAX_DEPTH} levels deep")
