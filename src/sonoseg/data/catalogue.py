"""The catalogue of public data sets: description, licence, published counts, layout and downloads."""

from __future__ import annotations

from dataclasses import dataclass

from sonoseg.errors import UsageError


@dataclass(frozen=True)
class Download:
    """One file to download.

    sha256: of the published file, None where nobody publishes one: then the content is checked against
        the published counts, and the checksum found is printed.
    size: in bytes, None where unknown.
    """

    url: str
    name: str
    sha256: str | None = None
    size: int | None = None


@dataclass(frozen=True)
class CatalogueEntry:
    """One public set.

    counts: as published: images, masks (files, where known), patients (where known) and images by class.
    layout: what the unpacked archive looks like.
    downloads: what `sonoseg data get` fetches. by_hand: what to do where that fails.
    """

    name: str
    title: str
    citation: str
    licence: str
    home: str
    counts: dict[str, int]
    layout: str
    downloads: tuple[Download, ...]
    by_hand: str
    remarks: str = ""

    @property
    def by_hand_command(self) -> str:
        """The command for archives brought by hand."""
        return f"sonoseg data get {self.name}" + "".join(f" --from {item.name}" for item in self.downloads)


CATALOGUE: dict[str, CatalogueEntry] = {
    "busi": CatalogueEntry(
        name="busi",
        title="BUSI: Dataset of breast ultrasound images",
        citation="Al-Dhabyani W, Gomaa M, Khaled H, Fahmy A. Dataset of breast ultrasound images. "
        "Data in Brief 28 (2020) 104863. doi:10.1016/j.dib.2019.104863",
        licence="none stated by the authors' copy (mirrors say CC0 or CC BY 4.0); cite the paper",
        home="https://scholar.cu.edu.eg/?q=afahmy/pages/dataset",
        counts={"images": 780, "masks": 798, "benign": 437, "malignant": 210, "normal": 133},
        layout="benign/, malignant/, normal/ with 'benign (1).png', 'benign (1)_mask.png', "
        "'benign (4)_mask_1.png'",
        downloads=(Download("https://scholar.cu.edu.eg/Dataset_BUSI.zip", "Dataset_BUSI.zip"),),
        by_hand="Open the home page in a browser and save Dataset_BUSI.zip",
        remarks="No patient ids; 346 images in 153 groups of duplicates, 96 objections and 235 images with "
        "drawn marks are listed by Pawlowska et al., Data in Brief 48 (2023) 109247.",
    ),
    "bus-bra": CatalogueEntry(
        name="bus-bra",
        title="BUS-BRA: breast ultrasound with patients, BI-RADS and official folds",
        citation="Gomez-Flores W, Gregorio-Calas MJ, Coelho de Albuquerque Pereira W. BUS-BRA: A breast "
        "ultrasound dataset for assessing computer-aided diagnosis systems. Medical Physics 51 (2024) "
        "3110-3123. doi:10.1002/mp.16812",
        licence="free for any use, with citation (LICENSE.txt of the archive; Zenodo says CC BY 4.0)",
        home="https://doi.org/10.5281/zenodo.8231412",
        counts={"images": 1875, "masks": 1875, "patients": 1064, "benign": 1268, "malignant": 607},
        layout="Images/bus_0001-l.png, Masks/mask_0001-l.png, bus_data.csv, 5-fold-cv.csv, 10-fold-cv.csv",
        downloads=(
            Download(
                "https://zenodo.org/records/8231412/files/BUSBRA.zip?download=1",
                "BUSBRA.zip",
                "ba3e6ed19cc37c682d8d39e25435bbf8a555a12cb7e641b5f2117685c95580ff",
                133_917_740,
            ),
        ),
        by_hand="Open the home page in a browser and save BUSBRA.zip",
        remarks="The CSV's height is wrong for four images and one BBOX is; neither is used.",
    ),
    "bus-uclm": CatalogueEntry(
        name="bus-uclm",
        title="BUS-UCLM: breast ultrasound lesion segmentation dataset",
        citation="Vallez N, Bueno G, Deniz O, Rienda MA, Pastor C. BUS-UCLM: Breast ultrasound lesion "
        "segmentation dataset. Scientific Data 12 (2025) 242. doi:10.1038/s41597-025-04562-3",
        licence="as its Mendeley page states for your version: users report CC BY 4.0 and CC BY-NC 3.0",
        home="https://data.mendeley.com/datasets/7fvgj4jsp7",
        counts={"images": 683, "masks": 683, "benign": 174, "malignant": 90, "normal": 419},
        layout="images/ALWI_000.png, masks/ALWI_000.png (green benign, red malignant), INFO.csv",
        downloads=(
            Download(
                "https://prod-dcd-datasets-cache-zipfiles.s3.eu-west-1.amazonaws.com/7fvgj4jsp7-1.zip",
                "7fvgj4jsp7-1.zip",
            ),
        ),
        by_hand="Open the home page in a browser, press 'Download All' and save the ZIP file",
        remarks="CHCO and CHVI are one patient. Some images of HESN have another size than their masks, and "
        "are left out.",
    ),
    "breast": CatalogueEntry(
        name="breast",
        title="BrEaST-Lesions_USG: curated benchmark with spacing",
        citation="Pawlowska A, Cwierz-Pienkowska A, Domalik A, et al. Curated benchmark dataset for "
        "ultrasound based breast lesion analysis. Scientific Data 11 (2024) 148. "
        "doi:10.1038/s41597-024-02984-z; data doi:10.7937/9WKK-Q141",
        licence="CC BY 4.0",
        home="https://www.cancerimagingarchive.net/collection/breast-lesions-usg/",
        counts={"images": 256, "patients": 256, "benign": 154, "malignant": 98, "normal": 4},
        layout="case001.png, case001_tumor.png, case001_other1.png, *clinical*.xlsx (or the same as .csv)",
        downloads=(
            Download(
                "https://www.cancerimagingarchive.net/wp-content/uploads/"
                "BrEaST-Lesions_USG-images_and_masks-Dec-15-2023.zip",
                "BrEaST-Lesions_USG-images_and_masks-Dec-15-2023.zip",
            ),
            Download(
                "https://www.cancerimagingarchive.net/wp-content/uploads/"
                "BrEaST-Lesions-USG-clinical-data-Dec-15-2023.xlsx",
                "BrEaST-Lesions-USG-clinical-data-Dec-15-2023.xlsx",
                "89a8874496a6f1f93960390b963f7369b90f7e72ee08a738f2d17e37f5eff8bf",
            ),
        ),
        by_hand="Open the home page in a browser and save both the images (ZIP) and the clinical data (XLSX)",
    ),
}


def entry_of(name: str) -> CatalogueEntry:
    """The entry called `name`. Raises UsageError, with the names there are."""
    if name not in CATALOGUE:
        raise UsageError(f"no public set is called '{name}'", remedy=f"Choose one of: {', '.join(CATALOGUE)}")
    return CATALOGUE[name]
