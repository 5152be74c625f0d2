"""What a PACS gets: segmentation, structured report and secondary capture. Needs the extra `dicom`."""
