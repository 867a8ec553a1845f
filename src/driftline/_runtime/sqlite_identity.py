"""`FileIdentity`: notices that a SQLite file was deleted, replaced or truncated while a connection has it open."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FileIdentity"]

WAL, SHARED_MEMORY = "-wal", "-shm"
"""Ends of the names of the files that SQLite keeps beside a database in WAL mode."""


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """
    What the operating system says about a database and the write-ahead log beside it.

    SQLite itself goes on with a file that has no name any more, and without an error: all that it then writes is lost.
    The file is never opened here, because closing it would release SQLite's locks of this process.

    Attributes:
        file: device and number of the database. None if there is no such file.
        log: device and number of the write-ahead log. None if there is no such file.
        size: bytes of the database.
    """

    file: tuple[int, int] | None
    log: tuple[int, int] | None
    size: int

    @classmethod
    def of(cls, path: str) -> FileIdentity:
        """Return the identity of the file at *path*, which may be absent."""
        file, log = _status(path), _status(_beside(path, WAL))
        return cls(_number(file), _number(log), 0 if file is None else file.st_size)

    def change(self, path: str) -> str | None:
        """
        Return what happened to the file since this identity was taken. None if it is the same file.

        Raises:
            sqlite3.DatabaseError: the file was cut off, and is damaged.
        """
        now = FileIdentity.of(path)
        if now.file is None:
            return "deleted"
        if now.file != self.file:
            return "replaced"
        if now.size == 0 < self.size:
            return "emptied"
        if now.size < self.size and not _is_sound(path):
            msg = f"{path} was cut off while in use, from {self.size} to {now.size} bytes: restore it, or move it away"
            raise sqlite3.DatabaseError(msg)
        if self.log is not None and now.log != self.log:
            return "separated from its write-ahead log"
        return None

    def leave(self, path: str, connection: sqlite3.Connection) -> None:
        """
        Prepare the connection of a file that is no longer at *path* for its end.

        SQLite would copy the write-ahead log to the file, and delete the log by its name, which may be that of a new
        file's log. A log that was left behind, or the log of a file that was emptied, must not meet a new file.
        """
        now = FileIdentity.of(path)
        if now.file == self.file and now.size:
            return  # only the log is new
        stale = [path] if now.file == self.file else []
        if now.log == self.log:
            stale += [_beside(path, WAL), _beside(path, SHARED_MEMORY)]
        for name in stale:
            with suppress(OSError):
                Path(name).unlink()
        option = getattr(sqlite3, "SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE", None)  # Python 3.12
        if option is not None:
            connection.setconfig(option, True)  # type: ignore[attr-defined,unused-ignore]  # noqa: FBT003 - of SQLite


def _beside(path: str, end: str) -> str:
    """Return the name of a file that SQLite keeps beside a database: beside the target of a symbolic link."""
    # Only the last part of the path matters. `realpath` asks for the status of each folder, for every transaction.
    target = os.path.realpath(path) if os.path.islink(path) else path  # noqa: PTH114 - without a Path, as below
    return target + end


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116 - for every transaction, without a Path
    except OSError:
        return None


def _number(status: os.stat_result | None) -> tuple[int, int] | None:
    return None if status is None else (status.st_dev, status.st_ino)


def _is_sound(path: str) -> bool:
    """Return whether SQLite finds the file sound: VACUUM of another program makes a file smaller too."""
    try:
        with closing(sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True)) as connection:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.Error:
        return False
