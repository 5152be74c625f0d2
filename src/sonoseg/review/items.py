"""Items of the work list, and entries of the log."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Status = Literal["new", "read", "signed", "referred"]
STATUSES: tuple[Status, ...] = ("new", "read", "signed", "referred")
Prediction = Literal["none", "waiting", "running", "done", "failed"]
Source = Literal["model", "edited", "manual"]
Action = Literal[
    "added", "predicted", "failed", "mask", "review", "signed", "referred", "reopened", "calibrated"
]
Sort = Literal["uncertainty", "name", "added"]


class Tool(StrEnum):
    """The tool that a reader made a mask with."""

    BRUSH = "brush"
    ERASER = "eraser"
    POLYGON = "polygon"
    CLICK = "click"
    CLEAR = "clear"
    DELETE = "delete"
    MODEL = "model"
    UNDO = "undo"
    REDO = "redo"
    OTHER = "other"


class Item(BaseModel):
    """One image, or one frame of a clip, in the work list.

    clip: the first 16 digits of its file's SHA-256. frame: its number from 0, null for a still; frames: how
    many its file has. spacing: millimetres per pixel, row and column; spacing_reason: why there is none;
    spacing_origin: its source: the file, a person (given, table, or calibrated by a reader), or none.
    status: "read" once a reader has saved anything. uncertainty: of the prediction, 0 certain .. 1 uncertain.
    warnings: of the prediction: what is uncertain about the image.
    lesions: of the current mask. revision: of the current mask; 0 is the model's own, or none yet.
    source: "model", "edited" (by a reader, from the model's mask) or "manual" (drawn by a reader).
    reader: who changed it last. model, model_hash, settings_hash: of the prediction.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    kind: Literal["raster", "dicom"]
    clip: str
    frame: Annotated[int, Field(ge=0)] | None
    frames: Annotated[int, Field(ge=1)]
    height: int
    width: int
    spacing: tuple[float, float] | None
    spacing_reason: str | None
    spacing_origin: str
    status: Status
    prediction: Prediction
    failure: str | None
    uncertainty: float | None
    warnings: list[str]
    lesions: int | None
    revision: Annotated[int, Field(ge=0)]
    source: Source
    reader: str | None
    signed_at: str | None
    added_at: str
    updated_at: str
    model: str | None
    model_hash: str | None
    settings_hash: str | None


class LogEntry(BaseModel):
    """An entry of the append-only log.

    entry: its number in the whole log. action: what was done. revision: of the mask afterwards. at: UTC.
    model: the hash of the item's model. seconds: of reading. comment: of a referral.
    """

    model_config = ConfigDict(frozen=True)

    entry: int
    action: Action
    revision: int
    at: str
    reader: str | None
    tool: Tool | None
    source: Source | None
    model: str | None
    lesions: int | None
    seconds: float | None
    comment: str | None
    mask_sha256: str | None


class ItemList(BaseModel):
    """A page of the work list. total: items that match; counts by status, failed: of the whole list."""

    items: list[Item]
    total: int
    counts: dict[Status, int]
    failed: int
