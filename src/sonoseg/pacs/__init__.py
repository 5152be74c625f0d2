"""Beside an archive (PACS): a client over DIMSE and DICOMweb, and a node that takes ultrasound and sends results."""
