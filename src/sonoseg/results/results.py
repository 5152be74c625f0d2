"""All results of a run, as the tables and the page read them: one image at a time, as often as needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from sonoseg.results.entries import ImageEntry, RefusedFile, RunInfo


@dataclass(frozen=True)
class ResultCounts:
    """How much was found.

    images, lesions: how many. without: images without a lesion. in_mm: lesions measured in mm.
    given, tabled: lesions whose spacing a person or a table of spacings said.
    reasons: why lesions are not in mm, with how many each.
    """

    images: int = 0
    lesions: int = 0
    without: int = 0
    in_mm: int = 0
    given: int = 0
    tabled: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Iterable[ImageEntry]) -> ResultCounts:
        """Count in one pass."""
        images = lesions = without = in_mm = 0
        origins: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        for entry in entries:
            found = entry.findings.lesions
            images += 1
            lesions += len(found)
            without += not found
            in_mm += sum(lesion.unit == "mm" for lesion in found)
            origins.update(lesion.scale.origin for lesion in found)
            reasons.update(lesion.scale.reason for lesion in found if lesion.unit == "px")
        return cls(images, lesions, without, in_mm, origins["given"], origins["table"], dict(reasons))


@dataclass(frozen=True)
class Results:
    """What a run found.

    entries: gives every image's entry anew each time it is called, in the order of the results.
    refused: the files that gave none. referred: the names of the images that a person should look at, where
    that was asked for (None where not).
    """

    about: RunInfo
    entries: Callable[[], Iterable[ImageEntry]]
    refused: Sequence[RefusedFile] = ()
    referred: frozenset[str] | None = None
    counts: ResultCounts = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", ResultCounts.of(self.entries()))
