"""The inputs that public bug reports led to, in ../shared/cases: each comes out right, or is refused by name.

The kinds are in docs/files.md and in the tests of their readers, synthesised; here are the files themselves.
"""

from __future__ import annotations

import gzip
import warnings
from pathlib import Path

import numpy as np
import pytest

from sonoseg.data.folder_check import check
from sonoseg.data.mask_reading import join_masks
from sonoseg.data.readers import read_source
from sonoseg.errors import InputError, SonosegError, SonosegWarning
from sonoseg.image.frame import Frame
from sonoseg.inference.predictor import Predictor
from sonoseg.inputs.reading import read_frame
from sonoseg.inputs.reading_options import ReadingOptions
from sonoseg.inputs.spacing_table import read_spacings
from sonoseg.lesions.measurement import measure
from sonoseg.results.mask_measurements import measure_mask_file

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the cases of users are not beside the repository")

REFERENCE = "jpeg-labelled-rgb/00_ref.dcm"
"""A cyst of 18.33 mm, 78 grey levels darker than what surrounds it."""

CLIPPED = "region, clipped by one pixel"
ABSOLUTE = "region, absolute value of a negative delta"


def quiet(path: str) -> Frame:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SonosegWarning)
        return read_frame(CASES / path)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor()


@pytest.mark.process
@pytest.mark.parametrize(
    ("path", "longest", "origin"),
    [
        (REFERENCE, 18.33, "file"),
        ("jpeg-labelled-rgb/03_jpeg_rgb_nojfif_420.dcm", 18.33, "file"),
        ("jpeg-labelled-rgb/05_jpeg_rgb_jfif.dcm", 18.33, "file"),
        ("region-one-past-end/01_onepast_offset.dcm", 18.41, CLIPPED),
        ("region-one-past-end/03_exact.dcm", 18.41, "file"),
        ("negative-delta/10_negdx.dcm", 18.33, ABSOLUTE),
        ("colour-flow-only-region/13_region_colourflow.dcm", 18.33, "region, colour flow"),
        ("number-of-frames-0/01_nframes0.dcm", 18.33, "file"),
        ("high-bit-wrong/08_highbit15_of8.dcm", 18.33, "file"),
    ],
)
def test_the_cyst_has_its_size(predictor: Predictor, path: str, longest: float, origin: str) -> None:
    frame = quiet(path)
    (lesion,) = measure(predictor.predict(frame)).lesions
    assert (lesion.unit, lesion.longest_axis) == ("mm", pytest.approx(longest, abs=0.2))
    assert lesion.echo_contrast == pytest.approx(-78, abs=2)
    assert frame.calibration.origin == origin


@pytest.mark.parametrize(
    ("path", "tolerance"),
    [
        ("jpeg-labelled-rgb/03_jpeg_rgb_nojfif_420.dcm", 1.0),
        ("jpeg-labelled-rgb/05_jpeg_rgb_jfif.dcm", 1.0),
        ("negative-delta/10_negdx.dcm", 0),
        ("number-of-frames-0/01_nframes0.dcm", 0),
        ("high-bit-wrong/08_highbit15_of8.dcm", 0),
        ("colour-flow-only-region/13_region_colourflow.dcm", 0),
        ("data-check-dicom-crash/a.dcm", 0),
        ("tiff-inverted/miw16.tif", 0.5),
        ("tiff-inverted/i8.tif", 0.5),
        ("png-16bit-alpha-or-colour/rgb16_12bit.png", 0.5),
    ],
)
def test_the_grey_levels_are_those_of_the_reference(path: str, tolerance: float) -> None:
    wanted = quiet(REFERENCE).pixels.astype(float)
    assert np.abs(quiet(path).pixels - wanted).mean() <= tolerance


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("number-of-frames-0/01_nframes0.dcm", "NumberOfFrames is 0 or empty"),
        ("high-bit-wrong/08_highbit15_of8.dcm", "HighBit is 15"),
        ("region-one-past-end/01_onepast_offset.dcm", "ends one pixel beyond the frame"),
        ("negative-delta/10_negdx.dcm", "physical delta is negative"),
        ("colour-flow-only-region/13_region_colourflow.dcm", "no region shows tissue"),
        ("blank-frame/19_black.dcm", "hardly any contrast"),
    ],
)
def test_what_is_uncertain_is_a_warning(path: str, said: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SonosegWarning)
        read_frame(CASES / path)
    assert any(said in str(one.message) for one in caught)


@pytest.mark.process
def test_a_black_frame_is_not_assessed(predictor: Predictor) -> None:
    found = measure(predictor.predict(quiet("blank-frame/19_black.dcm")))
    assert not found.assessable
    assert not found.lesions


def test_a_tiff_of_64_bit_floats_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "f64.tif"
    path.write_bytes(gzip.decompress((CASES / "tiff-inverted/f64.tif.gz").read_bytes()))
    with pytest.raises(InputError, match="64-bit floating-point numbers"):
        read_frame(path)


@pytest.mark.parametrize(
    ("path", "areas"),
    [
        ("mask-labels/05_instances_1_40.png", [12553, 3761]),
        ("mask-labels/07_grey_85_255.png", [12553, 3761]),
        ("masks-silently-empty/03_01.jpg", [12569]),
        ("masks-silently-empty/19_alpha_only.png", [12553]),
    ],
)
def test_all_lesions_of_a_mask_are_measured(path: str, areas: list[int]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SonosegWarning)  # a JPEG's border is uncertain
        measured = measure_mask_file(CASES / path, None, None)
    assert [lesion.area for lesion in measured.findings.lesions] == areas


def test_a_set_keeps_all_labels() -> None:
    """Of the 21,281 pixels of inst.png 1,881 were kept."""
    source = read_source(CASES / "mask-labels/data-set")
    areas = {
        record.image.stem: int(join_masks(record.masks, read_frame(record.image).shape).sum())
        for record in source.records
    }
    assert areas == {"grey85": 14272, "inst": 21281, "voc64": 23412}
    assert not any(report.faults for report in check([source], threads=1))


def test_an_image_turned_by_exif_beside_a_mask_that_is_not_is_warned_of() -> None:
    folder = CASES / "exif-square"
    with pytest.warns(SonosegWarning, match="turned by 90 degrees, so they may not match"):
        measure_mask_file(folder / "sq_mask.png", folder / "sq.jpg", None)


def test_a_set_of_dicom_images_is_checked() -> None:
    (report,) = check([read_source(CASES / "data-check-dicom-crash/list.csv")], threads=1)
    assert not report.faults


def test_a_set_with_semicolons_and_decimal_commas_is_read() -> None:
    (record,) = read_source(CASES / "csv-dialects/semicolon.csv").records
    assert record.spacing == (0.09, 0.09)
    assert (record.label, record.patient) == ("benign", "17")


def test_rows_of_spacings_that_match_no_file_are_listed() -> None:
    spacings = read_spacings(CASES / "csv-dialects/spacings-unmatched.csv")
    with pytest.warns(SonosegWarning, match=r"2 of 2 rows match no file: 'cyst_3\.png', 'other\.png'"):
        ReadingOptions(spacings=spacings).warn_of_unmatched([CASES / "csv-dialects/images/cyst_0003.png"])


def test_check_finds_what_prepare_refuses(tmp_path: Path) -> None:
    from sonoseg.data.preparation import prepare

    source = read_source(CASES / "check-prepare-differ/dup.csv")
    (report,) = check([source], threads=1)
    assert [one.kind for one in report.findings if one.level == "fault"] == ["ids"]
    with pytest.raises(SonosegError, match="several images have the id"):
        prepare([source], tmp_path / "out")
