"""A queue of requests for retraining, durable in a file that the processes of a host share."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from driftline._runtime import validation as check
from driftline._runtime.sqlite import Database
from driftline._runtime.sqlite_format import storable
from driftline.errors import ConfigurationError
from driftline.retraining._cooldown import cooling
from driftline.retraining._identity import decision_id
from driftline.retraining._merging import merge
from driftline.retraining._queue_file import COLUMNS, FORMAT, PLACEHOLDERS, row_of, select
from driftline.retraining._request import RetrainingRequest, Transition
from driftline.retraining._states import CLOSED, KINDS, OPEN, RequestState, may_follow

__all__ = ["RetrainingQueue", "Submission"]

STATES: tuple[RequestState, ...] = (*OPEN, *CLOSED)

_IS_OPEN = f"state IN {OPEN}"  # a tuple of plain words is a list of SQL too

_MERGE = "UPDATE requests SET reason = ?, detail = ?, features = ?, count = ?, last_seen = ?, more = ? WHERE id = ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """
    What `RetrainingQueue.submit` did.

    Attributes:
        request: the open request, with its id; None if none was made.
        is_new: whether this submission made it. If False, it was open already, and now has the further evidence.
        held: why no request was made, as a sentence; empty if there is one.
    """

    request: RetrainingRequest | None
    is_new: bool = False
    held: str = ""


class RetrainingQueue:
    """
    Stores requests for retraining, each from its creation until it ends.

    A request is ``requested``, ``acknowledged``, ``running``, and ends as ``succeeded``, ``failed``, ``rejected``,
    ``expired`` or ``superseded``. Of a model version, at most one request of each kind is open. The processes of a host
    may share the file, which needs a local disk. Every method is one transaction: a killed process leaves all of it or
    nothing.

    Args:
        path: an SQLite file. If None, the queue is in memory. Files of earlier releases are migrated.

    Raises:
        ConfigurationError: the file cannot be opened, is not a queue, or is of a newer version.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        file = check.optional(check.path, "path", path, "the path of a SQLite file")
        self._database = Database(file, FORMAT)

    # --- making requests ---------------------------------------------------------------------------------------------

    def submit(self, request: RetrainingRequest, *, cooldown: float = 0.0) -> Submission:
        """
        Add a request, unless one of its model, version and kind is open: that gets the further evidence.

        Args:
            request: the request. If its ordinal is 0, it gets the next one, and the id that follows from it.
            cooldown: seconds after the end of the model's last request in which none is made. After a success none is
                made either as long as the same version and reference serve.
        """
        with self._database.transaction() as connection:
            key = (storable(request.model), storable(request.version or ""), request.kind)
            present = select(connection, f"model = ? AND version = ? AND kind = ? AND {_IS_OPEN}", key)
            if present:
                merged = merge(present[0], request)
                _, _, _, reason, detail, features, *_, count, seen, more = row_of(merged)
                connection.execute(_MERGE, (reason, detail, features, count, seen, more, storable(merged.id)))
                return Submission(request=merged)
            held = cooling(connection, request, cooldown)
            if held:
                return Submission(request=None, held=held)
            if request.ordinal < 1:
                query = "SELECT COALESCE(MAX(ordinal), 0) FROM requests WHERE model = ? AND version = ? AND kind = ?"
                ordinal = int(connection.execute(query, key).fetchone()[0]) + 1
                id_ = decision_id(request.model, request.version, request.kind, ordinal)
                request = replace(request, ordinal=ordinal, id=id_)
            first = Transition(state="requested", at=request.created, who="driftline")
            request = replace(request, state="requested", history=(first,))
            statement = f"INSERT OR IGNORE INTO requests ({COLUMNS}) VALUES ({PLACEHOLDERS})"  # noqa: S608 - constants
            if connection.execute(statement, row_of(request)).rowcount != 1:
                return Submission(request=None, held=f"{request.id} was made before")
            _record(connection, request.id, first)
            return Submission(request=request, is_new=True)

    def put(self, request: RetrainingRequest) -> bool:
        """Add a request and return True. If one of the same model, version and kind is open, update it: False."""
        return self.submit(request).is_new

    # --- following requests ------------------------------------------------------------------------------------------

    def move(
        self, request_id: str, state: RequestState, *, who: str, comment: str = "", at: float | None = None
    ) -> RetrainingRequest:
        """
        Report the state that a request has reached, and return the request.

        To report a state again changes nothing, so that a report may be repeated until it is confirmed.

        Args:
            request_id: the id of the request.
            state: the state, which may skip others: ``running`` may follow ``requested``.
            who: the person or program that reports it.
            comment: what they say.
            at: the time in UNIX seconds. If None, now.

        Raises:
            ConfigurationError: there is no such request, or the state may not follow the present one.
        """
        check.one_of("state", state, STATES)
        check.string("who", who, at_least=1)
        check.string("comment", comment)
        transition = Transition(state=state, at=time.time() if at is None else at, who=who, comment=comment)
        with self._database.transaction() as connection:
            requests = select(connection, "id = ?", (storable(check.string("request_id", request_id)),))
            if not requests:
                check.reject("request_id", request_id, "the id of a request in this queue")
            (request,) = requests
            if request.state == state:
                return request
            if not may_follow(state, request.state):
                msg = f"state={state!r}: {request_id} is {request.state}, expected a later state"
                raise ConfigurationError(msg)
            return _move(connection, request, transition)

    def serve(
        self, model: str, version: str | None, reference: str, *, who: str = "driftline", at: float | None = None
    ) -> tuple[RetrainingRequest, ...]:
        """
        Report that a version of a model serves with a reference, and return the requests that this closes.

        The first report of a version or of a reference closes the open requests of the others: ``succeeded`` if they
        were running or acknowledged, else ``superseded``. Later reports close none, so that a restart of an old process
        changes nothing.

        Args:
            model: the model's name.
            version: its version, or None.
            reference: the fingerprint of the reference.
            who: the program that reports it.
            at: the time in UNIX seconds. If None, now.
        """
        now = time.time() if at is None else at
        name, number, fingerprint = storable(model), storable(version or ""), storable(reference)
        query = "SELECT 1 FROM serving WHERE model = ? AND version = ? AND reference = ?"
        if self._read(query, (name, number, fingerprint)):
            return ()
        closed = []
        with self._database.transaction() as connection:
            before = connection.execute("SELECT COUNT(*) FROM serving WHERE model = ?", (name,)).fetchone()[0]
            statement = "INSERT OR IGNORE INTO serving VALUES (?, ?, ?, ?)"
            if connection.execute(statement, (name, number, fingerprint, now)).rowcount != 1:
                return ()
            what = f"version {version}" if version else f"reference {reference}"
            for request in select(connection, f"model = ? AND {_IS_OPEN}", (name,)):
                same_version = request.version == version
                if same_version and (request.reference in {None, reference} or not before):
                    continue
                noted = what if not same_version else f"reference {reference}"
                state: RequestState = "superseded" if request.state == "requested" else "succeeded"
                transition = Transition(state=state, at=now, who=who, comment=f"{noted} began to serve")
                closed.append(_move(connection, request, transition))
        return tuple(closed)

    def expire(self, model: str, seconds: float, *, at: float | None = None) -> tuple[RetrainingRequest, ...]:
        """
        Close the open requests of a model that nothing has happened to for a time, and return them.

        Args:
            model: the model's name.
            seconds: the time. Both a trigger and a report of a state count as something.
            at: the present time in UNIX seconds. If None, now.
        """
        now = time.time() if at is None else at
        stale = []
        condition, values = f"model = ? AND {_IS_OPEN}", (storable(model),)
        if not self._read(f"SELECT 1 FROM requests WHERE {condition}", values):  # noqa: S608 - constants
            return ()
        with self._database.transaction() as connection:
            for request in select(connection, condition, values):
                latest = max(request.created, request.last_seen or 0.0, *(each.at for each in request.history))
                if now - latest > seconds:
                    comment = f"nothing has happened for {seconds / 86_400:.3g} days"
                    transition = Transition(state="expired", at=now, who="driftline", comment=comment)
                    stale.append(_move(connection, request, transition))
        return tuple(stale)

    # --- reading -----------------------------------------------------------------------------------------------------

    def find(self, request_id: str) -> RetrainingRequest | None:
        """Return a request by its id, or None."""
        requests = self._select("id = ?", (storable(request_id),))
        return requests[0] if requests else None

    def requests(
        self, model: str | None = None, *, states: Sequence[RequestState] = ()
    ) -> tuple[RetrainingRequest, ...]:
        """
        Return requests, oldest first.

        Args:
            model: the model's name. If None, those of all models.
            states: the states. If empty, all of them.
        """
        conditions, values = ["1"], list[object]()
        if model is not None:
            conditions.append("model = ?")
            values.append(storable(model))
        if states:
            conditions.append(f"state IN ({', '.join('?' * len(states))})")
            values.extend(check.one_of("states", state, STATES) for state in states)
        return tuple(self._select(" AND ".join(conditions), values))

    def sizes(self, model: str, version: str | None) -> dict[str, int]:
        """Return the number of requests of a model version by state, with all states."""
        sizes = dict.fromkeys(map(str, STATES), 0)
        for (_, state), count in self.sizes_by_kind(model, version).items():
            sizes[state] += count
        return sizes

    def sizes_by_kind(self, model: str, version: str | None) -> dict[tuple[str, str], int]:
        """Return the number of requests of a model version by kind and state; without those that there never were."""
        rows = self._read(
            "SELECT kind, state, COUNT(*) FROM requests WHERE model = ? AND version = ? GROUP BY kind, state",
            (storable(model), storable(version or "")),
        )
        # The size of an open state goes down to zero, so that it is always there.
        sizes = {(kind, state): 0 for kind in KINDS for state in OPEN}
        return {**sizes, **{(kind, state): int(count) for kind, state, count in rows}}

    # --- for sinks and telemetry -------------------------------------------------------------------------------------

    def undelivered(self, sink: str) -> tuple[RetrainingRequest, ...]:
        """Return the open requests that a sink has not confirmed, oldest first."""
        condition = f"{_IS_OPEN} AND id NOT IN (SELECT request FROM deliveries WHERE sink = ?)"  # noqa: S608 - constant
        return tuple(self._select(condition, (storable(sink),)))

    def deliver(self, request_id: str, sink: str, *, at: float | None = None) -> bool:
        """Record that a sink has taken a request, and return True. If it had before, return False."""
        values = (storable(request_id), storable(sink), time.time() if at is None else at)
        return self._write("INSERT OR IGNORE INTO deliveries VALUES (?, ?, ?)", values) == 1

    def report(self, model: str) -> tuple[tuple[RetrainingRequest, Transition], ...]:
        """Return the transitions of a model's requests that no process has reported, and mark them as reported."""
        condition = "reported = 0 AND request IN (SELECT id FROM requests WHERE model = ?)"
        values = (storable(model),)
        if not self._read(f"SELECT 1 FROM transitions WHERE {condition} LIMIT 1", values):  # noqa: S608 - constants
            return ()
        query = f"SELECT request, state, at, who, comment FROM transitions WHERE {condition} ORDER BY rowid"  # noqa: S608
        with self._database.transaction() as connection:
            rows = connection.execute(query, values).fetchall()
            connection.execute(f"UPDATE transitions SET reported = 1 WHERE {condition}", values)  # noqa: S608 - constants
            by_id = {id_: select(connection, "id = ?", (id_,))[0] for id_, *_ in rows}
        return tuple(
            (by_id[id_], Transition(state=state, at=at, who=who, comment=comment))
            for id_, state, at, who, comment in rows
        )

    # --- names of earlier releases -----------------------------------------------------------------------------------

    def pending(self) -> tuple[RetrainingRequest, ...]:
        """Return the requests that are not acknowledged, oldest first."""
        return self.requests(states=("requested",))

    def acknowledge(self, request_id: str) -> bool:
        """Acknowledge a request and return True. If it is in another state or unknown, for example in a race: False."""
        with self._database.transaction() as connection:
            for request in select(connection, "id = ? AND state = 'requested'", (storable(request_id),)):
                _move(connection, request, Transition(state="acknowledged", at=time.time(), who="driftline"))
                return True
        return False

    def close(self) -> None:
        """Close the file. The queue cannot be used afterwards. A discarded queue closes its file by itself."""
        self._database.close()

    def _select(self, condition: str, values: Iterable[object]) -> list[RetrainingRequest]:
        """Return the requests that meet a condition in SQL, of one moment."""
        with self._database.transaction() as connection:
            return select(connection, condition, values)

    def _write(self, statement: str, values: tuple[Any, ...]) -> int:
        """Execute an SQL statement that writes, and return the number of rows that it changed."""
        with self._database.connection() as connection, closing(connection.execute(statement, values)) as cursor:
            return cursor.rowcount

    def _read(self, statement: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Execute an SQL query and return all of its rows."""
        with self._database.connection() as connection, closing(connection.execute(statement, values)) as cursor:
            return cursor.fetchall()


def _move(connection: sqlite3.Connection, request: RetrainingRequest, transition: Transition) -> RetrainingRequest:
    """Write a transition of a request within a transaction, and return the request after it."""
    ended = transition.at if transition.state in CLOSED else None
    statement = "UPDATE requests SET state = ?, ended = ? WHERE id = ?"
    connection.execute(statement, (transition.state, ended, storable(request.id)))
    _record(connection, request.id, transition)
    return replace(request, state=transition.state, history=(*request.history, transition))


def _record(connection: sqlite3.Connection, request_id: str, transition: Transition) -> None:
    values = (transition.state, transition.at, storable(transition.who), storable(transition.comment))
    statement = (
        "INSERT INTO transitions (request, number, state, at, who, comment) "
        "SELECT ?1, COALESCE(MAX(number) + 1, 0), ?2, ?3, ?4, ?5 FROM transitions WHERE request = ?1"
    )
    connection.execute(statement, (storable(request_id), *values))
