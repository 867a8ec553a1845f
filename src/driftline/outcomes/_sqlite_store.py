"""Predictions and outcomes in a file that the processes of a host share, through restarts, kills and forks."""

from __future__ import annotations

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from driftline._runtime import validation as check
from driftline._runtime.sqlite import Database, FileFormat, open_read_only
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


FORMAT = FileFormat(
    "a file of outcomes",
    application_id=0x64726C6E,  # "drln"
    version=1,
    tables=_TABLES,
    synchronous="NORMAL",
)


class FileStore:
    """
    Records in an SQLite file in WAL mode.

    One call of `apply` is one transaction, its counts included. However the process ends, the file has each prediction
    and outcome either completely or not at all. (A power failure may lose the last transactions:
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
        self._model = model
        self._own = (model, version, variant)
        self._capacity = capacity
        self._expire = expire
        self._sources: dict[int, Source] = {}
        self._number = 0
        self._registered_in: sqlite3.Connection | None = None
        self._database = Database(path, FORMAT, "outcomes")

    def reset(self) -> None:
        """Do nothing in the child of a fork: it opens its own connection, and shares the file's content."""

    def close(self) -> None:
        """Close the file for good."""
        self._database.close()

    def apply(self, events: Sequence[Event], now: float, grade: GradePairs) -> JoinResult:
        """Join events in their order, and drop the oldest records beyond the bounds, in one transaction."""
        with self._database.transaction() as connection:
            if connection is not self._registered_in:
                self._number, self._registered_in = _register(connection, *self._own), connection
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
    totals: dict[tuple[str, str | None, str | None], dict[str, int]] = {}
    with open_read_only(check.path("path", path, FORMAT.content), FORMAT) as connection:
        sources = {number: tuple(name) for number, *name in connection.execute("SELECT * FROM source")}
        for number, result, count in connection.execute("SELECT source, result, count FROM total"):
            totals.setdefault(sources[number], {})[result] = count
        for number, count in connection.execute("SELECT source, count(*) FROM record WHERE state = 0 GROUP BY source"):
            totals.setdefault(sources[number], {})["waiting"] = count
    return totals
