"""Categories of the BI-RADS ultrasound atlas, with their DICOM codes.

Source: American College of Radiology, ACR BI-RADS Atlas, 5th edition (2013), Ultrasound, section "Masses".
Codes: DICOM PS3.16, context groups CID 6152 (orientation), 6154 (echo pattern), 6155 (posterior acoustic
feature), scheme DCM. The rules are in orientation.py, echo.py and posterior_features.py. Shape and margin
are left to a reader; shape.py gives numbers for them.
"""

from __future__ import annotations

from enum import StrEnum


class Orientation(StrEnum):
    """The orientation to the skin line: DCM 111354, values of CID 6152."""

    PARALLEL = "parallel"
    NOT_PARALLEL = "not parallel"

    @property
    def code(self) -> str:
        """The DCM code value."""
        return {"parallel": "111355", "not parallel": "111356"}[self]


class EchoLevel(StrEnum):
    """The echo level relative to the surroundings: DCM 111360, values of CID 6154.

    The group's fifth value, complex, and the atlas' heterogeneous describe a pattern, which one level cannot.
    """

    ANECHOIC = "anechoic"
    HYPOECHOIC = "hypoechoic"
    ISOECHOIC = "isoechoic"
    HYPERECHOIC = "hyperechoic"

    @property
    def code(self) -> str:
        """The DCM code value."""
        return {
            "anechoic": "111361",
            "hypoechoic": "111364",
            "isoechoic": "111365",
            "hyperechoic": "111362",
        }[self]


class Posterior(StrEnum):
    """The posterior features: DCM 111366, values of CID 6155."""

    NONE = "no posterior features"
    ENHANCEMENT = "enhancement"
    SHADOWING = "shadowing"
    COMBINED = "combined pattern"

    @property
    def code(self) -> str:
        """The DCM code value."""
        return {
            "no posterior features": "111367",
            "enhancement": "111368",
            "shadowing": "111369",
            "combined pattern": "111370",
        }[self]
