"""Checked settings: the strict pydantic model, and pydantic's errors in our form."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError


class StrictModel(BaseModel):
    """A model that refuses unknown keys and numbers that are not finite, and does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class InvalidValue(NamedTuple):
    """The first error of a validation.

    key: the dotted path of the key, "" where the error concerns the whole. problem: a clause that names the
    key. remedy: the nearest known key, or all of them, where the key is unknown; else None.
    """

    key: str
    problem: str
    remedy: str | None


def describe(error: ValidationError, model: type[BaseModel], tags: Collection[str] = ()) -> InvalidValue:
    """Return the first error that pydantic found when it validated `model`.

    tags: of discriminated unions, which pydantic puts among the keys; the user wrote none there.
    """
    first = error.errors()[0]
    location = [part for part in first["loc"] if part not in tags]
    # In a union pydantic adds the alternative that it tried, such as list[int]: no key of the user's.
    key = ".".join(str(part) for part in location if re.fullmatch(r"\w[\w.-]*", str(part)))
    if first["type"] == "extra_forbidden":
        known = list(_section(location[:-1], model).model_fields)
        tagged = len(location) < len(first["loc"])  # which of the union's models, and so its keys, is open
        remedy = None if tagged else suggestion(str(location[-1]), known)
        return InvalidValue(key, f"unknown key '{key}'", remedy)
    message = clause(first)
    if first["type"] not in {"missing", "value_error"}:
        message += f", got {first['input']!r}"
    return InvalidValue(key, f"'{key}': {message}" if key else message, None)


def clause(first: Mapping[str, Any]) -> str:
    """Return the message of one of pydantic's errors as a clause: no capital, no full stop."""
    lines = str(first["msg"]).removeprefix("Value error, ").strip().splitlines() or ["refused"]
    text = lines[0].rstrip(". ")
    # An abbreviation such as AE keeps its capitals.
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def suggestion(word: str, known: Sequence[str]) -> str:
    """Return the remedy for an unknown word: the nearest known one, or all of them."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.4)
    return f"Did you mean '{near[0]}'" if near else f"Use one of: {', '.join(known)}"


def _section(location: Sequence[int | str], model: type[BaseModel]) -> type[BaseModel]:
    """Return the model inside `model` that lies at `location`."""
    for part in location:
        if isinstance(part, str) and part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation) or model
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (list, dict, Annotated, Union, UnionType):
        for part in get_args(annotation):
            found = _model_in(part)
            if found is not None:
                return found
    return None
