"""The public sets we read: what each is, whose it is, and how to get it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Entry:
    """One public set.

    counts: as published, by label, with "images" and "masks" and, where known, "patients".
    """

    name: str
    title: str
    citation: str
    licence: str
    home: str
    counts: dict[str, int] = field(default_factory=dict)


CATALOGUE: dict[str, Entry] = {
    "busi": Entry(
        name="busi",
        title="BUSI: Dataset of breast ultrasound images",
        citation="Al-Dhabyani W, Gomaa M, Khaled H, Fahmy A. Dataset of breast ultrasound images. "
        "Data in Brief 28 (2020) 104863. doi:10.1016/j.dib.2019.104863",
        licence="none stated by the authors' copy (mirrors say CC0 or CC BY 4.0); cite the paper",
        home="https://doi.org/10.1016/j.dib.2019.104863",
        counts={"images": 780, "masks": 798, "benign": 437, "malignant": 210, "normal": 133},
    ),
    "bus-bra": Entry(
        name="bus-bra",
        title="BUS-BRA: breast ultrasound with patients, BI-RADS and official folds",
        citation="Gomez-Flores W, Gregorio-Calas MJ, Coelho de Albuquerque Pereira W. BUS-BRA: A breast "
        "ultrasound dataset for assessing computer-aided diagnosis systems. Medical Physics 51 (2024) "
        "3110-3123. doi:10.1002/mp.16812",
        licence="free for any use, with citation (LICENSE.txt of the archive)",
        home="https://doi.org/10.5281/zenodo.8231412",
        counts={"images": 1875, "masks": 1875, "benign": 1268, "malignant": 607, "patients": 1064},
    ),
}
