"""Coded values of our DICOM objects, each with its source.

DCM is DICOM's own terminology (PS3.16 Annex D), SCT is SNOMED CT, UCUM the units of measure. "CID n" is the
context group of PS3.16 from which an attribute or content item takes its values, "TID n" a template.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from highdicom.sr import CodedConcept
    from pydicom.dataset import Dataset


class Coded(NamedTuple):
    """A code with the part of the standard that defines it for our use."""

    value: str
    scheme: Literal["DCM", "SCT", "UCUM"]
    meaning: str
    source: str


class CodedEnum(Enum):
    """An enum of coded values."""

    value: Coded

    @property
    def concept(self) -> CodedConcept:
        """The code as a concept of highdicom."""
        from highdicom.sr import CodedConcept

        return CodedConcept(self.value.value, self.value.scheme, self.value.meaning)

    @property
    def item(self) -> Dataset:
        """The code as an item of a code sequence (PS3.3 8.8)."""
        from pydicom.dataset import Dataset

        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = self.value[:3]
        return item


class Category(CodedEnum):
    """Segmented Property Category."""

    ABNORMAL_STRUCTURE = Coded("49755003", "SCT", "Morphologically Abnormal Structure", "PS3.16 CID 7150")


class FindingCode(CodedEnum):
    """Finding type. Never a neoplasm: an image proves no histology."""

    LESION = Coded("52988006", "SCT", "Lesion", "PS3.16 CID 7151, CID 7159")


class Site(CodedEnum):
    """Finding site."""

    BREAST = Coded("76752008", "SCT", "Breast", "PS3.16 CID 4031")


class Side(CodedEnum):
    """Laterality, written only if the source file states it."""

    RIGHT = Coded("24028007", "SCT", "Right", "PS3.16 CID 2, CID 244")
    LEFT = Coded("7771000", "SCT", "Left", "PS3.16 CID 2, CID 244")


class MeasureCode(CodedEnum):
    """Measurement."""

    LONG_AXIS = Coded("103339001", "SCT", "Long axis", "PS3.16 CID 7470")
    SHORT_AXIS = Coded("103340004", "SCT", "Short axis", "PS3.16 CID 7470")
    PERPENDICULAR_AXIS = Coded("131189007", "SCT", "Perpendicular Axis", "PS3.16 CID 7470")
    WIDTH = Coded("103355008", "SCT", "Width", "PS3.16 CID 7470")
    HEIGHT = Coded("121207", "DCM", "Height", "PS3.16 CID 7470")
    PERIMETER = Coded("131191004", "SCT", "Perimeter", "PS3.16 CID 7470")
    AREA = Coded("42798000", "SCT", "Area", "PS3.16 CID 7471")


class Unit(CodedEnum):
    """Units of measure."""

    MILLIMETRE = Coded("mm", "UCUM", "mm", "PS3.16 CID 7460")
    SQUARE_MILLIMETRE = Coded("mm2", "UCUM", "square millimeter", "PS3.16 CID 7461")
    PIXELS = Coded("{pixels}", "UCUM", "pixels", "UCUM section 2.4: an annotation in braces; a count")


class OrientationCode(CodedEnum):
    """Orientation to the skin (BI-RADS ultrasound): the concept and its values."""

    CONCEPT = Coded("111354", "DCM", "Orientation", "PS3.16 Annex D")
    PARALLEL = Coded("111355", "DCM", "Parallel", "PS3.16 CID 6152")
    NOT_PARALLEL = Coded("111356", "DCM", "Not parallel", "PS3.16 CID 6152")


class EchoPatternCode(CodedEnum):
    """Echo pattern (BI-RADS ultrasound): the concept and its values."""

    CONCEPT = Coded("111360", "DCM", "Echo pattern", "PS3.16 Annex D")
    ANECHOIC = Coded("111361", "DCM", "Anechoic", "PS3.16 CID 6154")
    HYPERECHOIC = Coded("111362", "DCM", "Hyperechoic", "PS3.16 CID 6154")
    HYPOECHOIC = Coded("111364", "DCM", "Hypoechoic", "PS3.16 CID 6154")
    ISOECHOIC = Coded("111365", "DCM", "Isoechoic", "PS3.16 CID 6154")


class PosteriorFeatures(CodedEnum):
    """Posterior acoustic features (BI-RADS ultrasound): the concept and its values."""

    CONCEPT = Coded("111366", "DCM", "Posterior acoustic features", "PS3.16 Annex D")
    NONE = Coded("111367", "DCM", "No posterior acoustic features", "PS3.16 CID 6155")
    ENHANCEMENT = Coded("111368", "DCM", "Posterior enhancement", "PS3.16 CID 6155")
    SHADOWING = Coded("111369", "DCM", "Posterior shadowing", "PS3.16 CID 6155")
    COMBINED = Coded("111370", "DCM", "Combined posterior enhancement and shadowing", "PS3.16 CID 6155")


class ReportCode(CodedEnum):
    """Titles and concepts of the structured report."""

    TITLE = Coded("126000", "DCM", "Imaging Measurement Report", "PS3.16 CID 7021")
    PROCEDURE = Coded("47079000", "SCT", "Ultrasonography of breast", "PS3.16 CID 6050")
    OTHER_PROCEDURE = Coded("16310003", "SCT", "Diagnostic ultrasonography", "PS3.16 CID 6028")
    OBSERVER = Coded("121007", "DCM", "Device", "PS3.16 CID 270")
    COMMENT = Coded("121106", "DCM", "Comment", "PS3.16 Annex D")


class Summary(CodedEnum):
    """Summary of an image without findings: the concept and its value."""

    CONCEPT = Coded("111017", "DCM", "CAD Processing and Findings Summary", "PS3.16 Annex D")
    NOTHING = Coded("111241", "DCM", "All algorithms succeeded; without findings", "PS3.16 CID 6047")


class Detections(CodedEnum):
    """Summary of the detections in an image that cannot be assessed: the concept and its value."""

    CONCEPT = Coded("111064", "DCM", "Summary of Detections", "PS3.16 Annex D")
    FAILED = Coded("111224", "DCM", "Failed", "PS3.16 CID 6042")


class Family(CodedEnum):
    """Algorithm family."""

    ARTIFICIAL_INTELLIGENCE = Coded("123110", "DCM", "Artificial Intelligence", "PS3.16 CID 7162")


class Purpose(CodedEnum):
    """Purpose of reference."""

    SOURCE = Coded("121322", "DCM", "Source image for image processing operation", "PS3.16 CID 7202")
