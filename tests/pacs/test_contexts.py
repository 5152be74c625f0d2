"""What the node offers to take: ultrasound, and nothing that it could not decode."""

from __future__ import annotations

import pytest

from sonoseg._util import packages
from sonoseg.dicom.reading import codecs
from sonoseg.pacs import presentation_contexts as contexts


def test_only_what_is_needed_is_offered() -> None:
    offered = {str(one.abstract_syntax): [str(x) for x in one.transfer_syntax] for one in contexts.taken()}
    assert set(offered) == {contexts.VERIFICATION, *contexts.ULTRASOUND}
    for sop_class in contexts.ULTRASOUND:
        assert {contexts.IMPLICIT, contexts.EXPLICIT, codecs.RLE, *codecs.JPEG} <= set(offered[sop_class])


def test_a_codec_that_is_not_installed_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(codecs.JPEG_LS) <= set(contexts.readable())
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    assert not set(codecs.JPEG_LS + codecs.JPEG_2000 + codecs.JPEG_LOSSLESS) & set(contexts.readable())
    assert set(contexts.NATIVE) <= set(contexts.readable())
