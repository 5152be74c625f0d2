"""The header values that sending a file needs: SOP class, instance UID, transfer syntax."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sonoseg._util.text import first_line
from sonoseg.errors import InputError


@dataclass(frozen=True)
class Sendable:
    """A DICOM file that can be sent. size: of the file in bytes."""

    path: Path
    sop_class: str
    instance: str
    transfer_syntax: str
    size: int


def read_sendable(path: Path) -> Sendable:
    """Read the header of a file. Raises InputError if it is not a DICOM file (PS3.10) or lacks its UIDs."""
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
        raise InputError("not a DICOM file", where=path, remedy="Send DICOM files only") from error
    except Exception as error:  # pydicom raises any exception for damaged headers
        raise InputError(f"header is damaged or lacks a UID: {first_line(error)}", where=path) from error
    if not all(values):
        raise InputError("SOP class, instance UID or transfer syntax is missing", where=path)
    return Sendable(path, *values, size)
