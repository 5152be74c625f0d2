"""Beside an archive (PACS): a client over DIMSE and DICOMweb; a node that takes ultrasound, sends results."""
