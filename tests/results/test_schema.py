"""The published schema of results.json matches the code and the output."""

from __future__ import annotations

import copy
import io
import json
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest

from sonoseg.dicom.reading.acquisition import Acquisition
from sonoseg.image.calibration import Spacing
from sonoseg.results.entries import RefusedFile, RunInfo
from sonoseg.results.schema import DIALECT, ID, PATH, results_schema, schema_text
from sonoseg.results.tables import write_json


@pytest.fixture
def written(about: RunInfo, make: SimpleNamespace) -> dict[str, Any]:
    """What results.json holds of a lesion in mm, none, one of a clip in pixels, and a refusal."""
    entries = [
        make.entry("two", (5, 5, 10, 20), (30, 40, 20, 30), spacing=Spacing(0.1, 0.2)),
        make.entry("none"),
        make.entry("clip", (0, 0, 6, 6), frame=12, acquisition=Acquisition("1", laterality="left")),
    ]
    text = io.StringIO()
    write_json(text, make.results(about, entries, [RefusedFile("bad.png", "empty")], frozenset({"two"})))
    value: dict[str, Any] = json.loads(text.getvalue())
    return value


@pytest.fixture(scope="module")
def checker() -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(results_schema())
    return jsonschema.Draft202012Validator(json.loads(PATH.read_text("utf-8")))


def test_file_matches_code() -> None:
    message = "make it again with: python -m sonoseg.results.schema"
    assert PATH.read_text("utf-8") == schema_text(), message
    assert results_schema()["$schema"] == DIALECT
    assert results_schema()["$id"] == ID


def test_output_is_valid(written: dict[str, Any], checker: jsonschema.Draft202012Validator) -> None:
    assert [error.message for error in checker.iter_errors(written)] == []


@pytest.mark.parametrize(
    "place",
    [
        (),
        ("model",),
        ("images", 0),
        ("images", 0, "lesions", 0),
        ("images", 0, "lesions", 0, "box"),
        ("images", 2, "acquisition"),
    ],
)
def test_every_key_is_required_and_no_other_allowed(
    place: tuple[str | int, ...], written: dict[str, Any], checker: jsonschema.Draft202012Validator
) -> None:
    def at(value: Any) -> dict[str, Any]:
        for key in place:
            value = value[key]
        return value  # type: ignore[no-any-return]

    for key in at(written):
        changed = copy.deepcopy(written)
        del at(changed)[key]
        assert not checker.is_valid(changed), f"without {key}"
    changed = copy.deepcopy(written)
    at(changed)["unheard_of"] = 1
    assert not checker.is_valid(changed)


def test_values_out_of_range_are_refused(
    written: dict[str, Any], checker: jsonschema.Draft202012Validator
) -> None:
    lesion = ("images", 0, "lesions", 0)
    for path, value in [
        ((*lesion, "mean_probability"), 1.5),
        ((*lesion, "unit"), "cm"),
        ((*lesion, "orientation"), "oblique"),
        ((*lesion, "angle"), 91),
        ((*lesion, "depth"), -0.1),
        (("images", 2, "acquisition", "laterality"), "L"),
        (("images", 2, "acquisition", "acquisition_date"), "20240131"),
        ((*lesion, "centroid"), [1.0]),
        (("images", 0, "spacing"), [0.0, 0.1]),
        (("images", 0, "height"), 0),
        (("format",), "sonoseg-results/3"),
        (("threshold",), 1.0),
    ]:
        changed = copy.deepcopy(written)
        at: Any = changed
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value
        assert not checker.is_valid(changed), path


def test_objects_have_descriptions() -> None:
    schema = results_schema()
    assert all("description" in part for part in schema["$defs"].values() if part["type"] == "object")
    assert "mm" in json.dumps(schema["$defs"]["LesionResult"]["properties"]["unit"])
