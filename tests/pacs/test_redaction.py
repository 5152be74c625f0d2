"""What a page may show of a reason."""

from __future__ import annotations

from typing import Any

import pytest

from sonoseg.pacs.redaction import redact
from sonoseg.pacs.status_codes import status_text


@pytest.mark.parametrize(
    ("reason", "redacted"),
    [
        (None, None),
        ("the memory is full", "the memory is full"),
        ("not ultrasound: modality is MG. Send ultrasound images",) * 2,
        (
            f"seg refused by the archive (status 0xC000): {status_text(0xC000, 'Erika: M')}; tried 6 times",
            "seg refused by the archive (status 0xC000): the archive cannot understand the data set"
            "; tried 6 times",
        ),
        (
            "sr refused by the archive: cannot be sent: 'Musterfrau^Erika' is not a date; tried 2 times",
            "sr refused by the archive: cannot be sent; tried 2 times",
        ),
        ("sr refused by the archive (status 0xC000)",) * 2,
    ],
)
def test_the_words_of_others_are_left_out(reason: Any, redacted: Any) -> None:
    assert redact(reason) == redacted
