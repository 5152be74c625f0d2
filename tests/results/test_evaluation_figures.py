"""The figures of an evaluation: drawn where there is data, and only there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sonoseg.evaluation.comparison import compare
from sonoseg.evaluation.evaluation import Evaluation, evaluate
from sonoseg.evaluation.policy import Policy
from sonoseg.image.frame import Frame
from sonoseg.inference.segmentation import Segmentation
from sonoseg.results.evaluation_figures import NAMES, _short
from sonoseg.results.evaluation_folder import write_evaluation

SHAPE = (40, 50)
QUICK = Policy(resamples=50)


class Toy:
    """A prepared set and its predictor: ids starting with "l" have a lesion, found a little to the right."""

    folder = Path("toy")

    def __init__(self, ids: list[str]) -> None:
        self.table = pd.DataFrame(
            {
                "set": "toy",
                "label": ["benign" if name[0] == "l" else "normal" for name in ids],
                "group": ids,
                "marks": "",
                "objection": "",
                "spacing_row": np.nan,
                "spacing_column": np.nan,
                "lesion_share": 0.1,
            },
            index=pd.Index(ids, name="id"),
        )

    def rows(self, ids: Iterable[str]) -> np.ndarray:
        return np.asarray(self.table.index.get_indexer(list(ids)))

    def frame(self, name: str) -> Frame:
        return Frame(np.full(SHAPE, 80, np.uint8), name=name)

    def mask(self, name: str) -> np.ndarray:
        mask = np.zeros(SHAPE, bool)
        if name[0] == "l":
            mask[10:25, 12 : 20 + int(name[1:])] = True
        return mask

    def predict_many(self, images: Iterable[Frame], batch: int = 1) -> Iterator[Segmentation]:
        for frame in images:
            found = np.roll(self.mask(frame.name), 2, axis=1)
            probability = np.where(found, 0.8, 0.1).astype(np.float32)
            yield Segmentation(frame, probability, found, found, 0.5, None, "toy", "none")


def written(ids: list[str], folder: Path, **more: Any) -> tuple[Evaluation, set[str], str]:
    """The study, the names of its figures, and its page."""
    toy: Any = Toy(ids)
    about = {"model": {"name": "toy (0)"}, "statement": "Toys", "cautions": []}
    study = evaluate(toy, toy, ids, about=about, policy=QUICK)
    page = write_evaluation(study, folder, toy, toy, **more)
    drawn = {path.stem for path in (folder / "figures").glob("*.png")}
    return study, drawn, page.read_text("utf-8")


@pytest.mark.process
def test_one_lesion_has_no_best_and_worst(tmp_path: Path) -> None:
    _, drawn, page = written(["l1", "n0"], tmp_path)
    assert drawn == {"dice_by_size", "dice_against_size", "froc", "reliability", "images"}
    assert "best, median and worst" not in page


@pytest.mark.process
def test_several_classes_and_a_comparison_draw_more(tmp_path: Path) -> None:
    ids = [f"l{n}" for n in range(6)]
    study, _, _ = written(ids, tmp_path / "first")
    other = Evaluation(
        study.rows.assign(dice=study.rows["dice"] - 0.1),
        {**study.summary, "model": {"name": "other (1)"}},
        *(study.froc, study.reliability),
    )
    _, drawn, page = written(ids, tmp_path, other=other, comparison=compare(study, other, QUICK))
    assert {"best_median_worst", "comparison", "risk_coverage"} <= drawn <= NAMES
    assert (tmp_path / "compared" / "summary.json").is_file()
    assert "Compared with other (1)" in page


@pytest.mark.process
def test_nothing_shared_that_has_a_dice_draws_no_comparison(tmp_path: Path) -> None:
    study, _, _ = written(["n0", "n1"], tmp_path / "first")
    _, drawn, _ = written(["n0", "n1"], tmp_path, other=study, comparison=compare(study, study, QUICK))
    assert "comparison" not in drawn


# A study of normals alone has neither Dice nor curve, and its page says what there is.
@pytest.mark.process
def test_normals_alone(tmp_path: Path) -> None:
    toy: Any = Toy(["l1", "n0", "n1", "n2"])  # the set has a lesion, the part measured has none
    about = {"model": {"name": "toy (0)"}, "statement": "Toys", "cautions": []}
    study = evaluate(toy, toy, ["n0", "n1", "n2"], about=about, policy=QUICK)
    page = write_evaluation(study, tmp_path, toy, toy).read_text("utf-8")
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == {"images"}
    assert "False-positive rate" in page
    assert "Reliability" not in page


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("seed (0123456789ab)", "unet (ffff)"), ("seed", "unet")),
        (("seed (0123456789ab)", "seed (ba9876543210)"), ("012345", "ba9876")),
        (("a-very-long-name-of-a-model (0)", "b"), ("a-very-long-name-of-", "b")),
    ],
)
def test_names_are_short_on_an_axis(names: tuple[str, str], expected: tuple[str, str]) -> None:
    assert _short(*names) == expected
