"""The page of a run: every image with its lesions, in one file, without a network.

Written an image at a time, so that thousands need no more memory than one. The previews are inside the page;
the links to the full images are relative to the results folder. Its policy forbids the
browser to load anything, or to run any script but ours, which is let in by its hash.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files
from typing import TextIO
from urllib.parse import quote

from sonoseg import RESEARCH_ONLY
from sonoseg.lesions.measurement import PLANE_NOTE, Ends, Lesion
from sonoseg.results.entries import ImageEntry, Preview
from sonoseg.results.results import Results
from sonoseg.results.size_text import (
    area_text,
    axes_text,
    count_text,
    found_text,
    scale_notes,
    scale_text,
    size_text,
)

_LINKS = {
    "overlay": "Overlay",
    "mask": "Mask",
    "probability": "Probability",
    "seg": "DICOM SEG",
    "sr": "DICOM SR",
    "capture": "DICOM capture",
    "labelme": "LabelMe",
    "nrrd": "NRRD",
}

_HIDDEN = {"labelme_image"}
"""Files that other files need, and nobody opens."""

_COLUMNS = (
    ("Image", "", ""),
    ("Lesion", "n", ""),
    ("Axes", "n", "the longest axis, and the longest line across the lesion at right angles to it"),
    ("Width × height", "n", "of the upright box around the lesion, along the image's rows and columns"),
    ("Area", "n", "of its pixels"),
    ("Depth", "n", "of its upper edge below the top of the scan: a proxy for the distance from the skin"),
    ("Orientation", "", "to the skin line: parallel where the lesion is wider than high"),
    ("Echoes", "", "against the tissue around it; and below it"),
    ("Probability", "n", "the network's, mean over the lesion, 0 to 1"),
    ("Doubt", "n", "about its outline, 0 sure to 1 in doubt"),
    ("mm per px", "scale", "at its place (down × across), and who says so; without it sizes are in pixels"),
)


def write_page(file: TextIO, results: Results) -> None:
    """Write the page. file: open for writing text."""
    style, script = _part("page.css") + _part("report.css"), _part("report.js")
    about, counts = results.about, results.counts
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{allowed}'"
    count = escape(count_text(counts, len(results.refused), len(results.referred or ())))
    if results.refused:
        count += ' <a href="#refused">See which and why.</a>'
    notes = "".join(f"<li>{escape(note)}</li>" for note in scale_notes(counts))
    file.write(
        f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="sonoseg {escape(about.sonoseg)}">
<title>Lesions found by sonoseg</title>
<style>
{style}</style>
</head>
<body>
<a class="skip" href="#lesions">Skip to the table of lesions</a>
<header>
<h1>Lesions found</h1>
<p class="count">{count}</p>
<p class="research" role="note">{escape(RESEARCH_ONLY)}</p>
{f'<ul class="notes">{notes}</ul>' if notes else ""}
</header>
<main>
"""
    )
    if counts.images:
        file.write(_tools(results))
        file.write('<section aria-label="Images">\n<ul class="cards">\n')
        for number, entry in enumerate(results.entries(), start=1):
            file.write(_card(number, entry, results.referred or frozenset()) + "\n")
        file.write("</ul>\n</section>\n")
    for part in _table(results):
        file.write(part + "\n")
    for part in _refused(results):
        file.write(part + "\n")
    file.write(
        f"</main>\n<footer>\n{_footer(results)}\n</footer>\n<script>{script}</script>\n</body>\n</html>\n"
    )


def _part(name: str) -> str:
    return files("sonoseg.results").joinpath(name).read_text("utf-8")


def _tools(results: Results) -> str:
    counts = results.counts
    choices = [("all", "All", counts.images), ("lesion", "With a lesion", counts.images - counts.without)]
    choices.append(("none", "Without", counts.without))
    if results.referred is not None:
        choices.append(("referred", "Referred", len(results.referred)))
    radios = "".join(
        f'<label><input type="radio" name="show" value="{value}"{" checked" if value == "all" else ""}>'
        f"{title} ({count:,})</label>"
        for value, title, count in choices
    )
    return f"""<form class="tools" hidden>
<fieldset><legend>Show</legend>{radios}</fieldset>
<fieldset><legend>Draw</legend>
<label><input type="checkbox" name="outlines" checked>Outlines</label>
<label><input type="checkbox" name="sizes">Sizes and doubt</label></fieldset>
<p>Point at an image, or hold <kbd>O</kbd>, for its sizes and its doubt;
hold <kbd>P</kbd> for the plain image.</p>
</form>
"""


def _card(number: int, entry: ImageEntry, referred: frozenset[str]) -> str:
    found = found_text(entry.findings)
    links = [
        f'<a href="{_link(path)}">{_kind(kind)}</a>'
        for kind, path in entry.paths.items()
        if kind not in _HIDDEN
    ]
    image = _image(entry, f"{escape(entry.name)}: {found.lower()}")
    if "overlay" in entry.files:
        image = f'<a class="image" href="{_link(entry.files["overlay"].path)}">{image}</a>'
    else:
        image = f'<span class="image" tabindex="0">{image}</span>'
    badge = ""
    if entry.name in referred:
        badge = '<span class="badge">Referred: a person should look</span>'
    kind = "lesion" if entry.findings.lesions else "none"
    mark = " data-referred" if badge else ""
    return (
        f'<li id="p{number}" data-found="{kind}"{mark}><figure>{image}<figcaption>'
        f'<span class="name">{escape(entry.name)}</span>{badge}<span class="found {kind}">{found}</span>'
        f'<span class="sure">{_sure(entry)}</span>'
        f'<span class="files">{"".join(links)}</span></figcaption></figure></li>'
    )


def _sure(entry: ImageEntry) -> str:
    parts = []
    if entry.findings.lesions:
        likely = max(lesion.mean_probability for lesion in entry.findings.lesions)
        if math.isfinite(likely):
            parts.append(f"probability {likely:.2f}")
    if math.isfinite(entry.uncertainty):
        parts.append(f"doubt {entry.uncertainty:.2f}")
    return ", ".join(parts)


def _image(entry: ImageEntry, text: str) -> str:
    view = entry.preview
    if view is None:
        return f'<span class="blank">{text}</span>'
    data = base64.b64encode(view.jpeg).decode()
    image = (
        f'<img loading="lazy" decoding="async" width="{view.width}" height="{view.height}" '
        f'src="data:image/jpeg;base64,{data}" alt="{text}">'
    )
    if not view.outline:
        return image
    band = f'<path class="band" d="{view.band}"/>' if view.band else ""
    sizes = _callipers(entry.findings.lesions, view)
    return (
        f'{image}<svg viewBox="0 0 {2 * view.width} {2 * view.height}" aria-hidden="true">'
        f'<path class="halo" d="{view.outline}"/><path class="line" d="{view.outline}"/>'
        f'<g class="sizes">{band}{sizes}</g></svg>'
    )


def _callipers(lesions: Sequence[Lesion], view: Preview) -> str:
    """Each lesion's axes with crosses at the ends, and their lengths, on the grid of half pixels."""
    lines, texts = "", ""
    taken: list[tuple[int, int]] = []
    for lesion in lesions:
        for ends in (lesion.longest_axis_ends, lesion.perpendicular_ends):
            (y0, x0), (y1, x1) = _on_preview(ends, view)
            lines += f"M{x0} {y0}L{x1} {y1}"
            lines += "".join(f"M{x - 9} {y}h18M{x} {y - 9}v18" for x, y in ((x0, y0), (x1, y1)))
        text = f"{lesion.number}: {axes_text(lesion)}" if len(lesions) > 1 else axes_text(lesion)
        x, y = _label(lesion, view, 8 * len(text) + 4, taken)
        taken.append((x, y))
        texts += f'<text x="{x}" y="{y}">{text}</text>'
    return f'<path class="axis" d="{lines}"/>{texts}'


def _label(lesion: Lesion, view: Preview, room: int, taken: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The middle of a label's foot: below the lesion, or above where there is no room, inside the image.

    room: half its width. taken: the places of labels that it must not cover, where there is a way.
    """
    top, left, height, width = lesion.box
    (y0, x0), (y1, x1) = _on_preview(((top, left), (top + height, left + width)), view)
    x = min(max((x0 + x1) // 2, room), 2 * view.width - room)
    below, above = range(y1 + 34, 2 * view.height - 8, 34), range(y0 - 12, 30, -34)
    for y in (*below, *above):
        if all(abs(x - other[0]) > 2 * room or abs(y - other[1]) >= 32 for other in taken):
            return x, y
    return x, min(max(y1, 30), 2 * view.height - 8)


def _on_preview(ends: Ends, view: Preview) -> tuple[tuple[int, int], ...]:
    down, right = view.scale
    return tuple((round((row + 0.5) * down * 2), round((column + 0.5) * right * 2)) for row, column in ends)


def _kind(kind: str) -> str:
    if kind.startswith("attention_"):
        return f"Attention {escape(kind.removeprefix('attention_'))}"
    return _LINKS.get(kind, escape(kind))


def _link(path: str) -> str:
    return escape(quote(path))


def _table(results: Results) -> Iterator[str]:
    if not results.counts.lesions:
        yield '<section id="lesions"><h2>Lesions</h2><p>None was found.</p></section>'
        return
    heads = "".join(
        f'<th scope="col"{f" class={kind}" if kind else ""}>{title}</th>' for title, kind, _ in _COLUMNS
    )
    yield f"""<section id="lesions">
<h2>Lesions</h2>
<div class="wide" tabindex="0" role="region" aria-label="Table of lesions">
<table>
<caption>The largest of each image first. {escape(PLANE_NOTE)}</caption>
<thead><tr>{heads}</tr></thead>
<tbody>"""
    referred = results.referred or frozenset()
    for number, entry in enumerate(results.entries(), start=1):
        for lesion in entry.findings.lesions:
            yield _row(number, entry, lesion, entry.name in referred)
    yield "</tbody>\n</table>\n</div>\n</section>"


def _row(number: int, entry: ImageEntry, lesion: Lesion, referred: bool) -> str:
    unit = lesion.unit
    width, height = size_text(lesion.width, unit), size_text(lesion.height, unit)
    echoes = [str(word) for word in (lesion.echo_level, lesion.posterior) if word is not None]
    cells = (
        str(lesion.number),
        axes_text(lesion),
        f"{width.split()[0]} × {height}",
        area_text(lesion.area, unit),
        size_text(lesion.depth, unit),
        str(lesion.orientation),
        ", ".join(echoes),
        _figure(lesion.mean_probability),
        _figure(lesion.uncertainty),
        scale_text(lesion.scale),
    )
    rest = "".join(
        f"<td{f' class={kind}' if kind else ''}>{escape(cell)}</td>"
        for cell, (_, kind, _) in zip(cells, _COLUMNS[1:], strict=True)
    )
    mark = " data-referred" if referred else ""
    name = f'<th scope="row"><a href="#p{number}">{escape(entry.name)}</a></th>'
    return f'<tr data-found="lesion"{mark}>{name}{rest}</tr>'


def _figure(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else ""


def _refused(results: Results) -> Iterator[str]:
    if not results.refused:
        return
    yield """<section id="refused">
<h2>Refused</h2>
<div class="wide" tabindex="0" role="region" aria-label="Table of refused files">
<table>
<caption>These files gave no result.</caption>
<thead><tr><th scope="col">File</th><th scope="col">Why</th></tr></thead>
<tbody>"""
    for one in results.refused:
        yield f'<tr><th scope="row">{escape(one.file)}</th><td>{escape(one.reason)}</td></tr>'
    yield "</tbody>\n</table>\n</div>\n</section>"


def _footer(results: Results) -> str:
    about = results.about
    steps = []
    if about.postprocessing.get("fill_holes"):
        steps.append("holes filled")
    if about.postprocessing.get("min_area"):
        steps.append(f"specks below {about.postprocessing['min_area']:.2%} of the image removed")
    if about.postprocessing.get("min_mean_probability"):
        steps.append(
            f"lesions of a mean probability below {about.postprocessing['min_mean_probability']:.3g} removed"
        )
    if about.postprocessing.get("min_relative_probability"):
        share = about.postprocessing["min_relative_probability"]
        steps.append(f"beside the surest lesion only those with {share:.0%} of its mean probability kept")
    if about.postprocessing.get("keep_largest"):
        steps.append("only the largest lesion kept")
    facts = {
        "Model": f"{about.model} ({about.model_hash})",
        "Lesion where": f"the probability is {about.threshold:.3g} or more; {', '.join(steps) or 'as it is'}",
        "Made by": f"{about.command}, sonoseg {about.sonoseg}, {about.runtime}",
    }
    if results.referred is not None:
        facts["Referred"] = "the images with the greatest doubt, in the share that was asked for"
    meanings = {title: meaning for title, _, meaning in _COLUMNS if meaning}
    both = "\n".join(f"<dt>{key}</dt><dd>{escape(value)}</dd>" for key, value in (facts | meanings).items())
    return (
        f"<dl>\n{both}\n</dl>\n"
        '<p>The same figures for programs: <a href="results.csv">results.csv</a>, '
        '<a href="results.json">results.json</a>; what went in and came out, with hashes: '
        '<a href="report.json">report.json</a>.</p>'
    )
