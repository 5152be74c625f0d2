"""docs/threat-model.md names the limits that the code has by default."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "threat-model.md"
ROW = re.compile(r"^\| (node|server|files) \| `(\w+)`: .+? \| ([\d.]+) \|$", re.MULTILINE)


def documented() -> dict[str, dict[str, float]]:
    """The page's limits by part and name."""
    found: dict[str, dict[str, float]] = {}
    for part, name, value in ROW.findall(PAGE.read_text("utf-8")):
        found.setdefault(part, {})[name] = float(value)
    return found


def test_limits_of_the_node() -> None:
    pytest.importorskip("pynetdicom")
    from sonoseg.pacs.node_settings import NodeLimits
    from sonoseg.pacs.transport import MAX_ASSOCIATE

    assert documented()["node"] == NodeLimits().model_dump() | {"MAX_ASSOCIATE": MAX_ASSOCIATE}


def test_limits_of_the_server() -> None:
    pytest.importorskip("uvicorn")
    from dataclasses import asdict

    from sonoseg.review.connection_limits import ConnectionLimits
    from sonoseg.review.file_inspection import MAX_INFLATION
    from sonoseg.review.form_upload import MAX_FIELD, MAX_FIELDS
    from sonoseg.review.settings import ServerLimits

    single = {"MAX_FIELDS": MAX_FIELDS, "MAX_FIELD": MAX_FIELD, "MAX_INFLATION": MAX_INFLATION}
    assert documented()["server"] == ServerLimits().model_dump() | asdict(ConnectionLimits()) | single


def test_limits_of_files() -> None:
    pytest.importorskip("pydicom")
    from sonoseg._util.documents import MAX_DEPTH, MAX_VALUES
    from sonoseg.dicom.reading.fragments import MAX_FRAGMENTS
    from sonoseg.dicom.reading.header import MAX_INFLATED
    from sonoseg.image.size_limits import MAX_PIXELS

    assert documented()["files"] == {
        "MAX_PIXELS": MAX_PIXELS,
        "MAX_INFLATED": MAX_INFLATED,
        "MAX_FRAGMENTS": MAX_FRAGMENTS,
        "MAX_DEPTH": MAX_DEPTH,
        "MAX_VALUES": MAX_VALUES,
    }
