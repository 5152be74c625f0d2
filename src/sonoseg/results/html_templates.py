"""The HTML pages' templates (jinja2, autoescaped), with their style sheets and scripts."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from jinja2 import Environment, Template

TEMPLATES = Path(__file__).with_name("templates")

_LOADING = Lock()


def asset(*names: str) -> str:
    """Read style sheets or scripts of this package, one after another."""
    return "".join((TEMPLATES / name).read_text("utf-8") for name in names)


def render_page(template: str, values: Mapping[str, Any], *, style: tuple[str, ...], script: str = "") -> str:
    """Render a page as one text. Arguments as in `write_page`."""
    return _load(template).render(_with_assets(values, style, script))


def write_page(
    file: TextIO, template: str, values: Mapping[str, Any], *, style: tuple[str, ...], script: str = ""
) -> None:
    """Render a page piece by piece, so that iterators among the values are never held as a whole.

    template: its name in templates/. values: by name; all text among them is escaped. style: names of style
    sheets. script: the text of the page's script. Both are trusted, and put into the page as they are.
    """
    for piece in _load(template).generate(_with_assets(values, style, script)):
        file.write(piece)


def preload(template: str) -> None:
    """Compile a template in the background, so that its page is not delayed by it (60 ms with the import)."""
    Thread(target=_load, args=(template,), daemon=True).start()


def _load(template: str) -> Template:
    with _LOADING:
        return _environment().get_template(template)


def _with_assets(values: Mapping[str, Any], style: tuple[str, ...], script: str) -> dict[str, Any]:
    from markupsafe import Markup

    # The package's own files, not text of a user. Other templates' values stay unmarked, hence escaped.
    return {**values, "style": Markup(asset(*style)), "script": Markup(script)}


@cache
def _environment() -> Environment:
    # Not at the top: only commands that write a page pay for the import.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
