"""`sonoseg data`: public sets and a user's own, from the archive to a split."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sonoseg.cli.common import err, need, out, print_json
from sonoseg.cli.prepared_summary import tell
from sonoseg.errors import UsageError

if TYPE_CHECKING:
    from rich.text import Text

    from sonoseg.data.catalogue import Download
    from sonoseg.data.download import Report as Progress_
    from sonoseg.data.folder_check import CheckReport

app = typer.Typer(help="Public data sets and your own: list, get, check, prepare, split, show, phantom.")


class FitChoice(StrEnum):
    """How an image is brought to the network's square."""

    stretch = "stretch"
    letterbox = "letterbox"


class MethodChoice(StrEnum):
    """How images are divided."""

    grouped = "grouped"
    random = "random"
    official = "official"


class PolicyChoice(StrEnum):
    """Which images take part."""

    all = "all"
    first_of_group = "first-of-group"
    strict = "strict"


SetOption = Annotated[
    str | None, typer.Option("--set", help="Read it as this set, whatever its layout looks like.")
]
SizeOption = Annotated[int, typer.Option(min=16, max=4096, help="Side of the memory-mapped arrays, pixels.")]
FitOption = Annotated[FitChoice, typer.Option(help="Stretch to the square, or keep the aspect.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON for a program to read.")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]


@app.command("list")
def list_sets(
    name: Annotated[str | None, typer.Argument(help="One set, told of in full.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the public sets: what they hold, their licence, where they come from."""
    from rich.table import Table

    from sonoseg.data.catalogue import CATALOGUE, entry_of
    from sonoseg.data.record import LABELS

    entries = list(CATALOGUE.values()) if name is None else [entry_of(name)]
    if as_json:
        print_json([asdict(entry) for entry in entries])
        return
    if name is not None:
        entry = entries[0]
        lines = {
            "title": entry.title,
            "citation": entry.citation,
            "licence": entry.licence,
            "home": entry.home,
            "published": ", ".join(f"{number} {what}" for what, number in entry.counts.items()),
            "layout": entry.layout,
            "remarks": entry.remarks or "none",
            "get": f"sonoseg data get {entry.name}",
            "by hand": f"{entry.by_hand}; then: {entry.by_hand_command}",
        }
        table = Table(show_header=False, box=None, title=entry.name, title_justify="left")
        for key, text in lines.items():
            table.add_row(key, _plain(text))
    else:
        table = Table(title="Public sets")
        for column in ("name", "images", "classes", "licence", "home"):
            table.add_column(column, overflow="fold")
        for entry in entries:
            classes = ", ".join(f"{entry.counts[c]} {c}" for c in LABELS if c in entry.counts)
            images = str(entry.counts["images"])
            table.add_row(entry.name, images, classes, _plain(entry.licence), _plain(entry.home))
    out.print(table)


@app.command()
def get(
    name: Annotated[str, typer.Argument(help="A public set: see `sonoseg data list`.")],
    to: Annotated[
        Path, typer.Option("--out", "-o", help="The folder the set's own folder goes into.")
    ] = Path("data"),
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--from", help="An archive brought by hand, in place of a download; again for a second."
        ),
    ] = None,
    any_checksum: Annotated[
        bool, typer.Option("--any-checksum", help="With --from: go by the published counts alone.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the downloaded archives.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Fetch a public set, or unpack an archive brought by hand; check it, and say where it is.

    A download that breaks off goes on where it stopped, now or when the command is run again.
    """
    from sonoseg.data.catalogue import entry_of
    from sonoseg.data.retrieval import get as run

    entry = entry_of(name)
    with _bars() as reporter:
        got = run(entry, to, files=files or (), any_checksum=any_checksum, keep=keep, reporter=reporter)
    if as_json:
        print_json(
            {
                "set": entry.name,
                "folder": str(got.folder),
                "fresh": got.fresh,
                "counts": got.counts,
                "sha256": got.checksums,
            }
        )
        return
    counts = ", ".join(f"{number} {what}" for what, number in got.counts.items())
    word = "is here" if got.fresh else "was here already"
    out.print(f"{entry.name} {word}: {got.folder}", markup=False, soft_wrap=True)
    out.print(f"{counts}: as published", markup=False)
    unknown = {item.name for item in entry.downloads if item.sha256 is None}
    for file, digest in got.checksums.items():
        why = ", none is published to compare with" if files is None and file in unknown else ""
        out.print(f"SHA-256 of {file}{why}: {digest}", markup=False, soft_wrap=True)
    out.print(f"licence: {entry.licence}", markup=False, soft_wrap=True)
    out.print(f"please cite: {entry.citation}", markup=False, soft_wrap=True)


@app.command()
def check(
    sets: Annotated[
        list[str], typer.Argument(help="PATH or NAME=PATH of a set; several, apart or joined with '+'.")
    ],
    kind: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Explain a folder: counts, unreadable or missing files, masks, copies. Exit code 1 on faults."""
    from sonoseg.cli.common import progress
    from sonoseg.data.folder_check import check as run
    from sonoseg.data.readers import read_sources

    reports = run(read_sources(sets, kind), track=progress)
    faults = sum(report.faults for report in reports)
    if as_json:
        print_json({"ok": faults == 0, "sets": [_as_dict(report) for report in reports]})
    else:
        for report in reports:
            _print_report(report)
    if faults:
        raise typer.Exit(1)


@app.command()
def prepare(
    sets: Annotated[
        list[str], typer.Argument(help="PATH or NAME=PATH of a set; several, apart or joined with '+'.")
    ],
    to: Annotated[Path, typer.Option("--out", "-o", help="The folder to write the prepared set to.")],
    size: SizeOption = 256,
    fit: FitOption = FitChoice.stretch,
    kind: SetOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Turn one set or several into a prepared set, fast to read and the same on every machine.

    Killed at any point and run again, it goes on. Images that cannot be used are left out and listed
    (exit code 3).
    """
    from sonoseg.cli.common import progress
    from sonoseg.data.preparation import prepare as run
    from sonoseg.data.readers import read_sources

    result = run(read_sources(sets, kind), to, size=size, fit=fit.value, overwrite=overwrite, track=progress)
    tell(result, as_json=as_json)


@app.command("from-reviews")
def from_reviews(
    state: Annotated[Path, typer.Argument(help="The state folder of `sonoseg serve`.")],
    to: Annotated[Path, typer.Option("--out", "-o", help="The folder to write the prepared set to.")],
    name: Annotated[str, typer.Option(help="What the set is called.")] = "reviews",
    size: SizeOption = 256,
    fit: FitOption = FitChoice.stretch,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Turn what readers signed on the review page into a prepared set for `sonoseg train`.

    Takes the signed items alone, each with its present mask. The table keeps who signed, when, who drew the
    mask and which model the reader saw. The state is only read: a server may be at work on it.
    """
    from sonoseg.cli.common import progress
    from sonoseg.data.readers.own_layouts import short_name
    from sonoseg.data.signed_masks import prepare_reviews
    from sonoseg.review.signed_annotations import signed_items
    from sonoseg.review.store import Store

    if name != short_name(Path(name)):
        raise UsageError(
            f"'{name}' is no name for a set", where="--name", remedy="Use letters, digits, - and _"
        )
    with Store(state, read_only=True) as store:
        result = prepare_reviews(
            signed_items(store),
            state,
            to,
            name=name,
            size=size,
            fit=fit.value,
            overwrite=overwrite,
            track=progress,
        )
    tell(result, as_json=as_json)


@app.command()
def split(
    data: Annotated[Path, typer.Argument(help="A prepared set.")],
    to: Annotated[Path, typer.Option("--out", "-o", help="The split file to write (JSON).")],
    method: Annotated[
        MethodChoice | None,
        typer.Option(
            show_default="grouped",
            help="Keep patients and duplicates together, ignore them, or use the published folds.",
        ),
    ] = None,
    policy: Annotated[
        PolicyChoice | None,
        typer.Option(
            show_default="all", help="All images, one of each group of copies, or no objections either."
        ),
    ] = None,
    folds: Annotated[int | None, typer.Option(min=3, show_default="5", help="Number of folds.")] = None,
    seed: Annotated[
        int | None, typer.Option(show_default="0", help="The same seed gives the same split.")
    ] = None,
    extend: Annotated[
        Path | None,
        typer.Option(
            help="Keep this split of a smaller set; the images that came to it train in every fold.",
        ),
    ] = None,
    narrow: Annotated[
        Path | None,
        typer.Option(
            help="Keep the test part of this split, and a quarter of its validation part; the rest trains.",
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Divide a prepared set into folds, stratified by class, no group across two of them."""
    need("data", "pandas", "sklearn")
    from rich.table import Table

    from sonoseg.data.prepared_set import PreparedSet
    from sonoseg.data.splits import Split, extend_split, make_split, narrow_split, summarise

    prepared = PreparedSet.open(data)
    if extend is not None and narrow is not None:
        raise UsageError("--extend with --narrow", remedy="Do one, and then the other with what it wrote")
    given = extend or narrow
    if given is None:
        made = make_split(
            prepared,
            (method or MethodChoice.grouped).value,
            policy=(policy or PolicyChoice.all).value,
            folds=5 if folds is None else folds,
            seed=seed or 0,
        )
    elif any(value is not None for value in (method, policy, folds, seed)):
        raise UsageError(
            f"--method, --policy, --folds or --seed with --{'narrow' if extend is None else 'extend'}",
            remedy=f"Leave them out: they stay what they were in {given}",
        )
    else:
        made = (narrow_split if extend is None else extend_split)(Split.load(given), prepared)
    made.save(to, overwrite=overwrite)
    rows = summarise(made, prepared)
    if as_json:
        print_json(
            {
                "split": str(to),
                "method": made.method,
                "policy": made.policy,
                "seed": made.seed,
                "fingerprint": made.fingerprint,
                "folds": rows,
                "taught": len(made.train_only),
                "dropped": len(made.dropped),
            }
        )
        return
    table = Table(title=f"{made.method} split, {made.policy}, seed {made.seed}")
    for column in rows[0]:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    out.print(table)
    if made.train_only:
        out.print(f"{len(made.taught)} images train in every fold, and are never measured")
    if made.dropped:
        out.print(f"{len(made.dropped)} images dropped by the policy '{made.policy}'")
    out.print(f"written to {to}", markup=False, soft_wrap=True)


@app.command()
def show(
    data: Annotated[Path, typer.Argument(help="A prepared set.")],
    to: Annotated[Path, typer.Option("--out", "-o", help="The folder to write the figures to.")],
    seed: Annotated[int, typer.Option(help="Which fifteen images are drawn.")] = 0,
    overwrite: OverwriteOption = False,
) -> None:
    """Draw 3 x 5 images with their masks, filled and outlined, and what the set is made of."""
    need("data", "pandas", "matplotlib")
    from sonoseg.data.prepared_set import PreparedSet
    from sonoseg.data.sampling import sample
    from sonoseg.errors import OutputError
    from sonoseg.plots.data_set import GridItem, composition, image_grid
    from sonoseg.plots.style import save

    names = {kind: to / f"{kind}.png" for kind in ("filled", "outlined", "composition")}
    for path in names.values():
        if path.exists() and not overwrite:
            raise OutputError("a file is here already", where=path, remedy="Replace it with --overwrite")
    prepared = PreparedSet.open(data)
    items: list[GridItem] = [
        {
            "id": name,
            "pixels": prepared.frame(name).pixels,
            "mask": prepared.mask(name),
            "label": str(prepared.table.at[name, "label"]),
        }
        for name in sample(prepared.table, 15, seed)
    ]
    save(image_grid(items, "filled"), names["filled"])
    save(image_grid(items, "outlined"), names["outlined"])
    save(composition(prepared.table), names["composition"])
    for path in names.values():
        out.print(f"written: {path}", markup=False, soft_wrap=True)


@app.command()
def phantom(
    to: Annotated[Path, typer.Option("--out", "-o", help="The folder to write images, masks and table to.")],
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="The seed of the first; the others follow.")] = 0,
    kind: Annotated[
        str | None, typer.Option(help="cyst, oval, spiculated or normal; mixed by default.")
    ] = None,
    style: Annotated[
        str | None, typer.Option(help="Scanner style: clear, soft, hard or dark; mixed by default.")
    ] = None,
    size_mm: Annotated[float | None, typer.Option(help="The lesion's longest axis, mm.")] = None,
    depth_mm: Annotated[float | None, typer.Option(help="The lesion's depth, mm.")] = None,
    spacing: Annotated[float | None, typer.Option(help="mm per pixel.")] = None,
    marks: Annotated[bool, typer.Option("--marks", help="Draw callipers and text on them.")] = False,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make synthetic B-mode scans with exact masks and spacing: a set like any other, free to share."""
    from sonoseg.cli.common import progress
    from sonoseg.data.phantoms import write_phantoms

    table = write_phantoms(
        to,
        count,
        seed,
        overwrite=overwrite,
        track=progress,
        kind=kind,
        style=style,
        size_mm=size_mm,
        depth_mm=depth_mm,
        spacing=spacing,
        marks=marks,
    )
    if as_json:
        print_json({"folder": str(to), "table": str(table), "count": count, "seed": seed})
        return
    out.print(f"{count} phantoms in {to}, told of in {table.name}", markup=False, soft_wrap=True)


LEVELS = {"fault": "[bold red]fault[/]", "known": "[cyan]known[/]", "note": "[dim]note[/]"}


def _print_report(report: CheckReport) -> None:
    from rich.table import Table

    out.print(f"{report.name} ({report.kind}) in {report.folder}", markup=False, style="bold", soft_wrap=True)
    counts = Table("", "found", "published")
    for what, (found, published) in report.counts.items():
        mark = "" if published in (None, found) else " [bold red]differs[/]"
        counts.add_row(what, str(found), "" if published is None else f"{published}{mark}")
    out.print(counts)
    table = Table("", "what", "count", "meaning", "for example")
    order = {level: number for number, level in enumerate(LEVELS)}
    for finding in sorted(report.findings, key=lambda finding: order[finding.level]):
        examples = ", ".join(finding.images[:2]) + (", …" if len(finding.images) > 2 else "")
        number = str(len(finding.images) or "")
        table.add_row(LEVELS[finding.level], finding.kind, number, _plain(finding.text), _plain(examples))
    if report.findings:
        out.print(table)
    out.print(f"{report.faults} faults" if report.faults else "no faults")


def _as_dict(report: CheckReport) -> dict[str, Any]:
    counts = {what: {"found": f, "published": p} for what, (f, p) in report.counts.items()}
    return {
        "name": report.name,
        "kind": report.kind,
        "folder": str(report.folder),
        "counts": counts,
        "faults": report.faults,
        "findings": [asdict(finding) for finding in report.findings],
    }


def _plain(text: str) -> Text:
    from rich.text import Text

    return Text(text)


@contextmanager
def _bars() -> Iterator[Callable[[Download], Progress_]]:
    """A progress bar for each download, on stderr; silent where that is no terminal."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=err, transient=True, disable=not sys.stderr.isatty()) as bars:

        def reporter(item: Download) -> Progress_:
            task = bars.add_task(item.name, total=item.size)

            def report(done: int, total: int | None) -> None:
                bars.update(task, completed=done, total=total or item.size)

            return report

        yield reporter
