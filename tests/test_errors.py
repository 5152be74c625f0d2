"""The form of an error, and its way through a process pool."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

import sonoseg
from sonoseg import errors
from sonoseg.errors import BatchError, InputError, SonosegError

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SonosegError)]


def test_the_rendered_text_is_where_what_and_remedy() -> None:
    full = InputError("pixel data is truncated", where=Path("a.dcm"), remedy="Export the file again")
    assert str(full) == "a.dcm: pixel data is truncated. Export the file again."
    assert str(InputError("pixel data is truncated")) == "pixel data is truncated."


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_survives_pickling(kind: type[SonosegError]) -> None:
    again = pickle.loads(pickle.dumps(kind("wrong", where="a.png", remedy="Do this")))
    assert type(again) is kind
    assert (again.found, again.where, again.remedy) == ("wrong", "a.png", "Do this")
    assert str(again) == "a.png: wrong. Do this."


def test_exit_codes() -> None:
    others = {kind for kind in KINDS if kind.exit_code == 1}
    assert BatchError.exit_code == 3
    assert {kind.__name__ for kind in set(KINDS) - others} == {
        *("UsageError", "RecipeError", "PlanError", "MissingExtra", "BatchError"),
    }


def test_the_public_names_are_listed() -> None:
    assert set(sonoseg.__all__) <= set(dir(sonoseg))
    assert all(getattr(sonoseg, name) is not None for name in sonoseg.__all__)
