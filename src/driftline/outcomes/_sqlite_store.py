"""Predictions and outcomes in a file that the processes of a host share, through restarts, kills and forks."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from driftline.errors import ConfigurationError
from driftline.outcomes._join import (
    DONE,
    EARLY,
    EXPIRED,
    WAITING,
    Event,
    GradePairs,
    JoinResult,
    Record,
    Source,
    advance_record,
)

__all__ = ["FileStore", "read_totals"]

SCHEMA = 1
"""The ``user_version`` of the file."""

APPLICATION = 0x64726C6E
"""The ``application_id`` of the file: "drln"."""

BUSY_SECONDS = 1.0
"""How long another process's transaction is waited for; then the events wait for the next round instead."""

FORGET_ROWS = 2_000
"""Rows given up in one transaction at most, so that none is long."""

_PAIRS = "pairs"

_STATES = (WAITING, EARLY, DONE, EXPIRED)

_TABLES = """
CREATE TABLE IF NOT EXISTS source (
    number INTEGER PRIMARY KEY, model TEXT NOT NULL, version TEXT, variant TEXT);
CREATE UNIQUE INDEX IF NOT EXISTS source_name ON source (model, ifnull(version, char(0)), ifnull(variant, char(0)));
CREATE TABLE IF NOT EXISTS record (
    model TEXT NOT NULL, id TEXT NOT NULL, state INTEGER NOT NULL, value TEXT, source INTEGER NOT NULL,
    at REAL NOT NULL, PRIMARY KEY (model, id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS record_age ON record (state, at);
CREATE TABLE IF NOT EXISTS total (
    source INTEGER NOT NULL, result TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (source, result)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS size (state INTEGER PRIMARY KEY, rows INTEGER NOT NULL);
INSERT OR IGNORE INTO size VALUES (0, 0), (1, 0), (2, 0), (3, 0);
"""


class FileStore:
    """
    Records in an SQLite file in WAL mode.

    What one call of `apply` does is one transaction, its counts included: whatever kills the process, the file says of
    each prediction and outcome in it either nothing or all. (Power that fails may take the last transactions along:
    ``synchronous=NORMAL``.)

    Args:
        path: the file; its folder must exist.
        model: ids are those of one model …
        version: … and predictions are of one version …
        variant: … and variant of it.
        capacity: as for `MemoryStore`, of the whole file.
        expire: as for `MemoryStore`.

    Raises:
        ConfigurationError: the file cannot be opened, is no such file, or is of a newer schema.
    """

    def __init__(
        self,
        path: Path,
        model: str,
        version: str | None,
        variant: str | None,
        capacity: int,
        expire: float | None,
    ) -> None:
        self._path = path
        self._model = model
        self._own = (model, version, variant)
        self._capacity = capacity
        self._expire = expire
        self.lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._sources: dict[int, Source] = {}
        self._number = 0
        try:
            self._connected()
        except (sqlite3.Error, OSError, ValueError) as error:
            msg = f"outcomes={str(path)!r}: {error}, expected a file that can be made or is one of driftline's"
            raise ConfigurationError(msg) from error
        _watch(self)

    def reset(self) -> None:
        """The child of a fork: it has its own connection, and shares what is in the file."""
        self.lock = threading.RLock()

    def close(self) -> None:
        """Close the connection; the next call opens another one."""
        with self.lock:
            if self._connection is not None:
                self._finalizer()
                self._connection = None

    def apply(self, events: Sequence[Event], now: float, grade: GradePairs) -> JoinResult:
        """Join events in their order and forget what is too old or too much: one transaction."""
        with self.lock, self._transaction() as connection:
            joined = JoinResult()
            before = self._load(connection, {event.key for event in events})
            after = dict(before)
            arrived: Counter[tuple[Source, str]] = Counter()
            for event in events:
                after[event.key] = advance_record(after.get(event.key), event, joined)
                arrived[None, "told" if event.is_outcome else "remembered"] += 1
            changed = {key: record for key, record in after.items() if record is not before.get(key)}
            sizes: Counter[int] = Counter()
            for key, record in changed.items():
                known = before.get(key)
                if known is not None:
                    sizes[_STATES.index(known.state)] -= 1
                sizes[_STATES.index(record.state)] += 1
            connection.executemany(
                "INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?, ?, ?)",
                [self._row(key, record) for key, record in changed.items()],
            )
            self._forget(connection, now, sizes, joined)
            connection.executemany(
                "UPDATE size SET rows = rows + ? WHERE state = ?", [(n, s) for s, n in sizes.items()]
            )
            joined.results.update(grade(joined.pairs))
            self._add_up(connection, joined.results + arrived)
        return joined

    # --- rows --------------------------------------------------------------------------------------------------------

    def _load(self, connection: sqlite3.Connection, keys: set[str]) -> dict[str, Record]:
        found = {}
        # Sorted: neighbours lie on one page.
        wanted = sorted(keys)
        marks = ", ".join("?" * len(wanted))
        query = f"SELECT id, state, value, source, at FROM record WHERE model = ? AND id IN ({marks})"  # noqa: S608 - question marks
        for key, state, value, source, at in connection.execute(query, (self._model, *wanted)):
            found[key] = Record(_STATES[state], _read(value), self._source_of(connection, source), at)
        return found

    def _row(self, key: str, record: Record) -> tuple[str, str, int, str | None, int, float]:
        waits = record.state in {WAITING, EARLY}
        # Ids without a source, and those of this monitor, are this one's.
        number = self._number if record.source is None else self._number_of[record.source]
        value = _written(record.value) if waits else None
        return self._model, key, _STATES.index(record.state), value, number, record.at

    @property
    def _number_of(self) -> dict[Source, int]:
        return {source: number for number, source in self._sources.items()}

    def _source_of(self, connection: sqlite3.Connection, number: int) -> Source:
        if number == self._number:
            return None
        if number not in self._sources:
            row = connection.execute(
                "SELECT model, version, variant FROM source WHERE number = ?", (number,)
            ).fetchone()
            self._sources[number] = tuple(row)
        return self._sources[number]

    def _forget(self, connection: sqlite3.Connection, now: float, sizes: Counter[int], joined: JoinResult) -> None:
        rows = dict(connection.execute("SELECT state, rows FROM size"))
        for states in ((0,), (1,), (2, 3)):
            held = sum(rows[state] + sizes[state] for state in states)
            too_many = min(max(0, held - self._capacity), FORGET_ROWS)
            oldest = -1.0 if self._expire is None else now - self._expire
            for state in states:
                old = connection.execute(
                    "SELECT model, id, source FROM record WHERE state = ? AND at < ? ORDER BY at LIMIT ?",
                    (state, oldest, FORGET_ROWS),
                ).fetchall()
                if len(old) < too_many:
                    old = connection.execute(
                        "SELECT model, id, source FROM record WHERE state = ? ORDER BY at LIMIT ?", (state, too_many)
                    ).fetchall()
                too_many -= len(old)
                self._give_up(connection, state, old, now, joined)
                sizes[state] -= len(old)
                if state == 0:
                    sizes[3] += len(old)

    def _give_up(
        self,
        connection: sqlite3.Connection,
        state: int,
        old: Sequence[tuple[str, str, int]],
        now: float,
        joined: JoinResult,
    ) -> None:
        if state == 0:
            connection.executemany(
                "UPDATE record SET state = 3, value = NULL, at = ? WHERE model = ? AND id = ?",
                [(now, model, key) for model, key, _ in old],
            )
            for _, _, source in old:
                joined.results[self._source_of(connection, source), "expired"] += 1
        else:
            connection.executemany(
                "DELETE FROM record WHERE model = ? AND id = ?", [(model, key) for model, key, _ in old]
            )

    def _add_up(self, connection: sqlite3.Connection, results: Counter[tuple[Source, str]]) -> None:
        numbers = self._number_of
        connection.executemany(
            "INSERT INTO total VALUES (?, ?, ?) "
            "ON CONFLICT (source, result) DO UPDATE SET count = count + excluded.count",
            [
                (self._number if source is None else numbers[source], result, count)
                for (source, result), count in results.items()
            ],
        )

    # --- the connection ----------------------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._connected()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            # SQLite has rolled back by itself after some errors, a full disk being one.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            # The lock above serialises all use of the connection; statements are not shared between threads.
            connection = sqlite3.connect(
                self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                _patiently(lambda: _prepare(connection))
                self._number = _register(connection, *self._own)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
            # A monitor that nobody needs any more leaves no open file; the flush at exit needs it still.
            self._finalizer = weakref.finalize(self, connection.close)
            self._finalizer.atexit = False
        return self._connection


def _patiently(work: Callable[[], None]) -> None:
    """Try again while another process makes the file: turning WAL on does not wait for locks."""
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return work()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
        time.sleep(0.01)


def _prepare(connection: sqlite3.Connection) -> None:
    (application,), (version,) = (
        connection.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")
    )
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION and tables:
        msg = "it is another program's database"
        raise sqlite3.DatabaseError(msg)
    if version > SCHEMA:
        msg = f"it is of schema {version}, this driftline knows {SCHEMA}"
        raise sqlite3.DatabaseError(msg)
    if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    if version < SCHEMA:
        connection.executescript(
            f"BEGIN IMMEDIATE; {_TABLES} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {SCHEMA}; COMMIT;"
        )


def _register(connection: sqlite3.Connection, model: str, version: str | None, variant: str | None) -> int:
    connection.execute(
        "INSERT OR IGNORE INTO source (model, version, variant) VALUES (?, ?, ?)", (model, version, variant)
    )
    (number,) = connection.execute(
        "SELECT number FROM source WHERE model = ? AND version IS ? AND variant IS ?", (model, version, variant)
    ).fetchone()
    return int(number)


def _written(value: Any) -> str:
    """A value as JSON: numbers, truth values, texts, lists and dicts of these as they are, all else as its text."""
    if isinstance(value, Mapping):
        # Labels may be numbers or truth values, and keys of JSON are texts.
        value = {_PAIRS: list(value.items())}
    return json.dumps(value, default=_plain)


def _read(text: str | None) -> Any:
    value = None if text is None else json.loads(text)
    return dict(value[_PAIRS]) if isinstance(value, dict) else value


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.generic, np.ndarray)) else str(value)


def read_totals(path: str | os.PathLike[str]) -> dict[tuple[str, str | None, str | None], dict[str, int]]:
    """
    What a file of outcomes has counted since it was made, by (model, version, variant): of all processes together.

    Beside the results of ``ml.outcomes``: ``remembered``, the predictions that were taken down, ``told``, the outcomes
    that arrived, and ``waiting``, the predictions that still wait. These add up: ``remembered`` is ``correct`` +
    ``incorrect`` + ``matched`` + ``expired`` + ``replaced`` + ``waiting``.

    Raises:
        ConfigurationError: there is no such file, or it is none of driftline's.
    """
    found: dict[tuple[str, str | None, str | None], dict[str, int]] = {}
    try:
        file = Path(path)
        if not file.is_file():
            msg = "there is no such file"
            raise FileNotFoundError(msg)
        connection = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)
        try:
            connection.execute("BEGIN")
            sources = {number: tuple(name) for number, *name in connection.execute("SELECT * FROM source")}
            for number, result, count in connection.execute("SELECT source, result, count FROM total"):
                found.setdefault(sources[number], {})[result] = count
            for number, count in connection.execute(
                "SELECT source, count(*) FROM record WHERE state = 0 GROUP BY source"
            ):
                found.setdefault(sources[number], {})["waiting"] = count
        finally:
            connection.close()
    except (sqlite3.Error, OSError, TypeError) as error:
        msg = f"path={path!r}: {error}, expected the file of a monitor's outcomes"
        raise ConfigurationError(msg) from error
    return found


# SQLite's own account of who holds which lock is memory of the process: a child that inherited it while a connection
# was open would believe to hold locks that it does not. So none is open while a process forks.
_stores: weakref.WeakSet[FileStore] = weakref.WeakSet()
_held: list[Any] = []
_hooked = False


def _watch(store: FileStore) -> None:
    global _hooked  # noqa: PLW0603 - hooks of the process, once per process
    _stores.add(store)
    if not _hooked and hasattr(os, "register_at_fork"):
        _hooked = True
        os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)


def _before_fork() -> None:
    for store in list(_stores):
        store.lock.acquire()
        _held.append(store.lock)
        store.close()


def _after_fork() -> None:
    while _held:
        _held.pop().release()


def _in_child() -> None:
    _held.clear()
    for store in list(_stores):
        store.reset()
