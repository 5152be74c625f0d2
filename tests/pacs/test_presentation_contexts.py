"""What the node offers to take: ultrasound, and nothing that it could not decode."""

from __future__ import annotations

import pytest

from sonoseg._util import packages
from sonoseg.dicom.reading import codecs
from sonoseg.pacs import presentation_contexts as contexts


def test_only_what_is_needed_is_offered() -> None:
    offered = {
        str(one.abstract_syntax): [str(syntax) for syntax in one.transfer_syntax]
        for one in contexts.accepted_contexts()
    }
    assert set(offered) == {contexts.VERIFICATION, *contexts.ULTRASOUND}
    for sop_class in contexts.ULTRASOUND:
        assert {contexts.IMPLICIT, contexts.EXPLICIT, codecs.RLE, *codecs.JPEG} <= set(offered[sop_class])


def test_a_codec_that_is_not_installed_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(codecs.JPEG_LS) <= set(contexts.readable_syntaxes())
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    missing = {*codecs.JPEG_LS, *codecs.JPEG_2000, *codecs.JPEG_LOSSLESS}
    assert not missing & set(contexts.readable_syntaxes())
    assert set(contexts.NATIVE) <= set(contexts.readable_syntaxes())
