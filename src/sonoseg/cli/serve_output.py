"""What `sonoseg serve` prints: files as they are added, and the address of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from sonoseg import RESEARCH_ONLY
from sonoseg.cli.common import err, out
from sonoseg.cli.warnings_display import LateBar, plain_warnings
from sonoseg.errors import OutputError
from sonoseg.inputs.file_search import find_images
from sonoseg.review.file_import import import_paths, refuse_links

if TYPE_CHECKING:
    from sonoseg.image.calibration import Spacing
    from sonoseg.review.server_process import ReviewServer


def add_files(server: ReviewServer, paths: list[str], spacing: Spacing | None, *, quiet: bool) -> None:
    """Add files to a server's state, with a progress bar. Raises OutputError where none can be used."""
    with plain_warnings():  # shown now, not when the server stops
        images = find_images(paths, skip=[server.store.folder])
    inside, links = refuse_links(images, paths)
    with LateBar("Adding images", len(inside), shown=not quiet) as bar:
        took = import_paths(server.store, inside, server.settings.limits, spacing, each=bar.advance)
    for one in (*links, *took.refused):
        err.print(f"[yellow]refused:[/] {escape(one.name)}: {escape(one.found)}", soft_wrap=True)
    if not took.items:
        raise OutputError(
            f"none of the {len(images):,} files can be used", remedy="Name images, or leave PATHS out"
        )


def print_address(server: ReviewServer, *, quiet: bool) -> None:
    """Print where the page is, and where the state is stored."""
    out.print(f"Review page: {escape(server.address)}", soft_wrap=True)
    if server.settings.pacs is not None:
        out.print(f"Queue of the node: {escape(server.address)}pacs", soft_wrap=True)
    if server.login != server.address:
        out.print(f"Log in once at {escape(server.login)}", soft_wrap=True)
    if not quiet:
        state = escape(str(server.settings.folder))
        out.print(f"The state is stored in {state}. Stop with Ctrl-C.", soft_wrap=True)
        out.print(RESEARCH_ONLY, style="bold")
    out.file.flush()  # a program may read it from a pipe
