"""The export route: the files that `sonoseg predict` writes, as a ZIP file."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.background import BackgroundTask

from sonoseg.errors import OutputError
from sonoseg.review.error_responses import problems
from sonoseg.review.http_errors import Unusable, WrongStatus
from sonoseg.review.items import Item
from sonoseg.review.request_context import ZIP, Server, ServerPart
from sonoseg.review.store import Store

if TYPE_CHECKING:
    from sonoseg.review.results_export import Reviewed

router = APIRouter()

What = Literal["masks", "report", "coco", "labelme", "nrrd", "seg", "sr", "capture"]

Identity = Annotated[str, Field(max_length=40)]

STORED = {".png", ".jpg", ".dcm"}
"""Suffixes of files that are compressed already."""


class Export(BaseModel):
    """What to export. ids: of items; null for all with a mask. anonymise: names, tables and DICOM objects."""

    model_config = ConfigDict(extra="forbid")

    ids: (
        Annotated[list[Annotated[str, Field(max_length=40)]], Field(min_length=1, max_length=100_000)] | None
    ) = None
    what: Annotated[list[What], Field(min_length=1, max_length=20)]
    anonymise: bool = False


@router.post(
    "/export",
    response_class=FileResponse,
    responses=ZIP | problems(400, 403, 404, 409, 413, 507),
)
def export(asked: Export, server: ServerPart) -> FileResponse:
    """Masks, overlays, tables and DICOM objects as `sonoseg predict` writes them, of the current masks."""
    folder = Path(tempfile.mkdtemp(prefix="sonoseg-export-"))
    try:
        made = _make(server, asked, folder)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise _cannot_make(error) from error
        raise
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return FileResponse(
        made,
        media_type="application/zip",
        filename=f"sonoseg-review-{stamp}.zip",
        background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True),
    )


def _make(server: Server, asked: Export, folder: Path) -> Path:
    from sonoseg.review.results_export import export_results

    store = server.store
    if asked.ids is None:
        chosen = [one for one in store.items().items if _has_mask(one)]
    else:
        chosen = [store.item(identity) for identity in dict.fromkeys(asked.ids)]
    if not chosen:
        raise Unusable("no item has a mask", where="ids", remedy="Wait for the model, or draw one")
    for one in chosen:
        if not _has_mask(one):
            raise WrongStatus("the item has no mask", where=one.id, remedy="Wait for the model, or draw one")
    named = next((_model(one) for one in chosen if one.model_hash), "none")
    results = folder / "sonoseg-review"
    # A generator: memory does not grow with the list.
    reviewed = (_reviewed(store, one) for one in chosen)
    export_results(reviewed, set(asked.what), results, model_name=named, anonymise=asked.anonymise)
    target = folder / "review.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=2) as zipped:
        for path in sorted(results.rglob("*")):
            if path.is_file():
                kind = zipfile.ZIP_STORED if path.suffix in STORED else zipfile.ZIP_DEFLATED
                zipped.write(path, path.relative_to(folder), kind)
    shutil.rmtree(results, ignore_errors=True)
    return target


def _has_mask(item: Item) -> bool:
    return item.revision > 0 or item.model_hash is not None


def _model(item: Item) -> str:
    return f"{item.model} ({item.model_hash})" if item.model_hash else ""


def _reviewed(store: Store, item: Item) -> Reviewed:
    from sonoseg.review.results_export import Reviewed

    return Reviewed(
        frame=store.frame(item.id),
        mask=store.mask(item.id, item.revision),
        probability=store.probability(item.id),
        source=item.source,
        reader=item.reader,
        signed_at=item.signed_at,
        review=store.review(item.id),
        file=item.name,
        identity=item.id,
        revision=item.revision,
        threshold=store.threshold(item.id),
        model=_model(item),
        settings_hash=item.settings_hash or "",
    )


def _cannot_make(error: OSError) -> OutputError:
    made = OutputError(
        f"the export cannot be written: {error.strerror or error}", remedy="Free some space, or export less"
    )
    made.__cause__ = error
    return made
