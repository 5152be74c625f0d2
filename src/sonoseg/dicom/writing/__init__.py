"""DICOM objects for a PACS: segmentation, structured report, secondary capture. Needs the extra `dicom`."""
