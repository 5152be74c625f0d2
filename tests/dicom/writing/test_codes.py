"""Coded values, compared with the tables of the standard."""

from __future__ import annotations

import pytest
from pydicom.sr._concepts_dict import concepts

from sonoseg.dicom.writing import codes
from sonoseg.dicom.writing.codes import CodedEnum
from sonoseg.lesions import birads as words

ENUMS = [kind for kind in vars(codes).values() if isinstance(kind, type) and issubclass(kind, CodedEnum)]
ALL = [one for kind in ENUMS for one in kind]


def test_codes_are_found() -> None:
    assert len(ALL) > 30


@pytest.mark.parametrize("one", ALL, ids=str)
def test_a_code_is_in_the_standard_with_its_meaning_and_context_group(one: CodedEnum) -> None:
    value, scheme, meaning, source = one.value
    assert source
    if one is codes.Unit.PIXELS:  # an annotation, of which UCUM has no list
        return
    known = [
        (found[0], found[1])
        for entries in concepts[scheme].values()
        for code, found in entries.items()
        if code == value
    ]
    assert meaning in [name for name, _ in known]
    for group in source.split(", "):
        if group.startswith(("PS3.16 CID", "CID")):
            number = int(group.rsplit(" ", 1)[1])
            assert any(number in groups for _, groups in known), f"CID {number} does not hold {meaning}"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (codes.OrientationCode, words.Orientation),
        (codes.EchoPatternCode, words.EchoLevel),
        (codes.PosteriorFeatures, words.Posterior),
    ],
)
def test_descriptors_of_findings_have_codes(ours: type[CodedEnum], theirs: type) -> None:
    assert {one.value.value for one in ours if one.name != "CONCEPT"} == {one.code for one in theirs}


def test_a_code_is_an_item_and_a_concept() -> None:
    item, concept = codes.FindingCode.LESION.item, codes.FindingCode.LESION.concept
    assert (item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning) == ("52988006", "SCT", "Lesion")
    assert (concept.value, concept.scheme_designator, concept.meaning) == ("52988006", "SCT", "Lesion")
