"""The page of a study: one HTML file with everything in it, to read, to print, to send."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from sonoseg import RESEARCH_ONLY
from sonoseg._util.files import atomic_write_text
from sonoseg.results.evaluation_figures import Shown
from sonoseg.results.evaluation_tables import (
    Kind,
    comparison_table,
    doubt_table,
    froc_table,
    number,
    results_table,
    strata_table,
)

PAGE = "index.html"


def write_page(
    folder: Path,
    summary: Mapping[str, Any],
    figures: Sequence[Shown],
    comparison: Mapping[str, Any] | None = None,
) -> Path:
    """Write folder/index.html, atomically: no script, no other file, no network.

    summary: of a Study. figures: PNG files, which are put into the page. comparison: what `compare` returned.
    Raises OutputError. Returns the page's path.
    """
    atomic_write_text(folder / PAGE, render(summary, figures, comparison))
    return folder / PAGE


def render(
    summary: Mapping[str, Any], figures: Sequence[Shown], comparison: Mapping[str, Any] | None = None
) -> str:
    """The page as HTML."""
    title = f"Evaluation of {summary.get('model', {}).get('name', 'a model')}"
    parts = files("sonoseg.results")
    style = "".join(parts.joinpath(name).read_text("utf-8") for name in ("page.css", "evaluation.css"))
    sections = [
        ("Results", results_table(summary)),
        ("Strata", strata_table(summary) + _figures(figures, "strata")),
        *(
            [(f"Compared with {comparison['second']}", _comparison(comparison, figures))]
            if comparison
            else []
        ),
        ("Lesions found against false positives", froc_table(summary) + _figures(figures, "froc")),
        ("Calibration", _figures(figures, "calibration")),
        ("How sure it is", doubt_table(summary) + _figures(figures, "doubt")),
        ("Choice of the threshold", _figures(figures, "threshold")),
        ("Cases", _figures(figures, "cases")),
        ("How it was measured", _policy(summary["policy"])),
    ]
    body = "\n".join(
        f"<section><h2>{escape(name)}</h2>{inside}</section>" for name, inside in sections if inside
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
<p class="research">{escape(RESEARCH_ONLY)}</p>
{_scope(summary)}
</header>
<main>
{_headline(summary)}
{body}
</main>
{_footer(summary)}
</body>
</html>
"""


def _scope(summary: Mapping[str, Any]) -> str:
    """Which images these are, and every reason to doubt the figures."""
    counts = summary["counts"]
    sets = ", ".join(source["name"] for source in summary.get("data", {}).get("sources", []))
    text = (
        f"{summary.get('statement', 'Images of a prepared set')}. Sets: {sets or 'not stated'}. "
        f"{counts['images']} images in {counts['groups']} groups (patients, or copies of one scan): "
        f"{counts['with_lesion']} with a lesion, {counts['normal']} normal."
    )
    if counts["unannotated"]:
        text += f" {counts['unannotated']} called a lesion have an empty mask: they are in no figure."
    return f"<p>{escape(text)}</p>{_cautions(summary.get('cautions', []))}"


def _cautions(cautions: Sequence[str]) -> str:
    return "".join(f'<p class="caution">{escape(one)}</p>' for one in cautions)


def _headline(summary: Mapping[str, Any]) -> str:
    """The figures that decide, large."""
    small = summary["strata"].get("size", {}).get("Q1 smallest")
    nothing = {"mean": None}
    cards: list[tuple[str, Mapping[str, Any], Kind, str]] = [
        ("Dice, mean over images with a lesion", summary["per_image"]["dice"], "score", "images"),
        ("Dice, smallest quarter of lesions", small["dice"] if small else nothing, "score", "images"),
        ("Lesions found", summary["lesions"]["sensitivity"], "share", "lesions"),
        ("Normal images with a false alarm", summary["normals"]["false_alarm"], "share", "images"),
    ]
    shown = (
        f'<div><dt>{escape(name)}</dt><dd><span class="figure">{number(one["mean"], kind)}</span><br>'
        f'<span class="note">95 % interval {_bounds(one, kind)}; n = {one["n"]} {unit}</span></dd></div>'
        for name, one, kind, unit in cards
        if one["mean"] is not None
    )
    return f'<dl class="big">{"".join(shown)}</dl>'


def _bounds(one: Mapping[str, Any], kind: Kind) -> str:
    return "unknown" if one["low"] is None else f"{number(one['low'], kind)} to {number(one['high'], kind)}"


def _comparison(comparison: Mapping[str, Any], figures: Sequence[Shown]) -> str:
    text = (
        f"{comparison['images']} images measured under both models. A difference is {comparison['first']} "
        f"minus {comparison['second']}; its interval is a bootstrap over groups, its p-value turns the signs "
        "of whole groups. The p-values are not corrected for their number: the Dice over all images is the "
        "claim, the rest describes it."
    )
    if comparison["only_first"] or comparison["only_second"]:
        text += (
            f" {comparison['only_first']} images of the first study and {comparison['only_second']} of the "
            "second are not in the other, and take no part."
        )
    cautions = [f"{comparison['second']}: {caution}" for caution in comparison["second_cautions"]]
    table = comparison_table(comparison)
    return f"<p>{escape(text)}</p>{_cautions(cautions)}{table}{_figures(figures, 'comparison')}"


def _figures(figures: Sequence[Shown], section: str) -> str:
    return "".join(
        f'<figure><img src="data:image/png;base64,{base64.b64encode(one.path.read_bytes()).decode()}" '
        f'alt="{escape(one.text)}"><figcaption>{escape(one.caption)}</figcaption></figure>'
        for one in figures
        if one.section == section
    )


def _policy(policy: Mapping[str, Any]) -> str:
    """The rules in short, with the numbers of this study; docs/evaluation.md has them in full."""
    p = {key: 100 * value if key.endswith("_share") else value for key, value in policy.items()}
    lines = (
        "Every figure is measured on the image's own grid, not on the network's.",
        "Dice, IoU, precision and recall are means over the images with a lesion; a missed lesion counts 0. "
        "Normal images are apart: no empty mask is averaged into a Dice.",
        "HD95 and the average distance of a missed lesion are the image's diagonal, its NSD is 0; no image "
        "is dropped.",
        f"An image is missed below a Dice of {p['missed_dice']:g}. A normal is a false alarm where more than "
        f"{p['false_alarm_share']:g} % of it is predicted.",
        f"A lesion is an 8-connected component of the true mask of {p['speck_share']:g} % of the image or "
        f"more. It is found where a predicted component overlaps it with a Dice of {p['hit_dice']:g} or "
        "more; a component that finds none is a false positive.",
        f"The FROC's candidates are the components of probability {p['candidate_threshold']:g} or above that "
        f"cover {p['candidate_share']:g} % of the image or more, before post-processing.",
        f"Calibration has {p['bins']} equal bins. Its foreground is the box around each lesion, "
        f"{p['foreground_percent']:g} % of the diagonal wider all round; its boundary band reaches "
        f"{p['band_percent']:g} % of the diagonal to either side of the true boundary.",
        "Doubt runs from 0 to 1 and is made from the probabilities alone. Images of equal doubt are referred "
        "together, each with their mean Dice; the curve's interval resamples whole groups.",
        "A share of 0 or 100 % has the exact binomial interval of its groups: a bootstrap would give none.",
        f"Intervals are {100 * p['level']:g} % percentile intervals of {p['resamples']} bootstrap resamples "
        f"of whole groups (seed {p['seed']}).",
        "Size quarters are quartiles of lesion area, as a share of the image, over the whole prepared set.",
        "Marks are unknown for a set that names none.",
    )
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def _footer(summary: Mapping[str, Any]) -> str:
    """Commands, versions and hashes: what it takes to make the page again."""
    model, data, split = summary.get("model", {}), summary.get("data", {}), summary.get("split")
    steps = ", ".join(f"{key} {value}" for key, value in model.get("postprocessing", {}).items())
    entries = [
        ("Model", f"{model.get('name', 'not stated')}, ONNX SHA-256 {model.get('sha256', 'not stated')}"),
        ("Threshold", model.get("threshold", "not stated")),
        ("Temperature", model.get("temperature", "not stated")),
        ("Test-time augmentation", model.get("tta", "none")),
        ("Post-processing", steps or "not stated"),
        ("Runtime", model.get("runtime", "not stated")),
        ("Prepared set", f"fingerprint {data.get('fingerprint', 'not stated')}"),
        *(
            (
                f"Set {one['name']}",
                f"{one['title']} {one['citation']} Licence: {one['licence'] or 'not stated'}",
            )
            for one in data.get("sources", [])
        ),
        ("Split", f"{split['file']}, SHA-256 {split['sha256']}" if split else "none"),
        *([("Dropped by the split's policy", f"{split['dropped']} images")] if split else []),
        ("Made", f"{summary.get('created', 'not stated')}, sonoseg {summary.get('sonoseg', 'not stated')}"),
        ("Versions", ", ".join(f"{name} {one}" for name, one in summary.get("versions", {}).items())),
    ]
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(str(text))}</dd>" for name, text in entries)
    command = summary.get("command")
    made = f"<pre>{escape(command)}</pre>" if command else ""
    return f'<footer><p class="research">{escape(RESEARCH_ONLY)}</p>{made}<dl>{listed}</dl></footer>'
