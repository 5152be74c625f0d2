"""A study: a model measured on named images, a row an image."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

from sonoseg._util.files import atomic_write_text
from sonoseg.errors import DatasetError
from sonoseg.evaluation.image_measures import ImageMeasures, Segmented, measure
from sonoseg.evaluation.policy import POLICY, Policy
from sonoseg.evaluation.risk_coverage import COLUMNS, risk_coverage_table, summarise_doubt
from sonoseg.evaluation.strata import marks_strata, size_edges, size_stratum
from sonoseg.evaluation.summary import OF_NORMALS, PER_IMAGE, froc_table, reliability_table, summarise
from sonoseg.evaluation.threshold_sweep import BATCH, ThresholdSweep
from sonoseg.image.frame import Frame

if TYPE_CHECKING:
    from sonoseg.data.prepared_set import PreparedSet

FORMAT = "sonoseg-study/1"
ROWS, SUMMARY, FROC, RELIABILITY = "images.csv", "summary.json", "froc.csv", "reliability.csv"
RISK_COVERAGE = "risk_coverage.csv"
Track = Callable[[Iterable[str], str, int | None], Iterator[str]]

_FACTS = ("set", "label", "group", "marks", "objection")
_TEXT = ("id", *_FACTS, "kind", "size_stratum", "marks_stratum", "callipers")

_NUMBERS = ("spacing_row", "spacing_column", "raw_false_alarm", "uncertainty", *PER_IMAGE, *OF_NORMALS)
"""Columns in which an empty cell is NaN; in the text columns it is an empty text."""


class PredictsMany(Protocol):
    """What the evaluation needs of a Predictor: one Segmentation a Frame, in order, read as needed."""

    def predict_many(self, images: Iterable[Frame], /, *, batch: int) -> Iterator[Segmented]: ...


@dataclass(eq=False)
class Evaluation:
    """What an evaluation found.

    rows: a row an image, in the order measured; the columns are described in docs/evaluation.md.
    summary: every mean as {"mean", "low", "high", "n", "groups"}, counts, policy, where it all comes from.
    froc: columns threshold, sensitivity, fp_per_image, from the strictest threshold on.
    reliability: columns region, low, high, confidence, frequency, count.
    risk_coverage: columns share_referred, dice, low, high, oracle, random; empty in a study of
        an earlier version.
    """

    rows: pd.DataFrame
    summary: dict[str, Any]
    froc: pd.DataFrame
    reliability: pd.DataFrame
    risk_coverage: pd.DataFrame = field(default_factory=lambda: pd.DataFrame({name: [] for name in COLUMNS}))

    @property
    def name(self) -> str:
        """The model's name with its hash, as far as known."""
        return str(self.summary.get("model", {}).get("name", "model"))

    def save(self, folder: Path) -> None:
        """Write images.csv, the three curves' CSV files and summary.json, each atomically, the summary last.

        Raises OutputError.
        """
        curves = ((FROC, self.froc), (RELIABILITY, self.reliability), (RISK_COVERAGE, self.risk_coverage))
        tables = ((ROWS, self.rows), *curves)
        for name, table in tables:
            atomic_write_text(folder / name, table.to_csv(index=False, float_format="%.7g"))
        text = json.dumps(self.summary, indent=2, ensure_ascii=False, allow_nan=False)
        atomic_write_text(folder / SUMMARY, text + "\n")

    @classmethod
    def load(cls, folder: str | Path) -> Evaluation:
        """Read what `save` wrote. Raises DatasetError where it is no study."""
        folder = Path(folder)
        try:
            summary = json.loads((folder / SUMMARY).read_text("utf-8"))
            if summary.get("format") != FORMAT:
                raise ValueError(f"its format is '{summary.get('format')}', not '{FORMAT}'")
            rows = read_rows(folder / ROWS)
            study = cls(rows, summary, pd.read_csv(folder / FROC), pd.read_csv(folder / RELIABILITY))
            if (folder / RISK_COVERAGE).exists():
                study.risk_coverage = pd.read_csv(folder / RISK_COVERAGE)
            return study
        except (OSError, ValueError, AttributeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise DatasetError(
                f"this is no study that can be read ({reason})",
                where=folder,
                remedy="Give a folder that sonoseg evaluate wrote",
            ) from error


def read_rows(path: Path) -> pd.DataFrame:
    """The rows of a study, as `Study.save` wrote them. Raises OSError, ValueError."""
    return pd.read_csv(
        path,
        dtype=dict.fromkeys(_TEXT, str),
        keep_default_na=False,
        na_values={name: [""] for name in _NUMBERS},
    )


def evaluate(
    predictor: PredictsMany,
    prepared: PreparedSet,
    ids: Iterable[str],
    *,
    about: dict[str, Any] | None = None,
    policy: Policy = POLICY,
    sweep: ThresholdSweep | None = None,
    track: Track | None = None,
) -> Evaluation:
    """Measure a model on the images `ids` of a prepared set, one after the other, in flat memory.

    predictor: what predicts. ids: of the prepared set, each once.
    about: what the summary says of model, data, split and command, beside the figures.
    sweep: gathers Dice over thresholds on the way; for validation images only.
    track: passes the ids through under a progress bar: track(ids, description, total).
    Raises DatasetError where an id is unknown or given twice, or where there is none.
    """
    names = list(ids)
    if not names:
        raise DatasetError(
            "no image to measure", where=prepared.folder, remedy="Choose another part or fold of the split"
        )
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DatasetError(f"the image '{twice}' is given twice", remedy="Give each image once")
    prepared.rows(names)
    table = prepared.table.loc[names]
    spacings = table[["spacing_row", "spacing_column"]].to_numpy(np.float64)
    # Of a joined set, only the sets that are measured say what is small.
    measured_sets = prepared.table["set"].isin(set(table["set"]))
    edges = size_edges(prepared.table.loc[measured_sets, "lesion_share"].to_list())
    strata = marks_strata(prepared.table).loc[names]

    rows: list[dict[str, Any]] = []
    measured: list[ImageMeasures] = []
    frames = (prepared.frame(name) for name in names)
    found = predictor.predict_many(frames, batch=BATCH)
    watched = track(names, "evaluating", len(names)) if track else iter(names)
    for name, spacing, segmentation in zip(watched, spacings.tolist(), found, strict=True):
        facts = table.loc[name]
        true = prepared.mask(name)
        one = measure(true, str(facts["label"]), segmentation, policy)
        if sweep is not None:
            sweep.add(true, segmentation.probability)
        share = int(true.sum()) / true.size
        height, width = true.shape
        rows.append(
            {
                "id": name,
                **{key: str(facts[key]) for key in _FACTS},
                "height": height,
                "width": width,
                "spacing_row": spacing[0],
                "spacing_column": spacing[1],
                "lesion_area_px": int(true.sum()),
                "lesion_share": share,
                "size_stratum": size_stratum(share, edges),
                "marks_stratum": str(strata.loc[name, "marks_stratum"]),
                "callipers": str(strata.loc[name, "callipers"]),
                **one.values,
            }
        )
        # Only sums over pixels and a few scores stay of an image: its arrays are let go here.
        measured.append(one)
    data = pd.DataFrame(rows)
    froc = froc_table([one.candidates for one in measured if one.values["kind"] != "unannotated"])
    summary = {
        "format": FORMAT,
        **(about or {}),
        "policy": policy.as_dict(),
        "size_edges": list(edges),
        **summarise(data, measured, froc, policy),
        "doubt": summarise_doubt(data, policy),
    }
    if sweep is not None and sweep.n:
        summary["threshold_sweep"] = {
            "thresholds": sweep.thresholds.tolist(),
            "dice": np.round(sweep.dice, 6).tolist(),
            "best": sweep.best,
            "n": sweep.n,
        }
    reliability = reliability_table([one.bins for one in measured], policy.bins)
    return Evaluation(data, summary, froc, reliability, risk_coverage_table(data, policy))
