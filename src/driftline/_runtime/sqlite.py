"""Opens SQLite files that the processes of a host share, with time-outs, transactions, versions and forks."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from driftline.errors import ConfigurationError

__all__ = ["Database", "FileFormat", "as_configuration_error", "open_read_only"]

BUSY_SECONDS = 1.0
"""
Seconds to wait for another process's transaction, which takes milliseconds. A caller of the host may be waiting. So
after this time the file counts as unavailable, as if its disk were full.
"""

OPEN_SECONDS = 5.0
"""Seconds to wait while another process creates the file. This happens at configuration, when no caller waits."""

RETRY_SECONDS = 0.01
"""Seconds between two attempts to open a file that another process creates."""

_IN_MEMORY = ":memory:"


@dataclass(frozen=True, slots=True)
class FileFormat:
    """
    A kind of SQLite file, with the ids that mark such a file.

    Args:
        content: the name of the kind, for messages, such as ``"a file of outcomes"``.
        application_id: the file's ``PRAGMA application_id``.
        version: the file's ``PRAGMA user_version``. A change of the tables increases it.
        tables: SQL statements that create the tables unless they exist.
        unstamped: names of the tables in files that driftline 0.1 wrote without ids. Such a file gets the ids when it
            is opened.
        synchronous: ``PRAGMA synchronous``. "NORMAL" is faster, and a power failure may lose the last transactions.
    """

    content: str
    application_id: int
    version: int
    tables: str
    unstamped: frozenset[str] = frozenset()
    synchronous: Literal["FULL", "NORMAL"] = "FULL"

    def prepare(self, connection: sqlite3.Connection) -> None:
        """
        Create the tables, and write SQLite's application id and user version, unless the file has them.

        Raises:
            sqlite3.DatabaseError: the file is another program's, or of a newer version.
        """
        # In one transaction, which sees one moment: another process may create the file between two statements.
        connection.execute("BEGIN")
        try:
            stamped = self.check(connection)
        finally:
            connection.execute("ROLLBACK")
        if connection.execute("PRAGMA journal_mode").fetchone() == ("delete",):
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {self.synchronous}")
        if not stamped:
            connection.executescript(
                f"BEGIN IMMEDIATE; {self.tables} "
                f"PRAGMA application_id = {self.application_id}; PRAGMA user_version = {self.version}; COMMIT;"
            )

    def check(self, connection: sqlite3.Connection) -> bool:
        """
        Return True if the file has the ids of this format, and False if it is empty or from driftline 0.1.

        Raises:
            sqlite3.DatabaseError: the file is another program's, or of a newer version.
        """
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if application_id == self.application_id:
            if version > self.version:
                msg = f"it is of schema {version}, this driftline knows {self.version}: a newer driftline wrote it"
                raise sqlite3.DatabaseError(msg)
            return bool(version == self.version)
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if application_id or version or not names <= self.unstamped:
            msg = "it is another program's database"
            raise sqlite3.DatabaseError(msg)
        return False


class Database:
    """
    One connection to a SQLite file, for all threads of a process.

    The connection to a file is closed before the process forks. Parent and child open new ones when they need them.
    SQLite keeps its file locks in the memory of the process, so a child with an inherited connection would assume locks
    that it does not hold. A database in memory stays in the parent, and is empty in the child.

    Args:
        path: the file, whose folder must exist. If None, the database is in memory.
        file_format: the kind of file.
        argument: the name of the user's argument, for messages.
        keep_open: if False, close the connection after each use. A deleted or replaced file is then noticed.

    Raises:
        ConfigurationError: the file cannot be opened or created, is another program's, or is of a newer version.
    """

    def __init__(
        self, path: Path | None, file_format: FileFormat, argument: str = "path", *, keep_open: bool = True
    ) -> None:
        self._path = _IN_MEMORY if path is None else os.fspath(path)
        self._format = file_format
        self._closed = False
        self._keep_open = keep_open
        self._connection: sqlite3.Connection | None = None
        # Re-entrant, because a user function that runs within a transaction may fork.
        self.lock = threading.RLock()
        with as_configuration_error(self._path, file_format, argument):
            self._connect()
        _hook_forks()
        _databases.add(self)

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """
        Acquire the lock and yield the connection. Each statement on it is a separate transaction.

        Raises:
            sqlite3.Error: the file is locked, full or gone, or this database is closed.
        """
        with self.lock:
            try:
                yield self._connection or self._connect()
            finally:
                if not self._keep_open:
                    self.disconnect()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """
        Acquire the lock and yield the connection within a transaction. Other processes cannot write meanwhile.

        Raises:
            sqlite3.Error: as for `connection`. The transaction is rolled back.
        """
        with self.connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                # SQLite rolls back by itself after some errors, such as a full disk.
                if connection is self._connection and connection.in_transaction:
                    connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the file. The database cannot be used afterwards."""
        with self.lock:
            self._closed = True
            self.disconnect()

    def disconnect(self) -> None:
        """Close the connection. The next use opens another one."""
        if self._connection is not None:
            self._finalizer()
            self._connection = None

    def before_fork(self) -> None:
        """Take the lock, so that no other thread is within a transaction, and close the connection to a file."""
        self.lock.acquire()
        if self._path != _IN_MEMORY:
            self.disconnect()

    def after_fork_in_child(self) -> None:
        """Replace the lock, which a thread of the parent may hold, and drop a database in memory."""
        self.lock = threading.RLock()
        self.disconnect()

    def _connect(self) -> sqlite3.Connection:
        """Open the file, prepare it for its format, and return the connection."""
        if self._closed:
            msg = "Cannot operate on a closed database."
            raise sqlite3.ProgrammingError(msg)
        # The lock serialises all use of the connection: threads never share a statement.
        connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        prepared = False
        try:
            _retry_while_locked(lambda: self._format.prepare(connection))
            prepared = True
        finally:
            if not prepared:
                connection.close()
        self._connection = connection
        # A discarded monitor leaves no open file. The flush at exit still needs the file.
        self._finalizer = weakref.finalize(self, connection.close)
        self._finalizer.atexit = False
        return connection


@contextmanager
def open_read_only(path: Path, file_format: FileFormat, argument: str = "path") -> Iterator[sqlite3.Connection]:
    """
    Open an existing file, yield a connection that reads one consistent state of it, and close it.

    Raises:
        ConfigurationError: there is no such file, or it has another format or version.
    """
    with as_configuration_error(path, file_format, argument):
        if not path.is_file():
            msg = "there is no such file"
            raise FileNotFoundError(msg)
        uri = f"{path.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
            connection.execute("BEGIN")
            file_format.check(connection)
            yield connection


@contextmanager
def as_configuration_error(
    path: str | os.PathLike[str], file_format: FileFormat, argument: str = "path"
) -> Iterator[None]:
    """Convert errors of SQLite and of the operating system in the block to a ConfigurationError with the path."""
    try:
        yield
    except ConfigurationError:
        raise
    except (sqlite3.Error, OSError, ValueError) as error:
        msg = f"{argument}={os.fspath(path)!r}: {error}, expected {file_format.content}, or a file that can be created"
        raise ConfigurationError(msg) from error


def _retry_while_locked(work: Callable[[], None]) -> None:
    """
    Call *work* until the file is not locked, for at most `OPEN_SECONDS`.

    SQLite's own time-out does not apply while another process creates the file and turns WAL mode on.
    """
    end = time.monotonic() + OPEN_SECONDS
    while True:
        try:
            return work()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
        time.sleep(RETRY_SECONDS)


_databases: weakref.WeakSet[Database] = weakref.WeakSet()
_locked: list[threading.RLock] = []
_hooked: list[bool] = []


def _hook_forks() -> None:
    if not _hooked and hasattr(os, "register_at_fork"):
        _hooked.append(True)
        os.register_at_fork(
            before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
        )


def _before_fork() -> None:
    for database in list(_databases):
        database.before_fork()
        _locked.append(database.lock)


def _after_fork_in_parent() -> None:
    while _locked:
        _locked.pop().release()


def _after_fork_in_child() -> None:
    _locked.clear()
    for database in list(_databases):
        database.after_fork_in_child()
