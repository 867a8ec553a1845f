"""Why a model makes no request so soon after its last one."""

from __future__ import annotations

import sqlite3

from driftline._runtime.sqlite_format import storable
from driftline.retraining._queue_file import select
from driftline.retraining._request import RetrainingRequest

__all__ = ["cooling"]

DAY = 86_400.0


def cooling(connection: sqlite3.Connection, request: RetrainingRequest, seconds: float) -> str:
    """
    Return why a request is not made now, as a sentence; empty if it may be made.

    Args:
        connection: the queue, within a transaction.
        request: the request, which is not in the queue.
        seconds: seconds after the end of the model's last request of this kind, of any version. If 0, it may be made.
    """
    if seconds <= 0.0:
        return ""
    ended = (storable(request.model), request.kind)
    condition = "model = ? AND kind = ? AND ended IS NOT NULL ORDER BY ended DESC, rowid DESC LIMIT 1"
    query = f"SELECT id, ended FROM requests WHERE {condition}"  # noqa: S608 - constants
    row = connection.execute(query, ended).fetchone()
    if row is None:
        return ""
    id_, at = str(row[0]), float(row[1])
    (last,) = select(connection, "id = ?", (id_,))
    same = last.version == request.version and last.reference == request.reference
    if last.state == "succeeded" and same:
        return f"{id_} succeeded, and no other version or reference has begun to serve"
    waited = request.created - at
    if waited < seconds:
        return f"{id_} ended as {last.state} {waited / DAY:.3g} days ago, and the cooldown is {seconds / DAY:.3g} days"
    return ""
