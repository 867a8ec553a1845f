"""`CanaryStore`: the SQLite file of a canary, with the evidence of each process and the decision."""

from __future__ import annotations

import json
import math
import os
import socket
import sqlite3
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import get_args

from driftline._runtime import json as documents
from driftline._runtime import validation as check
from driftline._runtime.json import DocumentError, Reader
from driftline._runtime.sqlite import Database, FileFormat, as_configuration_error
from driftline.canary._evidence import CanaryEvidence
from driftline.errors import ConfigurationError
from driftline.results import CanaryState

__all__ = ["FORMAT", "CanaryStore", "read_decision"]

SAVE_SECONDS = 0.4
"""Shortest pause between two writes of `CanaryStore.save_if_due`, in seconds. The worker thread asks every 0.5 s."""

SAVE_FACTOR = 50.0
"""Pause after a write, as a multiple of its CPU time. Writing thus takes at most 2 % of a core."""

HISTORY = "history"
"""Key of the row of evidence that holds the sum over all processes that have ended."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS evidence (process TEXT PRIMARY KEY, place TEXT, pid INTEGER, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS standing (what TEXT PRIMARY KEY, body TEXT NOT NULL);
"""

_SAVE = """
INSERT INTO evidence VALUES (?, ?, ?, ?)
ON CONFLICT (process) DO UPDATE SET body = excluded.body, place = excluded.place
"""

FORMAT = FileFormat(
    "the file of a canary",
    application_id=0x64726C63,  # "drlc"
    version=1,
    tables=_SCHEMA,
    unstamped=frozenset({"evidence", "standing"}),
)


class CanaryStore:
    """
    The SQLite file of one canary, shared by the processes of a host.

    Each process writes its own row of evidence, so that none overwrites the counts of another. Readers add the rows up.
    SQLite's write-ahead log needs a local disk, not NFS.

    Args:
        path: the file; it is created if it does not exist.
        variants: for each variant of this process, ``"baseline"`` or ``"candidate"``, its attributes.
        now: Unix time in seconds. If None, that of `time.time`.

    Attributes:
        began: Unix time in seconds at which the first process opened the file; the start of the canary.

    Raises:
        ConfigurationError: the file cannot be opened, is not the file of a canary, or holds another canary.
    """

    def __init__(
        self, path: str | os.PathLike[str], variants: Mapping[str, Mapping[str, str]], now: float | None = None
    ) -> None:
        self._path = check.path("path", path)
        self._process = uuid.uuid4().hex
        self._next_save = 0.0
        self._database = Database(self._path, FORMAT, keep_open=False)
        with as_configuration_error(self._path, FORMAT), self._database.transaction() as connection:
            self.began = _as_seconds(_read_or_insert(connection, "began", repr(time.time() if now is None else now)))
            for side, attributes in variants.items():
                self._check_variant(connection, side, attributes)
            _add_up_ended(connection)

    def new_process(self) -> None:
        """Write to a new row from now on; the child of a fork must not overwrite the row of its parent."""
        self._process, self._next_save = uuid.uuid4().hex, 0.0

    def save_evidence(self, own: CanaryEvidence) -> CanaryEvidence:
        """
        Write the evidence of this process, and return the sum over all processes, including those that have ended.

        The sum skips counts of other processes over bins that *own* does not have.
        """
        row = self._row(own)
        with self._database.transaction() as connection:
            connection.execute(_SAVE, row)
            rows = connection.execute("SELECT body FROM evidence WHERE process != ?", (self._process,)).fetchall()

        return sum((CanaryEvidence.from_json(body).over(own) for (body,) in rows), start=own)

    def save_if_due(self, read: Callable[[], CanaryEvidence]) -> None:
        """
        Write the evidence of this process if the last write is a while ago, so that a killed process loses little.

        Args:
            read: returns the evidence of this process.
        """
        now, spent = time.monotonic(), time.thread_time()
        if now < self._next_save:
            return
        # Also if the write fails, so that a disk that is full is not tried without a pause.
        self._next_save = now + SAVE_SECONDS
        row = self._row(read())
        with self._database.transaction() as connection:
            connection.execute(_SAVE, row)
        self._next_save = now + max(SAVE_SECONDS, SAVE_FACTOR * (time.thread_time() - spent))

    def _row(self, own: CanaryEvidence) -> tuple[str, str, int, str]:
        return self._process, _pid_namespace(), os.getpid(), own.to_json()

    def read_verdict(self) -> tuple[CanaryState, str] | None:
        """
        Return (state, reason) of the decision in the file; None before the first.

        Raises:
            ConfigurationError: the decision is damaged.
        """
        with self._database.connection() as connection:
            return read_decision(connection)

    def save_verdict(self, state: CanaryState, reason: str) -> None:
        """Write a decision to the file. If the file holds a rollback, change nothing."""
        with self._database.transaction() as connection:
            decision = read_decision(connection)
            if decision is None or decision[0] != "rollback":
                connection.execute("REPLACE INTO standing VALUES ('verdict', ?)", (json.dumps([state, reason]),))

    def _check_variant(self, connection: sqlite3.Connection, side: str, attributes: Mapping[str, str]) -> None:
        expected = json.dumps(dict(attributes), sort_keys=True)
        stored = _read_or_insert(connection, side, expected)
        if stored != expected:
            msg = f"path={os.fspath(self._path)!r}: holds a canary whose {side} is {stored}, expected {expected}"
            raise ConfigurationError(msg)


def read_decision(connection: sqlite3.Connection) -> tuple[CanaryState, str] | None:
    """
    Return (state, reason) of the decision in a canary's file; None before the first.

    Raises:
        ConfigurationError: the decision is damaged.
    """
    row = connection.execute("SELECT body FROM standing WHERE what = 'verdict'").fetchone()
    if row is None:
        return None
    try:
        return documents.read(str(row[0]), _read_decision)
    except DocumentError as error:
        msg = f"the decision in the file of a canary is damaged: {error}"
        raise ConfigurationError(msg) from error.__cause__


_read_decision: Reader[tuple[CanaryState, str]] = documents.row(
    lambda state, reason: (state, reason), documents.choice(*get_args(CanaryState)), documents.string
)


def _read_or_insert(connection: sqlite3.Connection, key: str, default: str) -> str:
    """Return the value of *key* in the table ``standing``; insert *default* first if the key is missing."""
    connection.execute("INSERT OR IGNORE INTO standing VALUES (?, ?)", (key, default))
    return str(connection.execute("SELECT body FROM standing WHERE what = ?", (key,)).fetchone()[0])


def _as_seconds(text: str) -> float:
    seconds = float(text)
    if not math.isfinite(seconds):
        msg = f"the canary began at {text}, expected a time"
        raise ValueError(msg)
    return seconds


def _pid_namespace() -> str:
    """Return a string for the space in which process ids are unique: the host and, on Linux, the namespace."""
    namespace = 0
    with suppress(OSError):
        namespace = Path("/proc/self/ns/pid").stat().st_ino
    return f"{socket.gethostname()}:{namespace}"


def _add_up_ended(connection: sqlite3.Connection) -> None:
    """Replace the rows of ended processes of this host by one row with their sum, so that the file does not grow."""
    rows = connection.execute("SELECT process, pid, body FROM evidence WHERE place = ?", (_pid_namespace(),)).fetchall()
    ended = [(process, body) for process, pid, body in rows if not _is_running(pid)]
    if not ended:
        return
    history = connection.execute("SELECT body FROM evidence WHERE process = ?", (HISTORY,)).fetchone()
    bodies = ([history[0]] if history else []) + [body for _, body in ended]
    parts = [CanaryEvidence.from_json(body) for body in bodies]
    total = sum((part.over(parts[-1]) for part in parts), start=CanaryEvidence())
    connection.executemany("DELETE FROM evidence WHERE process = ?", [(process,) for process, _ in ended])
    connection.execute("REPLACE INTO evidence VALUES (?, '', 0, ?)", (HISTORY, total.to_json()))


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError, TypeError):  # the last two: no process has such an id
        return False
    except OSError:
        return True  # it runs under another user
    return True
