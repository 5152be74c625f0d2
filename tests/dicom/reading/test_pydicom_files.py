"""The files that pydicom's wheel carries, of many writers: each ultrasound image and capture as expected.

The others hold no ultrasound; they are read with the warning of their modality, or refused by name.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from sonoseg._util.packages import is_installed
from sonoseg.errors import InputError, MissingExtra, SonosegWarning
from sonoseg.image.frame import Frame
from sonoseg.inputs.frame_list import list_frames, read

pydicom = pytest.importorskip("pydicom")

FOLDER = Path(pydicom.__file__).parent / "data" / "test_files"

CAPTURE = (100, 100)
NO_REGION = "the file describes no ultrasound region"
LEAVES = "leaves the frame of"
COLOURED = "of the image is strongly coloured"


def quiet(name: str) -> tuple[Frame, int]:
    """The first frame with all of its pixels, and the number of frames."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SonosegWarning)
        refs = list_frames(FOLDER / name, keep_burned_in=True)
        return read(refs[0], keep_burned_in=True), len(refs)


@pytest.mark.parametrize(
    ("name", "shape", "frames", "mean", "reason", "warning"),
    [
        # Ultrasound. No file of the package has a region that fits its frame, so none has a spacing.
        ("ExplVR_BigEnd.dcm", (60, 80), 1, 222.5, NO_REGION, "one bright grey level"),
        ("examples_jpeg2k.dcm", (480, 640), 1, 35.6, NO_REGION, COLOURED),
        ("examples_rgb_color.dcm", (240, 320), 1, 35.3, NO_REGION, COLOURED),
        ("examples_palette.dcm", (350, 800), 1, None, LEAVES, ""),
        ("examples_ybr_color.dcm", (240, 320), 30, None, LEAVES, ""),
        # The same colour bars by several writers: the mean grey is the same.
        ("SC_rgb_rle.dcm", CAPTURE, 1, 127.7, NO_REGION, "modality is OT"),
        ("SC_rgb_rle_2frame.dcm", CAPTURE, 2, 127.7, NO_REGION, "modality is OT"),
        ("SC_rgb_rle_16bit.dcm", CAPTURE, 1, 127.7, NO_REGION, "modality is OT"),
        ("SC_rgb_rle_16bit_2frame.dcm", CAPTURE, 2, 127.7, NO_REGION, "modality is OT"),
        ("SC_rgb_gdcm_KY.dcm", CAPTURE, 1, 127.7, NO_REGION, "modality is OT"),
        ("SC_rgb_jpeg_dcmtk.dcm", CAPTURE, 1, 127.7, NO_REGION, "modality is OT"),
        ("SC_rgb_jpeg_lossy_gdcm.dcm", CAPTURE, 1, 127.7, NO_REGION, "modality is OT"),
        ("SC_rgb_dcmtk_+eb+cr.dcm", CAPTURE, 1, 127.7, NO_REGION, "modality is OT"),
        ("SC_rgb_dcmtk_+eb+cy+n1.dcm", CAPTURE, 1, 127.7, NO_REGION, "modality is OT"),
        ("SC_rgb_dcmtk_+eb+cy+n2.dcm", CAPTURE, 1, 127.7, NO_REGION, "modality is OT"),
        ("SC_rgb_dcmtk_+eb+cy+np.dcm", CAPTURE, 1, 127.7, NO_REGION, "modality is OT"),
        ("SC_rgb_dcmtk_+eb+cy+s2.dcm", CAPTURE, 1, 127.7, NO_REGION, "modality is OT"),
        ("SC_rgb_dcmtk_+eb+cy+s4.dcm", CAPTURE, 1, 127.7, NO_REGION, "modality is OT"),
        ("SC_ybr_full_422_uncompressed.dcm", CAPTURE, 1, 127.7, NO_REGION, "modality is OT"),
        ("SC_rgb_jls_lossy_line.dcm", CAPTURE, 1, 127.9, NO_REGION, "modality is missing"),
        ("SC_rgb_jls_lossy_sample.dcm", CAPTURE, 1, 127.9, NO_REGION, "modality is missing"),
        # The same image with the header and the stream's markers in all combinations.
        ("SC_rgb_jpeg.dcm", (256, 256), 1, 244.0, NO_REGION, "hardly any contrast"),
        ("SC_rgb_jpeg_dcmd.dcm", (256, 256), 1, 244.0, NO_REGION, "hardly any contrast"),
        ("SC_rgb_jpeg_app14_dcmd.dcm", (256, 256), 1, 245.5, NO_REGION, "hardly any contrast"),
        ("SC_jpeg_no_color_transform.dcm", (256, 256), 1, 244.0, NO_REGION, "hardly any contrast"),
        ("SC_jpeg_no_color_transform_2.dcm", (256, 256), 1, 245.5, NO_REGION, "hardly any contrast"),
        ("GDCMJ2K_TextGBR.dcm", (400, 400), 1, 125.0, NO_REGION, COLOURED),
        ("image_dfl.dcm", (512, 512), 1, 127.1, NO_REGION, "modality is OT"),
        ("JPEG2000.dcm", (1024, 256), 1, 40.4, NO_REGION, "modality is NM"),
        # Other modalities in several encodings: the same pixels.
        ("MR_small.dcm", (64, 64), 1, 113.1, NO_REGION, "modality is MR"),
        ("MR_small_RLE.dcm", (64, 64), 1, 113.1, NO_REGION, "modality is MR"),
        ("MR_small_bigendian.dcm", (64, 64), 1, 113.1, NO_REGION, "modality is MR"),
        ("MR_small_expb.dcm", (64, 64), 1, 113.1, NO_REGION, "modality is MR"),
        ("MR_small_implicit.dcm", (64, 64), 1, 113.1, NO_REGION, "modality is MR"),
        ("MR_small_jp2klossless.dcm", (64, 64), 1, 113.1, NO_REGION, "modality is MR"),
        ("MR_small_jpeg_ls_lossless.dcm", (64, 64), 1, 113.1, NO_REGION, "modality is MR"),
        ("MR_small_padded.dcm", (64, 64), 1, 113.1, NO_REGION, "more pixel data than its header"),
        ("CT_small.dcm", (128, 128), 1, 96.0, NO_REGION, "modality is CT"),
    ],
)
def test_what_is_read(
    name: str, shape: tuple[int, int], frames: int, mean: float | None, reason: str, warning: str
) -> None:
    frame, count = quiet(name)
    assert (frame.shape, count) == (shape, frames)
    if mean is not None:
        assert frame.pixels.mean() == pytest.approx(mean, abs=0.2)
    assert frame.spacing is None
    assert reason in frame.calibration.reason
    assert any(warning in text for text in (*frame.warnings, "")), frame.warnings


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("rtplan.dcm", "without an image"),
        ("rtstruct.dcm", "without an image"),
        ("reportsi.dcm", r"without an image \(Basic Text SR Storage\)"),
        ("test-SR.dcm", r"without an image \(Comprehensive SR Storage\)"),
        ("waveform_ecg.dcm", r"without an image \(12-lead ECG Waveform Storage\)"),
        ("liver_1frame.dcm", "a segmentation"),
        ("rtdose.dcm", "too small: 10 x 10 pixels"),
        ("SC_rgb_small_odd.dcm", "too small: 3 x 3 pixels"),
        ("SC_rgb_rle_32bit.dcm", "unsupported pixel depth: 32 bits"),
        ("MR_truncated.dcm", "truncated: expected 8,192 bytes, found 8,130"),
        ("JPEG2000-embedded-sequence-delimiter.dcm", "the compressed stream has"),
        ("UN_sequence.dcm", "without pixel data"),
        ("badVR.dcm", "NumberOfFrames is invalid"),
        ("meta_missing_tsyntax.dcm", "Rows is missing"),
        ("no_meta.dcm", "unsupported"),
        ("dicomdirtests/DICOMDIR", "without an image"),
    ],
)
def test_what_is_refused(name: str, found: str) -> None:
    with pytest.raises(InputError, match=found):
        quiet(name)


@pytest.mark.parametrize("name", ["SC_rgb_rle.dcm", "examples_rgb_color.dcm", "MR_small.dcm"])
def test_without_a_region_only_an_option_shows_the_image(name: str) -> None:
    with pytest.raises(InputError, match="burned-in text"):
        list_frames(FOLDER / name)


@pytest.mark.parametrize("name", ["examples_palette.dcm", "examples_ybr_color.dcm"])
def test_a_region_of_another_pixel_grid_is_cropped_and_warned_of(name: str) -> None:
    with pytest.warns(SonosegWarning, match=LEAVES):
        ref = list_frames(FOLDER / name)[0]
    frame = read(ref)
    assert not frame.pixels[:30, :80].any()  # the region begins further right and below
    assert frame.pixels.any()
    assert frame.spacing is None


@pytest.mark.parametrize("name", ["JPGExtended.dcm", "JPEG-lossy.dcm", "SC_rgb_jpeg_gdcm.dcm"])
@pytest.mark.skipif(is_installed("libjpeg"), reason="the codec of the extra dicom-gpl is installed")
def test_codecs_of_the_extra_are_named(name: str) -> None:
    """12-bit and lossless JPEG."""
    with pytest.raises(MissingExtra, match="pylibjpeg-libjpeg"):
        quiet(name)
