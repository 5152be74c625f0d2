"""What the verbs that write a prepared set tell at their end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sonoseg.cli.common import err, out, print_json
from sonoseg.errors import BatchError

if TYPE_CHECKING:
    from sonoseg.data.preparation import PreparationResult


def tell(result: PreparationResult, *, as_json: bool) -> None:
    """Print what was prepared and what was left out. Raises BatchError where an image cannot be used."""
    if as_json:
        print_json(
            {
                "folder": str(result.folder),
                "fingerprint": result.fingerprint,
                "images": result.images,
                "fresh": result.fresh,
                "skipped": [{"id": name, "reason": reason} for name, reason in result.skipped],
                "known": [{"id": name, "reason": reason} for name, reason in result.known],
            }
        )
    else:
        word = "prepared" if result.fresh else "already prepared"
        out.print(f"{word}: {result.images} images in {result.folder}", markup=False, soft_wrap=True)
        out.print(f"fingerprint {result.fingerprint[:12]}")
    for name, reason in result.known:
        err.print(f"left out {name}, a flaw of the published set: {reason}", markup=False, soft_wrap=True)
    for name, reason in result.skipped:
        err.print(f"left out {name}: {reason}", markup=False, soft_wrap=True)
    if result.skipped:
        raise BatchError(
            f"{len(result.skipped)} of {len(result.skipped) + result.images} images were left out",
            where=result.folder,
            remedy="Mend the files listed above and prepare with --overwrite, or go on without them",
        )
