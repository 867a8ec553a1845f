"""A queue of requests for retraining, durable in a file that the processes of a host share."""

from __future__ import annotations

import json
import os
from contextlib import closing
from typing import Any

from driftline._runtime import validation as check
from driftline._runtime.sqlite import Database, FileFormat
from driftline._runtime.sqlite_format import storable
from driftline.retraining._request import RetrainingRequest

__all__ = ["RetrainingQueue"]

# At most one pending request per model, version and reason, in all processes together: the index decides races.
_TABLES = """
CREATE TABLE IF NOT EXISTS requests (
    id TEXT PRIMARY KEY, model TEXT NOT NULL, version TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL,
    features TEXT NOT NULL, created REAL NOT NULL, state TEXT NOT NULL DEFAULT 'pending');
CREATE UNIQUE INDEX IF NOT EXISTS one_pending ON requests (model, version, reason) WHERE state = 'pending';
"""

FORMAT = FileFormat(
    "the file of a retraining queue",
    application_id=0x64726C71,  # "drlq"
    version=1,
    tables=_TABLES,
    unstamped=frozenset({"requests"}),
)

_COLUMNS = "id, model, version, reason, detail, features, created"


class RetrainingQueue:
    """
    Stores requests for retraining. A request is pending until it is acknowledged.

    Args:
        path: an SQLite file, shared by the processes of a host. If None, the queue is in memory.

    Raises:
        ConfigurationError: the file cannot be opened, is not a queue, or is of a newer version.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        file = check.optional(check.path, "path", path, "the path of a SQLite file")
        self._database = Database(file, FORMAT)

    def put(self, request: RetrainingRequest) -> bool:
        """Add a request and return True. If one for the same model, version and reason is pending, return False."""
        texts = (request.id, request.model, request.version or "", request.reason, request.detail)
        row = (*map(storable, texts), json.dumps(request.features), request.created)
        return self._write(f"INSERT OR IGNORE INTO requests ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", row) == 1  # noqa: S608 - constant names

    def pending(self) -> tuple[RetrainingRequest, ...]:
        """Return the requests that are not acknowledged, oldest first."""
        rows = self._read(f"SELECT {_COLUMNS} FROM requests WHERE state = 'pending' ORDER BY created")  # noqa: S608 - constant names
        return tuple(
            RetrainingRequest(id_, model, version or None, reason, detail, tuple(json.loads(features)), created)
            for id_, model, version, reason, detail, features, created in rows
        )

    def acknowledge(self, request_id: str) -> bool:
        """Acknowledge a request and return True. If it is not pending, for example in a race, return False."""
        statement = "UPDATE requests SET state = 'acknowledged' WHERE id = ? AND state = 'pending'"
        return self._write(statement, (storable(request_id),)) == 1

    def sizes(self, model: str, version: str | None) -> dict[str, int]:
        """Return the number of requests of a model version by state: ``"pending"`` and ``"acknowledged"``."""
        rows = self._read(
            "SELECT state, COUNT(*) FROM requests WHERE model = ? AND version = ? GROUP BY state",
            (storable(model), storable(version or "")),
        )
        return {"pending": 0, "acknowledged": 0, **{state: int(count) for state, count in rows}}

    def close(self) -> None:
        """Close the file. The queue cannot be used afterwards. A discarded queue closes its file by itself."""
        self._database.close()

    def _write(self, statement: str, values: tuple[Any, ...]) -> int:
        """Execute an SQL statement that writes, and return the number of rows that it changed."""
        with self._database.connection() as connection, closing(connection.execute(statement, values)) as cursor:
            return cursor.rowcount

    def _read(self, statement: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Execute an SQL query and return all of its rows."""
        with self._database.connection() as connection, closing(connection.execute(statement, values)) as cursor:
            return cursor.fetchall()
