"""BUS-UCLM: INFO.csv with its mark and semicolons, one patient under two names, images that do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from sonoseg.data.mask_reading import join_masks
from sonoseg.data.readers import read_source
from sonoseg.errors import DatasetError


def test_from_the_archive_folder(busuclm: Path) -> None:
    source = read_source(busuclm.parent.parent)
    assert (source.kind, source.folder) == ("bus-uclm", busuclm)
    by_id = {r.id.split("/")[1]: r for r in source.records}
    assert len(by_id) == 5
    assert by_id["ALWI_000"].label == "normal"
    assert by_id["CHVI_000"].label == "malignant"
    assert by_id["CHVI_000"].marks == "doppler marks"
    assert by_id["CHCO_000"].marks == ""


def test_chco_and_chvi_are_one_patient(busuclm: Path) -> None:
    groups = {r.id.split("/")[1]: r.group for r in read_source(busuclm).records}
    assert groups["CHVI_000"] == groups["CHCO_000"] == "bus-uclm:CHCO"
    assert groups["ALWI_000"] == "bus-uclm:ALWI"


def test_only_images_that_differ_from_their_masks_are_unusable(busuclm: Path) -> None:
    unusable = {r.id.split("/")[1]: r.unusable for r in read_source(busuclm).records}
    assert {name for name, why in unusable.items() if why} == {"HESN_001"}
    assert "42x36" in unusable["HESN_001"]
    assert "48x40" in unusable["HESN_001"]


def test_colours_are_lesions(busuclm: Path) -> None:
    for record in read_source(busuclm).records[:3]:
        mask = join_masks(record.masks, (40, 48))
        assert mask.sum() == (0 if record.label == "normal" else 10 * 12)


def test_an_image_without_a_row(busuclm: Path) -> None:
    (busuclm / "images" / "ALWI_000.png").rename(busuclm / "images" / "NOBO_000.png")
    with pytest.raises(DatasetError, match=r"INFO\.csv: no row for the image NOBO_000\.png"):
        read_source(busuclm)
