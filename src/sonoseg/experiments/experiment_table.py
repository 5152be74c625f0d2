"""The one table of a study: a row a variant for each evaluation, and how it differs from the reference."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sonoseg import RESEARCH_ONLY
from sonoseg._util.files import atomic_write_text
from sonoseg.errors import DatasetError
from sonoseg.evaluation.comparison import common_rows, paired
from sonoseg.evaluation.evaluation import Evaluation
from sonoseg.evaluation.policy import POLICY, Policy
from sonoseg.evaluation.seed_averages import average_runs, pooled_ece
from sonoseg.evaluation.strata import SIZES
from sonoseg.evaluation.summary import means_of
from sonoseg.experiments.experiment_folder import Cell
from sonoseg.experiments.plan import ExperimentPlan, PlannedEvaluation
from sonoseg.results.evaluation_tables import Kind, interval, number, p_value

if TYPE_CHECKING:
    import pandas as pd

    from sonoseg.training.recipe import Recipe

FORMAT: Final = "sonoseg-study-table/1"
MARKDOWN, JSON, FIGURE = "table.md", "table.json", "table.png"

Json = dict[str, Any]
Found = Mapping[str, Mapping[Cell, Evaluation]]
"""The studies that are there: by evaluation, then by cell."""


class TableMetric:
    """A column of the table: its heading, the column of a study's rows, and the images it is a mean of."""

    def __init__(
        self, title: str, column: str, kind: Kind, where: Callable[[pd.DataFrame], pd.DataFrame]
    ) -> None:
        self.title, self.column, self.kind, self.where = title, column, kind, where


def _lesions(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["kind"] == "lesion"]


def _small(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[(rows["kind"] == "lesion") & (rows["size_stratum"] == SIZES[0])]


def _normals(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["kind"] == "normal"]


MEASURES: Final[dict[str, TableMetric]] = {
    "dice": TableMetric("Dice", "dice", "score", _lesions),
    "small_dice": TableMetric("Dice, smallest quarter", "dice", "score", _small),
    "missed": TableMetric("missed", "missed", "share", _lesions),
    "small_missed": TableMetric("missed, smallest quarter", "missed", "share", _small),
    "false_alarm": TableMetric("normals with a false alarm", "false_alarm", "share", _normals),
}
COMPARED: Final = ("dice", "small_dice", "missed", "false_alarm")
"""The measures that are compared with the reference."""

NOTES: Final = (
    "A figure is a mean over images, each first averaged over the runs that measured it, with its 95 % "
    "interval from a bootstrap over groups: what other images would give with these very networks. What "
    "other seeds would give is the spread beside it: the least and the greatest of the seeds' means.",
    "A difference is a variant minus the reference, paired image by image; p is of the permutation test over "
    "groups. p-values are not corrected for their number.",
    "The foreground ECE is the mean over the seeds, with the least and the greatest where there are several.",
)


def make_table(
    plan: ExperimentPlan, recipes: Mapping[str, Recipe], found: Found, policy: Policy = POLICY
) -> Json:
    """The table of all that was measured, for table.json; docs/study.md describes it.

    recipes: by variant. found: may lack what failed or is still to come.
    Raises DatasetError where two runs measured an image against different masks.
    """
    return {
        "format": FORMAT,
        "name": plan.name,
        "research_only": RESEARCH_ONLY,
        "reference": plan.reference,
        "folds": plan.folds,
        "seeds": plan.seeds,
        "policy": policy.as_dict(),
        "notes": list(NOTES),
        "networks": {name: _network(recipe) for name, recipe in recipes.items()},
        "evaluations": [_evaluation(plan, one, found.get(one.name, {}), policy) for one in plan.evaluate],
    }


def write_table(table: Json, folder: Path) -> None:
    """Write table.md, table.json and, where anything was measured, table.png. Raises OutputError."""
    text = json.dumps(table, indent=2, ensure_ascii=False, allow_nan=False)
    atomic_write_text(folder / JSON, text + "\n")
    atomic_write_text(folder / MARKDOWN, markdown(table))
    drawn = figure_rows(table)
    if len(drawn):
        from sonoseg.plots.style import save
        from sonoseg.plots.variants import variants

        save(variants(drawn), folder / FIGURE)


def _network(recipe: Recipe) -> Json:
    from sonoseg.networks.layer_table import cost

    parameters, macs = cost(recipe.network, recipe.data.size)
    return {"parameters": parameters, "macs": macs, "size": recipe.data.size}


def _evaluation(
    plan: ExperimentPlan, one: PlannedEvaluation, found: Mapping[Cell, Evaluation], policy: Policy
) -> Json:
    by_variant = {
        name: {cell: study for cell, study in found.items() if cell.variant == name} for name in plan.variants
    }
    rows = {name: average_runs(list(own.values())) for name, own in by_variant.items() if own}
    base = rows.get(plan.reference)
    studies = list(found.values())
    return {
        "name": one.name,
        "statements": _each_once(str(study.summary.get("statement", "")) for study in studies),
        "cautions": _each_once(c for study in studies for c in study.summary.get("cautions", [])),
        "rows": [
            {
                "variant": name,
                "runs": len(by_variant[name]),
                "planned": len(plan.folds) * len(plan.seeds),
                **_figures(plan, by_variant[name], rows[name], policy),
                "against": None
                if base is None or name == plan.reference
                else _against(rows[name], base, policy),
            }
            for name in plan.variants
            if name in rows
        ],
        "absent": [name for name in plan.variants if name not in rows],
    }


def _figures(
    plan: ExperimentPlan, own: Mapping[Cell, Evaluation], rows: pd.DataFrame, policy: Policy
) -> Json:
    # A seed that lacks a fold has measured other images: its mean says nothing of the seed.
    whole = {
        seed: [study for cell, study in own.items() if cell.seed == seed]
        for seed in plan.seeds
        if sum(cell.seed == seed for cell in own) == len(plan.folds)
    }
    of_seed = {seed: average_runs(studies) for seed, studies in whole.items()}
    figures: Json = {}
    for key, measure in MEASURES.items():
        mean = means_of(measure.where(rows), [measure.column], policy)[measure.column]
        each = {str(seed): _plain(measure.where(t)[measure.column].mean()) for seed, t in of_seed.items()}
        figures[key] = {**mean, **_spread(each)}
    ece = {str(seed): _plain(pooled_ece(studies)) for seed, studies in whole.items()}
    known = [value for value in ece.values() if value is not None]
    figures["ece_foreground"] = {"mean": sum(known) / len(known) if known else None, **_spread(ece)}
    return {"images": figures["dice"]["n"], "groups": figures["dice"]["groups"], **figures}


def _spread(each: dict[str, float | None]) -> Json:
    """Each seed's mean, and the least and the greatest of them where there are several."""
    known = [value for value in each.values() if value is not None]
    several = len(known) > 1
    return {
        "seeds": each,
        "least": min(known) if several else None,
        "greatest": max(known) if several else None,
    }


def _against(rows: pd.DataFrame, base: pd.DataFrame, policy: Policy) -> Json:
    try:
        left, right = common_rows(rows, base)
    except DatasetError:
        if set(rows["id"]) & set(base["id"]):
            raise
        return {"images": 0}  # their runs of the same fold failed
    result: Json = {"images": len(left)}
    for key in COMPARED:
        measure = MEASURES[key]
        one = paired(measure.where(left), measure.where(right), measure.column, policy)
        result[key] = {"difference": one["difference"], "p_permutation": one["p_permutation"]}
    return result


def figure_rows(table: Json) -> pd.DataFrame:
    """What the figure draws: evaluation, variant, metric, value, low, high, seeds (a list of means)."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "evaluation": evaluation["name"],
                "variant": row["variant"],
                "metric": MEASURES[key].title,
                "value": row[key]["mean"],
                "low": math.nan if row[key]["low"] is None else row[key]["low"],
                "high": math.nan if row[key]["high"] is None else row[key]["high"],
                "seeds": [value for value in row[key]["seeds"].values() if value is not None],
            }
            for evaluation in table["evaluations"]
            for key in MEASURES
            for row in evaluation["rows"]
            if row[key]["mean"] is not None
        ]
    )


def markdown(table: Json) -> str:
    """The table for a reader: a heading an evaluation, its figures, its differences."""
    parts = [
        f"# {table['name']}",
        f"**{table['research_only']}**",
        f"Folds {_list(table['folds'])}; seeds {_list(table['seeds'])}; reference: {table['reference']}.",
    ]
    for one in table["evaluations"]:
        parts.append(f"## {one['name']}")
        parts += [f"{_list(one['statements'], '; ')}."] if one["statements"] else []
        if one["rows"]:
            parts += [_markdown_table(*figure_cells(table, one)), *_differences(one)]
        if one["absent"]:
            parts.append(f"Not measured: {_list(one['absent'])}.")
        parts += [f"- {caution}" for caution in one["cautions"]]
    return "\n\n".join([*parts, *table["notes"]]) + "\n"


def figure_cells(table: Json, evaluation: Json) -> tuple[list[str], list[list[str]]]:
    """Headings and cells of an evaluation's figures, a row a variant."""
    heads = ["variant", "runs", "lesion images", "Dice", "spread over seeds"]
    heads += [measure.title for key, measure in MEASURES.items() if key != "dice"]
    heads += ["ECE, foreground", "parameters", "GMAC"]
    cells = []
    for row in evaluation["rows"]:
        runs = str(row["runs"]) if row["runs"] == row["planned"] else f"{row['runs']} of {row['planned']}"
        network = table["networks"][row["variant"]]
        cells.append(
            [
                row["variant"],
                runs,
                str(row["images"]),
                interval(row["dice"]),
                _range(row["dice"]) or "one seed",
                *(interval(row[key], m.kind) for key, m in MEASURES.items() if key != "dice"),
                _ece(row["ece_foreground"]),
                f"{network['parameters'] / 1e6:.2f} M",
                f"{network['macs'] / 1e9:.2f}",
            ]
        )
    return heads, cells


def difference_cells(evaluation: Json) -> tuple[list[str], list[list[str]]]:
    """Headings and cells of an evaluation's differences from the reference, a row a variant and measure."""
    heads = ["variant", "measure", "difference [95 % interval]", "p", "images"]
    return heads, [
        [
            row["variant"],
            MEASURES[key].title,
            signed(row["against"][key]["difference"], MEASURES[key].kind),
            p_value(row["against"][key]["p_permutation"]),
            str(row["against"][key]["difference"]["n"]),
        ]
        for row in evaluation["rows"]
        if row["against"] and row["against"]["images"]
        for key in COMPARED
        if row["against"][key]["difference"]["mean"] is not None
    ]


def _differences(evaluation: Json) -> list[str]:
    heads, cells = difference_cells(evaluation)
    return [_markdown_table(heads, cells)] if cells else []


def _markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (heads, ["---"] * len(heads), *rows))


def signed(one: Json, kind: Kind) -> str:
    """A difference with its interval; of shares it is in points of percent."""

    def text(value: float) -> str:
        if kind == "share":
            return f"{100 * value:+.1f}"
        return f"{value:+.3f}"

    unit = " points" if kind == "share" else ""
    if one["low"] is None:
        return f"{text(one['mean'])}{unit} (no interval)"
    return f"{text(one['mean'])}{unit} [{text(one['low'])}, {text(one['high'])}]"


def _range(one: Json) -> str:
    return "" if one["least"] is None else f"{number(one['least'])} to {number(one['greatest'])}"


def _ece(one: Json) -> str:
    if one["mean"] is None:
        return "not measured"
    spread = _range(one)
    return number(one["mean"]) + (f" ({spread})" if spread else "")


def _list(values: Sequence[Any], between: str = ", ") -> str:
    return between.join(map(str, values))


def _each_once(values: Any) -> list[str]:
    return [value for value in dict.fromkeys(values) if value]


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
