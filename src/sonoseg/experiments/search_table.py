"""The one table of a search: a row a trial, the best recipe beside it."""

from __future__ import annotations

import json
from typing import Any, Final

from sonoseg import RESEARCH_ONLY
from sonoseg._util.files import atomic_write_text
from sonoseg.experiments.search import Search, Trial

FORMAT: Final = "sonoseg-tune-table/1"
MARKDOWN, JSON, FIGURE, BEST = "table.md", "table.json", "table.png", "best.yaml"
NOTES: Final = (
    "A trial's value is of the validation part, at the epoch of its best Dice, thresholded at 0.5 on the "
    "network's grid. The best of many trials is the luckiest too: its value says less than it seems, until "
    "its recipe is trained with other seeds and measured on a test part, once.",
)
Json = dict[str, Any]


def make_table(search: Search) -> Json:
    """The table of all trials so far, for table.json; docs/tune.md describes it. Raises OutputError."""
    plan, best = search.plan, search.best()
    return {
        "format": FORMAT,
        "name": plan.name,
        "research_only": RESEARCH_ONLY,
        "measure": plan.measure,
        "direction": plan.direction,
        "recipe": plan.recipe,
        "fold": plan.fold,
        "seed": plan.seed,
        "planned": plan.trials,
        "best": None if best is None else best.number,
        "notes": list(NOTES),
        "trials": [vars(one) for one in search.trials()],
    }


def write_table(search: Search) -> Json:
    """Write table.md and table.json, and where a trial is done table.png and best.yaml; returns the table.

    best.yaml is the best trial's recipe, resolved. Raises OutputError.
    """
    table, folder, best = make_table(search), search.folder, search.best()
    text = json.dumps(table, indent=2, ensure_ascii=False, allow_nan=False)
    atomic_write_text(folder / JSON, text + "\n")
    atomic_write_text(folder / MARKDOWN, markdown(table))
    if best is not None:
        from sonoseg.plots.style import save
        from sonoseg.plots.trials import trials

        atomic_write_text(folder / BEST, search.plan.recipe_of(best.values).yaml())
        logs = [key for key, one in search.plan.search.items() if getattr(one, "log", False)]
        save(trials(figure_rows(table), table["measure"], table["direction"], logs), folder / FIGURE)
    return table


def figure_rows(table: Json) -> Any:
    """What the figure draws: number, state, value, and a column a key of the search, as a pandas table."""
    import pandas as pd

    columns = ("number", "state", "value")
    return pd.DataFrame([{name: one[name] for name in columns} | one["values"] for one in table["trials"]])


def cells(table: Json) -> tuple[list[str], list[list[str]]]:
    """Headings and cells, a row a trial; the best trial's number is marked with a star."""
    keys = list(dict.fromkeys(key for one in table["trials"] for key in one["values"]))
    heads = ["trial", "state", table["measure"], "epoch", "epochs", *keys, "why"]
    return heads, [
        [
            f"{one['number']} *" if one["number"] == table["best"] else str(one["number"]),
            one["state"],
            "" if one["value"] is None else f"{one['value']:.4f}",
            "" if one["epoch"] is None else str(one["epoch"]),
            str(one["epochs"]),
            *(shown(one["values"].get(key, "")) for key in keys),
            one["reason"],
        ]
        for one in table["trials"]
    ]


def shown(value: Any) -> str:
    """A trial's value of a key, short."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def counts(trials: list[Trial]) -> dict[str, int]:
    """How many trials there are in each state."""
    return {
        state: sum(one.state == state for one in trials) for state in ("done", "pruned", "failed", "running")
    }


def markdown(table: Json) -> str:
    """The table for a reader."""
    heads, rows = cells(table)
    better = "higher" if table["direction"] == "maximize" else "lower"
    lines = [heads, ["---"] * len(heads), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    parts = [
        f"# {table['name']}",
        f"**{table['research_only']}**",
        f"Recipe {table['recipe']}, fold {table['fold']}, seed {table['seed']}; {table['measure']} on "
        f"validation ({better} is better); the star marks the best.",
        "\n".join("| " + " | ".join(line) + " |" for line in lines),
    ]
    return "\n\n".join([*parts, *table["notes"]]) + "\n"
