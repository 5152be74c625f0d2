"""Reading DICOM ultrasound: single frames and clips, calibrated by their regions, what lies outside blanked.

Needs the extra `dicom` (pydicom and codecs), which is imported only when a DICOM file is opened.
"""

from sonoseg.dicom.reading.clip import Clip as Clip
from sonoseg.dicom.reading.clip import open_dicom as open_dicom
from sonoseg.dicom.reading.detection import is_dicom as is_dicom
