"""The page of an evaluation: one HTML file that contains everything."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sonoseg import RESEARCH_ONLY
from sonoseg._util.files import atomic_write_text
from sonoseg.evaluation.headline import Kind
from sonoseg.results.evaluation_figures import PageFigure
from sonoseg.results.evaluation_tables import (
    EvaluationTable,
    comparison_table,
    froc_table,
    number,
    results_table,
    strata_table,
    uncertainty_table,
)
from sonoseg.results.html_templates import render_page

PAGE = "index.html"


def write_evaluation_page(
    folder: Path,
    summary: Mapping[str, Any],
    figures: Sequence[PageFigure],
    comparison: Mapping[str, Any] | None = None,
) -> Path:
    """Write folder/index.html atomically, and return its path. The page has no script and loads nothing.

    summary: of an Evaluation. figures: PNG files, which are embedded. comparison: what `compare` returned.
    Raises OutputError.
    """
    atomic_write_text(folder / PAGE, render_evaluation(summary, figures, comparison))
    return folder / PAGE


def render_evaluation(
    summary: Mapping[str, Any], figures: Sequence[PageFigure], comparison: Mapping[str, Any] | None = None
) -> str:
    """Render the page as HTML. Arguments as in `write_evaluation_page`."""
    values = {
        "title": f"Evaluation of {summary.get('model', {}).get('name', 'a model')}",
        "notice": RESEARCH_ONLY,
        "scope": _scope(summary),
        "cautions": summary.get("cautions", []),
        "headline": _headline(summary),
        "sections": _sections(summary, figures, comparison),
        "command": summary.get("command"),
        "facts": _facts(summary),
    }
    return render_page("evaluation.html.jinja", values, style=("page.css", "evaluation.css"))


def _scope(summary: Mapping[str, Any]) -> str:
    """The images that were measured."""
    counts = summary["counts"]
    sets = ", ".join(source["name"] for source in summary.get("data", {}).get("sources", []))
    text = (
        f"{summary.get('statement', 'Images of a prepared set')}. Sets: {sets or 'not stated'}. "
        f"{counts['images']} images in {counts['groups']} groups (patients, or duplicates of one image): "
        f"{counts['with_lesion']} with a lesion, {counts['normal']} normal."
    )
    if counts["unannotated"]:
        text += f" {counts['unannotated']} labelled as lesion have an empty mask; no figure includes them."
    return text


def _headline(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The figures that decide, shown large."""
    small = summary["strata"].get("size", {}).get("Q1 smallest")
    cards: list[tuple[str, Mapping[str, Any] | None, Kind, str]] = [
        ("Dice, mean over images with a lesion", summary["per_image"]["dice"], "score", "images"),
        ("Dice, smallest quarter of lesions", small and small["dice"], "score", "images"),
        ("Sensitivity, lesions", summary["lesions"]["sensitivity"], "share", "lesions"),
        ("False-positive rate, normal images", summary["normals"]["false_positive"], "share", "images"),
    ]
    return [
        {
            "name": name,
            "figure": number(one["mean"], kind),
            "interval": "unknown"
            if one["low"] is None
            else f"{number(one['low'], kind)} to {number(one['high'], kind)}",
            "n": f"{one['n']} {unit}",
        }
        for name, one, kind, unit in cards
        if one and one["mean"] is not None
    ]


def _sections(
    summary: Mapping[str, Any], figures: Sequence[PageFigure], comparison: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """The sections that have any content, in the order of the page."""
    found: list[dict[str, Any]] = []

    def add(
        title: str,
        section: str = "",
        table: EvaluationTable | None = None,
        *,
        text: str = "",
        cautions: Sequence[str] = (),
        rules: Sequence[str] = (),
    ) -> None:
        embedded = [
            {
                "png": base64.b64encode(one.path.read_bytes()).decode(),
                "text": one.text,
                "caption": one.caption,
            }
            for one in figures
            if one.section == section
        ]
        if embedded or text or rules or (table is not None and table.rows):
            found.append(
                {
                    "title": title,
                    "text": text,
                    "cautions": cautions,
                    "table": table,
                    "figures": embedded,
                    "rules": rules,
                }
            )

    add("Results", table=results_table(summary))
    add("Strata", "strata", strata_table(summary))
    if comparison:
        add(
            f"Compared with {comparison['second']}",
            "comparison",
            comparison_table(comparison),
            text=_comparison_text(comparison),
            cautions=[f"{comparison['second']}: {caution}" for caution in comparison["second_cautions"]],
        )
    add("Sensitivity against false positives", "froc", froc_table(summary))
    add("Calibration", "calibration")
    add("Uncertainty", "uncertainty", uncertainty_table(summary))
    add("Choice of the threshold", "threshold")
    add("Cases", "cases")
    add("Method", rules=_rules(summary["policy"]))
    return found


def _comparison_text(comparison: Mapping[str, Any]) -> str:
    text = (
        f"{comparison['images']} images measured with both models. A difference is {comparison['first']} "
        f"minus {comparison['second']}. Its interval is a bootstrap over groups; its p-value comes from a "
        "permutation of the signs of whole groups. The p-values are not corrected for multiple testing: the "
        "Dice over all images is the claim, the rest is descriptive."
    )
    if comparison["only_first"] or comparison["only_second"]:
        text += (
            f" {comparison['only_first']} images of the first evaluation and {comparison['only_second']} of "
            "the second are not in the other, and are left out."
        )
    return text


def _rules(policy: Mapping[str, Any]) -> list[str]:
    """The rules in short, with the values of this evaluation; docs/evaluation.md has them in full."""
    p = {key: 100 * value if key.endswith("_share") else value for key, value in policy.items()}
    return [
        "Every figure is measured on the image's own grid, not on the network's.",
        "Dice, IoU, precision and recall are means over the images with a lesion; a missed lesion counts 0. "
        "Normal images are reported apart: no empty mask is averaged into a Dice.",
        "HD95 and the average surface distance of a missed lesion are the image's diagonal, its NSD is 0; no "
        "image is dropped.",
        f"A lesion is missed below a Dice of {p['missed_dice']:g}. A normal image is a false positive where "
        f"more than {p['false_positive_share']:g} % of it is predicted.",
        f"A lesion is an 8-connected component of the true mask of {p['speck_share']:g} % of the image or "
        f"more. It is detected where a predicted component overlaps it with a Dice of {p['hit_dice']:g} or "
        "more; a component that detects none is a false positive.",
        f"The FROC's candidates are the components of probability {p['candidate_threshold']:g} or above that "
        f"cover {p['candidate_share']:g} % of the image or more, before post-processing.",
        f"Calibration uses {p['bins']} equal bins. Its foreground is the box around each lesion, extended by "
        f"{p['foreground_percent']:g} % of the diagonal on all sides; its boundary band extends "
        f"{p['band_percent']:g} % of the diagonal to either side of the true boundary.",
        "Uncertainty runs from 0 to 1 and is computed from the probabilities alone. Images of equal "
        "uncertainty are referred together, each with their mean Dice; the curve's interval resamples whole "
        "groups.",
        "A share of 0 or 100 % has the exact binomial interval of its groups: a bootstrap would give none.",
        f"Intervals are {100 * p['level']:g} % percentile intervals of {p['resamples']} bootstrap resamples "
        f"of whole groups (seed {p['seed']}).",
        "Size quarters are quartiles of lesion area, as a share of the image, over the whole prepared set.",
        "Marks are unknown for a set that states none.",
    ]


def _facts(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Versions and hashes: what it takes to reproduce the page."""
    model, data, split = summary.get("model", {}), summary.get("data", {}), summary.get("split")
    steps = ", ".join(f"{key} {value}" for key, value in model.get("postprocessing", {}).items())
    facts: list[tuple[str, Any]] = [
        ("Model", f"{model.get('name', 'not stated')}, ONNX SHA-256 {model.get('sha256', 'not stated')}"),
        ("Threshold", model.get("threshold", "not stated")),
        ("Temperature", model.get("temperature", "not stated")),
        ("Test-time augmentation", model.get("tta", "none")),
        ("Post-processing", steps or "not stated"),
        ("Runtime", model.get("runtime", "not stated")),
        ("Prepared set", f"fingerprint {data.get('fingerprint', 'not stated')}"),
    ]
    for one in data.get("sources", []):
        text = f"{one['title']} {one['citation']} Licence: {one['licence'] or 'not stated'}"
        facts.append((f"Set {one['name']}", text))
    if split:
        facts.append(("Split", f"{split['file']}, SHA-256 {split['sha256']}"))
        facts.append(("Dropped by the split's policy", f"{split['dropped']} images"))
    else:
        facts.append(("Split", "none"))
    facts += [
        ("Made", f"{summary.get('created', 'not stated')}, sonoseg {summary.get('sonoseg', 'not stated')}"),
        ("Versions", ", ".join(f"{name} {one}" for name, one in summary.get("versions", {}).items())),
    ]
    return [(term, str(text)) for term, text in facts]
