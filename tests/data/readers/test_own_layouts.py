"""A user's own set: folders with equal names, CSV files, groups and patients."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonoseg.data.readers import read_source
from sonoseg.data.readers.own_layouts import _together, short_name
from sonoseg.errors import DatasetError
from sonoseg.image.calibration import Spacing


def test_equal_names(pairs: Callable[..., Path]) -> None:
    source = read_source(pairs(["b 2", "b 10", "ward/ä"]))
    assert (source.kind, source.name) == ("folder", "mine")
    assert [r.id for r in source.records] == ["mine/b 2", "mine/b 10", "mine/ward/ä"]
    assert [r.group for r in source.records] == ["mine:b 2", "mine:b 10", "mine:ward/ä"]
    assert {r.label for r in source.records} == {"unknown"}


def test_an_image_without_a_mask_and_a_mask_without_an_image(pairs: Callable[..., Path]) -> None:
    root = pairs(["a", "b"])
    (root / "masks" / "a.png").rename(root / "masks" / "c.png")
    source = read_source(root)
    assert [r.masks for r in source.records] == [(), (root / "masks" / "b.png",)]
    assert [path.name for path in source.unmatched_masks] == ["c.png"]


def test_a_table_beside_the_folders(pairs: Callable[..., Path]) -> None:
    rows = [
        {
            "id": "a",
            "label": "Benign",
            "patient": "7",
            "spacing_row": 0.1,
            "spacing_column": 0.2,
            "marks": "",
        },
        {"id": "b", "label": "", "patient": "7", "spacing_row": "", "spacing_column": "", "marks": "text"},
    ]
    first, second = read_source(pairs(["a", "b"], rows)).records
    assert first.group == second.group == "mine:patient 7"
    assert (first.label, first.spacing) == ("benign", Spacing(0.1, 0.2))
    assert (second.label, second.spacing, second.marks) == ("unknown", None, "text")


def test_csv(tmp_path: Path, make: Any) -> None:
    for name in ("x", "y", "z"):
        make.save(make.speckle(name), tmp_path / "set" / "pics" / f"{name}.png")
        make.save(make.blob(), tmp_path / "set" / f"{name}-m.png")
    table = make.csv(
        tmp_path / "set" / "list.csv",
        [
            {"image": "pics/x.png", "mask": "x-m.png; y-m.png", "label": "malignant", "group": "g"},
            {"image": "pics/y.png", "mask": "y-m.png", "label": "malignant", "group": "g"},
            {"image": "pics/z.png", "mask": "", "label": "normal", "group": ""},
        ],
    )
    for place in (table, table.parent):
        source = read_source(place)
        assert source.kind == "csv"
        x, y, z = source.records
        assert (x.id, len(x.masks), x.group) == ("list/pics/x", 2, "list:g")
        assert x.duplicates == y.duplicates == "list:g"
        assert (z.label, z.masks, z.duplicates) == ("normal", (), "")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"image": "x.png", "mask": "gone.png"}], r"list\.csv, line 2: no file .*gone\.png"),
        ([{"image": "", "mask": "x.png"}], r"line 2: no image"),
        ([{"image": "x.png", "masks": "x.png"}], "no column 'mask'"),
        ([{"image": "x.png", "mask": "x.png", "label": "bad"}], "unknown class 'bad'"),
        ([{"image": "x.png", "mask": "x.png", "spacing_row": "0.1"}], "is not a pixel spacing"),
        (
            [{"image": "x.png", "mask": "x.png", "spacing_row": "a", "spacing_column": "1"}],
            "is not a pixel spacing",
        ),
    ],
)
def test_wrong_tables(tmp_path: Path, make: Any, rows: list[dict[str, object]], words: str) -> None:
    make.save(make.speckle("x"), tmp_path / "x.png")
    with pytest.raises(DatasetError, match=words):
        read_source(make.csv(tmp_path / "list.csv", rows))


@pytest.mark.parametrize(
    ("ending", "encoding", "text"),
    [
        ("csv", "utf-8", "image;mask;label;patient;spacing_row;spacing_column\n{};{};benign;17;0,09;0,08\n"),
        (
            "tsv",
            "utf-16",
            "Image\tMask\tLabel\tPatient\tSpacing_Row\tSpacing_Column\n{}\t{}\tBenign\t17\t0,09\t0.08\n",
        ),
        (
            "csv",
            "utf-8-sig",
            'sep=,\nIMAGE,MASK,LABEL,PATIENT,spacing_row,spacing_column\n{},{},benign,17,"0,09",0.08\n',
        ),
    ],
)
@pytest.mark.parametrize("backslashes", [True, False])
def test_tables_of_spreadsheets(
    tmp_path: Path, make: Any, ending: str, encoding: str, text: str, backslashes: bool
) -> None:
    """The dialects that `--spacings` reads; the file names are composed in the table, not on the disk."""
    for name in ("images", "masks"):
        make.save(make.speckle(name), tmp_path / "set" / name / "a\u0308.png")
    table = tmp_path / "set" / f"list.{ending}"
    slash = "\\" if backslashes else "/"
    table.write_text(text.format(f"images{slash}\u00e4.png", f"masks{slash}\u00e4.png"), encoding=encoding)
    for place in (table, table.parent):
        source = read_source(place)
        (record,) = source.records
        assert (source.kind, record.label, record.patient) == ("csv", "benign", "17")
        assert record.spacing == Spacing(0.09, 0.08)
        assert (record.image.is_file(), len(record.masks)) == (True, 1)
        assert source.ignored == ()


def test_masks_joined_in_a_table_of_semicolons_need_quotation_marks(tmp_path: Path, make: Any) -> None:
    for name in ("x", "m", "n"):
        make.save(make.blob(), tmp_path / f"{name}.png")
    table = tmp_path / "list.csv"
    table.write_text('image;mask;label\nx.png;"m.png;n.png";benign\n')
    assert [len(r.masks) for r in read_source(table).records] == [2]
    table.write_text("image;mask;label\nx.png;m.png;n.png;benign\n")
    with pytest.raises(DatasetError, match=r'line 2: 4 cells, 3 columns\. Put a cell that holds ";"'):
        read_source(table)


def test_tables_that_are_not_read_are_named(pairs: Callable[..., Path], make: Any) -> None:
    root = pairs(["a", "b"], [{"id": "a", "label": "benign"}, {"id": "c", "label": "benign"}])
    make.csv(root / "other.csv", [{"file": "a.png", "spacing": 0.1}])
    (root / "old.tsv").write_bytes("mask\nä\n".encode("latin-1"))
    source = read_source(root)
    assert source.kind == "folder"
    assert source.ignored == (
        "images.csv: 1 rows match no image: c",
        "old.tsv is not read: not a table of text in UTF-8",
        "other.csv is not read: no column 'image' (found: file, spacing)",
    )
    rows: list[dict[str, object]] = [{"image": "images/a.png", "mask": "masks/a.png"}]
    make.csv(root / "one.csv", rows)
    source = read_source(root)
    assert (source.kind, len(source.records)) == ("csv", 1)
    assert [text.split(" is")[0] for text in source.ignored] == ["images.csv", "old.tsv", "other.csv"]
    assert read_source(root / "one.csv").ignored == ()
    make.csv(root / "two.csv", rows)
    source = read_source(root)
    assert source.kind == "folder"
    assert source.ignored[-1] == (
        "one.csv, two.csv: not read, because several tables list images; name one of them"
    )


def test_a_folder_with_a_wrong_table_alone_says_why(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("scan,mask\n")
    with pytest.raises(DatasetError, match=r"list\.csv is not read: no column 'image' \(found: scan, mask\)"):
        read_source(tmp_path)


def test_two_rows_for_one_id(pairs: Callable[..., Path]) -> None:
    root = pairs(["w/a"], [{"id": "w/a", "label": "benign"}, {"id": "w\\a", "label": "malignant"}])
    with pytest.raises(DatasetError, match=r"images\.csv, line 3: 'w/a' has another row further up"):
        read_source(root)


@pytest.mark.parametrize(
    ("images", "masks", "image", "mask"),
    [
        ("Images", "Masks", "a", "a"),
        ("image", "mask", "a", "a"),
        ("IMAGES", "labels", "w/a", "w/a"),
        ("scans", "masks", "w/a", "w/a_mask"),
        ("imagesTr", "labelsTr", "a_0000", "a"),
        ("Images", "Masks", "bus_0001-l", "mask_0001-l"),
        ("images", "masks", "a_1", "a_1_Segmentation"),
    ],
)
def test_folders_of_other_names(
    tmp_path: Path, make: Any, images: str, masks: str, image: str, mask: str
) -> None:
    make.save(make.speckle(image), tmp_path / images / f"{image}.png")
    at = make.save(make.blob(), tmp_path / masks / f"{mask}.png")
    source = read_source(tmp_path)
    assert (source.kind, source.unmatched_masks, source.ignored) == ("folder", (), ())
    (record,) = source.records
    assert record.masks == (at,)
    assert record.id.split("/", 1)[1] == image.removesuffix("_0000")


def test_a_mask_that_two_images_could_have_is_unmatched(tmp_path: Path, make: Any) -> None:
    for name in ("images/x.png", "images/x_image.png", "masks/x_mask.png"):
        make.save(make.speckle(name), tmp_path / name)
    source = read_source(tmp_path)
    assert [r.masks for r in source.records] == [(), ()]
    assert [path.name for path in source.unmatched_masks] == ["x_mask.png"]


def test_what_folders_hold_besides_is_named(pairs: Callable[..., Path], make: Any) -> None:
    root = pairs(["a"])
    (root / "images" / "b.nii.gz").touch()
    (root / "masks" / "b.nii.gz").touch()
    (root / "masks" / ".hidden").touch()
    make.save(make.speckle("t"), root / "imagesTs" / "t.png")
    assert read_source(root).ignored == (
        "imagesTs/ is not read: images/ and masks/ are",
        "not read in images/ and masks/: 2 .gz files",
    )


@pytest.mark.parametrize(
    "ending", ["_mask", "_Mask", "-mask", "_mask_1", "_seg", "_GT", " segmentation", "_label"]
)
def test_masks_beside_their_images(tmp_path: Path, make: Any, ending: str) -> None:
    for name in ("one/x", "one/y", "two/x"):
        make.save(make.speckle(name), tmp_path / "mine" / f"{name}.png")
    for name in ("one/x", "two/x", "two/z"):
        make.save(make.blob(), tmp_path / "mine" / f"{name}{ending}.png")
    make.csv(tmp_path / "mine" / "images.csv", [{"id": "one/x", "label": "benign"}])
    source = read_source(tmp_path / "mine")
    assert source.kind == "neighbours"
    found = {r.id: ([path.name for path in r.masks], r.label) for r in source.records}
    assert found == {
        "mine/one/x": ([f"x{ending}.png"], "benign"),
        "mine/one/y": ([], "unknown"),
        "mine/two/x": ([f"x{ending}.png"], "unknown"),
    }
    assert [path.name for path in source.unmatched_masks] == [f"z{ending}.png"]


def test_masks_of_other_findings_are_not_lesions(tmp_path: Path, make: Any) -> None:
    for name in ("x", "x_mask", "x_other1"):
        make.save(make.blob(), tmp_path / f"{name}.png")
    assert [(r.image.stem, len(r.masks)) for r in read_source(tmp_path).records] == [
        ("x", 1),
        ("x_other1", 0),
    ]


def test_folders_of_parts(pairs: Callable[..., Path]) -> None:
    root = pairs(["a"], at="mine/train").parent
    assert [r.id for r in read_source(root).records] == ["train/a"]
    pairs(["b"], at="mine/val")
    with pytest.raises(DatasetError, match="several sets below one folder: train, val") as caught:
        read_source(root)
    assert caught.value.remedy == f"Join them: {root / 'train'}+{root / 'val'}"


def test_dicom_images_in_folders(pairs: Callable[..., Path]) -> None:
    root = pairs(["a"])
    (root / "images" / "a.png").rename(root / "images" / "a.dcm")
    (record,) = read_source(root).records
    assert record.image.name == "a.dcm"


def test_images_outside_the_csv_folder_keep_a_safe_id(tmp_path: Path, make: Any) -> None:
    make.save(make.speckle("x"), tmp_path / "far" / "x.png")
    table = make.csv(tmp_path / "here" / "t.csv", [{"image": "../far/x.png", "mask": "../far/x.png"}])
    assert [r.id for r in read_source(table).records] == ["t/x"]


@given(
    st.lists(
        st.tuples(st.sampled_from(["", "a", "b", "c"]), st.sampled_from(["", "p", "q", "r"])), max_size=12
    )
)
def test_whoever_shares_a_group_or_a_patient_stays_together(rows: list[tuple[str, str]]) -> None:
    entries = [
        (str(number), Path(), (), {"group": group, "patient": patient})
        for number, (group, patient) in enumerate(rows)
    ]
    names = _together(entries)
    assert set(names) == {str(number) for number, row in enumerate(rows) if any(row)}
    for i, first in enumerate(rows):
        for j, second in enumerate(rows):
            shares = any(a and a == b for a, b in zip(first, second, strict=True))
            assert not shares or names[str(i)] == names[str(j)]
    # and nobody else is: by brute force, the sets that sharing alone reaches
    for i, first in enumerate(rows):
        if any(first):
            reached, grew = {i}, True
            while grew:
                more = {
                    j
                    for j, other in enumerate(rows)
                    for k in reached
                    if any(a and a == b for a, b in zip(other, rows[k], strict=True))
                }
                grew = not more <= reached
                reached |= more
            assert {int(n) for n in names if names[n] == names[str(i)]} == reached


def test_short_names(tmp_path: Path) -> None:
    assert short_name(tmp_path / "My set (2)") == "My-set--2"
    assert short_name(tmp_path / "...") == "set"
