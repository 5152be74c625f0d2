"""A set from the server of this machine, and from files brought by hand."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sonoseg._util.files import sha256_file
from sonoseg.data.catalogue import CATALOGUE, CatalogueEntry, Download
from sonoseg.data.readers import read_source
from sonoseg.data.retrieval import get
from sonoseg.errors import DownloadError, OutputError

pytest.importorskip("pooch")


class Quiet(SimpleHTTPRequestHandler):
    """Without a log."""

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address it is served at."""
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def small_busi(busi: Path, served: tuple[Path, str]) -> CatalogueEntry:
    """BUSI's entry, with the miniature set on the server and its counts."""
    folder, url = served
    archive = Path(shutil.make_archive(str(folder / "Dataset_BUSI"), "zip", busi.parent))
    item = Download(f"{url}/Dataset_BUSI.zip", "Dataset_BUSI.zip", sha256_file(archive))
    counts = {"images": 6, "masks": 7, "benign": 4, "malignant": 1, "normal": 1}
    return replace(CATALOGUE["busi"], counts=counts, downloads=(item,))


def test_fetched_unpacked_checked(small_busi: CatalogueEntry, tmp_path: Path) -> None:
    got = get(small_busi, tmp_path / "data")
    assert got.fresh
    assert got.counts == small_busi.counts
    assert got.checksums == {"Dataset_BUSI.zip": small_busi.downloads[0].sha256}
    assert len(read_source(tmp_path / "data" / "busi").records) == 6
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["busi"]
    assert not get(small_busi, tmp_path / "data").fresh


def test_the_archive_is_kept_on_request(small_busi: CatalogueEntry, tmp_path: Path) -> None:
    get(small_busi, tmp_path / "data", keep=True)
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["Dataset_BUSI.zip", "busi"]


def test_by_hand(small_busi: CatalogueEntry, served: tuple[Path, str], tmp_path: Path) -> None:
    archive = served[0] / "Dataset_BUSI.zip"
    before = hashlib.sha256(archive.read_bytes()).digest()
    got = get(small_busi, tmp_path / "data", files=[archive])
    assert got.fresh
    assert hashlib.sha256(archive.read_bytes()).digest() == before


def test_another_archive_by_hand(
    small_busi: CatalogueEntry, served: tuple[Path, str], tmp_path: Path
) -> None:
    other = replace(small_busi, downloads=(replace(small_busi.downloads[0], sha256="0" * 64),))
    archive = served[0] / "Dataset_BUSI.zip"
    with pytest.raises(DownloadError, match="its SHA-256 is"):
        get(other, tmp_path / "data", files=[archive])
    assert get(other, tmp_path / "data", files=[archive], any_checksum=True).fresh


def test_an_archive_with_too_little_in_it(small_busi: CatalogueEntry, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="the archive holds 6 images instead of 7"):
        get(replace(small_busi, counts=small_busi.counts | {"images": 7}), tmp_path / "data")
    assert not (tmp_path / "data" / "busi").exists()
    assert not (tmp_path / "data" / ".busi.partial").exists()


def test_an_archive_of_something_else(small_busi: CatalogueEntry, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="does not hold bus-bra"):
        get(replace(small_busi, name="bus-bra"), tmp_path / "data")


def test_a_failed_download_says_what_to_do_by_hand(small_busi: CatalogueEntry, tmp_path: Path) -> None:
    gone = replace(small_busi.downloads[0], url=small_busi.downloads[0].url + "x")
    words = r"answered 404.*save Dataset_BUSI\.zip.*sonoseg data get busi --from Dataset_BUSI\.zip"
    with pytest.raises(DownloadError, match=words):
        get(replace(small_busi, downloads=(gone,)), tmp_path / "data")


def test_a_folder_that_is_there_but_not_whole(small_busi: CatalogueEntry, tmp_path: Path) -> None:
    get(small_busi, tmp_path / "data")
    next((tmp_path / "data" / "busi").rglob("normal (1).png")).unlink()
    with pytest.raises(
        OutputError, match=r"does not hold busi completely \(the archive holds 5 images instead of 6"
    ):
        get(small_busi, tmp_path / "data")


def test_two_files_and_a_killed_run(breast: Path, tmp_path: Path) -> None:
    """An archive and a table; what a killed run left of the unpacking is swept away."""
    table = next(breast.glob("*.csv"))
    table = table.rename(tmp_path / table.name)
    archive = Path(shutil.make_archive(str(tmp_path / "images"), "zip", breast))
    names = ("images.zip", table.name)
    entry = replace(
        CATALOGUE["breast"],
        counts={"images": 3, "patients": 3},
        downloads=tuple(Download("http://127.0.0.1:9/", name) for name in names),
    )
    left = tmp_path / "data" / ".breast.partial" / "case009.png"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    assert get(entry, tmp_path / "data", files=[table, archive]).counts["images"] == 3
    with pytest.raises(DownloadError, match=r"breast needs one file ending in \.csv"):
        get(entry, tmp_path / "more", files=[archive])
