"""Opens SQLite files that the processes of a host share, with time-outs, transactions, versions and forks."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from driftline._runtime.sqlite_format import FileFormat, ForeignFileError
from driftline._runtime.sqlite_identity import FileIdentity
from driftline.errors import ConfigurationError

__all__ = ["Database", "FileFormat", "as_configuration_error", "is_unavailable", "open_read_only"]

_log = logging.getLogger("driftline")

BUSY_SECONDS = 1.0
"""
Seconds to wait for another process's transaction, which takes milliseconds. A caller of the host may be waiting. So
after this time the file counts as unavailable, as if its disk were full.
"""

OPEN_SECONDS = 60.0
"""
Seconds to wait while another process creates or migrates the file. This happens at configuration, when no caller waits.
A file of outcomes with a million records takes 4 s.
"""

RETRY_SECONDS = 0.01
"""Seconds between two attempts to open a file that another process creates."""

_IN_MEMORY = ":memory:"


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
        keep_open: if False, close the connection after each use.
        on_replaced: called with an exception when the file is found to have been deleted, replaced or emptied.

    Attributes:
        rolled_back: whether the last transaction was rolled back because of an exception within it.

    Raises:
        ConfigurationError: the file cannot be opened or created, is another program's, or is of a newer version.
    """

    def __init__(
        self,
        path: Path | None,
        file_format: FileFormat,
        argument: str = "path",
        *,
        keep_open: bool = True,
        on_replaced: Callable[[Exception], None] | None = None,
    ) -> None:
        self._path = _IN_MEMORY if path is None else os.fspath(path)
        self._format = file_format
        self.rolled_back = False
        self._closed = False
        self._keep_open = keep_open
        self._on_replaced = on_replaced
        self._identity: FileIdentity | None = None
        self._is_damaged = False
        self._connection: sqlite3.Connection | None = None
        # Re-entrant, because a user function that runs within a transaction may fork.
        self.lock = threading.RLock()
        with as_configuration_error(self._path, file_format, argument):
            self._check_writable(self._connect())
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
            self._leave_replaced_file()
            try:
                yield self._connection or self._connect()
            finally:
                if not self._keep_open:
                    self.disconnect()
                elif self._connection is not None and self._path != _IN_MEMORY:
                    self._identity = FileIdentity.of(self._path)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """
        Acquire the lock and yield the connection within a transaction. Other processes cannot write meanwhile.

        Raises:
            sqlite3.Error: as for `connection`. The transaction is rolled back.
        """
        with self.connection() as connection:
            try:
                # Within the block, because an interrupt may come as soon as the transaction has begun.
                connection.execute("BEGIN IMMEDIATE")
                self.rolled_back = False
                yield connection
                connection.execute("COMMIT")
            finally:
                # SQLite rolls back by itself after some errors, such as a full disk.
                if connection is self._connection and connection.in_transaction:
                    self.rolled_back = True
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
            self._connection = self._identity = None

    def before_fork(self) -> None:
        """Take the lock, so that no other thread is within a transaction, and close the connection to a file."""
        self.lock.acquire()
        if self._path != _IN_MEMORY:
            self.disconnect()

    def after_fork_in_child(self) -> None:
        """Replace the lock, which a thread of the parent may hold, and drop a database in memory."""
        self.lock = threading.RLock()
        self.disconnect()

    def _leave_replaced_file(self) -> None:
        """
        Close the connection if its file is no longer the one at the path, and report that. The next use opens another.

        Raises:
            sqlite3.DatabaseError: the file was cut off and is damaged.
        """
        if self._identity is None or self._connection is None:
            return
        try:
            change = self._identity.change(self._path)
        except sqlite3.DatabaseError as error:
            if not self._is_damaged:
                self._is_damaged = True
                _log.warning("%s. Nothing is written to it.", error)
            raise
        self._is_damaged = False
        if change is None:
            return
        self._identity.leave(self._path, self._connection)
        self.disconnect()
        msg = f"{self._path}: {self._format.content} was {change} while in use. What only it held is lost."
        _log.warning("%s A new one is used from now on.", msg)
        if self._on_replaced is not None:
            self._on_replaced(sqlite3.DatabaseError(msg))

    @staticmethod
    def _check_writable(connection: sqlite3.Connection) -> None:
        """
        Raise at configuration if the file may only be read. A file that another process writes to is fine.

        Raises:
            sqlite3.OperationalError: the file or its folder cannot be written to.
        """
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                # Of a file that may only be read, SQLite begins a transaction that only reads.
                (version,) = connection.execute("PRAGMA user_version").fetchone()
                connection.execute(f"PRAGMA user_version = {int(version)}")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise

    def _connect(self) -> sqlite3.Connection:
        """Open the file, prepare it for its format, and return the connection."""
        if self._closed:
            msg = "Cannot operate on a closed database."
            raise sqlite3.ProgrammingError(msg)
        if self._path != _IN_MEMORY:
            _refuse_foreign(Path(self._path), self._format)
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

    Neither the file nor its folder changes.

    Raises:
        ConfigurationError: there is no such file, it is empty, or it has another format or version.
    """
    with as_configuration_error(path, file_format, argument, may_be_absent=False):
        if not path.is_file():
            msg = "there is no such file" if not path.exists() else "it is no regular file"
            raise FileNotFoundError(msg)
        shared = _is_in_use(path)
        before = path.stat()
        with closing(_connect_read_only(path, shared=shared)) as connection:
            connection.execute("BEGIN")
            if file_format.state(connection) == "empty":
                msg = "it is empty"
                raise ForeignFileError(msg)
            yield connection
        after = path.stat()
        if not shared and (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
            msg = "it changed while it was read, try again"
            raise sqlite3.OperationalError(msg)


def _is_in_use(path: Path) -> bool:
    """Return whether SQLite keeps a file beside this one, with content that is not in this one yet."""
    target = path.resolve()
    return any(target.with_name(target.name + end).exists() for end in ("-wal", "-journal"))


def _connect_read_only(path: Path, *, shared: bool) -> sqlite3.Connection:
    """Return a connection that cannot write. If the file is not *shared*, it creates no file beside it either."""
    uri = f"{path.resolve().as_uri()}?mode=ro{'' if shared else '&immutable=1'}"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)


def _refuse_foreign(path: Path, file_format: FileFormat) -> None:
    """
    Raise if an existing file is not of this format, without a connection that may write.

    SQLite writes to a database when a connection closes, even if no statement has written.

    Raises:
        ForeignFileError: the file is another program's, or of a newer version.
        sqlite3.OperationalError: the path is a device, a pipe or a socket.
    """
    if not path.exists() or path.is_dir():
        return  # SQLite creates the file, or refuses the folder
    if not path.is_file():
        msg = "it is no regular file"
        raise sqlite3.OperationalError(msg)
    try:
        _look_at(path, file_format)
    except ForeignFileError:
        # Without a lock, a look may meet the moment at which another process creates the file. Two looks do not.
        _look_at(path, file_format)


def _look_at(path: Path, file_format: FileFormat) -> None:
    """
    Read the format of an existing file once, at one moment.

    Raises:
        ForeignFileError: the file is another program's, or of a newer version.
    """
    try:
        with closing(_connect_read_only(path, shared=_is_in_use(path))) as connection:
            # In one transaction: another process may create the file between two statements.
            connection.execute("BEGIN")
            file_format.state(connection)
    except ForeignFileError:
        raise
    except sqlite3.Error:
        return  # another process may be writing: `FileFormat.prepare` waits, and decides


def is_unavailable(error: BaseException) -> bool:
    """Return whether a file cannot be used at present, whatever is written. Otherwise the written values are wrong."""
    wrong_value = sqlite3.DataError, sqlite3.IntegrityError, sqlite3.InterfaceError
    return isinstance(error, (sqlite3.Error, OSError)) and not isinstance(error, wrong_value)


@contextmanager
def as_configuration_error(
    path: str | os.PathLike[str], file_format: FileFormat, argument: str = "path", *, may_be_absent: bool = True
) -> Iterator[None]:
    """
    Convert errors of SQLite and of the operating system in the block to a ConfigurationError with the path.

    Args:
        path: the file.
        file_format: its format.
        argument: the name of the user's argument.
        may_be_absent: whether an absent file is created.
    """
    try:
        yield
    except ConfigurationError:
        raise
    except (sqlite3.Error, OSError, ValueError) as error:
        expected = file_format.content + ", or a file that can be created" * may_be_absent
        msg = f"{argument}={os.fspath(path)!r}: {error}, expected {expected}"
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
        # Listed first: a lock that an interrupt comes after must be released too.
        _locked.append(database.lock)
        database.before_fork()


def _after_fork_in_parent() -> None:
    while _locked:
        with suppress(RuntimeError):  # an interrupt came before the lock was acquired
            _locked.pop().release()


def _after_fork_in_child() -> None:
    _locked.clear()
    for database in list(_databases):
        database.after_fork_in_child()
