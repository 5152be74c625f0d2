"""A reader's review of an item, in the lexicon of the BI-RADS ultrasound atlas.

Source: American College of Radiology, ACR BI-RADS Atlas, 5th edition (2013), Ultrasound, section "Masses" and
"Assessment categories".
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from sonoseg._util.validation import StrictModel
from sonoseg.lesions.birads import Orientation as Orientation
from sonoseg.lesions.birads import Posterior as Posterior

READER = 64
"""Characters of a reader's name."""

Reader = Annotated[str, Field(max_length=READER, description="The reader's initials or name.")]
ReaderRequired = Annotated[
    str, Field(min_length=1, max_length=READER, pattern=r"\S", description="The reader's initials or name.")
]


class LesionShape(StrEnum):
    """The outline as a whole."""

    OVAL = "oval"
    ROUND = "round"
    IRREGULAR = "irregular"


class Margin(StrEnum):
    """The border; all but the first are the atlas' "not circumscribed"."""

    CIRCUMSCRIBED = "circumscribed"
    INDISTINCT = "indistinct"
    ANGULAR = "angular"
    MICROLOBULATED = "microlobulated"
    SPICULATED = "spiculated"


class EchoPattern(StrEnum):
    """The echogenicity of the lesion against fat."""

    ANECHOIC = "anechoic"
    HYPERECHOIC = "hyperechoic"
    COMPLEX = "complex cystic and solid"
    HYPOECHOIC = "hypoechoic"
    ISOECHOIC = "isoechoic"
    HETEROGENEOUS = "heterogeneous"


class Assessment(StrEnum):
    """The assessment category."""

    INCOMPLETE = "0"
    NEGATIVE = "1"
    BENIGN = "2"
    PROBABLY_BENIGN = "3"
    LOW_SUSPICION = "4A"
    MODERATE_SUSPICION = "4B"
    HIGH_SUSPICION = "4C"
    HIGHLY_SUGGESTIVE = "5"
    PROVEN = "6"


class Review(StrictModel):
    """A reader's review of one item; fields that were not chosen are null.

    seconds: spent on the item so far. version: incremented by each save; a save with another version than the
    current one is refused (412); null skips the check.
    """

    reader: Reader = ""
    comment: Annotated[str, Field(max_length=10_000)] = ""
    shape: LesionShape | None = None
    orientation: Orientation | None = None
    margin: Margin | None = None
    echo_pattern: EchoPattern | None = None
    posterior: Posterior | None = None
    assessment: Assessment | None = None
    seconds: Annotated[float, Field(ge=0, le=1e7)] = 0.0
    version: Annotated[int, Field(ge=0)] | None = None
