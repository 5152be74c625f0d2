"""Reading DICOM ultrasound: still images and clips, calibrated by their regions, blanked outside of them.

Needs the extra `dicom` (pydicom and codecs), which is imported only when a DICOM file is opened.
"""
