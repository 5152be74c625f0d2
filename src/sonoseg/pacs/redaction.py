"""Why an instance is where it is, as far as a page may show it: nothing that could name a patient."""

from __future__ import annotations

import re

_TRIED = re.compile(r"; tried \d+ times$")


def shown(why: str | None) -> str | None:
    """The reason in a row without the words of others: an archive's comment, a library's exception.

    Those may quote an object, and so name anybody. They come last, behind a colon of their own; what is kept
    is the part that is always ours, and how often it was tried. why.json, in the state folder, has all of it.
    """
    if why is None:
        return None
    tried = _TRIED.search(why)
    rest = why[: tried.start()] if tried else why
    return ": ".join(rest.split(": ")[:2]) + (tried[0] if tried else "")
