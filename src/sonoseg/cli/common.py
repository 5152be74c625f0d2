"""What every verb shares: consoles, progress, JSON, and extras named when they are missing."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from rich.console import Console

T = TypeVar("T")

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def progress(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Pass `items` through under a progress bar on stderr; silent where stderr is no terminal."""
    from rich.progress import track

    if not sys.stderr.isatty():
        yield from items
        return
    yield from track(items, description=description, total=total, console=err, transient=True)


def print_json(value: Any) -> None:
    """Write `value` to stdout as JSON for a program to read."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))
