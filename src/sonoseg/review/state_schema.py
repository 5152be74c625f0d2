"""The tables of the review state, a ledger on SQLite."""

from __future__ import annotations

from sonoseg.results.ledger import LedgerSchema

_TABLES = """
CREATE TABLE items (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('raster', 'dicom')),
    clip TEXT NOT NULL,
    file TEXT NOT NULL,
    frame INTEGER,
    frames INTEGER NOT NULL,
    height INTEGER NOT NULL,
    width INTEGER NOT NULL,
    spacing_row REAL,
    spacing_column REAL,
    spacing_reason TEXT,
    spacing_origin TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'new' CHECK (status IN ('new', 'read', 'signed', 'referred')),
    prediction TEXT NOT NULL DEFAULT 'none'
        CHECK (prediction IN ('none', 'waiting', 'running', 'done', 'failed')),
    failure TEXT,
    uncertainty REAL,
    threshold REAL,
    gates INTEGER NOT NULL DEFAULT 0,
    model TEXT,
    model_hash TEXT,
    settings_hash TEXT,
    lesions INTEGER,
    findings TEXT,
    warnings TEXT NOT NULL DEFAULT '[]',
    revision INTEGER NOT NULL DEFAULT 0,
    source TEXT NOT NULL DEFAULT 'model' CHECK (source IN ('model', 'edited', 'manual')),
    reader TEXT,
    signed_at TEXT,
    added_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE INDEX items_by_uncertainty ON items (uncertainty);
CREATE INDEX items_by_prediction ON items (prediction);
CREATE TABLE reviews (
    id TEXT PRIMARY KEY REFERENCES items (id),
    version INTEGER NOT NULL,
    content TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE TABLE log (
    entry INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL REFERENCES items (id),
    action TEXT NOT NULL,
    revision INTEGER NOT NULL,
    at TEXT NOT NULL,
    reader TEXT,
    tool TEXT,
    source TEXT,
    model TEXT,
    lesions INTEGER,
    seconds REAL,
    mask_sha256 TEXT,
    content TEXT
);
CREATE INDEX log_by_id ON log (id, entry);
CREATE TRIGGER log_rejects_updates BEFORE UPDATE ON log
    BEGIN SELECT RAISE (ABORT, 'the log is append-only'); END;
CREATE TRIGGER log_rejects_deletes BEFORE DELETE ON log
    BEGIN SELECT RAISE (ABORT, 'the log is append-only'); END;
"""

SCHEMA = LedgerSchema("review state", 4, _TABLES, remedy="choose another folder with --state")
