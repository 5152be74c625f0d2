"""An evaluation: a model measured on named images, one row per image."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sonoseg._util.csv_text import escape_cell, unescape_columns
from sonoseg._util.documents import parse_json
from sonoseg._util.files import atomic_write_text
from sonoseg.data.splits import Split
from sonoseg.errors import DatasetError
from sonoseg.evaluation.image_measures import ImageMeasures, measure
from sonoseg.evaluation.policy import POLICY, Policy
from sonoseg.evaluation.provenance import describe_run
from sonoseg.evaluation.risk_coverage import COLUMNS, risk_coverage_table, summarise_uncertainty
from sonoseg.evaluation.scope import Part, choose_ids, describe, only_sets
from sonoseg.evaluation.strata import marks_strata, size_edges, size_stratum
from sonoseg.evaluation.summary import OF_NORMALS, PER_IMAGE, froc_table, reliability_table, summarise
from sonoseg.evaluation.threshold_sweep import BATCH, ThresholdSweep

if TYPE_CHECKING:
    from sonoseg.data.prepared_set import PreparedSet
    from sonoseg.inference.predictor import Predictor

FORMAT = "sonoseg-evaluation/2"
ROWS, SUMMARY, FROC, RELIABILITY = "images.csv", "summary.json", "froc.csv", "reliability.csv"
RISK_COVERAGE = "risk_coverage.csv"
Track = Callable[[Iterable[str], str, int | None], Iterator[str]]

_FACTS = ("set", "label", "group", "marks", "objection")
_TEXT = ("id", *_FACTS, "kind", "size_stratum", "marks_stratum", "callipers")

_NUMBERS = ("spacing_row", "spacing_column", "raw_false_positive", "uncertainty", *PER_IMAGE, *OF_NORMALS)
"""Columns in which an empty cell is NaN; in the text columns it is an empty string."""


@dataclass(eq=False)
class Evaluation:
    """One model measured on images.

    rows: one per image, in the order measured; docs/codebook.md describes the columns.
    summary: every mean as {"mean", "low", "high", "n", "groups"}, counts, policy and provenance.
    froc: columns threshold, sensitivity, fp_per_image, from the highest threshold down.
    reliability: columns region, low, high, confidence, frequency, count.
    risk_coverage: columns share_referred, dice, low, high, oracle, random.
    """

    rows: pd.DataFrame
    summary: dict[str, Any]
    froc: pd.DataFrame
    reliability: pd.DataFrame
    risk_coverage: pd.DataFrame = field(default_factory=lambda: pd.DataFrame({name: [] for name in COLUMNS}))

    @property
    def name(self) -> str:
        """The model's name with its hash."""
        return str(self.summary.get("model", {}).get("name", "model"))

    def save(self, folder: Path) -> None:
        """Write images.csv, the curves' CSV files and, last, summary.json, each atomically."""
        curves = ((FROC, self.froc), (RELIABILITY, self.reliability), (RISK_COVERAGE, self.risk_coverage))
        tables = ((ROWS, self.rows), *curves)
        for name, table in tables:
            atomic_write_text(folder / name, table.map(escape_cell).to_csv(index=False, float_format="%.7g"))
        text = json.dumps(self.summary, indent=2, ensure_ascii=False, allow_nan=False)
        atomic_write_text(folder / SUMMARY, text + "\n")

    @classmethod
    def load(cls, folder: str | Path) -> Evaluation:
        """Read what `save` wrote. Raises DatasetError where the folder holds no readable evaluation."""
        folder = Path(folder)
        try:
            summary = parse_json((folder / SUMMARY).read_text("utf-8"))
            if summary.get("format") != FORMAT:
                raise ValueError(f"its format is '{summary.get('format')}', not '{FORMAT}'")
            curves = (pd.read_csv(folder / name) for name in (FROC, RELIABILITY, RISK_COVERAGE))
            rows = read_rows(folder / ROWS)
            if missing := [name for name in (*PER_IMAGE, *OF_NORMALS) if name not in rows]:
                raise ValueError(f"{ROWS} has no column '{missing[0]}'")
            return cls(rows, summary, *curves)
        except (OSError, ValueError, AttributeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise DatasetError(
                f"no evaluation can be read here ({reason})",
                where=folder,
                remedy="Give a folder that this version of sonoseg evaluate wrote, or run it again",
            ) from error


def read_rows(path: Path) -> pd.DataFrame:
    """Read the rows of an evaluation, as `Evaluation.save` wrote them. Raises OSError, ValueError."""
    table = pd.read_csv(
        path,
        dtype=dict.fromkeys(_TEXT, str),
        keep_default_na=False,
        na_values={name: [""] for name in _NUMBERS},
    )
    return unescape_columns(table, _TEXT)


def evaluate_part(
    predictor: Predictor,
    prepared: PreparedSet,
    split_file: str | Path | None = None,
    *,
    fold: int = 0,
    part: Part = "test",
    sets: Sequence[str] = (),
    policy: Policy = POLICY,
    track: Track | None = None,
) -> Evaluation:
    """Measure a model on a part of a fold of a split, and record the provenance in the summary.

    split_file: None measures the whole prepared set, as part "all". sets: only images of these sets, of a
    joined prepared set. On validation images Dice is also swept over thresholds.
    Raises UsageError for a part or set that does not exist, DatasetError for a split of another prepared set.
    """
    split = None if split_file is None else Split.load(split_file)
    ids = only_sets(prepared, choose_ids(prepared, split, fold, part), sets)
    file = None if split_file is None else Path(split_file)
    scope = describe(prepared, split, file, fold, part, predictor.model.card, predictor.threshold, sets)
    sweep = ThresholdSweep.over() if part == "validation" else None
    about = describe_run(predictor) | scope
    return evaluate(predictor, prepared, ids, about=about, policy=policy, sweep=sweep, track=track)


def evaluate(
    predictor: Predictor,
    prepared: PreparedSet,
    ids: Iterable[str],
    *,
    about: dict[str, Any] | None = None,
    policy: Policy = POLICY,
    sweep: ThresholdSweep | None = None,
    track: Track | None = None,
) -> Evaluation:
    """Measure a model on the images `ids` of a prepared set; they stream, so memory stays flat.

    ids: of the prepared set, each once. about: entries of the summary beside the figures, such as provenance.
    sweep: collects Dice over thresholds; for validation images only.
    track: wraps the ids in a progress bar: track(ids, description, total).
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
    # Of a joined set, only the sets that are measured define the size quartiles.
    measured_sets = prepared.table["set"].isin(set(table["set"]))
    edges = size_edges(prepared.table.loc[measured_sets, "lesion_share"].to_list())
    strata = marks_strata(prepared.table).loc[names]

    rows: list[dict[str, Any]] = []
    measured: list[ImageMeasures] = []
    frames = (prepared.frame(name) for name in names)
    found = predictor.predict_many(frames, batch=BATCH)
    tracked = track(names, "evaluating", len(names)) if track else iter(names)
    for name, spacing, segmentation in zip(tracked, spacings.tolist(), found, strict=True):
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
        # Of an image only sums over pixels and a few scores are kept, not its arrays.
        measured.append(one)
    data = pd.DataFrame(rows)
    froc = froc_table([one.candidates for one in measured if one.values["kind"] != "unannotated"])
    summary = {
        "format": FORMAT,
        **(about or {}),
        "policy": policy.as_dict(),
        "size_edges": list(edges),
        **summarise(data, measured, froc, policy),
        "uncertainty": summarise_uncertainty(data, policy),
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
