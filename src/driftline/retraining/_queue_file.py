"""The SQLite file of a queue: its tables, its migrations, and how a request is a row of it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from driftline._runtime.sqlite_format import FileFormat, storable
from driftline.retraining._request import RetrainingRequest, Transition, read_evidence

__all__ = ["COLUMNS", "FORMAT", "PLACEHOLDERS", "request_of", "row_of", "select", "transitions_of"]

_FIRST_TABLE = """
CREATE TABLE IF NOT EXISTS requests (
    id TEXT PRIMARY KEY, model TEXT NOT NULL, version TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL,
    features TEXT NOT NULL, created REAL NOT NULL, state TEXT NOT NULL DEFAULT 'pending');
"""
"""The table of files of schema 1, and of those that driftline 0.1 wrote without ids."""

# At most one open request per model, version and kind, in all processes together: the index decides races.
_TABLES = """
CREATE TABLE IF NOT EXISTS requests (
    id TEXT PRIMARY KEY, model TEXT NOT NULL, version TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL,
    features TEXT NOT NULL, created REAL NOT NULL, state TEXT NOT NULL DEFAULT 'requested',
    kind TEXT NOT NULL DEFAULT 'retrain', ordinal INTEGER NOT NULL DEFAULT 1, count INTEGER NOT NULL DEFAULT 1,
    last_seen REAL, ended REAL, more TEXT NOT NULL DEFAULT '{}');
CREATE UNIQUE INDEX IF NOT EXISTS one_open ON requests (model, version, kind)
    WHERE state IN ('requested', 'acknowledged', 'running');
CREATE TABLE IF NOT EXISTS transitions (
    request TEXT NOT NULL, number INTEGER NOT NULL, state TEXT NOT NULL, at REAL NOT NULL, who TEXT NOT NULL,
    comment TEXT NOT NULL, reported INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (request, number));
CREATE TABLE IF NOT EXISTS serving (
    model TEXT NOT NULL, version TEXT NOT NULL, reference TEXT NOT NULL, since REAL NOT NULL,
    PRIMARY KEY (model, version, reference));
CREATE TABLE IF NOT EXISTS deliveries (
    request TEXT NOT NULL, sink TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (request, sink));
"""

# Schema 1 had a pending request for each reason. Of a model version, the oldest pending one stays open, or else the
# latest acknowledged one. Its acknowledged requests had no end.
_FROM_VERSION_1 = """
DROP INDEX IF EXISTS one_pending;
ALTER TABLE requests ADD COLUMN kind TEXT NOT NULL DEFAULT 'retrain';
ALTER TABLE requests ADD COLUMN ordinal INTEGER NOT NULL DEFAULT 1;
ALTER TABLE requests ADD COLUMN count INTEGER NOT NULL DEFAULT 1;
ALTER TABLE requests ADD COLUMN last_seen REAL;
ALTER TABLE requests ADD COLUMN ended REAL;
ALTER TABLE requests ADD COLUMN more TEXT NOT NULL DEFAULT '{}';
UPDATE requests SET state = 'requested' WHERE state = 'pending';
UPDATE requests SET state = 'superseded', ended = created WHERE rowid <> (
    SELECT other.rowid FROM requests AS other WHERE other.model = requests.model AND other.version = requests.version
    ORDER BY other.state = 'requested' DESC,
        CASE other.state WHEN 'requested' THEN other.created ELSE -other.created END, other.rowid LIMIT 1);
UPDATE requests SET ordinal = (
    SELECT COUNT(*) FROM requests AS other WHERE other.model = requests.model AND other.version = requests.version
    AND (other.created < requests.created OR (other.created = requests.created AND other.rowid <= requests.rowid)));
CREATE TABLE IF NOT EXISTS transitions (
    request TEXT NOT NULL, number INTEGER NOT NULL, state TEXT NOT NULL, at REAL NOT NULL, who TEXT NOT NULL,
    comment TEXT NOT NULL, reported INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (request, number));
INSERT INTO transitions SELECT id, 0, 'requested', created, 'driftline', '', 1 FROM requests;
INSERT INTO transitions SELECT id, 1, state, created, 'driftline', 'from a file of an earlier schema', 1
    FROM requests WHERE state <> 'requested';
"""

FORMAT = FileFormat(
    "the file of a retraining queue",
    application_id=0x64726C71,  # "drlq"
    version=2,
    tables=_TABLES,
    unstamped=frozenset({"requests"}),
    unstamped_tables=_FIRST_TABLE,
    migrations={1: _FROM_VERSION_1},
)

COLUMNS = "id, model, version, reason, detail, features, created, state, kind, ordinal, count, last_seen, more"

PLACEHOLDERS = ", ".join("?" * (COLUMNS.count(",") + 1))

_MORE = ("reference", "window", "data_from", "data_until")


def row_of(request: RetrainingRequest) -> tuple[object, ...]:
    """Return the values of `COLUMNS` for a request."""
    more = {name: getattr(request, name) for name in _MORE}
    return (
        *map(storable, (request.id, request.model, request.version or "", request.reason, request.detail)),
        json.dumps(request.features),
        request.created,
        request.state,
        request.kind,
        request.ordinal,
        request.count,
        request.last_seen,
        json.dumps({**more, "evidence": [asdict(each) for each in request.evidence]}),
    )


def request_of(row: Iterable[Any], history: tuple[Transition, ...]) -> RetrainingRequest:
    """
    Return the request of a row of `COLUMNS`.

    Raises:
        DocumentError: the evidence is not of this version.
    """
    id_, model, version, reason, detail, features, created, state, kind, ordinal, count, last_seen, more = row
    further = json.loads(more)
    return RetrainingRequest(
        id_,
        model,
        version or None,
        reason,
        detail,
        tuple(json.loads(features)),
        created,
        kind,
        state,
        ordinal,
        read_evidence(further.get("evidence", [])),
        **{name: further.get(name) for name in _MORE},
        count=count,
        last_seen=last_seen,
        history=history,
    )


def select(connection: sqlite3.Connection, condition: str, values: Iterable[object]) -> list[RetrainingRequest]:
    """Return the requests that meet a condition in SQL, oldest first."""
    query = f"SELECT {COLUMNS} FROM requests WHERE {condition} ORDER BY created, rowid"  # noqa: S608 - constants
    rows = connection.execute(query, tuple(values)).fetchall()
    return [request_of(row, transitions_of(connection, row[0])) for row in rows]


def transitions_of(connection: sqlite3.Connection, request_id: str) -> tuple[Transition, ...]:
    """Return the transitions of a request, the first one first."""
    query = "SELECT state, at, who, comment FROM transitions WHERE request = ? ORDER BY number"
    return tuple(
        Transition(state=state, at=at, who=who, comment=comment)
        for state, at, who, comment in connection.execute(query, (request_id,))
    )
