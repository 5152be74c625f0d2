"""Tables of stored evaluations and experiments, and the card of the shipped model."""

from __future__ import annotations

import re

from evidence import TABLES, evaluation_of, froc_of, read_json, summary_of
from page_tables.markdown import table
from sonoseg.evaluation.comparison import common_rows, paired
from sonoseg.evaluation.headline import HEADLINES, Kind
from sonoseg.evaluation.policy import POLICY
from sonoseg.evaluation.seed_averages import average_runs
from sonoseg.evaluation.strata import STRATA
from sonoseg.evaluation.summary import means_of
from sonoseg.experiments.experiment_table import TABLE_METRICS, markdown
from sonoseg.model.model import Model
from sonoseg.results.evaluation_tables import Figure, interval, number, p_value

DIFFERENCES: tuple[tuple[str, Kind, str, str | None], ...] = (
    ("Dice, all lesions", "score", "dice", None),
    ("Dice, smallest quarter", "score", "dice", "Q1 smallest"),
    ("missed lesions (Dice < 0.1)", "share", "missed", None),
    ("false-positive rate on normal images", "share", "false_positive", None),
)
"""Title, kind, metric, and the level of size whose images count (None: all)."""
RATES = (0.1, 0.2, 0.3, 0.5)
"""False positives per image at which the sensitivity is stated."""


def cell(value: Figure | None, kind: Kind) -> str:
    """A figure with its interval and n."""
    return "not measured" if value is None else f"{interval(value, kind)}, n = {value['n']}"


def evaluations_table(*names: str) -> str:
    """The headline figures, a column an evaluation, and the command of each."""
    summaries = [summary_of(name) for name in names]
    rows = []
    for headline in HEADLINES:
        figures = [headline.of(summary) for summary in summaries]
        if any(figures):
            rows.append((headline.title, *(cell(one, headline.kind) for one in figures)))
    sources = [
        f"- {name}: {summary['statement']} `{summary['command']}`"
        for name, summary in zip(names, summaries, strict=True)
    ]
    note = "Each figure has its 95 % interval over groups. The evaluated images and the commands:"
    return "\n".join([table(("", *names), rows), "", note, "", *sources])


def comparison_table(first: str, second: str) -> str:
    """The differences of two evaluations, paired image by image."""
    left, right = common_rows(evaluation_of(first).rows, evaluation_of(second).rows)
    rows = []
    for title, kind, metric, level in DIFFERENCES:
        where = slice(None) if level is None else (left[STRATA["size"]] == level).to_numpy()
        one = paired(left[where], right[where], metric)
        rows.append((title, cell(one["difference"], kind), p_value(one["p_permutation"])))
    return table((f"{first} minus {second}", "difference [95 % interval]", "p (permutation)"), rows)


def seeds_table(*names: str) -> str:
    """Evaluations of one recipe's seeds on the same images: each, and the mean of averaged images."""
    evaluations = [evaluation_of(name) for name in names]
    averaged, rows = average_runs(evaluations), []
    for one in TABLE_METRICS.values():
        mean = means_of(one.select(averaged), [one.column], POLICY)[one.column]
        if mean["n"]:
            each = [one.select(evaluation.rows)[one.column].mean() for evaluation in evaluations]
            rows.append((one.title, cell(mean, one.kind), *(number(value, one.kind) for value in each)))
    (ece,) = (headline for headline in HEADLINES if headline.keys == ("calibration", "foreground", "ece"))
    values = [figure["mean"] for one in evaluations if (figure := ece.of(one.summary))]
    if len(values) == len(names):
        rows.append((ece.title, *(number(value) for value in (sum(values) / len(values), *values))))
    sources = [f"- {name}: `{one.summary['command']}`" for name, one in zip(names, evaluations, strict=True)]
    head = ("", f"mean of {len(names)} seeds", *names)
    note = "The mean has its 95 % interval over groups. The commands:"
    return "\n".join([table(head, rows), "", note, "", *sources])


def froc_table(*names: str) -> str:
    """The sensitivity at given false positives per image, with the threshold for it."""
    rows = []
    for name in names:
        curve = froc_of(name)
        at = [curve[curve["fp_per_image"] <= rate].iloc[-1] for rate in RATES]
        rows.append((name, *(f"{100 * one['sensitivity']:.1f} % ({one['threshold']:.2f})" for one in at)))
    return table(
        ("sensitivity per lesion (threshold)", *(f"{rate:g} false positives per image" for rate in RATES)),
        rows,
    )


def experiment_table(name: str) -> str:
    """The stored table of an experiment, its headings lowered by two levels and its title left out."""
    text = markdown(read_json(TABLES / f"{name}.json"))
    return re.sub(r"^#+ ", "### ", text.partition("\n")[2], flags=re.MULTILINE)


def shipped_model() -> str:
    """The card of the shipped model."""
    card = Model.load().card
    parts = card.training["parts"]
    recipe = card.training["recipe"]
    about = (
        f"`{card.name}`, made {card.created} by sonoseg {card.sonoseg}: recipe `{recipe['name']}`, "
        f"{recipe['epochs']} epochs of {parts['train']} images, best epoch {card.training['best_epoch']}, "
        f"{card.training['hours']:.1f} hours on two busy CPU cores. Threshold {card.threshold:g}. Split "
        f"SHA-256 `{card.training['split_sha256'][:12]}`, prepared set `{card.training['fingerprint'][:12]}`."
    )
    data = [
        (
            one.title or one.name,
            "initial weights" if one.start else str(one.images),
            one.licence,
            one.citation,
        )
        for one in card.data
    ]
    results = [
        (
            one.measure,
            f"{one.value:.3f}",
            "" if one.low is None else f"{one.low:.3f} to {one.high:.3f}",
            str(one.n),
            one.on,
        )
        for one in card.results
    ]
    return "\n\n".join(
        [
            about,
            table(("Trained on", "Images", "Licence", "Citation"), data),
            table(("Measure", "Figure", "95 % interval", "n", "On"), results),
            "\n".join(f"- {limit}" for limit in card.limits),
        ]
    )
