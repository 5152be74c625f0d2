"""Resumable download of a file, verified by its SHA-256."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from sonoseg._util.documents import parse_json
from sonoseg._util.files import atomic_write_text, sha256_file
from sonoseg._util.packages import missing_extra
from sonoseg._util.text import first_line
from sonoseg.data.catalogue import Download
from sonoseg.errors import DownloadError

Report = Callable[[int, int | None], None]
"""Progress callback: bytes received, and the total (None where the server does not state it)."""

CHUNK = 1 << 14
"""Bytes read at a time; an interrupted read is discarded."""


def fetch(
    item: Download,
    folder: Path,
    *,
    tries: int = 6,
    wait: float = 1.0,
    timeout: float = 60.0,
    report: Report | None = None,
) -> Path:
    """Download `item` into `folder` and verify its SHA-256 where one is published.

    Received data is kept in NAME.part, also when the process is killed: a later call requests only the
    rest (HTTP Range, guarded by the file's ETag or date). A broken connection is retried until `tries`
    attempts in a row receive nothing more, after `wait`, 2 `wait`, ... seconds.
    Raises DownloadError, MissingExtra without pooch.
    """
    try:
        import pooch
    except ImportError as error:
        raise missing_extra("pooch", "data") from error
    import requests

    pooch.get_logger().setLevel("ERROR")  # its messages repeat ours
    part = folder / f"{item.name}.part"
    resuming = _Resuming(part, tries=tries, wait=wait, timeout=timeout, report=report or _say_nothing)
    known = None if item.sha256 is None else f"sha256:{item.sha256}"
    try:
        place = pooch.retrieve(item.url, known, fname=item.name, path=folder, downloader=resuming)
    except ValueError as error:  # pooch: the hash differs; its copy is gone, and so is ours
        raise DownloadError(
            "the downloaded file is not the published one: its SHA-256 differs",
            where=item.url,
            remedy="Try again; if it still differs, the set may have a new release: see its home page",
        ) from error
    except requests.exceptions.RequestException as error:
        raise DownloadError(
            f"the download failed ({_plain(error)})",
            where=item.url,
            remedy="Run the command again: it resumes",
        ) from error
    except OSError as error:
        raise DownloadError(
            f"the download cannot be stored ({error.strerror or error})",
            where=folder,
            remedy="Free some space, or choose a folder you may write to",
        ) from error
    return Path(place)


def verify(item: Download, file: Path) -> None:
    """Raise DownloadError unless `file` is the published one, where its SHA-256 is known."""
    if not file.is_file():
        raise DownloadError("no such file", where=file, remedy="Check the path given to --from")
    found = sha256_file(file)
    if item.sha256 is not None and found != item.sha256:
        raise DownloadError(
            f"not the published file: its SHA-256 is {found[:12]}…, not {item.sha256[:12]}…",
            where=file,
            remedy="Download it again, or accept it by its counts with --any-checksum",
        )


class _Resuming:
    """A downloader in pooch's sense: called with the address and the file to fill."""

    def __init__(self, part: Path, *, tries: int, wait: float, timeout: float, report: Report) -> None:
        self.part, self.note = part, part.with_name(part.name + ".json")
        self.tries, self.wait, self.timeout, self.report = tries, wait, timeout, report

    def __call__(self, url: str, output_file: str | IO[Any], pooch: Any, check_only: bool = False) -> None:
        import requests

        failed, most = 0, self._have()
        while True:
            try:
                self._rest(url)
                break
            except requests.exceptions.RequestException as error:
                status = getattr(getattr(error, "response", None), "status_code", 0)
                refused = 400 <= status < 500 and status not in (408, 416, 429)
                failed = 1 if self._have() > most else failed + 1
                most = max(most, self._have())
                if failed == self.tries or refused:
                    raise
                time.sleep(self.wait * failed)
        self.part.replace(str(output_file))
        self.note.unlink(missing_ok=True)

    def _rest(self, url: str) -> None:
        """Download the rest of the part; it is complete on return."""
        import requests

        tag = self._tag(url)
        have = self._have() if tag else 0
        # "identity": a server that compressed on the way would make byte counts and ranges meaningless.
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers |= {"Range": f"bytes={have}-", "If-Range": tag}
        with requests.get(url, headers=headers, stream=True, timeout=self.timeout) as answer:
            if answer.status_code == 416:  # the part is longer than the file, or complete
                self.part.unlink(missing_ok=True)
            answer.raise_for_status()
            resumed = answer.status_code == 206
            if not resumed:
                have = 0
            self._remember(url, answer.headers)
            length = answer.headers.get("Content-Length")
            total = have + int(length) if length else None
            with self.part.open("ab" if resumed else "wb") as file:
                self.report(have, total)
                for block in answer.iter_content(CHUNK):
                    file.write(block)
                    have += len(block)
                    self.report(have, total)
        if total is not None and have != total:
            raise requests.exceptions.ConnectionError(f"connection closed after {have} of {total} bytes")

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _tag(self, url: str) -> str:
        """The ETag or date of the version the part belongs to; "" where unknown."""
        try:
            note = parse_json(self.note.read_text("utf-8"))
        except (OSError, ValueError):
            return ""
        return str(note.get("tag", "")) if note.get("url") == url else ""

    def _remember(self, url: str, headers: Any) -> None:
        tag = headers.get("ETag", "")
        if not tag or tag.startswith("W/"):  # a weak tag does not promise equal bytes
            tag = headers.get("Last-Modified", "")
        atomic_write_text(self.note, json.dumps({"url": url, "tag": tag}))


def _plain(error: Exception) -> str:
    """The innermost cause of a requests exception, in one short line."""
    answer = getattr(error, "response", None)
    if answer is not None:
        return f"the server answered {answer.status_code} {answer.reason}"
    heart: BaseException = error
    while (inner := heart.__cause__ or heart.__context__) is not None:
        heart = inner
    return first_line(heart)


def _say_nothing(done: int, total: int | None) -> None:
    pass
