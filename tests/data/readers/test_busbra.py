"""BUS-BRA: patients, official folds, any image ending."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from sonoseg.data.readers import read_source
from sonoseg.errors import DatasetError


def test_patients_labels_and_folds(busbra: Path) -> None:
    source = read_source(busbra.parent)
    assert len(source.records) == 7
    left, right = source.records[:2]
    assert (left.id, right.id) == ("bus-bra/bus_0001-l", "bus-bra/bus_0001-r")
    assert left.group == right.group == "bus-bra:1"
    assert (left.patient, left.label, left.folds, left.duplicates) == ("1", "malignant", {5: 2}, "")
    assert left.masks[0].name == "mask_0001-l.png"


def test_an_image_without_a_row(busbra: Path) -> None:
    image = busbra / "Images" / "bus_0002-s.jpg"
    image.rename(image.with_name("bus_0999-s.jpg"))
    with pytest.raises(DatasetError, match=r"bus_data\.csv: no row for the image bus_0999-s\.jpg"):
        read_source(busbra)


def test_a_missing_column(busbra: Path) -> None:
    (busbra / "bus_data.csv").write_text("ID,Case\nbus_0001-l,1\n")
    with pytest.raises(DatasetError, match="no column 'pathology'"):
        read_source(busbra)


@pytest.mark.real
def test_published_counts_and_folds(real_busbra: Path) -> None:
    records = read_source(real_busbra).records
    assert len(records) == 1875
    assert all(len(r.masks) == 1 for r in records)
    assert len({r.patient for r in records}) == 1064
    assert sum(r.label == "malignant" for r in records) == 607
    for count in (5, 10):
        folds = defaultdict(set)
        for record in records:
            folds[record.patient].add(record.folds[count])
        assert all(len(own) == 1 for own in folds.values()), "a patient crosses the official folds"
        assert {fold for own in folds.values() for fold in own} == set(range(1, count + 1))
