"""index.html: every picture with its lesions on one page, in one file, without a network."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from urllib.parse import quote

from sonoseg import RESEARCH_ONLY
from sonoseg.findings.lesions import Findings, Lesion
from sonoseg.outputs.entries import About, Entry, Refused

_LINKS = {"overlay": "Overlay", "mask": "Mask", "probability": "Probability"}

_SIZES = (
    ("longest_axis", "Longest axis", "the greatest distance between two points of the outline"),
    ("perpendicular", "Perpendicular", "the whole extent at right angles to the longest axis"),
    ("width", "Width", "of the upright box around the lesion, along the picture's rows"),
    ("height", "Height", "of the same box, along its columns"),
    ("area", "Area", "of its pixels"),
)


def index_page(about: About, entries: Sequence[Entry], refused: Sequence[Refused]) -> str:
    """The page as HTML: thumbnails with overlays, a table of lesions, refused files and why.

    Thumbnails are inside the page; the links to full pictures are relative to the results folder. It follows
    the reader's light or dark setting, and prints.
    """
    style = files("sonoseg.outputs").joinpath("index.css").read_text("utf-8")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
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
<p class="count">{_count(entries, refused)}</p>
<p class="research" role="note">{escape(RESEARCH_ONLY)}</p>
</header>
<main>
{_cards(entries)}
{_table(entries)}
{_refused(refused)}
</main>
<footer>
{_footer(about)}
</footer>
</body>
</html>
"""


def size_text(value: float, unit: str) -> str:
    """A length for people: tenths of a millimetre, or whole pixels, with its unit."""
    return f"{value:.1f} {unit}" if unit == "mm" else f"{value:.0f} {unit}"


def area_text(value: float, unit: str) -> str:
    """An area for people, with its unit."""
    return f"{value:.1f} mm²" if unit == "mm" else f"{value:,.0f} px²"


def found_text(findings: Findings) -> str:
    """One line on a picture: how many lesions, and how long the longest is."""
    count = len(findings.lesions)
    if not count:
        return "No lesion found"
    longest = size_text(max(lesion.longest_axis for lesion in findings.lesions), findings.unit)
    return f"1 lesion, {longest} long" if count == 1 else f"{count} lesions, the longest {longest}"


def count_text(entries: Sequence[Entry], refused: Sequence[Refused]) -> str:
    """One line on the whole: lesions, pictures, those without, files refused."""
    lesions = sum(len(entry.findings.lesions) for entry in entries)
    without = sum(not entry.findings.lesions for entry in entries)
    parts = [f"{_several(lesions, 'lesion')} in {_several(len(entries), 'picture')}"]
    if without:
        parts.append(f"{without:,} without a lesion")
    if refused:
        parts.append(f"{_several(len(refused), 'file')} refused")
    return "; ".join(parts) + "."


def _count(entries: Sequence[Entry], refused: Sequence[Refused]) -> str:
    text = escape(count_text(entries, refused))
    return f'{text} <a href="#refused">See which and why.</a>' if refused else text


def _several(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def _cards(entries: Iterable[Entry]) -> str:
    cards = "\n".join(_card(entry) for entry in entries)
    return f'<section aria-label="Pictures">\n<ul class="cards">\n{cards}\n</ul>\n</section>' if cards else ""


def _card(entry: Entry) -> str:
    found = found_text(entry.findings)
    links = [f'<a href="{_link(path)}">{_kind(kind)}</a>' for kind, path in entry.files.items()]
    data = base64.b64encode(entry.thumbnail).decode()
    picture = f'<img src="data:image/jpeg;base64,{data}" alt="{escape(entry.name)}: {found.lower()}">'
    if "overlay" in entry.files:
        picture = f'<a class="picture" href="{_link(entry.files["overlay"])}">{picture}</a>'
    tone = "found" if entry.findings.lesions else "found none"
    return (
        f"<li><figure>{picture}<figcaption>"
        f'<span class="name">{escape(entry.name)}</span><span class="{tone}">{found}</span>'
        f'<span class="files">{"".join(links)}</span></figcaption></figure></li>'
    )


def _kind(kind: str) -> str:
    if kind.startswith("attention_"):
        return f"Attention {escape(kind.removeprefix('attention_'))}"
    return _LINKS.get(kind, escape(kind))


def _link(path: str) -> str:
    return escape(quote(path))


def _table(entries: Sequence[Entry]) -> str:
    rows = [
        _row(entry, lesion, entry.findings.unit) for entry in entries for lesion in entry.findings.lesions
    ]
    if not rows:
        return '<section id="lesions"><h2>Lesions</h2><p>None was found.</p></section>'
    heads = "".join(f'<th scope="col" class="n">{title}</th>' for _, title, _ in _SIZES)
    units = {entry.findings.unit for entry in entries if entry.findings.lesions}
    note = "" if units == {"mm"} else " Sizes are in pixels (px) where the picture carries no spacing."
    body = "\n".join(rows)
    return f"""<section id="lesions">
<h2>Lesions</h2>
<div class="wide" tabindex="0" role="region" aria-label="Table of lesions">
<table>
<caption>The largest of each picture first. Probability is the mean over the lesion.{note}</caption>
<thead><tr><th scope="col">Picture</th><th scope="col" class="n">Lesion</th>{heads}
<th scope="col" class="n">Probability</th></tr></thead>
<tbody>
{body}
</tbody>
</table>
</div>
</section>"""


def _row(entry: Entry, lesion: Lesion, unit: str) -> str:
    sizes = "".join(
        f'<td class="n">{(area_text if size == "area" else size_text)(getattr(lesion, size), unit)}</td>'
        for size, _, _ in _SIZES
    )
    return (
        f'<tr><th scope="row">{escape(entry.name)}</th><td class="n">{lesion.number}</td>{sizes}'
        f'<td class="n">{lesion.mean_probability:.2f}</td></tr>'
    )


def _refused(refused: Sequence[Refused]) -> str:
    if not refused:
        return ""
    rows = "\n".join(
        f'<tr><th scope="row">{escape(one.file)}</th><td>{escape(one.reason)}</td></tr>' for one in refused
    )
    return f"""<section id="refused">
<h2>Refused</h2>
<div class="wide" tabindex="0" role="region" aria-label="Table of refused files">
<table>
<caption>These files gave no result.</caption>
<thead><tr><th scope="col">File</th><th scope="col">Why</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
</div>
</section>"""


def _footer(about: About) -> str:
    steps = []
    if about.postprocessing.get("fill_holes"):
        steps.append("holes filled")
    if about.postprocessing.get("min_area"):
        steps.append(f"specks below {about.postprocessing['min_area']:.2%} of the picture removed")
    if about.postprocessing.get("keep_largest"):
        steps.append("only the largest lesion kept")
    facts = {
        "Model": f"{about.model} ({about.model_hash})",
        "Lesion where": f"the probability is {about.threshold:.3g} or more; {', '.join(steps) or 'as it is'}",
        "Made by": f"{about.command}, sonoseg {about.sonoseg}, {about.runtime}",
    }
    sizes = {title: meaning for _, title, meaning in _SIZES}
    both = "\n".join(f"<dt>{key}</dt><dd>{escape(value)}</dd>" for key, value in (facts | sizes).items())
    return (
        f"<dl>\n{both}\n</dl>\n"
        '<p>The same figures for programs: <a href="results.csv">results.csv</a>, '
        '<a href="results.json">results.json</a>.</p>'
    )
