"""Match masks to images by their file names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

_MASK = re.compile(
    r"(?:^mask(?![a-z])[_-]?)|(?:[_ -]?(?:mask|tumou?r|other\d*)(?:[_ -]?\d+)?$)"
    r"|(?:[._ -](?:masks|seg|segmentation|gt|ground[_ -]?truth|label)(?:[_ -]?\d+)?$)",
    re.IGNORECASE,
)
_SCAN = re.compile(r"(?:^(?:bus|image|img|scan)[_-])|(?:[_ -](?:image|img|scan)$)", re.IGNORECASE)


def looks_like_mask(path: Path) -> bool:
    """Whether a file is named as a mask: mask_0001-l, "benign (1)_mask_1", case001_tumor."""
    return bool(_MASK.search(path.stem))


def image_of(mask: Path, images: Iterable[Path]) -> Path | None:
    """The image of a mask among some: of the same name, mask_ or _mask and the like left out of both.

    BUSI's "benign (1)_mask_1" belongs to "benign (1)", BUS-BRA's "mask_0001-l" to "bus_0001-l", a mask "a" of
    one folder to the image "a" of another. None where there is none, or more than one.
    """
    wanted = match_key(mask)
    found = [path for path in images if not looks_like_mask(path) and match_key(path) == wanted]
    return found[0] if len(found) == 1 else None


def match_key(path: Path) -> str:
    """What the name of a mask and the name of its image have in common; see `image_of`."""
    return _SCAN.sub("", _MASK.sub("", path.stem)).casefold()
