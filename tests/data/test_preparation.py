"""Preparing: the content, the same twice, killed at any point, nothing of the user's touched."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sonoseg._util.files import sha256_file
from sonoseg.data import preparation as module
from sonoseg.data.folder_check import check
from sonoseg.data.preparation import prepare
from sonoseg.data.prepared_set import PreparedSet
from sonoseg.data.readers import read_source, read_sources
from sonoseg.errors import DatasetError, OutputError
from sonoseg.image.calibration import Spacing
from sonoseg.image.network_grid import Grid
from sonoseg.inputs.reading import read_frame


def tree(folder: Path) -> dict[str, tuple[str, int]]:
    """Every file below `folder` with its hash and its time."""
    return {
        str(path.relative_to(folder)): (sha256_file(path), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_content(busi: Path, tmp_path: Path) -> None:
    source = read_source(busi)
    result = prepare([source], tmp_path / "p", size=32)
    assert (result.images, result.skipped, result.fresh) == (6, (), True)
    prepared = PreparedSet.open(tmp_path / "p")
    pixels, masks = prepared.arrays(32)
    assert pixels.shape == masks.shape == (6, 32, 32)
    for number, record in enumerate(source.records):
        frame, mask = prepared.frame(record.id), prepared.mask(record.id)
        np.testing.assert_array_equal(frame.pixels, read_frame(record.image).pixels)
        grid = Grid(frame.shape, 32)
        np.testing.assert_array_equal(pixels[number], grid.to_network(frame.pixels))
        np.testing.assert_array_equal(masks[number], grid.mask_to_network(mask))
        row = prepared.table.loc[record.id]
        assert (row.height, row.width, row.lesion_area_px) == (*frame.shape, mask.sum())
        assert row.lesion_share == pytest.approx(mask.mean(), abs=1e-6)
        assert row.sha256 == sha256_file(record.image)
        assert row.source == f"{record.label}/{record.image.name}"
        assert row.mask_sources.split(";") == [f"{record.label}/{m.name}" for m in record.masks]
    two = prepared.mask("busi/benign (4)")
    assert two.sum() == (8 + 4 % 3) ** 2 + 36
    assert not prepared.mask("busi/normal (1)").any()
    (described,) = json.loads((tmp_path / "p" / "prepared.json").read_text())["sources"]
    assert described["labels"] == {"benign": 4, "malignant": 1, "normal": 1}
    assert "Al-Dhabyani" in described["citation"]


def test_the_same_twice_and_the_source_untouched(busi: Path, tmp_path: Path) -> None:
    before = tree(busi)
    first = prepare([read_source(busi)], tmp_path / "p", size=32, threads=1)
    moved = busi.parent / "elsewhere"
    shutil.copytree(busi, moved)
    second = prepare([read_source(moved)], tmp_path / "q", size=32, threads=4)
    assert first.fingerprint == second.fingerprint
    assert tree(busi) == before
    same = [{k: v[0] for k, v in tree(tmp_path / n).items() if k != "prepared.json"} for n in "pq"]
    assert same[0] == same[1]
    assert not list(tmp_path.glob("*.partial"))


def test_done_already(busi: Path, tmp_path: Path) -> None:
    first = prepare([read_source(busi)], tmp_path / "p", size=32)
    before = tree(tmp_path / "p")
    again = prepare([read_source(busi)], tmp_path / "p", size=32)
    assert (again.fresh, again.fingerprint) == (False, first.fingerprint)
    assert tree(tmp_path / "p") == before
    prepare([read_source(busi)], tmp_path / "p", size=48, fit="letterbox")
    assert (tmp_path / "p" / "grid" / "48-letterbox" / "masks.npy").is_file()


def test_other_content_needs_overwrite(busi: Path, tmp_path: Path, make: Any) -> None:
    first = prepare([read_source(busi)], tmp_path / "p", size=32)
    make.save(make.blob(3), busi / "benign" / "benign (1)_mask.png")
    with pytest.raises(OutputError, match="a prepared set with other content"):
        prepare([read_source(busi)], tmp_path / "p", size=32)
    second = prepare([read_source(busi)], tmp_path / "p", size=32, overwrite=True)
    assert second.fresh
    assert second.fingerprint != first.fingerprint
    assert PreparedSet.open(tmp_path / "p").mask("busi/benign (1)").sum() == 9
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("p")] == ["p"]


def test_a_set_that_lost_a_file_is_made_anew(busi: Path, tmp_path: Path) -> None:
    prepare([read_source(busi)], tmp_path / "p", size=32)
    (tmp_path / "p" / "masks" / "busi" / "benign (1).png").unlink()
    with pytest.raises(OutputError, match="or an incomplete one"):
        prepare([read_source(busi)], tmp_path / "p", size=32)
    prepare([read_source(busi)], tmp_path / "p", size=32, overwrite=True)
    assert PreparedSet.open(tmp_path / "p").mask("busi/benign (1)").any()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_somebody_else(busi: Path, tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="something other than a prepared set"):
        prepare([read_source(busi)], tmp_path / "p", overwrite=overwrite)
    (tmp_path / "q.partial").mkdir()
    (tmp_path / "q.partial" / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="needed for the work"):
        prepare([read_source(busi)], tmp_path / "q", overwrite=overwrite)
    assert (tmp_path / "p" / "thesis.txt").read_text() == "mine"
    assert (tmp_path / "q.partial" / "thesis.txt").read_text() == "mine"


def test_bad_images_are_left_out_and_told_of(busi: Path, tmp_path: Path, make: Any) -> None:
    (busi / "benign" / "benign (1).png").write_bytes(b"")
    (busi / "benign" / "benign (10)_mask.png").unlink()
    make.save(make.blob(shape=(20, 20)), busi / "malignant" / "malignant (1)_mask.png")
    result = prepare([read_source(busi)], tmp_path / "p", size=32)
    reasons = dict(result.skipped)
    assert set(reasons) == {"busi/benign (1)", "busi/benign (10)", "busi/malignant (1)"}
    assert "empty (0 bytes)" in reasons["busi/benign (1)"]
    assert "no mask" in reasons["busi/benign (10)"]
    assert "the mask has 20x20" in reasons["busi/malignant (1)"]
    prepared = PreparedSet.open(tmp_path / "p")
    assert prepared.ids == ["busi/benign (4)", "busi/benign (100)", "busi/normal (1)"]
    assert len(prepared.arrays(32)[0]) == 3
    again = prepare([read_source(busi)], tmp_path / "p", size=32)
    assert (again.fresh, again.skipped) == (False, result.skipped)


def test_a_dicom_image_keeps_its_own_spacing(
    tmp_path: Path, make: Any, make_dicom: Callable[..., Path]
) -> None:
    pixels = np.asarray(make.speckle("a"))
    rows = []
    for name, row in (("own", ""), ("tabled", "0.3")):
        make.save(make.blob(), tmp_path / "in" / f"{name}-mask.png")
        make_dicom(tmp_path / "in" / f"{name}.dcm", pixels)  # 0.2 mm a row, 0.1 mm a column
        rows.append(
            {"image": f"{name}.dcm", "mask": f"{name}-mask.png", "spacing_row": row, "spacing_column": row}
        )
    source = read_source(make.csv(tmp_path / "in" / "list.csv", rows))
    assert check([source])[0].faults == 0
    prepare([source], tmp_path / "out", size=32)
    prepared = PreparedSet.open(tmp_path / "out")
    spacings = {name.rpartition("/")[2]: prepared.frame(name).spacing for name in prepared.table.index}
    assert spacings == {"own": Spacing(0.2, 0.1), "tabled": Spacing(0.3, 0.3)}


def test_a_flaw_of_the_published_set_is_no_fault_of_the_user(busuclm: Path, tmp_path: Path) -> None:
    result = prepare([read_source(busuclm)], tmp_path / "p", size=32)
    assert (result.images, result.skipped) == (4, ())
    assert [name for name, _ in result.known] == ["bus-uclm/HESN_001"]


def test_nothing_usable(pairs: Callable[..., Path], tmp_path: Path) -> None:
    root = pairs(["a"])
    (root / "images" / "a.png").write_bytes(b"text")
    with pytest.raises(DatasetError, match="none of 1 images can be used"):
        prepare([read_source(root)], tmp_path / "p")


def test_names_that_clash(pairs: Callable[..., Path], tmp_path: Path, make: Any) -> None:
    root = pairs(["a"])
    make.save(make.speckle("A"), root / "images" / "A.jpg")
    with pytest.raises(DatasetError, match="several images have the id 'mine/a'"):
        prepare([read_source(root)], tmp_path / "p")


def test_sets_are_joined(busi: Path, busbra: Path, breast: Path, tmp_path: Path) -> None:
    prepare(read_sources([f"{busi}+{busbra}", str(breast)]), tmp_path / "p", size=32)
    prepared = PreparedSet.open(tmp_path / "p")
    assert prepared.table["set"].value_counts().to_dict() == {"busi": 6, "bus-bra": 7, "breast": 3}
    assert [source["name"] for source in prepared.sources] == ["busi", "bus-bra", "breast"]
    assert prepared.table["fold5"].notna().sum() == 7
    assert prepared.frame("breast/case002").spacing == pytest.approx((0.085, 0.085))
    assert prepared.frame("busi/benign (1)").spacing is None


def test_a_prepared_set_is_a_set_of_ones_own(busi: Path, tmp_path: Path) -> None:
    prepare([read_source(busi)], tmp_path / "p", size=32)
    prepare(read_sources([f"again={tmp_path / 'p'}"]), tmp_path / "q", size=32)
    first, second = PreparedSet.open(tmp_path / "p"), PreparedSet.open(tmp_path / "q")
    assert second.ids == [f"again/{name}" for name in first.ids]
    for column in ("label", "marks", "objection", "lesion_area_px"):
        assert second.table[column].tolist() == first.table[column].tolist()
    np.testing.assert_array_equal(first.arrays(32)[0], second.arrays(32)[0])


@pytest.mark.process
def test_a_killed_run_goes_on(pairs: Callable[..., Path], tmp_path: Path) -> None:
    """SIGKILL at several moments; what was done is not done again, and the end is the same."""
    root = pairs([f"n{number}" for number in range(60)])
    whole = prepare([read_source(root)], tmp_path / "whole", size=32)
    out, partial = tmp_path / "p", tmp_path / "p.partial"
    script = (
        "import sys, time\n"
        "from sonoseg.data import preparation as module\n"
        "from sonoseg.data.readers import read_source\n"
        "real = module.join_masks\n"
        "def slow(*given):\n"
        "    time.sleep(0.02)\n"
        "    return real(*given)\n"
        "module.join_masks = slow\n"
        "module.prepare([read_source(sys.argv[1])], sys.argv[2], size=32)\n"
    )
    kept: list[int] = []
    for until in (5, 25, 45):
        command = [sys.executable, "-c", script, str(root), str(out)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        journal = partial / "journal.jsonl"
        end = time.monotonic() + 30
        while time.monotonic() < end and process.poll() is None:
            if journal.is_file() and journal.read_bytes().count(b"\n") >= until:
                break
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert not out.exists()
        kept.append(journal.read_bytes().count(b"\n"))
    assert kept[0] < kept[1] < kept[2] < 60
    with journal.open("ab") as file:
        file.write(b'["mine/n59", {"hei')  # a line that the kill cut short
    (partial / "images" / "mine" / ".n59.png.abc.png").write_bytes(b"half")

    done: list[str] = []
    real = module.join_masks

    def counting(masks: tuple[Path, ...], *given: Any) -> Any:
        done.append(masks[0].stem)
        return real(masks, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "join_masks", counting)
        result = prepare([read_source(root)], out, size=32)
    assert len(done) == 60 - kept[2]
    assert result.fingerprint == whole.fingerprint
    assert not partial.exists()
    ended = {k: v[0] for k, v in tree(out).items()}
    assert ended == {k: v[0] for k, v in tree(tmp_path / "whole").items()}


def test_killed_between_the_last_two_steps(busi: Path, tmp_path: Path) -> None:
    first = prepare([read_source(busi)], tmp_path / "p", size=32)
    shutil.copytree(tmp_path / "p", tmp_path / "p.replaced")
    (tmp_path / "p").rename(tmp_path / "p.partial")
    assert prepare([read_source(busi)], tmp_path / "p", size=32).fingerprint == first.fingerprint
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("p")] == ["p"]


def test_an_unfinished_run_of_another_plan_is_dropped(busi: Path, tmp_path: Path, make: Any) -> None:
    def stop(items: Any, description: str, total: int) -> Any:
        for number, item in enumerate(items):
            if number == 3:
                raise KeyboardInterrupt
            yield item

    with pytest.raises(KeyboardInterrupt):
        prepare([read_source(busi)], tmp_path / "p", size=32, track=stop)
    assert (tmp_path / "p.partial" / "plan.txt").is_file()
    make.save(make.blob(3), busi / "benign" / "benign (1)_mask.png")
    prepare([read_source(busi)], tmp_path / "p", size=32)
    assert PreparedSet.open(tmp_path / "p").mask("busi/benign (1)").sum() == 9


def test_two_runs_at_once(busi: Path, tmp_path: Path) -> None:
    def again(items: Any, description: str, total: int) -> Any:
        with pytest.raises(OutputError, match="another run is writing this folder"):
            prepare([read_source(busi)], tmp_path / "p", size=32)
        return iter(items)

    assert prepare([read_source(busi)], tmp_path / "p", size=32, track=again).fresh


def test_a_place_that_cannot_be_written(busi: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written: File exists"):
        prepare([read_source(busi)], tmp_path / "file" / "p", size=32)


def test_a_full_disk(busi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("PIL.Image.Image.save", full)
    with pytest.raises(OutputError, match="No space left on device"):
        prepare([read_source(busi)], tmp_path / "p", size=32)
    assert not (tmp_path / "p").exists()


@pytest.mark.real
@pytest.mark.slow
def test_busi_as_published(real_busi: Path, tmp_path: Path) -> None:
    result = prepare([read_source(real_busi)], tmp_path / "p", size=64)
    assert (result.images, result.skipped) == (780, ())
    table = PreparedSet.open(tmp_path / "p").table
    assert table["label"].value_counts().to_dict() == {"benign": 437, "malignant": 210, "normal": 133}
    assert (table["lesion_area_px"] > 0).sum() == 647
    assert table["group"].nunique() == 587
    assert result.fingerprint == "c933094700912d6f2854998bc01d7d9f544f586603225c21812719279e8d4bda"
