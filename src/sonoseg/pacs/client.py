"""Opening a PACS client for an address, over DIMSE or DICOMweb."""

from __future__ import annotations

from sonoseg.pacs.address import DimseAddress, WebAddress
from sonoseg.pacs.archive import Archive


def open_archive(address: DimseAddress | WebAddress) -> Archive:
    """Return the client of an address; nothing is sent yet.

    Raises UsageError if a secret or a TLS file is missing.
    """
    if isinstance(address, DimseAddress):
        from sonoseg.pacs.dimse import DimseArchive

        return DimseArchive(address)
    from sonoseg.pacs.dicomweb import WebArchive

    return WebArchive(address)
