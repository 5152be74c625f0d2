"""The tables of results: no figure in them is written by hand.

`python research/scripts/make_results.py add NAME STUDY` keeps a study's summary and rows in research/evaluations/;
`python research/scripts/make_results.py ship RUN NAME ...` puts a run's Model into the package, with the kept studies'
figures on its card; `study NAME FOLDER` keeps the table of a `sonoseg experiment`; `curves NAME RUN` keeps a run's
log and draws its curves to docs/images/curves-NAME.png; `python research/scripts/make_results.py` writes every table and
curve anew, of the studies on the shipped card also docs/images/risk-coverage-NAME.png and all their FROC
curves in docs/images/froc.png, the peers' accuracy against their time in docs/images/accuracy-latency.png,
and the tables between the markers of the pages:

    <!-- table: NAME NAME ... -->
    <!-- end of table -->

(likewise `study: NAME`, a kept table; `compared: NAME NAME`, the differences of two studies;
`seeds: NAME ...`, studies of one recipe's seeds and their mean; `froc: NAME ...`, lesions found at some
rates of false positives), and the description of the model that ships, between those of docs/model-card.md.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from sonoseg._util.files import atomic_write_text
from sonoseg.evaluation.comparison import compare
from sonoseg.evaluation.evaluation import Evaluation, read_rows
from sonoseg.evaluation.image_detection import summarise_detection
from sonoseg.evaluation.policy import POLICY
from sonoseg.evaluation.seed_averages import average_runs
from sonoseg.evaluation.summary import means_of
from sonoseg.experiments.experiment_table import MEASURES as SEED_MEASURES
from sonoseg.model.card import CardResult
from sonoseg.model.model import CARD, Model, shipped
from sonoseg.results.evaluation_tables import Kind, interval, number, p_value

RESEARCH = Path(__file__).resolve().parents[1]
DOCS = RESEARCH.parent / "docs"
STUDIES = RESEARCH / "evaluations"
PAGES = (DOCS.parent / "README.md", *sorted(DOCS.rglob("*.md")))
STUDY_TABLES = RESEARCH / "tables"
LOGS = RESEARCH / "logs"
BLOCK = re.compile(r"(<!-- table: (?P<names>[^>]+?) -->\n).*?(<!-- end of table -->)", re.DOTALL)

COMPARED = re.compile(
    r"(<!-- compared: (?P<first>\S+) (?P<second>\S+) -->\n).*?(<!-- end of comparison -->)", re.DOTALL
)

DIFFERENCES: tuple[tuple[str, Kind, tuple[str, ...]], ...] = (
    ("Dice, all lesions", "score", ("metrics", "dice")),
    ("Dice, smallest quarter", "score", ("strata", "size", "Q1 smallest", "dice")),
    ("missed (Dice < 0.1)", "share", ("metrics", "missed")),
    ("normals with a false alarm", "share", ("metrics", "false_alarm")),
)

STUDY = re.compile(r"(<!-- study: (?P<name>\S+) -->\n).*?(<!-- end of study -->)", re.DOTALL)
FROC = re.compile(r"(<!-- froc: (?P<names>[^>]+?) -->\n).*?(<!-- end of froc -->)", re.DOTALL)
SEEDS = re.compile(r"(<!-- seeds: (?P<names>[^>]+?) -->\n).*?(<!-- end of seeds -->)", re.DOTALL)
RATES = (0.1, 0.2, 0.3, 0.5)
"""False positives an image at which the lesions found are told."""

SHIPPED = re.compile(r"(<!-- shipped:begin -->\n).*?(<!-- shipped:end -->)", re.DOTALL)

MEASURES: tuple[tuple[str, Kind, tuple[str, ...]], ...] = (
    ("Dice, mean over lesion images", "score", ("per_image", "dice")),
    ("Dice, pixels pooled", "score", ("pooled", "dice")),
    ("IoU, mean over lesion images", "score", ("per_image", "iou")),
    ("IoU, pixels pooled", "score", ("pooled", "iou")),
    ("Dice, smallest quarter of lesions", "score", ("strata", "size", "Q1 smallest", "dice")),
    ("missed (Dice < 0.1), smallest quarter", "share", ("strata", "size", "Q1 smallest", "missed")),
    ("missed (Dice < 0.1)", "share", ("per_image", "missed")),
    ("HD95, percent of the diagonal", "distance", ("per_image", "hd95_percent_diagonal")),
    ("NSD at 1 % of the diagonal", "score", ("per_image", "nsd")),
    ("Dice, images with marks drawn on", "score", ("strata", "marks", "yes", "dice")),
    ("Dice, images without marks", "score", ("strata", "marks", "no", "dice")),
    ("normals with a false alarm", "share", ("normals", "false_alarm")),
    ("normals told from lesion images by the peak, AUROC", "score", ("detection", "auroc")),
    ("normals flagged where 90 % of lesion images are", "share", ("detection", "flagged_normals", "0.9")),
    ("ECE, foreground", "score", ("calibration", "foreground", "ece")),
    ("ECE, boundary band", "score", ("calibration", "band", "ece")),
    ("correlation of doubt and Dice (-1 is best)", "score", ("doubt", "spearman")),
    ("gain of the doubt's order (0 chance, 1 best)", "score", ("doubt", "gain")),
    ("Dice, the most doubtful fifth referred", "score", ("doubt", "dice_left", "0.2")),
)


def figure(summary: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any] | None:
    """One figure of a summary, with interval and n; None where the study has none."""
    value: Any = summary
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return None if value is None or value.get("mean") is None else value


def cell(value: dict[str, Any] | None, kind: Kind) -> str:
    """A figure as a table shows it."""
    return "not measured" if value is None else f"{interval(value, kind)}, n = {value['n']}"


def table(names: list[str]) -> str:
    """A Markdown table with a column a study, and the commands that made them."""
    studies = {name: summary_of(name) for name in names}
    lines = [f"| | {' | '.join(names)} |", "|---|" + "---|" * len(names)]
    for title, kind, keys in MEASURES:
        figures = [figure(study, keys) for study in studies.values()]
        if any(figures):
            lines.append(f"| {title} | {' | '.join(cell(one, kind) for one in figures)} |")
    lines.append("")
    lines.append("Figures with their 95 % interval over groups. What was measured, and how:")
    lines.append("")
    for name, study in studies.items():
        lines.append(f"- {name}: {study['statement']} `{study['command']}`")
    return "\n".join(lines) + "\n"


def summary_of(name: str) -> dict[str, Any]:
    """A kept study's summary; of before there was such an entry, `detection` is made from its rows."""
    summary: dict[str, Any] = json.loads((STUDIES / f"{name}.json").read_text("utf-8"))
    if "detection" not in summary:
        summary["detection"] = summarise_detection(rows_of(name))
    return summary


def rows_of(name: str) -> pd.DataFrame:
    """A kept evaluation's rows, one an image."""
    return pd.read_parquet(STUDIES / f"{name}.parquet")


def kept(name: str) -> Evaluation:
    """A study as it is kept, its rows and its summary, without curves."""
    summary = summary_of(name)
    return Evaluation(rows_of(name), summary, pd.DataFrame(), pd.DataFrame())


def differences(first: str, second: str) -> str:
    """A Markdown table of two kept studies, compared image by image."""
    comparison = compare(kept(first), kept(second))
    lines = [f"| {first} minus {second} | difference [95 % interval] | p (permutation) |", "|---|---|---|"]
    for title, kind, keys in DIFFERENCES:
        one: Any = comparison
        for key in keys:
            one = one[key]
        lines.append(f"| {title} | {cell(one['difference'], kind)} | {p_value(one['p_permutation'])} |")
    return "\n".join(lines) + "\n"


def over_seeds(names: list[str]) -> str:
    """A Markdown table of kept studies of the same images: each, and their mean, first of every image."""
    studies = [kept(name) for name in names]
    rows = average_runs(studies)
    lines = [f"| | mean of {len(names)} seeds | {' | '.join(names)} |", "|---|---|" + "---|" * len(names)]
    for one in SEED_MEASURES.values():
        mean = means_of(one.where(rows), [one.column], POLICY)[one.column]
        if mean["n"]:
            each = [one.where(study.rows)[one.column].mean() for study in studies]
            cells = [cell(mean, one.kind), *(number(value, one.kind) for value in each)]
            lines.append(f"| {one.title} | {' | '.join(cells)} |")
    ece = [figure(study.summary, ("calibration", "foreground", "ece")) for study in studies]
    values = [one["mean"] for one in ece if one]
    if len(values) == len(names):
        cells = [number(value) for value in (sum(values) / len(values), *values)]
        lines.append(f"| ECE, foreground | {' | '.join(cells)} |")
    lines += ["", "Of the mean the 95 % interval over groups. What was measured, and how:", ""]
    lines += [f"- {name}: `{study.summary['command']}`" for name, study in zip(names, studies, strict=True)]
    return "\n".join(lines) + "\n"


def found_at(names: list[str]) -> str:
    """A Markdown table of lesions found at the same false positives an image, and the thresholds for it."""
    heads = [f"{rate:g} false positives an image" for rate in RATES]
    lines = [f"| lesions found (threshold) | {' | '.join(heads)} |", "|---|" + "---|" * len(heads)]
    for name in names:
        curve = pd.read_parquet(STUDIES / f"{name}-froc.parquet")
        at = [curve[curve["fp_per_image"] <= rate].iloc[-1] for rate in RATES]
        cells = [f"{100 * one['sensitivity']:.1f} % ({one['threshold']:.2f})" for one in at]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def refresh(text: str) -> str:
    """A page with its tables written anew."""

    def block(found: re.Match[str]) -> str:
        return f"{found[1]}\n{table(found['names'].split())}\n{found[3]}"

    text = STUDY.sub(lambda found: f"{found[1]}\n{study_table(found['name'])}\n{found[3]}", text)
    text = SEEDS.sub(lambda found: f"{found[1]}\n{over_seeds(found['names'].split())}\n{found[3]}", text)
    text = FROC.sub(lambda found: f"{found[1]}\n{found_at(found['names'].split())}\n{found[3]}", text)
    text = COMPARED.sub(
        lambda found: f"{found[1]}\n{differences(found['first'], found['second'])}\n{found[4]}",
        BLOCK.sub(block, text),
    )
    return SHIPPED.sub(lambda found: f"{found[1]}\n{card_text()}\n{found[2]}", text)


def card_text() -> str:
    """The card of the model that ships, as Markdown."""
    card = Model.load().card
    parts = card.training["parts"]
    lines = [
        f"`{card.name}`, made {card.created} by sonoseg {card.sonoseg}: recipe "
        f"`{card.training['recipe']['name']}`, "
        f"{card.training['recipe']['epochs']} epochs of {parts['train']} images, best epoch "
        f"{card.training['best_epoch']}, {card.training['hours']:.1f} hours on two busy CPU cores. Threshold "
        f"{card.threshold:g}. Split SHA-256 `{card.training['split_sha256'][:12]}`, prepared set "
        f"`{card.training['fingerprint'][:12]}`.",
        "",
        "| Trained on | Images | Licence | Citation |",
        "|---|---|---|---|",
        *(
            f"| {one.title or one.name} | {'the start' if one.start else one.images} | {one.licence} | "
            f"{one.citation} |"
            for one in card.data
        ),
        "",
        "| Measure | Figure | 95 % interval | n | On |",
        "|---|---|---|---|---|",
    ]
    for one in card.results:
        between = "" if one.low is None else f"{one.low:.3f} to {one.high:.3f}"
        lines.append(f"| {one.measure} | {one.value:.3f} | {between} | {one.n} | {one.on} |")
    return "\n".join([*lines, "", *(f"- {limit}" for limit in card.limits)]) + "\n"


def ship(run: Path, names: list[str]) -> None:
    """Put a run's Model into the package, with the figures of kept studies on its card."""
    model = Model.load(run)
    results = [one for one in model.card.results if one.on == "validation"]
    for name in names:
        study = summary_of(name)
        if study["model"]["sha256"] != model.card.sha256["model.onnx"]:
            sys.exit(f"{name} is a study of another model")
        for title, _, keys in MEASURES:
            one = figure(study, keys)
            if one:
                low, high = one["low"], one["high"]
                results.append(
                    CardResult(
                        measure=title, value=one["mean"], low=low, high=high, n=one["n"], on=name,
                        command=study["command"],
                    )
                )  # fmt: skip
    folder = shipped()
    folder.mkdir(exist_ok=True)
    precisions = model.card.precisions
    if (folder / CARD).is_file() and not precisions:
        before = Model.load().card
        # Of the same network in the same files they still hold, whatever was measured since.
        if before.sha256 == model.card.sha256 and before.temperature == model.card.temperature:
            precisions = before.precisions
    for name in (*model.card.sha256,):
        shutil.copyfile(model.folder / name, folder / name)
    model.card.model_copy(update={"results": results, "precisions": precisions}).write(folder / CARD)
    Model.load()


def add(name: str, study: Path) -> None:
    """Keep a study: its summary, its row an image and its FROC; no image."""
    STUDIES.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(study / "summary.json", STUDIES / f"{name}.json")
    for ours, rows in (("", read_rows(study / "images.csv")), ("-froc", pd.read_csv(study / "froc.csv"))):
        # Neither helps a few hundred rows; without them the files are a sixth smaller.
        rows.to_parquet(
            STUDIES / f"{name}{ours}.parquet", index=False, compression="zstd", compression_level=19,
            use_dictionary=False, write_statistics=False,
        )  # fmt: skip


def keep_log(name: str, run: Path) -> None:
    """Keep a run's log: a line an epoch and part, the last where an epoch was repeated."""
    LOGS.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(run / "log.jsonl", LOGS / f"{name}.jsonl")


def draw_curves() -> None:
    """Draw the kept logs' curves. They show no image of any set."""

    from sonoseg.plots.style import save
    from sonoseg.plots.training_curves import curves

    for log in sorted(LOGS.glob("*.jsonl")):
        save(curves(pd.read_json(log, lines=True)), DOCS / "images" / f"curves-{log.stem}.png")


def draw_risk_coverage() -> None:
    """Draw the curve of each kept study that knows doubts, from its rows: no image of any set is in it."""

    from sonoseg.evaluation.risk_coverage import risk_coverage_table
    from sonoseg.plots.evaluation_plots import risk_coverage
    from sonoseg.plots.style import save

    for name in on_the_card():
        rows = rows_of(name)
        if "uncertainty" in rows:
            drawn = risk_coverage(risk_coverage_table(rows))
            save(drawn, DOCS / "images" / f"risk-coverage-{name}.png")


def study_table(name: str) -> str:
    """The kept table of a study of many runs, headings made smaller, as the page has its own."""
    from sonoseg.experiments.experiment_table import markdown

    text = markdown(json.loads((STUDY_TABLES / f"{name}.json").read_text("utf-8")))
    return re.sub(r"^#+ ", "### ", text.partition("\n")[2], flags=re.MULTILINE).strip() + "\n"


def draw_study_tables() -> None:
    """Draw each kept table to docs/images/study-NAME.png: figures with intervals, no image of any set."""
    from sonoseg.experiments.experiment_table import figure_rows
    from sonoseg.plots.style import save
    from sonoseg.plots.variants import variants

    for path in sorted(STUDY_TABLES.glob("*.json")):
        drawn = variants(figure_rows(json.loads(path.read_text("utf-8"))))
        save(drawn, DOCS / "images" / f"study-{path.stem}.png")


def draw_accuracy_latency() -> None:
    """Draw the peers' Dice on a centre not seen against their milliseconds an image."""
    from sonoseg.plots.model_comparison import accuracy_latency
    from sonoseg.plots.style import save

    asked = json.loads((STUDY_TABLES / "peers.json").read_text("utf-8"))["evaluations"]
    timed = json.loads((RESEARCH / "benchmarks" / "results" / "peer_latency.json").read_text("utf-8"))["rows"]
    cost = {row["network"]: row for row in timed}
    rows = [
        {
            "model": row["variant"],
            "latency_ms": cost[row["variant"]]["ms"]["median"],
            "parameters": cost[row["variant"]]["parameters"],
            "dice": row["dice"]["mean"],
            "low": row["dice"]["low"],
            "high": row["dice"]["high"],
        }
        for one in asked
        if one["name"] == "busi"
        for row in one["rows"]
    ]
    save(accuracy_latency(pd.DataFrame(rows)), DOCS / "images" / "accuracy-latency.png")


def draw_froc() -> None:
    """Draw the FROC curves of the studies on the shipped card, a curve a study."""

    from sonoseg.plots.evaluation_plots import froc
    from sonoseg.plots.style import save

    curves = [pd.read_parquet(STUDIES / f"{name}-froc.parquet").assign(model=name) for name in on_the_card()]
    save(froc(pd.concat(curves)), DOCS / "images" / "froc.png")


def on_the_card() -> list[str]:
    """The studies of the test part whose figures the shipped card has."""
    return sorted({one.on for one in Model.load().card.results} - {"validation"})


def main() -> None:
    """See the module's docstring."""
    if sys.argv[1:2] == ["curves"]:
        keep_log(sys.argv[2], Path(sys.argv[3]))
        return
    if sys.argv[1:2] == ["study"]:
        STUDY_TABLES.mkdir(exist_ok=True)
        shutil.copyfile(Path(sys.argv[3]) / "table.json", STUDY_TABLES / f"{sys.argv[2]}.json")
        return
    if sys.argv[1:2] == ["add"]:
        add(sys.argv[2], Path(sys.argv[3]))
        return
    if sys.argv[1:2] == ["ship"]:
        ship(Path(sys.argv[2]), sys.argv[3:])
        return
    draw_curves()
    draw_risk_coverage()
    draw_froc()
    draw_study_tables()
    draw_accuracy_latency()
    for page in PAGES:
        before = page.read_text("utf-8")
        after = refresh(before)
        if after != before:
            atomic_write_text(page, after)


if __name__ == "__main__":
    main()
