"""Reading one still image, raster or DICOM, into a Frame."""

from __future__ import annotations

from pathlib import Path

from sonoseg.dicom.reading.clip import open_dicom
from sonoseg.dicom.reading.detection import is_dicom
from sonoseg.errors import InputError
from sonoseg.image.calibration import Calibration, Spacing
from sonoseg.image.frame import Frame
from sonoseg.image.raster import read_raster
from sonoseg.image.size_limits import check_file


def read_frame(path: str | Path, *, spacing: Spacing | None = None, keep_burned_in: bool = False) -> Frame:
    """Read one still image as a grey Frame, as a viewer shows it.

    Files that are DICOM by their content take their calibration from their ultrasound regions and are blanked
    outside of them unless `keep_burned_in`. For the frames of a clip see sonoseg.inputs.frame_list.

    In raster images, colour (palette, CMYK, Lab ...) becomes grey by ITU-R 601 weights; transparent pixels
    lie on black; the rotation in EXIF is applied; pixels of more than 8 bits (integer or float) are scaled
    from their least and greatest value to 0..255.

    spacing: (row, column) millimetres per pixel of the image as displayed, or None where unknown; it takes
        precedence over a DICOM file's own.
    keep_burned_in: keep the pixels outside a DICOM file's regions, which may show text.

    Raises InputError for a file that is missing, not a regular file, not permitted, empty, truncated,
    damaged, of an unsupported format, with a side below 16 or more than 64 million pixels (checked in the
    header, before decoding), or with several frames (animations, clips, multi-page TIFF);
    BurnedInTextError for a DICOM file without scan regions, unless `keep_burned_in`. Warns
    (SonosegWarning) of unreadable EXIF.
    """
    path = Path(path)
    check_file(path)
    if not is_dicom(path):
        return read_raster(path, Calibration.of(spacing))
    with open_dicom(path, keep_burned_in=keep_burned_in, spacing=spacing) as clip:
        if clip.count > 1:
            raise InputError(
                f"the file is a clip of {clip.count} frames, where one image is required",
                where=path,
                remedy="Export the frame as an image, or read it with sonoseg.inputs.frame_list",
            )
        return clip.frame(0)
