"""Every word has the code that DICOM gives it."""

from __future__ import annotations

import pytest

from sonoseg.lesions.birads import EchoLevel, Orientation, Posterior

MEANINGS = {
    Posterior.NONE: "No posterior acoustic features",
    Posterior.ENHANCEMENT: "Posterior enhancement",
    Posterior.SHADOWING: "Posterior shadowing",
    Posterior.COMBINED: "Combined posterior enhancement and shadowing",
}


@pytest.mark.parametrize("word", [*Orientation, *EchoLevel, *Posterior], ids=str)
def test_the_code_is_that_of_the_dictionary(word: Orientation | EchoLevel | Posterior) -> None:
    concepts = pytest.importorskip("pydicom.sr._concepts_dict").concepts["DCM"]
    meanings = {code: entry for names in concepts.values() for code, entry in names.items()}
    meaning, groups = meanings[word.code]
    assert meaning == MEANINGS.get(word, word.value.capitalize())
    assert groups == [{Orientation: 6152, EchoLevel: 6154, Posterior: 6155}[type(word)]]
