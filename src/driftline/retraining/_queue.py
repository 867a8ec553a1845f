"""A durable queue of requests for retraining, shared by the processes of a host."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import weakref
from contextlib import closing
from pathlib import Path
from typing import Any

from driftline.errors import ConfigurationError
from driftline.retraining._request import RetrainingRequest

__all__ = ["RetrainingQueue"]

BUSY_SECONDS = 5.0
"""How long a process waits for another one that writes."""

_TABLE = """
CREATE TABLE IF NOT EXISTS requests (
    id TEXT PRIMARY KEY, model TEXT NOT NULL, version TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL,
    features TEXT NOT NULL, created REAL NOT NULL, state TEXT NOT NULL DEFAULT 'pending'
)
"""
# At most one open request per model, version and reason, whichever process asks: the index decides races.
_INDEX = "CREATE UNIQUE INDEX IF NOT EXISTS one_pending ON requests (model, version, reason) WHERE state = 'pending'"


class RetrainingQueue:
    """
    Requests that wait until they are acknowledged.

    Args:
        path: a SQLite file, shared by the processes of a host; without one the queue lives in memory.

    Raises:
        ConfigurationError: the file cannot be opened or is no such queue.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        try:
            self._path = ":memory:" if path is None else os.fspath(Path(path))
        except TypeError as error:
            msg = f"path={path!r}: expected the path of a SQLite file"
            raise ConfigurationError(msg) from error
        self._lock = threading.Lock()
        self._owner = os.getpid()
        try:
            self._database = self._open()
        except (sqlite3.Error, ValueError) as error:
            msg = f"path={self._path!r}: expected a SQLite file that can be written: {error}"
            raise ConfigurationError(msg) from error

    def put(self, request: RetrainingRequest) -> bool:
        """Add a request; False where one for the same model, version and reason is pending already."""
        row = (
            request.id,
            request.model,
            request.version or "",
            request.reason,
            request.detail,
            json.dumps(request.features),
            request.created,
        )
        cursor = self._run(
            "INSERT OR IGNORE INTO requests (id, model, version, reason, detail, features, created) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            row,
        )
        return cursor == 1

    def pending(self) -> tuple[RetrainingRequest, ...]:
        """Requests that nobody has acknowledged, oldest first."""
        columns = "id, model, version, reason, detail, features, created"
        rows = self._read(f"SELECT {columns} FROM requests WHERE state = 'pending' ORDER BY created")  # noqa: S608
        return tuple(
            RetrainingRequest(id_, model, version or None, reason, detail, tuple(json.loads(features)), created)
            for id_, model, version, reason, detail, features, created in rows
        )

    def acknowledge(self, request_id: str) -> bool:
        """Take a request on; False where it is not pending."""
        return (
            self._run("UPDATE requests SET state = 'acknowledged' WHERE id = ? AND state = 'pending'", (request_id,))
            == 1
        )

    def sizes(self, model: str, version: str | None) -> dict[str, int]:
        """Requests of a model by state."""
        rows = self._read(
            "SELECT state, COUNT(*) FROM requests WHERE model = ? AND version = ? GROUP BY state",
            (model, version or ""),
        )
        return {"pending": 0, "acknowledged": 0, **{state: int(count) for state, count in rows}}

    def close(self) -> None:
        """Close the file, as the end of the queue's life does too; it cannot be used afterwards."""
        with self._lock:
            self._finalizer()

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=BUSY_SECONDS, check_same_thread=False, isolation_level=None)
        # The finalizer also keeps a connection that has crossed a fork from being closed by the child.
        self._finalizer = weakref.finalize(self, _close, database, os.getpid())
        try:
            if self._path != ":memory:":
                database.execute("PRAGMA journal_mode = WAL")
            database.execute(_TABLE)
            database.execute(_INDEX)
        except sqlite3.Error:
            self._finalizer()
            raise
        return database

    def _connection(self) -> sqlite3.Connection:
        if self._owner != os.getpid():
            # A SQLite connection must not cross a fork; a queue in memory starts empty in the child.
            self._database, self._owner = self._open(), os.getpid()
        return self._database

    def _run(self, statement: str, values: tuple[Any, ...]) -> int:
        with self._lock, closing(self._connection().execute(statement, values)) as cursor:
            return cursor.rowcount

    def _read(self, statement: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with self._lock, closing(self._connection().execute(statement, values)) as cursor:
            return cursor.fetchall()


def _close(database: sqlite3.Connection, owner: int) -> None:
    if os.getpid() == owner:
        database.close()
