"""The table of an experiment: a row per variant for each evaluation, or a row per trial of a search."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pandas as pd

from sonoseg import RESEARCH_ONLY
from sonoseg._util.files import atomic_write_text
from sonoseg.errors import DatasetError
from sonoseg.evaluation.comparison import common_rows, paired
from sonoseg.evaluation.evaluation import Evaluation
from sonoseg.evaluation.headline import Kind
from sonoseg.evaluation.image_detection import SENSITIVITIES, flagged_normals, summarise_detection
from sonoseg.evaluation.macro_means import mean_of_means, paired_mean_of_means
from sonoseg.evaluation.policy import POLICY, Policy
from sonoseg.evaluation.seed_averages import average_runs, pooled_ece
from sonoseg.evaluation.strata import SIZES
from sonoseg.evaluation.summary import means_of
from sonoseg.experiments.plan import Cell, SearchPlan, VariantPlan, short
from sonoseg.networks.layer_table import cost
from sonoseg.results.evaluation_tables import interval, number, p_value

if TYPE_CHECKING:
    from sonoseg.experiments.search import Trial
    from sonoseg.training.recipe import Recipe

FORMAT: Final = "sonoseg-experiment-table/2"
MARKDOWN, JSON, FIGURE = "table.md", "table.json", "table.png"

Json = dict[str, Any]


@dataclass(frozen=True)
class TableMetric:
    """A column of the table.

    title: its heading. column: of the evaluations' rows. select: the rows it averages.
    """

    title: str
    column: str
    kind: Kind
    select: Callable[[pd.DataFrame], pd.DataFrame]


def _lesions(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["kind"] == "lesion"]


def _small(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[(rows["kind"] == "lesion") & (rows["size_stratum"] == SIZES[0])]


def _normals(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["kind"] == "normal"]


TABLE_METRICS: Final[dict[str, TableMetric]] = {
    "dice": TableMetric("Dice", "dice", "score", _lesions),
    "small_dice": TableMetric("Dice, smallest quarter", "dice", "score", _small),
    "missed": TableMetric("missed lesions", "missed", "share", _lesions),
    "small_missed": TableMetric("missed, smallest quarter", "missed", "share", _small),
    "false_positive": TableMetric(
        "false-positive rate on normal images", "false_positive", "share", _normals
    ),
}
FLAGGED: Final = "normals flagged at 95 % sensitivity"
"""The heading of the share of normal images that a threshold flags which flags 95 % of the lesion images."""

COMPARED: Final = ("dice", "small_dice", "missed", "false_positive")
"""The metrics that are compared with the reference."""

VARIANT_NOTES: Final = (
    "A figure is a mean over images, each first averaged over the runs that measured it, with its 95 % "
    "interval from a bootstrap over groups: what other images would give with the same networks. The range "
    "over seeds is the lowest and the highest of the seeds' means: what other seeds would give.",
    "A difference is a variant minus the reference, paired image by image; p is of the permutation test over "
    "groups. p-values are not corrected for multiple comparisons.",
    "The foreground ECE is the mean over the seeds, with the lowest and the highest where there are several.",
    "Normals flagged at 95 % sensitivity: the threshold on an image's maximum probability is the one that "
    "95 % of the lesion images of the same evaluation reach.",
)
SEARCH_NOTES: Final = (
    "A trial's value is of the validation part, at the epoch of its best Dice, thresholded at 0.5 on the "
    "network's grid. The best of many trials is partly due to chance: to confirm it, train its recipe with "
    "other seeds and evaluate it on a test part, once.",
)


class TableSection(NamedTuple):
    """A part of the table for a reader. heads: of the columns. rows: of cells."""

    title: str
    heads: list[str]
    rows: list[list[str]]


def variant_table(
    plan: VariantPlan,
    recipes: Mapping[str, Recipe],
    found: Mapping[str, Mapping[Cell, Evaluation]],
    folds_of: Mapping[str, Sequence[int]] | None = None,
    policy: Policy = POLICY,
) -> Json:
    """The table of everything that was evaluated, as in table.json.

    recipes: by variant. found: evaluations by name and cell; may lack what failed or remains to do.
    folds_of: the folds in which each evaluation has an image; by default all of the plan's.
    Raises DatasetError where two runs measured an image against different masks.
    """
    folds_of = {one.name: plan.folds for one in plan.evaluate} | dict(folds_of or {})
    networks = {}
    for name, recipe in recipes.items():
        parameters, macs = cost(recipe.network, recipe.data.size)
        networks[name] = {"parameters": parameters, "macs": macs, "size": recipe.data.size}
    return _table(plan, plan.folds, plan.seeds, VARIANT_NOTES) | {
        "reference": plan.reference,
        "policy": policy.as_dict(),
        "networks": networks,
        "evaluations": [_evaluation(plan, [one.name], found, folds_of, policy) for one in plan.evaluate]
        + ([_evaluation(plan, plan.mean, found, folds_of, policy)] if plan.mean else []),
    }


def search_table(plan: SearchPlan, trials: Iterable[Trial]) -> Json:
    """The table of all trials so far, as in table.json."""
    rows = [asdict(one) for one in trials]
    done = [one for one in rows if one["state"] == "done"]
    sign = -1 if plan.direction == "maximize" else 1
    best = min(done, key=lambda one: (sign * one["value"], one["number"]), default={"number": None})
    return _table(plan, [plan.fold], [plan.seed], SEARCH_NOTES) | {
        "search": {
            "metric": plan.metric,
            "direction": plan.direction,
            "log_keys": [key for key, one in plan.search.items() if getattr(one, "log", False)],
            "planned": plan.trials,
            "best": best["number"],
            "trials": rows,
        }
    }


def _table(plan: VariantPlan | SearchPlan, folds: list[int], seeds: list[int], notes: Sequence[str]) -> Json:
    return {
        "format": FORMAT,
        "name": plan.name,
        "research_only": RESEARCH_ONLY,
        "recipe": plan.recipe,
        "folds": folds,
        "seeds": seeds,
        "notes": list(notes),
        "reference": None,
        "policy": None,
        "networks": {},
        "evaluations": [],
        "search": None,
    }


def write_table(table: Json, folder: Path) -> None:
    """Write table.md, table.json and, where anything was measured, table.png. Raises OutputError."""
    text = json.dumps(table, indent=2, ensure_ascii=False, allow_nan=False)
    atomic_write_text(folder / JSON, text + "\n")
    atomic_write_text(folder / MARKDOWN, markdown(table))
    search, rows = table["search"], variant_figure_rows(table)
    if len(rows):
        from sonoseg.plots.experiment_plots import variants
        from sonoseg.plots.style import save

        save(variants(rows), folder / FIGURE)
    elif search is not None and search["best"] is not None:
        from sonoseg.plots.experiment_plots import trials
        from sonoseg.plots.style import save

        figure = trials(trial_figure_rows(search), search["metric"], search["direction"], search["log_keys"])
        save(figure, folder / FIGURE)


def _evaluation(
    plan: VariantPlan,
    names: Sequence[str],
    found: Mapping[str, Mapping[Cell, Evaluation]],
    folds_of: Mapping[str, Sequence[int]],
    policy: Policy,
) -> Json:
    """The table's entry of one evaluation, or of the unweighted mean of several."""
    by_variant = {name: _Runs.of(plan, name, names, found, folds_of) for name in plan.variants}
    measured = {name: own for name, own in by_variant.items() if own.measured}
    base = measured.get(plan.reference)
    summaries = [done.summary for own in measured.values() for done in own.all()]
    return {
        "name": names[0] if len(names) == 1 else f"mean of {', '.join(names)}",
        "statements": _unique(str(summary.get("statement", "")) for summary in summaries),
        "cautions": _unique(text for summary in summaries for text in summary.get("cautions", [])),
        "rows": [
            {
                "variant": name,
                "runs": len(own.all()),
                "planned": own.planned,
                **_figures(own, policy),
                "difference": None
                if base is None or name == plan.reference
                else _difference(own, base, policy),
            }
            for name, own in measured.items()
        ],
        "not_measured": [name for name in plan.variants if name not in measured],
    }


@dataclass(frozen=True)
class _Runs:
    """A variant's runs on one evaluation, or on the several of a mean.

    parts: of each evaluation the runs that measured it. of_seed: by seed the same, where the seed has all
    folds of all evaluations: one that lacks a fold has measured other images. planned: how many there are.
    """

    parts: list[list[Evaluation]]
    of_seed: dict[int, list[list[Evaluation]]]
    planned: int

    @classmethod
    def of(
        cls,
        plan: VariantPlan,
        variant: str,
        names: Sequence[str],
        found: Mapping[str, Mapping[Cell, Evaluation]],
        folds_of: Mapping[str, Sequence[int]],
    ) -> _Runs:
        own = [
            {cell: done for cell, done in found.get(name, {}).items() if cell.variant == variant}
            for name in names
        ]
        of_seed = {
            seed: [[done for cell, done in part.items() if cell.seed == seed] for part in own]
            for seed in plan.seeds
        }
        counts = [len(folds_of[name]) for name in names]
        return cls(
            [list(part.values()) for part in own],
            {seed: parts for seed, parts in of_seed.items() if [len(part) for part in parts] == counts},
            sum(counts) * len(plan.seeds),
        )

    @property
    def measured(self) -> bool:
        """Whether every evaluation has a run."""
        return all(self.parts)

    def all(self) -> list[Evaluation]:
        """Every run's evaluation."""
        return [done for part in self.parts for done in part]


def _figures(own: _Runs, policy: Policy) -> Json:
    rows = [average_runs(part) for part in own.parts]
    of_seed = {seed: [average_runs(part) for part in parts] for seed, parts in own.of_seed.items()}
    figures: Json = {}
    for key, metric in TABLE_METRICS.items():
        each = {str(seed): _mean(tables, metric) for seed, tables in of_seed.items()}
        figures[key] = {**_interval(rows, metric, policy), **_range(each)}
    ece = {
        str(seed): _finite(sum(pooled_ece(part) for part in parts) / len(parts))
        for seed, parts in own.of_seed.items()
    }
    known = [value for value in ece.values() if value is not None]
    figures["ece_foreground"] = {"mean": sum(known) / len(known) if known else None, **_range(ece)}
    if len(rows) == 1 and not _normals(rows[0]).empty:
        share = f"{SENSITIVITIES[0]:g}"
        each = {str(seed): flagged_normals(tables[0], SENSITIVITIES[0]) for seed, tables in of_seed.items()}
        detection = summarise_detection(rows[0], policy)["flagged_normals"][share]
        figures["flagged_normals"] = {**detection, **_range(each)}
    return {"images": figures["dice"]["n"], "groups": figures["dice"]["groups"], **figures}


def _mean(tables: list[pd.DataFrame], metric: TableMetric) -> float | None:
    """The mean of one evaluation, or the unweighted mean of several; None where one lacks the metric."""
    return _finite(sum(metric.select(table)[metric.column].mean() for table in tables) / len(tables))


def _interval(tables: list[pd.DataFrame], metric: TableMetric, policy: Policy) -> Json:
    """`_mean` with its interval over groups."""
    if len(tables) == 1:
        one: Json = means_of(metric.select(tables[0]), [metric.column], policy)[metric.column]
        return one
    return mean_of_means([metric.select(table) for table in tables], metric.column, policy)


def _range(each: dict[str, float | None]) -> Json:
    """Each seed's mean, and the lowest and the highest of them where there are several."""
    known = [value for value in each.values() if value is not None]
    several = len(known) > 1
    return {"seeds": each, "min": min(known) if several else None, "max": max(known) if several else None}


def _difference(own: _Runs, base: _Runs, policy: Policy) -> Json:
    pairs = []
    for part, other in zip(own.parts, base.parts, strict=True):
        rows, reference = average_runs(part), average_runs(other)
        try:
            pairs.append(common_rows(rows, reference))
        except DatasetError:
            if set(rows["id"]) & set(reference["id"]):
                raise
            return {"images": 0}  # their runs of the same fold failed
    result: Json = {"images": sum(len(left) for left, _ in pairs)}
    for key in COMPARED:
        metric = TABLE_METRICS[key]
        selected = [(metric.select(left), metric.select(right)) for left, right in pairs]
        if len(selected) == 1:
            one = paired(*selected[0], metric.column, policy)
            result[key] = one["difference"] | {"p_permutation": one["p_permutation"]}
        else:
            result[key] = paired_mean_of_means(selected, metric.column, policy)
    return result


def variant_figure_rows(table: Json) -> pd.DataFrame:
    """The rows that `plots.experiment_plots.variants` draws."""
    return pd.DataFrame(
        [
            {
                "evaluation": evaluation["name"],
                "variant": row["variant"],
                "metric": metric.title,
                "value": row[key]["mean"],
                "low": math.nan if row[key]["low"] is None else row[key]["low"],
                "high": math.nan if row[key]["high"] is None else row[key]["high"],
                "seeds": [value for value in row[key]["seeds"].values() if value is not None],
            }
            for evaluation in table["evaluations"]
            for key, metric in TABLE_METRICS.items()
            for row in evaluation["rows"]
            if row[key]["mean"] is not None
        ]
    )


def trial_figure_rows(search: Json) -> pd.DataFrame:
    """The rows that `plots.experiment_plots.trials` draws."""
    columns = ("number", "state", "value")
    return pd.DataFrame([{name: one[name] for name in columns} | one["values"] for one in search["trials"]])


def sections(table: Json) -> list[TableSection]:
    """The tables for a reader: figures and differences of each evaluation, or the trials; none empty."""
    parts = [_trials(table["search"])] if table["search"] is not None else []
    for one in table["evaluations"]:
        parts += [figure_section(table, one), difference_section(one)]
    return [part for part in parts if part.rows]


def markdown(table: Json) -> str:
    """The table for a reader, as Markdown."""
    folds, seeds = (", ".join(map(str, table[key])) for key in ("folds", "seeds"))
    parts = [f"# {table['name']}", f"**{table['research_only']}**"]
    search = table["search"]
    if search is not None:
        better = "higher" if search["direction"] == "maximize" else "lower"
        parts += [
            f"Recipe {table['recipe']}, fold {folds}, seed {seeds}; {search['metric']} on the validation "
            f"part ({better} is better); * marks the best.",
            _markdown(_trials(search)),
        ]
    else:
        parts.append(f"Folds {folds}; seeds {seeds}; reference: {table['reference']}.")
    for one in table["evaluations"]:
        parts.append(f"## {one['name']}")
        parts += [f"{'; '.join(one['statements'])}."] if one["statements"] else []
        both = (figure_section(table, one), difference_section(one))
        parts += [_markdown(part) for part in both if part.rows]
        if one["not_measured"]:
            parts.append(f"Not measured: {', '.join(one['not_measured'])}.")
        parts += [f"- {caution}" for caution in one["cautions"]]
    return "\n\n".join([*parts, *table["notes"]]) + "\n"


def figure_section(table: Json, evaluation: Json) -> TableSection:
    """An evaluation's figures, a row per variant."""
    others = {key: metric for key, metric in TABLE_METRICS.items() if key != "dice"}
    heads = ["variant", "runs", "lesion images", "Dice", "range over seeds"]
    heads += [metric.title for metric in others.values()]
    flagged = any("flagged_normals" in row for row in evaluation["rows"])
    heads += [FLAGGED] if flagged else []
    heads += ["foreground ECE", "parameters", "GMAC"]
    rows = []
    for row in evaluation["rows"]:
        runs = str(row["runs"]) if row["runs"] == row["planned"] else f"{row['runs']} of {row['planned']}"
        network, ece = table["networks"][row["variant"]], row["ece_foreground"]
        spread = _range_text(ece)
        rows.append(
            [
                row["variant"],
                runs,
                str(row["images"]),
                interval(row["dice"]),
                _range_text(row["dice"]) or "one seed",
                *(interval(row[key], metric.kind) for key, metric in others.items()),
                *([interval(row["flagged_normals"], "share")] if flagged else []),
                "not measured"
                if ece["mean"] is None
                else number(ece["mean"]) + (f" ({spread})" if spread else ""),
                f"{network['parameters'] / 1e6:.2f} M",
                f"{network['macs'] / 1e9:.2f}",
            ]
        )
    return TableSection(evaluation["name"], heads, rows)


def difference_section(evaluation: Json) -> TableSection:
    """An evaluation's differences from the reference, a row per variant and metric."""
    heads = ["variant", "metric", "difference [95 % interval]", "p", "images"]
    rows = [
        [
            row["variant"],
            TABLE_METRICS[key].title,
            signed(row["difference"][key], TABLE_METRICS[key].kind),
            p_value(row["difference"][key]["p_permutation"]),
            str(row["difference"][key]["n"]),
        ]
        for row in evaluation["rows"]
        if row["difference"] and row["difference"]["images"]
        for key in COMPARED
        if row["difference"][key]["mean"] is not None
    ]
    return TableSection(f"{evaluation['name']}: differences from the reference", heads, rows)


def _trials(search: Json) -> TableSection:
    """A row per trial; * marks the best."""
    keys = list(dict.fromkeys(key for one in search["trials"] for key in one["values"]))
    heads = ["trial", "state", search["metric"], "epoch", "epochs", *keys, "reason"]
    rows = [
        [
            f"{one['number']} *" if one["number"] == search["best"] else str(one["number"]),
            one["state"],
            "" if one["value"] is None else f"{one['value']:.4f}",
            "" if one["epoch"] is None else str(one["epoch"]),
            str(one["epochs"]),
            *(short(one["values"].get(key, "")) for key in keys),
            one["reason"],
        ]
        for one in search["trials"]
    ]
    return TableSection("trials", heads, rows)


def _markdown(section: TableSection) -> str:
    rows = [[cell.replace("|", "\\|") for cell in row] for row in section.rows]
    return "\n".join(
        "| " + " | ".join(row) + " |" for row in (section.heads, ["---"] * len(section.heads), *rows)
    )


def signed(one: Json, kind: Kind) -> str:
    """A difference with its interval; of shares it is in percentage points."""

    def text(value: float) -> str:
        return f"{100 * value:+.1f}" if kind == "share" else f"{value:+.3f}"

    unit = " points" if kind == "share" else ""
    if one["low"] is None:
        return f"{text(one['mean'])}{unit} (no interval)"
    return f"{text(one['mean'])}{unit} [{text(one['low'])}, {text(one['high'])}]"


def _range_text(one: Json) -> str:
    return "" if one["min"] is None else f"{number(one['min'])} to {number(one['max'])}"


def _unique(values: Iterable[str]) -> list[str]:
    return [value for value in dict.fromkeys(values) if value]


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
