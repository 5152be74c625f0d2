"""Preparation of data sets: a table, grey images and masks at their own size, arrays on the network grid."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from sonoseg._util.csv_text import CsvWriter, read_csv
from sonoseg._util.documents import parse_json
from sonoseg._util.files import atomic_path, atomic_write_text, sha256_file
from sonoseg.data.catalogue import CATALOGUE
from sonoseg.data.folder_writing import alone, writing
from sonoseg.data.mask_reading import join_masks
from sonoseg.data.network_arrays import build_arrays
from sonoseg.data.parallel import parallel, silent
from sonoseg.data.record import PROVENANCE, DataSource, Record, id_faults
from sonoseg.errors import DatasetError, OutputError, SonosegError
from sonoseg.image.network_grid import Fit
from sonoseg.inputs.reading import read_frame

FORMAT = "sonoseg-prepared/1"

COLUMNS = (
    "id",
    "set",
    "label",
    "group",
    "patient",
    "duplicates",
    "objection",
    "marks",
    "spacing_row",
    "spacing_column",
    "height",
    "width",
    "lesion_area_px",
    "lesion_share",
    "fold5",
    "fold10",
    "source",
    "mask_sources",
    "sha256",
    "mask_sha256",
)

Row = dict[str, str | int | float]
Track = Callable[[Iterable[Any], str, int], Iterator[Any]]


@dataclass(frozen=True)
class PreparationResult:
    """The result of `prepare`.

    folder: the prepared set. fingerprint: of its content, whatever the machine. images: its rows.
    skipped: (id, reason) of the images left out because they cannot be used.
    known: (id, reason) of those left out for a fault of the published set.
    fresh: False where a finished set with the same content existed.
    """

    folder: Path
    fingerprint: str
    images: int
    skipped: tuple[tuple[str, str], ...]
    known: tuple[tuple[str, str], ...]
    fresh: bool


def prepare(
    sources: Sequence[DataSource],
    out: str | Path,
    *,
    size: int = 256,
    fit: Fit = "stretch",
    overwrite: bool = False,
    threads: int | None = None,
    track: Track | None = None,
) -> PreparationResult:
    """Write the images of `sources` as one prepared set into the folder `out`.

    Everything is written to OUT.partial, which is renamed to `out` at the end; a run that was killed is
    resumed. The same sources always give the same fingerprint. An image that cannot be used is left out
    and listed.

    size, fit: the grid of the memory-mapped arrays; further grids can be built later.
    threads: one per core by default. track: wraps an iterable in a progress bar.
    Raises DatasetError where ids clash or no image is usable, OutputError where `out` holds something else.
    """
    out = Path(out)
    for fault in id_faults(sources):
        raise DatasetError(
            fault.text, where=", ".join(str(source.folder) for source in sources), remedy=fault.remedy
        )
    with alone(out), writing(out):
        return _prepare(sources, out, size, fit, overwrite, threads, track or silent)


def _prepare(
    sources: Sequence[DataSource],
    out: Path,
    size: int,
    fit: Fit,
    overwrite: bool,
    threads: int | None,
    track: Track,
) -> PreparationResult:
    known = tuple((r.id, r.unusable) for source in sources for r in source.records if r.unusable)
    records = [record for source in sources for record in source.records if not record.unusable]
    roots = {source.name: source.folder for source in sources}

    hashes = parallel(_hashes, records, threads)
    facts = {r.id: _facts(r, h, roots[r.set]) for r, h in zip(records, hashes, strict=True)}
    plan = _digest([facts[r.id] for r in records])

    found = _finished(out)
    if found is not None and found["plan"] == plan and _intact(out):
        build_arrays(out, size, fit, threads=threads, track=track)
        skipped = tuple((s["id"], s["reason"]) for s in found["skipped"])
        return PreparationResult(out, found["fingerprint"], found["images"], skipped, known, fresh=False)
    _check_out(out, found, overwrite=overwrite)

    partial = out.with_name(out.name + ".partial")
    done = _resume(partial, plan)
    skipped_list: list[tuple[str, str]] = []
    todo = [r for r in records if r.id not in done]
    with (partial / "journal.jsonl").open("a", encoding="utf-8") as log:
        results = zip(todo, parallel(_image_writer(partial), todo, threads), strict=True)
        for record, result in track(results, "images", len(todo)):
            if isinstance(result, str):
                skipped_list.append((record.id, result))
                continue
            done[record.id] = result
            log.write(json.dumps([record.id, result]) + "\n")
            log.flush()
    rows = [{**facts[r.id], **done[r.id]} for r in records if r.id in done]
    if not rows:
        reasons = "; ".join(reason for _, reason in skipped_list[:3])
        raise DatasetError(
            f"none of {len(records)} images can be used: {reasons}",
            where=", ".join(str(s.folder) for s in sources),
            remedy="Run sonoseg data check on it",
        )
    fingerprint = _digest(rows)
    _write_table(partial / "images.csv", rows)
    build_arrays(partial, size, fit, threads=threads, track=track)
    for scrap in (partial / "journal.jsonl", *partial.rglob(".*")):  # .*: temporary files of a killed run
        scrap.unlink()
    summary = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "plan": plan,
        "images": len(rows),
        "sources": [_describe(s, rows) for s in sources],
        "skipped": [{"id": name, "reason": reason} for name, reason in skipped_list],
        "known": [{"id": name, "reason": reason} for name, reason in known],
    }
    atomic_write_text(partial / "prepared.json", json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    (partial / "plan.txt").unlink()
    _move_into_place(partial, out)
    return PreparationResult(out, fingerprint, len(rows), tuple(skipped_list), known, fresh=True)


def _image_writer(partial: Path) -> Callable[[Record], Row | str]:
    """Return a function that writes an image with its mask and gives their properties, or the error."""

    def work(record: Record) -> Row | str:
        try:
            if not record.masks and record.label != "normal":
                raise DatasetError("no mask", where=record.image, remedy="Add its mask")
            frame = read_frame(record.image)
            mask = join_masks(record.masks, frame.shape, record.image)
        except OutputError:
            raise
        except SonosegError as error:
            return str(error)
        _write_png(partial / "images" / f"{record.id}.png", Image.fromarray(frame.pixels))
        _write_png(partial / "masks" / f"{record.id}.png", Image.fromarray(mask))
        area = int(mask.sum())
        # A DICOM file carries its own spacing; that of the set's table goes before it.
        spacing = record.spacing or frame.spacing
        return {
            "spacing_row": spacing.row if spacing else "",
            "spacing_column": spacing.column if spacing else "",
            "height": frame.shape[0],
            "width": frame.shape[1],
            "lesion_area_px": area,
            "lesion_share": round(area / mask.size, 6),
        }

    return work


def _write_png(path: Path, image: Image.Image) -> None:
    with atomic_path(path) as temporary:
        image.save(temporary, "PNG", compress_level=1)


def _hashes(record: Record) -> list[str]:
    """SHA-256 of the image and of each mask, "" for a file that cannot be read (reported later)."""

    def hash_of(path: Path) -> str:
        try:
            return sha256_file(path)
        except OSError:
            return ""

    return [hash_of(path) for path in (record.image, *record.masks)]


def _facts(record: Record, hashes: list[str], root: Path) -> Row:
    """The columns of a record that are known before its pixels are read."""
    row, column = record.spacing or ("", "")
    return {
        "id": record.id,
        "set": record.set,
        "label": record.label,
        "group": record.group or record.id,
        "patient": record.patient,
        "duplicates": record.duplicates,
        "objection": record.objection,
        "marks": record.marks,
        "spacing_row": row,
        "spacing_column": column,
        "fold5": record.folds.get(5, ""),
        "fold10": record.folds.get(10, ""),
        "source": _relative(record.image, root),
        "mask_sources": ";".join(_relative(path, root) for path in record.masks),
        "sha256": hashes[0],
        "mask_sha256": ";".join(hashes[1:]),
        **record.provenance,
    }


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def _digest(rows: Sequence[Row]) -> str:
    """A SHA-256 over rows and the files' content, independent of the files' paths."""
    content = [{key: value for key, value in row.items() if "source" not in key} for row in rows]
    return hashlib.sha256(json.dumps([FORMAT, content], sort_keys=True).encode()).hexdigest()


def _finished(out: Path) -> dict[str, Any] | None:
    try:
        found = parse_json((out / "prepared.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("format") == FORMAT else None


def _intact(out: Path) -> bool:
    """Whether every row of the table has its image file and its mask file."""
    try:
        with (out / "images.csv").open(encoding="utf-8", newline="") as file:
            ids = [row["id"] for row in read_csv(file)]
    except (OSError, KeyError, ValueError):
        return False
    return all((out / part / f"{name}.png").is_file() for name in ids for part in ("images", "masks"))


def _check_out(out: Path, found: dict[str, Any] | None, *, overwrite: bool) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if found is None:
        raise OutputError(
            "the folder holds something other than a prepared set",
            where=out,
            remedy="Choose a new folder for --out",
        )
    if not overwrite:
        raise OutputError(
            f"the folder holds a prepared set with other content, or an incomplete one (fingerprint "
            f"{found['fingerprint'][:12]})",
            where=out,
            remedy="Choose another folder, or use --overwrite",
        )


def _resume(partial: Path, plan: str) -> dict[str, Row]:
    """Open the folder of an interrupted run; return its finished rows, none where its plan differs."""
    mark = partial / "plan.txt"
    if partial.exists():
        ours = mark.is_file() or (partial / "prepared.json").is_file()
        if not ours and any(not path.name.startswith(".") for path in partial.iterdir()):
            raise OutputError(
                "the folder is needed for the work and holds something else", where=partial, remedy="Move it"
            )
        if not mark.is_file() or mark.read_text("utf-8") != plan:
            shutil.rmtree(partial)
    partial.mkdir(parents=True, exist_ok=True)
    atomic_write_text(mark, plan)
    done: dict[str, Row] = {}
    journal = partial / "journal.jsonl"
    if journal.exists():
        whole = journal.read_bytes()
        sound = whole[: whole.rfind(b"\n") + 1]  # a killed run may have left a partial line
        if len(sound) < len(whole):
            with journal.open("r+b") as file:
                file.truncate(len(sound))
        done = dict(json.loads(line) for line in sound.decode().splitlines())
    return done


def _write_table(path: Path, rows: Sequence[Row]) -> None:
    text = io.StringIO()
    provenance = [name for name in PROVENANCE if any(name in row for row in rows)]
    CsvWriter(text, (*COLUMNS, *provenance)).writerows(rows)
    atomic_write_text(path, text.getvalue())


def _describe(source: DataSource, rows: Sequence[Row]) -> dict[str, Any]:
    own = [row for row in rows if row["set"] == source.name]
    entry = CATALOGUE.get(source.kind)
    return {
        "name": source.name,
        "kind": source.kind,
        "folder": str(source.folder),
        "title": entry.title if entry else "",
        "licence": entry.licence if entry else "unknown",
        "citation": entry.citation if entry else "",
        "images": len(own),
        "labels": dict(sorted(Counter(str(row["label"]) for row in own).items())),
        "groups": len({row["group"] for row in own}),
        **source.about,
    }


def _move_into_place(partial: Path, out: Path) -> None:
    old = out.with_name(out.name + ".replaced")
    if _finished(old) is not None:  # left by a run killed between the two renames
        shutil.rmtree(old)
    if out.exists():
        out.rename(old)
    partial.rename(out)
    if old.exists():
        shutil.rmtree(old)
