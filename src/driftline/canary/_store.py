"""A canary's state on disk: what each process has counted, and the verdict that stands."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from driftline._runtime import validation as check
from driftline._runtime.sqlite import Database, FileFormat, as_configuration_error
from driftline.canary._evidence import CanaryEvidence
from driftline.errors import ConfigurationError
from driftline.results import CanaryState

__all__ = ["CanaryStore"]

HISTORY = "history"
"""The row that processes which have ended are added up in."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS evidence (process TEXT PRIMARY KEY, place TEXT, pid INTEGER, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS standing (what TEXT PRIMARY KEY, body TEXT NOT NULL);
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
    One canary in one SQLite file, shared by the processes of a host.

    Each process writes its own row, so that none overwrites the counts of another; readers add the rows up. SQLite's
    write-ahead log needs a local disk, not NFS.

    Args:
        path: the file.
        variants: attributes of the variants by side, as far as this process knows them: a file holds one canary.

    Raises:
        ConfigurationError: the file cannot be opened, is no such file, or holds another canary.
    """

    def __init__(self, path: str | os.PathLike[str], variants: Mapping[str, Mapping[str, str]]) -> None:
        self._path = check.path("path", path)
        self._process = uuid.uuid4().hex
        self._database = Database(self._path, FORMAT, keep_open=False)
        with as_configuration_error(self._path, FORMAT), self._database.transaction() as connection:
            self.began = float(self._standing(connection, "began", repr(time.time())))
            for side, attributes in variants.items():
                self._check(connection, side, attributes)
            _fold(connection)

    def new_process(self) -> None:
        """The child of a fork counts for itself."""
        self._process = uuid.uuid4().hex

    def exchange(self, own: CanaryEvidence) -> CanaryEvidence:
        """Write what this process has counted; the sum over all processes, those that have ended included."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO evidence VALUES (?, ?, ?, ?) "
                "ON CONFLICT (process) DO UPDATE SET body = excluded.body, place = excluded.place",
                (self._process, _place(), os.getpid(), own.to_json()),
            )
            rows = connection.execute("SELECT body FROM evidence WHERE process != ?", (self._process,)).fetchall()
        # Of processes with another reference the counts over its bins say nothing of ours; all others add up.
        return sum((CanaryEvidence.from_json(body).over(own) for (body,) in rows), start=own)

    def decided(self) -> tuple[CanaryState, str] | None:
        """The verdict that stands, and its reason."""
        with self._database.connection() as connection:
            found = connection.execute("SELECT body FROM standing WHERE what = 'verdict'").fetchone()
        if found is None:
            return None
        state, reason = json.loads(found[0])
        return state, reason

    def decide(self, state: CanaryState, reason: str) -> None:
        """Let a verdict stand; a rollback is never replaced."""
        with self._database.transaction() as connection:
            before = connection.execute("SELECT body FROM standing WHERE what = 'verdict'").fetchone()
            if before is None or json.loads(before[0])[0] != "rollback":
                connection.execute("REPLACE INTO standing VALUES ('verdict', ?)", (json.dumps([state, reason]),))

    @staticmethod
    def _standing(connection: sqlite3.Connection, what: str, otherwise: str) -> str:
        """What stands under a name; *otherwise* from now on when nothing does."""
        connection.execute("INSERT OR IGNORE INTO standing VALUES (?, ?)", (what, otherwise))
        return str(connection.execute("SELECT body FROM standing WHERE what = ?", (what,)).fetchone()[0])

    def _check(self, connection: sqlite3.Connection, side: str, attributes: Mapping[str, str]) -> None:
        text = json.dumps(dict(attributes), sort_keys=True)
        found = self._standing(connection, side, text)
        if found != text:
            msg = f"path={os.fspath(self._path)!r}: holds a canary whose {side} is {found}, expected {text}"
            raise ConfigurationError(msg)


def _place() -> str:
    """Where a process id means something: this host, and on Linux this namespace of process ids."""
    namespace = 0
    with suppress(OSError):
        namespace = Path("/proc/self/ns/pid").stat().st_ino
    return f"{socket.gethostname()}:{namespace}"


def _fold(connection: sqlite3.Connection) -> None:
    """Add up the rows of processes of this place that have ended: a file does not grow with every restart."""
    rows = connection.execute("SELECT process, pid, body FROM evidence WHERE place = ?", (_place(),)).fetchall()
    ended = [(process, body) for process, pid, body in rows if not _lives(pid)]
    if not ended:
        return
    history = connection.execute("SELECT body FROM evidence WHERE process = ?", (HISTORY,)).fetchone()
    bodies = ([history[0]] if history else []) + [body for _, body in ended]
    found = [CanaryEvidence.from_json(body) for body in bodies]
    total = sum((one.over(found[-1]) for one in found), start=CanaryEvidence())
    connection.executemany("DELETE FROM evidence WHERE process = ?", [(process,) for process, _ in ended])
    connection.execute("REPLACE INTO evidence VALUES (?, '', 0, ?)", (HISTORY, total.to_json()))


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # of another user, but alive
    return True
