"""Stores pending predictions in an SQLite file, which the processes of a host share and which outlives them."""

from __future__ import annotations

import json
import math
import os
import secrets
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from driftline._capture.placeholders import Unreadable
from driftline._runtime import validation as check
from driftline._runtime.guard import is_contained
from driftline._runtime.sqlite import Database, FileFormat, open_read_only
from driftline._runtime.sqlite_format import storable
from driftline.outcomes._join import (
    DONE,
    EARLY,
    EXPIRED,
    WAITING,
    Event,
    GradePairs,
    JoinResult,
    JoinRules,
    Record,
    Source,
)
from driftline.outcomes._known_labels import is_same_label

__all__ = ["FileStore", "read_totals"]

EXPIRE_ROWS = 2_000
"""Largest number of records of one state that expire in one transaction, so that no transaction is long."""

_PAIRS = "pairs"
"""The key of a dict's items in JSON: see `_encode`."""

_STATES = (WAITING, EARLY, DONE, EXPIRED)
"""The states. The index of a state is its number in the file."""

_NUMBERS = {state: number for number, state in enumerate(_STATES)}
_WAITING, _EARLY, _DONE, _EXPIRED = range(4)

_COLUMNS = "source, state, value, actual, at, predicted, bucket, serial"
_MARKS = ", ".join("?" * 10)

_Records: TypeAlias = "dict[str, dict[Source, Record]]"
"""Records by id and source."""

PREDICTIONS, OUTCOMES = "remembered", "told"
"""Results under which a file counts all predictions, and all outcomes, that arrived."""

SERIAL_BITS = 62
"""Bits of the random number at which the serial numbers of a process begin. Two processes never use the same ones."""

_RECORD = """
CREATE TABLE IF NOT EXISTS record (
    model TEXT NOT NULL, id TEXT NOT NULL, source INTEGER NOT NULL, state INTEGER NOT NULL, value TEXT, actual TEXT,
    at REAL NOT NULL, predicted REAL NOT NULL, bucket INTEGER, serial INTEGER,
    PRIMARY KEY (model, id, source)) WITHOUT ROWID;
"""

_TABLES = (
    _RECORD
    + """
CREATE TABLE IF NOT EXISTS source (
    number INTEGER PRIMARY KEY, model TEXT NOT NULL, version TEXT, variant TEXT);
CREATE UNIQUE INDEX IF NOT EXISTS source_name ON source (model, ifnull(version, char(0)), ifnull(variant, char(0)));
CREATE INDEX IF NOT EXISTS record_age ON record (state, at);
CREATE TABLE IF NOT EXISTS total (
    source INTEGER NOT NULL, result TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (source, result)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS size (state INTEGER PRIMARY KEY, rows INTEGER NOT NULL);
INSERT OR IGNORE INTO size VALUES (0, 0), (1, 0), (2, 0), (3, 0);
"""
)

_FROM_VERSION_1 = f"""
DROP INDEX record_age;
ALTER TABLE record RENAME TO record_1;
{_RECORD}
INSERT INTO record (model, id, source, state, value, at, predicted)
    SELECT model, id, source, state, value, at, at FROM record_1;
DROP TABLE record_1;
"""  # noqa: S608 - constants
"""In version 1, an id had one record, whatever the number of sources, and a joined record had no values."""


FORMAT = FileFormat(
    "a file of outcomes",
    application_id=0x64726C6E,  # "drln"
    version=2,
    tables=_TABLES,
    synchronous="NORMAL",
    migrations={1: _FROM_VERSION_1},
)


class FileStore:
    """
    A bounded store in an SQLite file in WAL mode.

    One call of `apply` is one transaction, which includes the counts. However the process ends, the file has each
    prediction and outcome either completely or not at all. A power failure may lose the last transactions, because of
    ``synchronous=NORMAL``.

    Args:
        path: the file. Its folder must exist.
        model: the model that the ids belong to.
        version: the version that predicts.
        variant: the variant that predicts.
        capacity: as for `MemoryStore`, for all models of the file together.
        expire: seconds after which a record expires. If None, records never expire by age.
        on_replaced: called with an exception when the file was deleted, replaced or emptied. Its records are lost.

    Raises:
        ConfigurationError: if the file cannot be opened, is another program's, or is of a newer version.
    """

    def __init__(
        self,
        path: Path,
        model: str,
        version: str | None,
        variant: str | None,
        capacity: int,
        expire: float | None,
        on_replaced: Callable[[Exception], None] | None = None,
    ) -> None:
        self._own_source = (storable(model), _storable_or_none(version), _storable_or_none(variant))
        self._model = self._own_source[0]
        self._capacity = capacity
        self._expire_seconds = expire
        self._sources: dict[int, Source] = {}
        self._own_number = 0
        self._registered_in: sqlite3.Connection | None = None
        self._database = Database(path, FORMAT, "outcomes", on_replaced=on_replaced)
        self.reset()

    def reset(self) -> None:
        """Forget an interrupted join. The child of a fork opens a new connection and shares the records of the file."""
        self._rules = JoinRules(self._expire_seconds, count(secrets.randbits(SERIAL_BITS)), _is_same)
        self.unfinished: JoinResult | None = None

    def close(self) -> None:
        """Close the file. The store cannot be used afterwards."""
        self._database.close()

    def apply(self, events: Sequence[Event], now: float, grade: GradePairs) -> JoinResult:
        """
        Join events and expire records in one transaction, as `Store.apply` describes.

        Raises:
            sqlite3.Error: the file is locked, full or gone. Nothing has changed.
            Exception: a value cannot be written as JSON. Nothing has changed.
        """
        if self.unfinished is not None:
            return self.unfinished
        finished: JoinResult | None = None
        try:
            with self._database.transaction() as connection:
                finished = self._apply(connection, events, now, grade)
        except BaseException as error:
            if finished is not None and not is_contained(error) and not self._database.rolled_back:
                # An interrupt came after the commit.
                self.unfinished = finished
            raise
        self._registered_in = connection
        return finished

    def _apply(
        self, connection: sqlite3.Connection, events: Sequence[Event], now: float, grade: GradePairs
    ) -> JoinResult:
        """Join events and expire records within a transaction."""
        if connection is not self._registered_in:
            # The numbers of another file, or of a transaction that was rolled back, may be those of other sources.
            self._sources.clear()
            self._own_number, self._registered_in = _register(connection, *self._own_source), None
        joined = JoinResult()
        before = self._load(connection, {event.key for event in events})
        after = dict(before)
        arrived: Counter[tuple[Source, str]] = Counter()
        for event in events:
            after[event.key] = self._rules.advance_all(after.get(event.key, {}), event, now, joined)
            arrived[None, OUTCOMES if event.is_outcome else PREDICTIONS] += 1
        sizes = self._save(connection, before, after)
        self._expire(connection, now, sizes, joined)
        connection.executemany("UPDATE size SET rows = rows + ? WHERE state = ?", [(n, s) for s, n in sizes.items()])
        joined.results.update(grade(joined))
        self._add_totals(connection, joined.results + arrived)
        return joined

    # --- rows --------------------------------------------------------------------------------------------------------

    def _load(self, connection: sqlite3.Connection, keys: Iterable[str]) -> _Records:
        """Return the records of ids by id and source. Unknown ids are absent."""
        records: _Records = {}
        # Neighbouring keys are on the same page of the file.
        sorted_keys = sorted(keys)
        marks = ", ".join("?" * len(sorted_keys))
        query = f"SELECT id, {_COLUMNS} FROM record WHERE model = ? AND id IN ({marks})"  # noqa: S608 - question marks
        for key, number, state, value, actual, *rest in connection.execute(query, (self._model, *sorted_keys)):
            source = self._source_of(connection, number)
            at, predicted, bucket, serial = rest
            record = Record(_STATES[state], _decode(value), source, at, _decode(actual), predicted, bucket, serial)
            records.setdefault(key, {})[source] = record
        return records

    def _save(self, connection: sqlite3.Connection, before: _Records, after: _Records) -> Counter[int]:
        """Write the records that differ from those before. Return the changes of row counts by state."""
        sizes: Counter[int] = Counter()
        rows, deleted = [], []
        numbers = self._source_numbers
        for key, records in after.items():
            former = before.get(key, {})
            for source, record in records.items():
                previous = former.get(source)
                if record is not previous:
                    sizes[_NUMBERS[record.state]] += 1
                    if previous is not None:
                        sizes[_NUMBERS[previous.state]] -= 1
                    rows.append(self._row(key, numbers[source], record))
            for source in former.keys() - records.keys():
                sizes[_NUMBERS[former[source].state]] -= 1
                deleted.append((self._model, key, numbers[source]))
        connection.executemany(f"INSERT OR REPLACE INTO record (model, id, {_COLUMNS}) VALUES ({_MARKS})", rows)  # noqa: S608 - constants
        connection.executemany("DELETE FROM record WHERE model = ? AND id = ? AND source = ?", deleted)
        return sizes

    def _row(self, key: str, number: int, record: Record) -> tuple[object, ...]:
        """Return a record of the source *number* as a row of the table ``record``."""
        is_joined = record.serial is not None
        value = _encode(record.value) if is_joined or record.state in {WAITING, EARLY} else None
        actual = _encode(record.actual) if is_joined else None
        state = _NUMBERS[record.state]
        return (
            *(self._model, key, number, state, value, actual),
            *(record.at, record.predicted, record.bucket, record.serial),
        )

    @property
    def _source_numbers(self) -> dict[Source, int]:
        return {None: self._own_number, **{source: number for number, source in self._sources.items()}}

    def _source_of(self, connection: sqlite3.Connection, number: int) -> Source:
        """Return the source that has this number in the file. None if it is the monitor of this store."""
        if number == self._own_number:
            return None
        if number not in self._sources:
            row = connection.execute(
                "SELECT model, version, variant FROM source WHERE number = ?", (number,)
            ).fetchone()
            self._sources[number] = tuple(row)
        return self._sources[number]

    def _expire(self, connection: sqlite3.Connection, now: float, sizes: Counter[int], joined: JoinResult) -> None:
        """
        Expire waiting records, and delete others, that are older than the limit or exceed the capacity.

        Add the changes of row counts by state to *sizes*. Count expired waiting records in ``joined.results``.
        """
        rows = dict(connection.execute("SELECT state, rows FROM size"))
        # Done and expired ids share one bound, because both only classify a further outcome.
        for states in ((_WAITING,), (_EARLY,), (_DONE, _EXPIRED)):
            size = sum(rows[state] + sizes[state] for state in states)
            excess = min(max(0, size - self._capacity), EXPIRE_ROWS)
            oldest = -1.0 if self._expire_seconds is None else now - self._expire_seconds
            for state in states:
                old = connection.execute(
                    "SELECT model, id, source, at FROM record WHERE state = ? AND at < ? ORDER BY at LIMIT ?",
                    (state, oldest, EXPIRE_ROWS),
                ).fetchall()
                if len(old) < excess:
                    old = connection.execute(
                        "SELECT model, id, source, at FROM record WHERE state = ? ORDER BY at LIMIT ?", (state, excess)
                    ).fetchall()
                excess -= len(old)
                self._expire_rows(connection, state, old, now, joined)
                sizes[state] -= len(old)
                if state == _WAITING:
                    sizes[_EXPIRED] += len(old)

    def _expire_rows(
        self,
        connection: sqlite3.Connection,
        state: int,
        old: Sequence[tuple[str, str, int, float]],
        now: float,
        joined: JoinResult,
    ) -> None:
        if state == _WAITING:
            # The end of the time that a prediction may wait, unless it is removed before.
            life = float("inf") if self._expire_seconds is None else self._expire_seconds
            connection.executemany(
                "UPDATE record SET state = ?, value = NULL, at = ? WHERE model = ? AND id = ? AND source = ?",
                [(_EXPIRED, min(now, at + life), model, key, source) for model, key, source, at in old],
            )
            for _, _, source, _ in old:
                joined.results[self._source_of(connection, source), "expired"] += 1
        else:
            connection.executemany(
                "DELETE FROM record WHERE model = ? AND id = ? AND source = ?",
                [(model, key, source) for model, key, source, _ in old],
            )

    def _add_totals(self, connection: sqlite3.Connection, results: Counter[tuple[Source, str]]) -> None:
        numbers = self._source_numbers
        connection.executemany(
            "INSERT INTO total VALUES (?, ?, ?) "
            "ON CONFLICT (source, result) DO UPDATE SET count = count + excluded.count",
            [(numbers[source], result, number) for (source, result), number in results.items()],
        )


def _storable_or_none(text: str | None) -> str | None:
    return None if text is None else storable(text)


def _register(connection: sqlite3.Connection, model: str, version: str | None, variant: str | None) -> int:
    """Return the number of a source (model, version, variant) in the file. Add the source if it is absent."""
    connection.execute(
        "INSERT OR IGNORE INTO source (model, version, variant) VALUES (?, ?, ?)", (model, version, variant)
    )
    (number,) = connection.execute(
        "SELECT number FROM source WHERE model = ? AND version IS ? AND variant IS ?", (model, version, variant)
    ).fetchone()
    return int(number)


def _encode(value: Any) -> str:
    """Return a value as a JSON string. An object of a class that JSON lacks becomes ``str(object)``."""
    # Without the encoder, which takes longer than the join: probabilities, and true or false.
    if type(value) is float and math.isfinite(value):
        return repr(value)
    if type(value) is bool:
        return "true" if value else "false"
    if isinstance(value, Mapping):
        # Keys of a dict may be numbers or booleans, but keys of JSON are strings.
        value = {_PAIRS: list(value.items())}
    return json.dumps(value, default=_to_plain)


def _decode(text: str | None) -> Any:
    """Return the value that `_encode` turned into *text*. None for None."""
    value = None if text is None else json.loads(text)
    return dict(value[_PAIRS]) if isinstance(value, dict) else value


def _is_same(label: Any, other: Any) -> bool:
    """Return whether an outcome of the file is the same label as one that arrives, which may not be plain yet."""
    return is_same_label(label, other) or is_same_label(label, _decode(_encode(other)))


def _to_plain(value: Any) -> Any:
    if isinstance(value, Unreadable):
        return None
    return value.tolist() if isinstance(value, (np.generic, np.ndarray)) else str(value)


def read_totals(path: str | os.PathLike[str]) -> dict[tuple[str, str | None, str | None], dict[str, int]]:
    """
    Return the counts of a file since it was created, by (model, version, variant).

    The counts of all processes are added. The inner dict has the results of ``ml.outcomes`` as keys, and three more:
    ``remembered`` (all predictions), ``told`` (all outcomes) and ``waiting`` (predictions without an outcome).
    ``remembered`` is the sum of ``correct``, ``incorrect``, ``matched``, ``expired``, ``replaced`` and ``waiting``.

    Raises:
        ConfigurationError: if there is no such file, or it is not a file of outcomes.
    """
    totals: dict[tuple[str, str | None, str | None], dict[str, int]] = {}
    with open_read_only(check.path("path", path, FORMAT.content), FORMAT) as connection:
        sources = {number: tuple(name) for number, *name in connection.execute("SELECT * FROM source")}
        for number, result, count in connection.execute("SELECT source, result, count FROM total"):
            totals.setdefault(sources[number], {})[result] = count
        for number, count in connection.execute("SELECT source, count(*) FROM record WHERE state = 0 GROUP BY source"):
            totals.setdefault(sources[number], {})[WAITING] = count
    return totals
