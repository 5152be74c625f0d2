"""Store evaluations, experiments and training logs as evidence, and read them.

    python research/scripts/evidence.py evaluation NAME FOLDER    # what `sonoseg evaluate` wrote
    python research/scripts/evidence.py experiment NAME FOLDER    # the table of `sonoseg experiment`
    python research/scripts/evidence.py log NAME RUN              # the log of a training run

An evaluation is stored as its summary (JSON), its rows, one an image, and its FROC curve (Parquet). No image
is stored. `python research/scripts/tables_in_docs.py` and `python research/scripts/evidence_figures.py` then
remake the tables and figures of the pages.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from sonoseg.evaluation.evaluation import FROC, ROWS, SUMMARY, Evaluation, read_rows
from sonoseg.evaluation.image_detection import summarise_detection

RESEARCH = Path(__file__).resolve().parents[1]
EVALUATIONS, TABLES, LOGS = RESEARCH / "evaluations", RESEARCH / "tables", RESEARCH / "logs"
BENCHMARKS, MEASUREMENTS = RESEARCH / "benchmarks" / "results", RESEARCH / "measurements"
DOCS = RESEARCH.parent / "docs"
IMAGES = DOCS / "images"


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text("utf-8"))


def evaluation_names() -> list[str]:
    """The names of the stored evaluations."""
    return sorted(path.stem for path in EVALUATIONS.glob("*.json"))


def summary_of(name: str) -> dict[str, Any]:
    """The summary of a stored evaluation; `detection`, absent in the oldest, is computed from the rows."""
    summary: dict[str, Any] = read_json(EVALUATIONS / f"{name}.json")
    if "detection" not in summary:
        summary["detection"] = summarise_detection(rows_of(name))
    return summary


def rows_of(name: str) -> pd.DataFrame:
    """The rows of a stored evaluation, one an image."""
    return pd.read_parquet(EVALUATIONS / f"{name}.parquet")


def froc_of(name: str) -> pd.DataFrame:
    """The FROC curve of a stored evaluation: threshold, sensitivity, fp_per_image."""
    return pd.read_parquet(EVALUATIONS / f"{name}-froc.parquet")


def evaluation_of(name: str) -> Evaluation:
    """A stored evaluation with rows and summary, without curves."""
    return Evaluation(rows_of(name), summary_of(name), pd.DataFrame(), pd.DataFrame())


def store_evaluation(name: str, folder: Path, to: Path = EVALUATIONS) -> None:
    """Store the summary, the rows and the FROC curve of an evaluation folder."""
    shutil.copyfile(folder / SUMMARY, to / f"{name}.json")
    for suffix, table in (("", read_rows(folder / ROWS)), ("-froc", pd.read_csv(folder / FROC))):
        # Dictionaries and statistics do not pay off in tables this small: with them a file is a sixth larger.
        table.to_parquet(
            to / f"{name}{suffix}.parquet",
            index=False,
            compression="zstd",
            compression_level=19,
            use_dictionary=False,
            write_statistics=False,
        )


def main() -> None:
    """Store what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("kind", choices=("evaluation", "experiment", "log"))
    parser.add_argument("name")
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    if given.kind == "evaluation":
        store_evaluation(given.name, given.folder)
    elif given.kind == "experiment":
        shutil.copyfile(given.folder / "table.json", TABLES / f"{given.name}.json")
    else:
        shutil.copyfile(given.folder / "log.jsonl", LOGS / f"{given.name}.jsonl")


if __name__ == "__main__":
    main()
