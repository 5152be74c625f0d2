"""A folder of batch results: completed partitions are kept, and another run's are not accepted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sonoseg.batch.partitions import Listing, Manifest, Partitions, read_results
from sonoseg.batch.row_gathering import RowGatherer
from sonoseg.batch.row_reading import ListedFile
from sonoseg.batch.rows import FINISHED, error_row, table
from sonoseg.errors import InputError, OutputError, UsageError

NAMES = [f"scan-{number}.png" for number in range(10)]
FINGERPRINT = {"model_hash": "abc", "threshold": 0.5}


def rows(numbers: range, places: int = 1) -> pa.Table:
    """Rows of files, the last first."""
    return table(
        [
            error_row({"number": number, "position": place, "count": places, "file": NAMES[number]}, "why")
            for number in reversed(numbers)
            for place in reversed(range(places))
        ],
        FINISHED,
    )


@pytest.fixture
def begun(tmp_path: Path) -> Partitions:
    """Ten files in partitions of four."""
    return Partitions.begin(tmp_path / "out", iter(NAMES), FINGERPRINT, paths=["scans"], partition=4)


def again(begun: Partitions, **changes: object) -> Partitions:
    wanted = {"fingerprint": FINGERPRINT, "paths": ["scans"], "partition": None} | changes
    return Partitions.resume(begun.folder, **wanted)  # type: ignore[arg-type]


def test_partitions_are_slices_of_the_listing(begun: Partitions) -> None:
    assert begun.manifest.partitions == 3
    assert [begun.span(number) for number in range(3)] == [range(4), range(4, 8), range(8, 10)]
    listing = Listing(begun.folder / "listing.parquet", 4)
    assert listing.files(range(8, 10)) == [ListedFile(8, NAMES[8]), ListedFile(9, NAMES[9])]
    assert listing.files(range(1, 3)) == [ListedFile(1, NAMES[1]), ListedFile(2, NAMES[2])]


def test_a_partition_that_is_written_is_done(begun: Partitions) -> None:
    assert begun.todo() == [0, 1, 2]
    assert begun.write(1, rows(range(4, 8), places=2)) == {"frames": 0, "errors": 8, "lesions": 0}
    assert again(begun).todo() == [0, 2]
    assert again(begun, partition=4).done(1) == {"frames": 0, "errors": 8, "lesions": 0}
    found = read_results(begun.folder)
    assert found.column("file").to_pylist() == [name for name in NAMES[4:8] for _ in range(2)]
    assert read_results(begun.folder, ["file"]).column_names == ["file"]
    assert begun.errors(3) == [(NAMES[4], "why"), (NAMES[4], "why"), (NAMES[5], "why")]


def test_what_is_torn_or_of_another_run_is_not_done(begun: Partitions, tmp_path: Path) -> None:
    other = Partitions.begin(
        tmp_path / "other", iter(NAMES), FINGERPRINT | {"threshold": 0.6}, paths=["scans"], partition=4
    )
    begun.write(0, rows(range(4)))
    begun.write(1, rows(range(4, 8)))
    other.write(2, rows(range(8, 10)))
    whole = begun.path(0).read_bytes()
    begun.path(0).write_bytes(whole[: len(whole) // 2])
    begun.path(2).write_bytes(other.path(2).read_bytes())
    assert begun.todo() == [0, 2]
    begun.path(0).write_bytes(begun.path(1).read_bytes())  # whole, and of this run, but another partition
    assert begun.todo() == [0, 2]
    assert len(read_results(begun.folder)) == 4


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"fingerprint": {"model_hash": "abd", "threshold": 0.5}}, "the model differs"),
        ({"paths": ["others"]}, r"paths was \['scans'\] and is \['others'\]"),
        ({"partition": 5}, "partition was 4 and is 5"),
    ],
)
def test_another_run_does_not_go_on_with_it(begun: Partitions, changes: dict[str, object], why: str) -> None:
    with pytest.raises(OutputError, match=why):
        again(begun, **changes)


def test_a_changed_listing_is_told(begun: Partitions) -> None:
    pq.write_table(pa.table({"file": [b"x"] * 10}), begun.folder / "listing.parquet")
    with pytest.raises(OutputError, match="listing"):
        again(begun)
    (begun.folder / "listing.parquet").unlink()
    with pytest.raises(OutputError, match="listing"):
        again(begun)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": "other"}', "\udcff"])
def test_a_damaged_manifest_is_told(begun: Partitions, text: str) -> None:
    (begun.folder / "manifest.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match="manifest"):
        Manifest.read(begun.folder)
    with pytest.raises(InputError, match="manifest"):
        read_results(begun.folder)


def test_a_manifest_changed_by_hand_is_told(begun: Partitions) -> None:
    value = json.loads((begun.folder / "manifest.json").read_text())
    value["fingerprint"]["threshold"] = 0.1
    (begun.folder / "manifest.json").write_text(json.dumps(value))
    with pytest.raises(InputError, match="identity"):
        Manifest.read(begun.folder)


def test_no_results_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no batch results"):
        read_results(tmp_path)


def test_what_is_there_is_replaced_only_when_asked(begun: Partitions) -> None:
    begun.write(0, rows(range(4)))
    with pytest.raises(OutputError, match="already"):
        Partitions.begin(begun.folder, iter(NAMES), FINGERPRINT, paths=["scans"], partition=4)
    assert begun.todo() == [1, 2]
    (begun.folder / "partitions" / "mine.txt").write_text("kept")
    fresh = Partitions.begin(
        begun.folder, iter(NAMES[:3]), FINGERPRINT, paths=["scans"], partition=4, overwrite=True
    )
    assert fresh.todo() == [0]
    assert (begun.folder / "partitions" / "mine.txt").read_text() == "kept"


def test_a_listing_that_fails_leaves_what_is_there(begun: Partitions) -> None:
    def names() -> Iterator[str]:
        raise InputError("no image found")
        yield ""

    begun.write(0, rows(range(4)))
    with pytest.raises(InputError):
        Partitions.begin(begun.folder, names(), FINGERPRINT, paths=["x"], partition=4, overwrite=True)
    assert again(begun).todo() == [1, 2]


def test_partitions_of_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="0 files"):
        Partitions.begin(tmp_path, iter(NAMES), FINGERPRINT, paths=[], partition=0)


def test_names_that_are_no_text_are_kept(tmp_path: Path) -> None:
    odd = "b\udcff.png"
    made = Partitions.begin(tmp_path, iter(["a.png", odd]), {}, paths=["x"], partition=1)
    assert Listing(made.folder / "listing.parquet", 1).files(range(1, 2)) == [ListedFile(1, odd)]


def test_rows_are_gathered_until_a_partition_has_all(begun: Partitions) -> None:
    gather = RowGatherer({0: range(4), 2: range(8, 10)}, 4)
    assert gather.add(rows(range(2))) == ([], 2)
    assert gather.missing() == {2: None, 3: None, 8: None, 9: None}
    first = rows(range(2, 3), places=3)
    assert gather.add(first.slice(0, 2)) == ([], 0)
    assert gather.missing()[2] == {0}
    assert gather.add(first.slice(0, 2)) == ([], 0)  # twice
    complete, files = gather.add(pa.concat_tables([first, rows(range(3, 4)), rows(range(9, 10))]))
    assert files == 3
    ((number, whole),) = complete
    assert number == 0
    begun.write(number, whole)
    assert read_results(begun.folder).column("file").to_pylist() == [
        *NAMES[:2],
        *[NAMES[2]] * 3,
        NAMES[3],
    ]
    assert gather.missing() == {8: None}
    assert gather.add(rows(range(4, 8))) == ([], 0)  # of a partition that is not asked for
    assert gather.add(rows(range(4))) == ([], 0)  # of one that is complete
