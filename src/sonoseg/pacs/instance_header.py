"""A file's own words about itself that sending it needs: SOP class, instance UID, transfer syntax."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sonoseg._util.text import first_line
from sonoseg.errors import InputError


@dataclass(frozen=True)
class Sendable:
    """A DICOM file that can be sent. size: bytes of the file."""

    path: Path
    sop_class: str
    instance: str
    transfer_syntax: str
    size: int


def read_sendable(path: Path) -> Sendable:
    """Read the head of a file. Raises InputError where it is no DICOM file (PS3.10) or lacks its UIDs."""
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        size = path.stat().st_size
        header = dcmread(path, specific_tags=["SOPClassUID", "SOPInstanceUID"], stop_before_pixels=True)
        values = (
            str(header["SOPClassUID"].value),
            str(header["SOPInstanceUID"].value),
            str(header.file_meta.TransferSyntaxUID),
        )
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", where=path) from error
    except InvalidDicomError as error:
        raise InputError("is no DICOM file", where=path, remedy="Send DICOM files only") from error
    except Exception as error:  # pydicom raises whatever a broken header makes it stumble over
        raise InputError(
            f"its header cannot be read or lacks a UID: {first_line(error)}", where=path
        ) from error
    if not all(values):
        raise InputError("lacks its SOP class, instance UID or transfer syntax", where=path)
    return Sendable(path, *values, size)
