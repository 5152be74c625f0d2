"""The codebook: every column of the tables that users get, with its meaning, unit, values and empty cells.

docs/codebook.md is made from it. After a change here, make it again with `python -m sonoseg.results.codebook
docs/codebook.md`; a test compares the two.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from sonoseg import RESEARCH_ONLY
from sonoseg._util.files import atomic_write_text

NEVER = "never"
_WITHOUT_LESION = "no lesion"
_NOT_SAID = "the file does not say, is not DICOM or was refused, or `--anonymise` is set"
_NO_NETWORK = "no lesion, or a mask that no network made"
_NO_TISSUE = "no lesion, too little tissue around it, or no image"
_LENGTH = "`unit`"


@dataclass(frozen=True)
class Column:
    """A column of a table.

    unit: of its figures, "" for text. values: the range or the possible values. empty: when a cell is empty.
    sheet: "lesions" or "images" where only that sheet of a workbook has the column.
    """

    name: str
    meaning: str
    unit: str = ""
    values: str = "text"
    empty: str = NEVER
    sheet: Literal["lesions", "images", ""] = ""


IMAGE = (
    Column("image", "name of the image's results; also that of its files", empty="refused files"),
    Column("file", "the image file, as it was given"),
    Column("frame", "number of the frame in its clip", "", "from 0", "still images"),
)

ACQUISITION = (
    Column("patient_id", "PatientID (0010,0020)", empty=_NOT_SAID),
    Column("study_instance_uid", "the examination: StudyInstanceUID (0020,000D)", "", "UID", _NOT_SAID),
    Column("accession_number", "AccessionNumber (0008,0050)", empty=_NOT_SAID),
    Column(
        "laterality",
        "side of the body: ImageLaterality (0020,0062), FrameLaterality (0020,9072) where all frames agree, "
        "Laterality (0020,0060), or the modifier of the anatomic region (0008,2220)",
        "",
        "left, right, both, unpaired",
        _NOT_SAID,
    ),
    Column(
        "view",
        "meaning of ViewCodeSequence (0054,0220), or ViewPosition (0018,5101); annotations in the pixels are "
        "not read",
        empty=_NOT_SAID,
    ),
    Column(
        "acquisition_date",
        "the first of AcquisitionDateTime (0008,002A), AcquisitionDate (0008,0022), ContentDate (0008,0023), "
        "SeriesDate (0008,0021) and StudyDate (0008,0020) that is valid",
        "",
        "YYYY-MM-DD",
        _NOT_SAID,
    ),
)

STATUS = Column(
    "status",
    "what the row is: `not assessed` is an image without contrast, of which no lesion found means nothing",
    "",
    "lesion, no lesion, not assessed, refused",
)

NUMBER = Column(
    "lesion", "number of the lesion in the image, the largest first", "", "from 1", _WITHOUT_LESION
)
COUNT = Column("lesions", "number of lesions in the image", "", "from 0", "refused files")
UNIT = Column("unit", "unit of lengths; areas are in its square", "", "mm, px", "refused files")

SIZES = (
    Column("longest_axis", "greatest distance between two points of the outline", _LENGTH, "above 0"),
    Column("perpendicular", "longest chord at right angles to the longest axis", _LENGTH, "above 0"),
    Column("width", "width of the upright bounding box", _LENGTH, "above 0"),
    Column("height", "height of the upright bounding box", _LENGTH, "above 0"),
    Column("area", "area of the lesion's pixels, without holes", f"{_LENGTH}²", "above 0"),
    Column("perimeter", "length of the smoothed outer outline", _LENGTH, "above 0"),
    Column("equivalent_diameter", "diameter of the disc of the same area", _LENGTH, "above 0"),
    Column(
        "depth",
        "from the top of the scan region, or of the image, to the lesion's uppermost row: a proxy for the "
        "distance to the skin; 0 where a mask extends above the region",
        _LENGTH,
        "from 0",
    ),
)
"""A lesion's sizes: lengths in its unit, the area in its square."""

SHAPES = (
    Column("height_width_ratio", "height / width", "1", "above 0"),
    Column("angle", "acute angle between the longest axis and the image's rows", "degrees", "0 to 90"),
    Column(
        "orientation",
        "orientation to the skin line, by width, height, axes and angle",
        "",
        "parallel, not parallel",
    ),
    Column("circularity", "4 π area / perimeter²; 1 for a disc", "1", "0 to 1"),
    Column("solidity", "area / area of the convex hull; 1 for a convex outline", "1", "0 to 1"),
    Column("margin_smoothness", "perimeter of the convex hull / perimeter; 1 without lobes", "1", "0 to 1"),
)

ECHOES = (
    Column(
        "echo_contrast",
        "median grey of the lesion − median of the tissue around it",
        "grey levels",
        "−255 to 255",
    ),
    Column(
        "echo_level",
        "echo pattern by the ratio of these medians",
        "",
        "anechoic, hypoechoic, isoechoic, hyperechoic",
    ),
    Column(
        "posterior_contrast", "mean grey below the lesion − mean beside that", "grey levels", "−255 to 255"
    ),
    Column(
        "posterior",
        "posterior features by the ratio of these means",
        "",
        "no posterior features, enhancement, shadowing, combined pattern",
    ),
)

PROBABILITIES = (
    Column("mean_probability", "mean probability of the lesion's pixels", "1", "0 to 1"),
    Column("peak_probability", "maximum probability of the lesion's pixels", "1", "0 to 1"),
    Column("uncertainty", "uncertainty of the lesion's outline; 0 is certain", "1", "0 to 1"),
)

IMAGE_UNCERTAINTY = (
    Column(
        "image_uncertainty",
        "uncertainty of the whole result; 0 is certain",
        "1",
        "0 to 1",
        "refused files, or a mask that no network made",
    ),
    Column(
        "referred", "whether the image is referred for review (`--refer`)", "", "yes, no", "without `--refer`"
    ),
)

POSITIONS = (
    Column("centroid_row", "row of the mean of the pixels' centres; the first pixel is at 0", "px", "from 0"),
    Column("centroid_column", "its column", "px", "from 0"),
    Column("box_top", "first row of the upright bounding box", "px", "from 0"),
    Column("box_left", "its first column", "px", "from 0"),
    Column("box_height", "its number of rows", "px", "from 1"),
    Column("box_width", "its number of columns", "px", "from 1"),
)

GRID = (
    Column("image_height", "rows of the image", "px", "from 16", "refused files"),
    Column("image_width", "columns of the image", "px", "from 16", "refused files"),
)

SPACING = (
    Column(
        "spacing_row",
        "distance between rows: at the lesion, or of the image without one",
        "mm per px",
        "0.01 to 1",
        "unknown: sizes are in pixels",
    ),
    Column("spacing_column", "distance between columns", "mm per px", "0.01 to 1", "unknown"),
    Column(
        "spacing_origin",
        "source of the spacing: the file, `--spacing`, a table of spacings, a region of the DICOM file with "
        "the rules by which it was accepted, or a reader who calibrated it",
        "",
        "file, given, table, region …, calibrated by …, none",
        "refused files",
    ),
    Column("spacing_reason", "why the spacing is unknown", empty="it is known, or the file was refused"),
)

FILES = (
    Column("mask", "mask file, relative to the results folder", "", "path", "it was not written"),
    Column("overlay", "overlay file, relative to the results folder", "", "path", "it was not written"),
)

REASON = Column("reason", "why the file was refused, or an output was not written", empty="all other rows")
WARNINGS = Column("warnings", "what is uncertain about the image, separated by `; `", empty="no warnings")

SETTINGS_HASH = Column(
    "settings_hash",
    "first 12 digits of the SHA-256 of all settings that can change a mask; results.json, the sheet settings "
    "and DICOM objects have it too",
    "",
    "hexadecimal",
    "masks of another origin",
)


def _of_lesions(columns: Sequence[Column], empty: str = _WITHOUT_LESION) -> tuple[Column, ...]:
    return tuple(replace(column, empty=empty, sheet="lesions") for column in columns)


def _of_images(*columns: Column) -> tuple[Column, ...]:
    return tuple(replace(column, sheet="images") for column in columns)


LESION_FIGURES = (
    *_of_lesions((*SIZES, *SHAPES)),
    *_of_lesions(ECHOES, _NO_TISSUE),
)
"""The measurements of a lesion with or without a network."""

RESULTS = (
    *IMAGE,
    *ACQUISITION,
    *_of_images(STATUS),
    *_of_lesions([NUMBER]),
    *(COUNT, UNIT),
    *LESION_FIGURES,
    *_of_lesions(PROBABILITIES, _NO_NETWORK),
    *IMAGE_UNCERTAINTY,
    *_of_lesions(POSITIONS),
    *_of_images(*GRID),
    *SPACING,
    *_of_images(*FILES, REASON, WARNINGS, SETTINGS_HASH),
)
"""results.csv."""

MEASURES = (
    Column("mask", "the mask file, as it was given"),
    Column("image", "the mask's image", "", "path", "no image was given"),
    *ACQUISITION,
    *_of_images(replace(STATUS, meaning="what the row is", values="lesion, no lesion, refused")),
    *_of_lesions([NUMBER]),
    *(COUNT, UNIT),
    *LESION_FIGURES,
    *_of_lesions(POSITIONS),
    *SPACING,
    *_of_images(
        REASON, replace(WARNINGS, meaning="what is uncertain about image and mask, separated by `; `")
    ),
)
"""measures.csv."""

REVIEWS = (
    Column("image", "name of the image's results; also that of its files"),
    replace(IMAGE[1], empty="`anonymise`"),
    IMAGE[2],
    *ACQUISITION,
    Column("source", "who made the mask", "", "model, edited, manual"),
    Column("status", "whether a reader signed it", "", "signed, not signed"),
    Column("reader", "who changed the item last", empty="nobody did"),
    Column("signed_at", "when it was signed, UTC", "", "ISO 8601", "not signed"),
    Column("revision", "number of the mask's revision; 0 is the model's own", "", "from 0"),
    Column("model", "name and hash of the model whose mask the reader saw", empty="there was none"),
    replace(SETTINGS_HASH, meaning="of the model's mask: " + SETTINGS_HASH.meaning, empty="there was none"),
    replace(COUNT, empty=NEVER),
    *SPACING,
    Column("shape", "the reader's BI-RADS descriptor", "", "oval, round, irregular", "not chosen"),
    Column("orientation", "the same", "", "parallel, not parallel", "not chosen"),
    Column(
        *("margin", "the same", ""),
        "circumscribed, indistinct, angular, microlobulated, spiculated",
        "not chosen",
    ),
    Column(
        *("echo_pattern", "the same", ""),
        "anechoic, hyperechoic, complex cystic and solid, hypoechoic, isoechoic, heterogeneous",
        "not chosen",
    ),
    Column(
        *("posterior", "the same", ""),
        "no posterior features, enhancement, shadowing, combined pattern",
        "not chosen",
    ),
    Column("assessment", "BI-RADS category", "", "0, 1, 2, 3, 4A, 4B, 4C, 5, 6", "not chosen"),
    Column("comment", "the reader's comment", empty="none"),
    Column("seconds", "time spent on the item", "s", "from 0", "no review"),
    Column("sonoseg", "version of sonoseg"),
    Column("notice", RESEARCH_ONLY),
)
"""reviews.csv."""

_TRUE_LESION = "the true mask has no lesion"
_NOT_IN_MM = "the true mask has no lesion, or the pixel spacing is unknown"
_NORMAL_ONLY = "the image is not normal"


def _distance(name: str, meaning: str, unit: str, empty: str = _TRUE_LESION) -> Column:
    return Column(name, f"{meaning}; a missed lesion has the image's diagonal", unit, "from 0", empty)


EVALUATION = (
    Column("id", "the image's id in the prepared set"),
    Column("set", "the prepared set that it comes from"),
    Column("label", "its class", "", "normal, benign, malignant, unknown"),
    Column("group", "patient or group of duplicates, which a split keeps together"),
    Column("marks", "what is drawn on the image", empty="nothing, or not known"),
    Column("objection", "a reason to exclude the image", empty="none"),
    Column("height", "rows of the image", "px", "from 1"),
    Column("width", "columns of the image", "px", "from 1"),
    Column("spacing_row", "distance between rows", "mm per px", "above 0", "unknown"),
    Column("spacing_column", "distance between columns", "mm per px", "above 0", "unknown"),
    Column("lesion_area_px", "pixels of the true mask", "px", "from 0"),
    Column("lesion_share", "their share of the image", "1", "0 to 1"),
    Column(
        *("size_stratum", "quarter of the prepared set's lesions by their share of the image", ""),
        "Q1 smallest, Q2, Q3, Q4 largest",
        _TRUE_LESION,
    ),
    Column("marks_stratum", "whether anything is drawn on the image", "", "yes, no, unknown"),
    Column("callipers", "whether measurement marks are drawn on it", "", "yes, no, unknown"),
    Column(
        *(
            "kind",
            "what is measured: `unannotated` is benign or malignant without a mask, and in no mean",
            "",
        ),
        "lesion, normal, unannotated",
    ),
    Column("dice", "Dice of the post-processed mask", "1", "0 to 1", _TRUE_LESION),
    Column("iou", "intersection over union", "1", "0 to 1", _TRUE_LESION),
    Column("precision", "share of the prediction that is lesion", "1", "0 to 1", _TRUE_LESION),
    Column("recall", "share of the lesion that is predicted", "1", "0 to 1", _TRUE_LESION),
    Column("pixel_accuracy", "share of correct pixels", "1", "0 to 1"),
    _distance("hd95_px", "95th percentile of the Hausdorff distance (HD95)", "px"),
    _distance("hd95_mm", "the same", "mm", _NOT_IN_MM),
    _distance("hd95_percent_diagonal", "the same", "% of the diagonal"),
    Column("nsd", "normalised surface Dice at 1 % of the diagonal", "1", "0 to 1", _TRUE_LESION),
    Column("nsd_px", "the same at 5 pixels", "1", "0 to 1", _TRUE_LESION),
    Column("nsd_mm", "the same at 1 mm", "1", "0 to 1", _NOT_IN_MM),
    _distance("asd_px", "average surface distance", "px"),
    _distance("asd_mm", "the same", "mm", _NOT_IN_MM),
    Column("n_lesions", "lesions (components) of the true mask", "", "from 0"),
    Column("n_found", "of these, those that were found", "", "from 0"),
    Column("n_predicted", "lesions of the post-processed mask", "", "from 0"),
    Column("n_false_positives", "of these, those that match no true one", "", "from 0"),
    Column("missed", "whether the Dice is below 0.1", "", "0, 1", "the image is no lesion image"),
    Column("false_positive", "whether more than 0.1 % of the image is predicted", "", "0, 1", _NORMAL_ONLY),
    Column("predicted_area_share", "share of the image that is predicted", "1", "0 to 1"),
    Column("raw_dice", "Dice before post-processing", "1", "0 to 1", _TRUE_LESION),
    Column("raw_iou", "intersection over union before post-processing", "1", "0 to 1", _TRUE_LESION),
    Column("raw_false_positive", "`false_positive` before post-processing", "", "0, 1", _NORMAL_ONLY),
    Column("max_probability", "maximum probability in the image", "1", "0 to 1"),
    Column("uncertainty", "uncertainty of the whole result; 0 is certain", "1", "0 to 1"),
    Column("tp", "true positive pixels of the post-processed mask", "px", "from 0"),
    Column("fp", "false positive pixels", "px", "from 0"),
    Column("fn", "false negative pixels", "px", "from 0"),
    Column("tn", "true negative pixels", "px", "from 0"),
)
"""images.csv of an evaluation."""


def names(columns: Sequence[Column]) -> tuple[str, ...]:
    """Return the names of columns."""
    return tuple(column.name for column in columns)


def sheet_columns(table: Sequence[Column], sheet: str) -> tuple[str, ...]:
    """Return the columns of a table that a sheet has: "lesions" or "images"."""
    return names([column for column in table if column.sheet in ("", sheet)])


HEADERS = ("column", "meaning", "unit", "values", "empty")


def codebook_rows(table: Sequence[Column]) -> list[dict[str, str]]:
    """Describe columns as rows of the sheet codebook."""
    return [
        dict(
            zip(
                HEADERS, (one.name, *map(_plain, (one.meaning, one.unit, one.values, one.empty))), strict=True
            )
        )
        for one in table
    ]


def _plain(text: str) -> str:
    return text.replace("`", "")


_TABLES = (
    (
        "results.csv",
        RESULTS,
        "Of `sonoseg predict` and exports of the review page: a row for each lesion, each image without a "
        "lesion, and each refused file.",
    ),
    (
        "measures.csv",
        MEASURES,
        "Of `sonoseg measure`: a row for each lesion, each mask without a lesion, and each refused mask.",
    ),
    ("reviews.csv", REVIEWS, "Of exports of the review page: a row for each image."),
    (
        "images.csv of an evaluation",
        EVALUATION,
        "Of `sonoseg evaluate`: a row for each image. [evaluation.md](evaluation.md) has the definitions.",
    ),
)


def codebook_page() -> str:
    """Format docs/codebook.md."""
    return "\n".join(_page_lines()) + "\n"


def _page_lines() -> Iterator[str]:
    yield from (
        "# Codebook: the columns of the tables",
        "",
        "Research software, not a medical device: not for diagnosis or treatment.",
        "",
        "<!-- generated: python -m sonoseg.results.codebook docs/codebook.md -->",
        "",
        "Positions are in pixels, (row, column), with the centre of the first pixel at 0. Lengths are in "
        "`unit`, areas in its square.",
        "[measuring.md](measuring.md) has the definitions, [uncertainty.md](uncertainty.md) that of "
        "uncertainty. The columns of a",
        "batch are in [batch-inference.md](batch-inference.md#output).",
        "",
        "What is the same for a whole run (model, threshold, runtime, version and other settings) is at the "
        "beginning of `results.json`.",
        "A workbook (`--xlsx`) has it in the sheet `settings`, and this page in the sheet `codebook`. Its "
        "sheets `lesions` and `images`",
        "divide the columns of the CSV file.",
    )
    for title, table, about in _TABLES:
        yield from ("", f"## {title}", "", about, "")
        yield "| Column | Meaning | Unit | Values | Empty |"
        yield "|---|---|---|---|---|"
        for one in table:
            yield f"| `{one.name}` | {one.meaning} | {one.unit} | {one.values} | {one.empty} |"


if __name__ == "__main__":
    atomic_write_text(Path(sys.argv[1]), codebook_page())
