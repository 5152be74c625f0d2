"""What a page may show of a reason."""

from __future__ import annotations

from typing import Any

import pytest

from sonoseg.pacs.redaction import shown
from sonoseg.pacs.status_codes import told


@pytest.mark.parametrize(
    ("why", "seen"),
    [
        (None, None),
        ("the memory is full", "the memory is full"),
        ("not ultrasound: its modality is MG. Send ultrasound images",) * 2,
        (
            f"seg refused by the archive (status 0xC000): {told(0xC000, 'Erika: Musterfrau')}; tried 6 times",
            "seg refused by the archive (status 0xC000): the archive cannot understand it; tried 6 times",
        ),
        (
            "sr refused by the archive: cannot be sent: 'Musterfrau^Erika' is no date; tried 2 times",
            "sr refused by the archive: cannot be sent; tried 2 times",
        ),
        ("sr refused by the archive (status 0xC000)",) * 2,
    ],
)
def test_the_words_of_others_are_left_out(why: Any, seen: Any) -> None:
    assert shown(why) == seen
