"""The state folder: what a save leaves, whose a mask is, and that nothing is lost whatever happens."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sonoseg._util import files
from sonoseg.errors import OutputError, SonosegError, SonosegWarning
from sonoseg.inference.predictor import Predictor
from sonoseg.lesions.measurement import measure
from sonoseg.results.ledger import LedgerBusy, LedgerFull
from sonoseg.review import mask_png as images
from sonoseg.review.error_responses import as_refusal
from sonoseg.review.file_import import import_paths
from sonoseg.review.http_errors import Forbidden, NotThere, Stale, WrongStatus
from sonoseg.review.items import Item, Tool
from sonoseg.review.reading import Margin, Review
from sonoseg.review.settings import ServerLimits
from sonoseg.review.store import Store

Fill = Callable[..., Item]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "state", exclusive=True, wait=0.2) as opened:
        yield opened


def predict(store: Store, identity: str, predictor: Predictor) -> Item:
    found = predictor.predict(store.frame(identity))
    return store.save_prediction(identity, found, measure(found), model_hash=predictor.model.hash)


def sound(store: Store, identity: str) -> None:
    """Every mask that the log names is there, pixel for pixel, and the item is what the log says last."""
    item = store.item(identity)
    masks = [entry for entry in store.history(identity) if entry.action == "mask"]
    assert [entry.revision for entry in masks] == list(range(1, item.revision + 1))
    for entry in masks:
        assert images.fingerprint(store.mask(identity, entry.revision)) == entry.mask_sha256
    if masks:
        assert (item.source, item.lesions, item.reader) == (
            masks[-1].source,
            masks[-1].lesions,
            masks[-1].reader,
        )


def test_a_file_is_taken_once(store: Store, fill: Fill) -> None:
    first, again = fill(store, 1, "a.png"), fill(store, 1, "b.png")
    assert first == again
    assert (first.name, first.status, first.prediction, first.revision) == ("a.png", "new", "waiting", 0)
    assert len(first.id) == 16
    assert first.clip == first.id
    assert (first.spacing, first.spacing_reason) == (None, "the file carries no calibration")
    assert store.items().total == 1
    assert store.frame(first.id).name == "a"
    assert [entry.action for entry in store.history(first.id)] == ["added"]


def test_saves_are_revisions_and_all_are_kept(store: Store, fill: Fill, draw: Any) -> None:
    item = fill(store)
    masks = [draw.boxes((10, 10, 20 + k, 30)) for k in range(3)]
    for revision, mask in enumerate(masks):
        saved = store.save_mask(
            item.id, mask, [{"lesion": 1}], expected=revision, reader="AB", tool=Tool.BRUSH, seconds=1.5
        )
        assert (saved.revision, saved.lesions, saved.status) == (revision + 1, 1, "read")
    for revision, mask in enumerate(masks, start=1):
        assert np.array_equal(store.mask(item.id, revision), mask)
    assert np.array_equal(store.mask(item.id), masks[-1])
    assert store.lesions(item.id) == [{"lesion": 1}]
    last = store.history(item.id)[-1]
    assert (last.action, last.revision, last.reader, last.tool, last.seconds) == (
        "mask",
        3,
        "AB",
        "brush",
        1.5,
    )
    with pytest.raises(NotThere):
        store.mask(item.id, 4)
    sound(store, item.id)


def test_the_later_of_two_is_told(store: Store, fill: Fill, draw: Any) -> None:
    item = fill(store)
    first, second = draw.boxes((1, 1, 9, 9)), draw.boxes((20, 20, 40, 40))
    store.save_mask(item.id, first, [], expected=0, reader="AB")
    with pytest.raises(Stale) as told:
        store.save_mask(item.id, second, [], expected=0, reader="CD")
    assert told.value.more["current"]["revision"] == 1
    assert told.value.more["current"]["reader"] == "AB"
    assert np.array_equal(store.mask(item.id), first)
    sound(store, item.id)


def test_of_many_that_save_at_once_one_wins_each_time(store: Store, fill: Fill, draw: Any) -> None:
    item = fill(store)
    outcomes: list[str] = []

    def save(number: int) -> None:
        try:
            store.save_mask(item.id, draw.boxes((number, 0, number + 5, 9)), [], expected=0)
            outcomes.append("saved")
        except (Stale, LedgerBusy) as refusal:
            outcomes.append(type(refusal).__name__)

    threads = [threading.Thread(target=save, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("saved") == 1
    assert len(outcomes) == 8
    assert store.item(item.id).revision == 1
    sound(store, item.id)


def test_whose_a_mask_is(store: Store, fill: Fill, draw: Any, dark_predictor: Predictor) -> None:
    item = fill(store)
    assert predict(store, item.id, dark_predictor).source == "model"
    own = store.mask(item.id)
    assert own.any()
    more = own | draw.boxes((0, 0, 5, 5))
    steps = [
        (more, "edited"),
        (own, "model"),  # undone
        (draw.boxes(), "manual"),  # cleared: what follows is the reader's alone
        (draw.boxes((30, 30, 40, 40)), "manual"),
        (more, "edited"),  # undone back to what had begun as the model's
        (more | draw.boxes((50, 50, 55, 55)), "edited"),
    ]
    for revision, (mask, source) in enumerate(steps):
        assert store.save_mask(item.id, mask, [], expected=revision).source == source
    sound(store, item.id)


def test_without_a_model_a_mask_is_manual(
    store: Store, fill: Fill, draw: Any, dark_predictor: Predictor
) -> None:
    item = fill(store)
    drawn = draw.boxes((5, 5, 20, 20))
    assert store.save_mask(item.id, drawn, [{}], expected=0).source == "manual"
    late = predict(store, item.id, dark_predictor)  # it comes late, and must not replace what was drawn
    assert (late.revision, late.source, late.lesions, late.prediction) == (1, "manual", 1, "done")
    assert np.array_equal(store.mask(item.id), drawn)
    assert store.mask(item.id, 0).any()
    assert store.save_mask(item.id, drawn | draw.boxes((40, 40, 50, 50)), [], expected=1).source == "manual"


def test_what_a_prediction_keeps(store: Store, fill: Fill, dark_predictor: Predictor) -> None:
    item = fill(store)
    assert store.probability(item.id) is None
    found = dark_predictor.predict(store.frame(item.id), attention=True)
    saved = store.save_prediction(item.id, found, measure(found), model_hash=dark_predictor.model.hash)
    assert (saved.prediction, saved.lesions, saved.model) == ("done", 1, "dark")
    assert saved.uncertainty == pytest.approx(found.uncertainty)
    assert saved.model_hash == dark_predictor.model.hash
    assert saved.settings_hash == dark_predictor.settings_hash
    assert np.array_equal(store.mask(item.id), found.mask)
    kept = store.probability(item.id)
    assert kept is not None
    assert np.abs(kept - found.probability).max() <= 0.5 / 65535 + 1e-6
    assert store.attention_png(item.id, 1) is not None
    assert store.attention_png(item.id, 5) is None
    assert store.threshold(item.id) == found.threshold


def test_another_models_result_replaces_only_what_nobody_read(
    store: Store, fill: Fill, draw: Any, dark_predictor: Predictor
) -> None:
    read, unread = fill(store, 1), fill(store, 2)
    for item in (read, unread):
        predict(store, item.id, dark_predictor)
    store.save_mask(read.id, draw.boxes((1, 1, 5, 5)), [], expected=0)
    before = store.probability(read.id)
    found = dark_predictor.predict(np.full((60, 80), 200, dtype=np.uint8))
    for item in (read, unread):
        store.save_prediction(item.id, found, measure(found), model_hash="another")
    assert store.item(read.id).model_hash == dark_predictor.model.hash
    assert np.array_equal(store.probability(read.id), before)
    assert store.item(unread.id).model_hash == "another"
    assert not store.mask(unread.id).any()


def test_signing_referring_and_reopening(store: Store, fill: Fill, draw: Any) -> None:
    item = fill(store)
    with pytest.raises(WrongStatus, match="no mask"):
        store.sign(item.id, "AB", expected=0)
    with pytest.raises(WrongStatus):
        store.reopen(item.id, "AB", expected=0)
    store.save_mask(item.id, draw.boxes(), [], expected=0)  # "no lesion" is a finding too
    with pytest.raises(Stale):
        store.sign(item.id, "AB", expected=0)
    signed = store.sign(item.id, "AB", expected=1)
    assert (signed.status, signed.reader) == ("signed", "AB")
    assert signed.signed_at
    for change in (
        lambda: store.save_mask(item.id, draw.boxes((1, 1, 5, 5)), [], expected=1),
        lambda: store.save_review(item.id, Review(), expected=1),
        lambda: store.refer(item.id, "CD", expected=1),
        lambda: store.sign(item.id, "CD", expected=1),
    ):
        with pytest.raises(WrongStatus, match="signed by AB"):
            change()
    opened = store.reopen(item.id, "CD", expected=1)
    assert (opened.status, opened.signed_at) == ("read", None)
    assert store.refer(item.id, "CD", "a second look", expected=1).status == "referred"
    actions = [(entry.action, entry.reader, entry.comment) for entry in store.history(item.id)]
    assert actions[-3:] == [
        ("signed", "AB", None),
        ("reopened", "CD", None),
        ("referred", "CD", "a second look"),
    ]
    assert store.items().counts == {"new": 0, "read": 0, "signed": 0, "referred": 1}


def test_reviews_have_versions(store: Store, fill: Fill) -> None:
    item = fill(store)
    assert store.review(item.id) is None
    first = store.save_review(item.id, Review(reader="AB", margin=Margin.ANGULAR), expected=0)
    assert first.version == 1
    assert store.item(item.id).status == "read"
    assert store.save_review(item.id, Review(reader="AB", comment="so", version=1), expected=0).version == 2
    with pytest.raises(Stale) as told:
        store.save_review(item.id, Review(reader="CD", version=1), expected=0)
    assert told.value.more["current"]["version"] == 2
    kept = store.review(item.id)
    assert kept is not None
    assert (kept.comment, kept.margin) == ("so", None)


def test_the_list_is_filtered_searched_and_sorted(store: Store, fill: Fill, draw: Any) -> None:
    for seed, name in enumerate(["b_1.png", "A.png", "c%.png"]):
        fill(store, seed, name)
    names = lambda **asked: [item.name for item in store.items(**asked).items]  # noqa: E731
    assert names() == ["b_1.png", "A.png", "c%.png"]
    assert names(descending=True) == ["c%.png", "A.png", "b_1.png"]
    assert names(sort="name") == ["A.png", "b_1.png", "c%.png"]
    assert names(search="%") == ["c%.png"]
    assert names(search="_1") == ["b_1.png"]
    assert names(search="a.P") == ["A.png"]
    assert names(offset=1, limit=1) == ["A.png"]
    identity = store.items(search="A.png").items[0].id
    store.save_mask(identity, draw.boxes(), [], expected=0)
    assert names(status="read") == ["A.png"]
    found = store.items(status="new", limit=1)
    assert (found.total, len(found.items), found.counts["read"]) == (2, 1, 1)


def test_the_hardest_come_first_and_the_unknown_last(
    store: Store, fill: Fill, dark_predictor: Predictor
) -> None:
    sure, unsure, unknown = (fill(store, seed) for seed in range(3))
    predict(store, sure.id, dark_predictor)
    nothing = dark_predictor.predict(np.full((60, 80), 72, dtype=np.uint8))
    store.save_prediction(unsure.id, nothing, measure(nothing), model_hash=dark_predictor.model.hash)
    order = [item.id for item in store.items(sort="uncertainty", descending=True).items]
    assert order == [unsure.id, sure.id, unknown.id]
    assert [item.id for item in store.items(sort="uncertainty").items] == [sure.id, unsure.id, unknown.id]


def test_the_log_is_only_added_to(store: Store, fill: Fill) -> None:
    item = fill(store)
    with sqlite3.connect(store.folder / "state.sqlite") as connection:
        for statement in ("DELETE FROM log", "UPDATE log SET reader = 'XY'"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)
    assert len(store.history(item.id)) == 1


def test_only_one_server_at_a_time(store: Store, fill: Fill) -> None:
    item = fill(store)
    with pytest.raises(OutputError, match="another process is using"):
        Store(store.folder, exclusive=True)
    with Store(store.folder, read_only=True) as reading:
        assert reading.items().total == 1
        with pytest.raises(Forbidden):
            reading.sign(item.id, "AB", expected=0)


def test_a_folder_that_cannot_be_written_to_is_read(
    fill: Fill, ordinary_rights: Any, open_folder: Path
) -> None:
    with Store(open_folder / "state") as made:
        item = fill(made)
    folder = open_folder / "state"
    make_public(folder)
    folder.chmod(0o555)
    try:
        with ordinary_rights(), Store(folder, read_only=True) as reading:
            assert reading.item(item.id).name == "scan.png"
            assert reading.thumbnail(item.id).startswith(b"\x89PNG")
    finally:
        folder.chmod(0o755)


def test_saves_that_only_the_wal_holds_are_not_passed_over(
    fill: Fill, ordinary_rights: Any, open_folder: Path
) -> None:
    folder = open_folder / "state"
    with Store(folder) as made:
        fill(made)
        wal = (folder / "state.sqlite-wal").read_bytes()
        assert wal
    (folder / "state.sqlite-wal").write_bytes(wal)  # as a killed server leaves it
    make_public(folder)
    folder.chmod(0o555)
    try:
        with ordinary_rights(), pytest.raises(OutputError, match="was killed"):
            Store(folder, read_only=True)
    finally:
        folder.chmod(0o755)


def test_what_is_no_state_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="there is no review state"):
        Store(tmp_path, read_only=True)
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="other files"):
        Store(tmp_path)
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "state.sqlite").write_bytes(b"this is no database, but it is long enough to be one" * 40)
    with pytest.raises(OutputError, match="not a review state"):
        Store(folder)


def test_a_later_version_is_refused(store: Store) -> None:
    store.close()
    with sqlite3.connect(store.folder / "state.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(OutputError, match="version 99"):
        Store(store.folder)


# Faults


def test_a_full_disk_while_the_mask_is_written(
    store: Store, fill: Fill, draw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = fill(store)
    store.save_mask(item.id, draw.boxes((1, 1, 9, 9)), [{}], expected=0, reader="AB")

    def no_space(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(files.os, "fsync", no_space)
        with pytest.raises(OutputError, match="No space left on device") as full:
            store.save_mask(item.id, draw.boxes((1, 1, 30, 30)), [], expected=1)
    assert as_refusal(full.value).status == 507
    assert store.item(item.id).revision == 1
    assert sorted(path.name for path in (store.folder / "masks" / item.id).iterdir()) == ["1.png"]
    sound(store, item.id)
    assert store.save_mask(item.id, draw.boxes((1, 1, 30, 30)), [], expected=1).revision == 2
    sound(store, item.id)


def test_a_full_disk_while_the_database_is_written(store: Store, fill: Fill, draw: Any) -> None:
    item = fill(store)
    store.save_mask(item.id, draw.boxes((1, 1, 9, 9)), [{}], expected=0)
    with store.ledger.read() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
    with store.ledger.change() as connection:
        connection.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own way to say: no more space
    with pytest.raises(LedgerFull):
        store.save_mask(item.id, draw.boxes((1, 1, 30, 30)), [{"text": "x" * 50_000}], expected=1)
    with store.ledger.change() as connection:
        connection.execute("PRAGMA max_page_count = 100000")
    assert store.item(item.id).revision == 1
    sound(store, item.id)
    assert store.save_mask(item.id, draw.boxes((1, 1, 30, 30)), [], expected=1).revision == 2
    sound(store, item.id)


def test_a_locked_database_is_waited_for(store: Store, fill: Fill, draw: Any) -> None:
    item = fill(store)
    other = sqlite3.connect(store.folder / "state.sqlite", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerBusy) as busy:
        store.save_mask(item.id, draw.boxes(), [], expected=0)
    assert int(as_refusal(busy.value).headers["Retry-After"]) >= 1
    assert store.item(item.id).revision == 0  # reading still works
    store.ledger.wait = 30.0
    store.ledger._idle.clear()  # a new connection, with the longer wait
    release = threading.Timer(0.3, other.rollback)
    release.start()
    assert store.save_mask(item.id, draw.boxes(), [], expected=0).revision == 1
    release.join()
    other.close()


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from sonoseg._util import files
from sonoseg.review import reading_store
from sonoseg.review.store import Store

folder, identity, moment = sys.argv[1:]
store = Store(folder, exclusive=True)
die = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
revision = store.item(identity).revision
mask = np.zeros((60, 80), dtype=bool)
mask[: revision + 2] = True
if moment == "while the mask is written":
    files.os.fsync = die
elif moment == "before the commit":
    reading_store.add_log_entry = die
elif moment == "after the commit":
    former = store.ledger.change
    from contextlib import contextmanager
    @contextmanager
    def change():
        with former() as connection:
            yield connection
        die()
    store.ledger.change = change
while True:
    store.save_mask(identity, mask, [{}], expected=revision, reader="AB")
    revision += 1
    mask = np.roll(mask, 1, axis=1) ^ (np.arange(80) == revision % 80)
    print(revision, flush=True)
"""


def kill_in(folder: Path, identity: str, moment: str, after: int = 0) -> int:
    """Save masks in another process until it is killed; gives the last revision that it called saved."""
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder), identity, moment], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        last = 0
        for line in process.stdout:
            last = int(line)
            if after and last >= after:
                process.kill()
        assert process.wait(60) == -signal.SIGKILL
    return last


@pytest.mark.process
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_kill_in_the_middle_of_a_save_leaves_the_state_before_or_after_it(
    store: Store, fill: Fill, draw: Any
) -> None:
    item = fill(store)
    store.save_mask(item.id, draw.boxes((1, 1, 9, 9)), [{}], expected=0, reader="AB")
    store.close()
    expected = 1
    for moment, more in (
        ("while the mask is written", 0),
        ("before the commit", 0),
        ("after the commit", 1),
    ):
        kill_in(store.folder, item.id, moment)
        expected += more
        with Store(store.folder, exclusive=True) as opened:
            assert opened.item(item.id).revision == expected, moment
            sound(opened, item.id)
            left = {path.name for path in (store.folder / "masks" / item.id).iterdir()}
            assert not {name for name in left if name.startswith(".")}, moment
    last = kill_in(store.folder, item.id, "at any time", after=expected + 15)
    with Store(store.folder, exclusive=True) as opened:
        assert opened.item(item.id).revision >= last > expected
        sound(opened, item.id)
        assert (
            opened.save_mask(item.id, draw.boxes(), [], expected=opened.item(item.id).revision).revision
            > last
        )


def make_public(folder: Path) -> None:
    """Give a folder the permissions that earlier versions gave it."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def modes(folder: Path) -> dict[str, int]:
    """The permissions of a folder and of all in it."""
    return {
        str(path.relative_to(folder)): stat.S_IMODE(path.lstat().st_mode)
        for path in (folder, *folder.rglob("*"))
    }


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
class TestPermissions:
    """The originals may name patients: no other user of the machine reads the folder."""

    def test_all_is_private(self, store: Store, fill: Fill, dark_predictor: Predictor) -> None:
        item = fill(store)
        predict(store, item.id, dark_predictor)
        store.save_mask(item.id, store.mask(item.id), [], expected=0)
        store.thumbnail(item.id)
        found = modes(store.folder)
        assert len(found) >= 12
        assert {name: oct(mode) for name, mode in found.items() if mode & 0o077} == {}

    def test_an_older_folder_is_tightened_with_a_warning(self, tmp_path: Path, fill: Fill) -> None:
        folder = tmp_path / "state"
        with Store(folder) as store:
            fill(store)
        make_public(folder)
        with pytest.warns(SonosegWarning, match=r"state: other users had access to this folder"):
            Store(folder, exclusive=True).close()
        assert {name: oct(mode) for name, mode in modes(folder).items() if mode & 0o077} == {}

    def test_a_tight_or_new_folder_gives_no_warning(self, tmp_path: Path) -> None:
        (tmp_path / "state").mkdir(mode=0o755)
        with warnings.catch_warnings(action="error"):
            Store(tmp_path / "state", exclusive=True).close()
            Store(tmp_path / "state", exclusive=True).close()
        assert modes(tmp_path / "state")["."] == 0o700

    def test_read_only_leaves_permissions(self, tmp_path: Path) -> None:
        Store(tmp_path / "state").close()
        (tmp_path / "state").chmod(0o755)
        with warnings.catch_warnings(action="error"):
            Store(tmp_path / "state", read_only=True).close()
        assert modes(tmp_path / "state")["."] == 0o755


def test_an_image_without_a_row_is_removed_at_the_start(tmp_path: Path, fill: Fill) -> None:
    """A server was killed between moving the file and committing its row."""
    with Store(tmp_path / "state") as store:
        item = fill(store)
        orphan = store.folder / "originals" / f"{'0' * 16}.dcm"
        orphan.write_bytes(b"a patient's image")
    with Store(tmp_path / "state", exclusive=True) as store:
        assert not orphan.exists()
        assert store.path(item.id).is_file()


@pytest.mark.parametrize("name", ["state.sqlite", "masks", "originals/x.png", "predictions/a"])
@pytest.mark.parametrize("read_only", [False, True])
def test_links_in_a_state_folder_are_refused(tmp_path: Path, fill: Fill, name: str, read_only: bool) -> None:
    folder = tmp_path / "state"
    with Store(folder) as store:
        fill(store)
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    if path.exists():
        path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match=r"the review state contains a link"):
        Store(folder, read_only=read_only)


NAMES = ["../x", "/etc/passwd", "..", "", ".hidden", "a\\b", "\0", b"x", None]


@pytest.mark.parametrize("column", ["id", "file"])
@pytest.mark.parametrize("name", NAMES)
def test_a_state_whose_names_lead_elsewhere_is_refused(
    tmp_path: Path, fill: Fill, column: str, name: object
) -> None:
    with Store(tmp_path / "state") as store:
        fill(store)
    spoil(tmp_path / "state", "items", column, name)
    with pytest.raises(OutputError, match="no plain name"):
        Store(tmp_path / "state", read_only=True)


def spoil(folder: Path, table: str, column: str, value: object) -> None:
    """Put a value into a column, also against the table's constraints: a stranger's table has others."""
    connection = sqlite3.connect(folder / "state.sqlite")
    with connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '')")
        connection.execute("DELETE FROM sqlite_master WHERE type = 'trigger'")
    connection.close()
    connection = sqlite3.connect(folder / "state.sqlite")
    with connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(f"UPDATE {table} SET {column} = ?", (value,))
    connection.close()


VALUES = [
    "../x",
    -1,
    2**60,
    1e400,
    None,
    b"\xff",
    "[" * 200_000,
    "{}",
    "[1]",
    "\ud800".encode("utf-8", "surrogatepass"),
]


@pytest.mark.process
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    place=st.sampled_from(
        [
            *(("items", name) for name in ("name", "kind", "frame", "frames", "height", "width", "findings")),
            *(
                ("items", name)
                for name in ("spacing_row", "spacing_origin", "gates", "revision", "model_hash")
            ),
            *(("reviews", name) for name in ("version", "content")),
            *(("log", name) for name in ("action", "revision", "content", "tool", "mask_sha256")),
        ]
    ),
    value=st.sampled_from(VALUES),
)
def test_a_state_from_a_stranger(
    state: Path, tmp_path_factory: pytest.TempPathFactory, place: tuple[str, str], value: object
) -> None:
    """Whatever its tables hold, reading ends in values or in our errors, and nothing else changes."""
    around = tmp_path_factory.mktemp("around")
    folder = Path(shutil.copytree(state, around / "state"))
    spoil(folder, *place, value)
    try:
        with Store(folder, exclusive=True) as store:
            reads: list[Callable[[str], object]] = [
                *(store.item, store.frame, store.mask, store.lesions, store.review, store.history),
                *(store.thumbnail, store.probability, store.threshold),
                lambda identity: store.attention_png(identity, 1),
                lambda identity: store.save_mask(identity, np.zeros((60, 80), bool), [], expected=1),
                lambda identity: store.save_review(identity, Review(reader="CD"), expected=1),
                lambda identity: store.sign(identity, "CD", expected=1),
                lambda _: store.items(),
            ]
            for (identity,) in sqlite3.connect(folder / "state.sqlite").execute("SELECT id FROM items"):
                for read in reads:
                    with suppress(SonosegError):
                        read(identity)
    except SonosegError:
        pass
    assert [path.name for path in around.iterdir()] == ["state"]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory, dark_predictor: Predictor, draw: Any) -> Path:
    """A state folder with one image, predicted, corrected and reviewed."""
    folder = tmp_path_factory.mktemp("given") / "state"
    scan = folder.parent / "scan.png"
    scan.write_bytes(draw.scan())
    with Store(folder) as store:
        (item,) = import_paths(store, [scan], ServerLimits()).items
        predict(store, item.id, dark_predictor)
        store.save_mask(item.id, draw.boxes((1, 1, 9, 9)), [{"lesion": 1}], expected=0, reader="AB")
        store.save_review(item.id, Review(reader="AB", comment="new"), expected=1)
    return folder
