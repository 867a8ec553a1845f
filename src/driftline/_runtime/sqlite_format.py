"""`FileFormat` recognises a kind of SQLite file by its ids, or by its tables, and creates its tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

__all__ = ["FileFormat", "ForeignFileError", "storable"]

State: TypeAlias = Literal["current", "older", "empty"]
"""What a file holds: this version of the format, an earlier one, or nothing at all."""


class ForeignFileError(sqlite3.DatabaseError):
    """The file is another program's database, another kind of file of driftline, or of a newer version."""


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
            is opened. Its tables must have the columns that *unstamped_tables* creates.
        unstamped_tables: SQL statements that create these tables. If empty, *tables* does.
        synchronous: ``PRAGMA synchronous``. "NORMAL" is faster, and a power failure may lose the last transactions.
        migrations: for each earlier version, SQL statements that turn a file of it into one of the next version.
    """

    content: str
    application_id: int
    version: int
    tables: str
    unstamped: frozenset[str] = frozenset()
    unstamped_tables: str = ""
    synchronous: Literal["FULL", "NORMAL"] = "FULL"
    migrations: Mapping[int, str] = field(default_factory=dict)

    def prepare(self, connection: sqlite3.Connection) -> None:
        """
        Create the tables, and write SQLite's application id and user version, unless the file has them.

        Raises:
            ForeignFileError: the file is another program's, or of a newer version.
        """
        # In one transaction, which sees one moment: another process may create the file between two statements.
        connection.execute("BEGIN")
        try:
            state = self.state(connection)
        finally:
            connection.execute("ROLLBACK")
        if connection.execute("PRAGMA journal_mode").fetchone() == ("delete",):
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {self.synchronous}")
        if state != "current":
            connection.execute("BEGIN IMMEDIATE")
            try:
                self._write(connection)
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def _write(self, connection: sqlite3.Connection) -> None:
        """Create or migrate the tables within a transaction. Another process may have done so meanwhile."""
        state = self.state(connection)
        if state == "current":
            return
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        steps = [self.migrations.get(number, "") for number in range(version, self.version)]
        for statement in ";".join([*(steps if state == "older" else ()), self.tables]).split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {self.application_id}")
        connection.execute(f"PRAGMA user_version = {self.version}")

    def state(self, connection: sqlite3.Connection) -> State:
        """
        Return "current" if the file has the ids of this format, "older" if an earlier driftline wrote it, or "empty".

        Raises:
            ForeignFileError: the file is another program's, or of a newer version.
        """
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if application_id == self.application_id:
            if version > self.version:
                msg = f"it is of schema {version}, this driftline knows {self.version}: a newer driftline wrote it"
                raise ForeignFileError(msg)
            return "current" if version == self.version else "older"
        if not (application_id or version):
            objects = connection.execute("SELECT type, tbl_name FROM sqlite_master").fetchall()
            if not objects:
                return "empty"
            kinds, names = ({row[column] for row in objects} for column in (0, 1))
            # Names such as "requests" are common in databases of other programs, so the columns decide too.
            if kinds <= {"table", "index"} and names <= self.unstamped and self._has_own_columns(connection, names):
                return "older"
        msg = "it is another program's database"
        raise ForeignFileError(msg)

    def _has_own_columns(self, connection: sqlite3.Connection, names: set[str]) -> bool:
        """Return whether the tables *names* have the columns that driftline 0.1 created."""
        with closing(sqlite3.connect(":memory:")) as own:
            own.executescript(self.unstamped_tables or self.tables)
            return all(_columns(own, name) == _columns(connection, name) for name in names)


def _columns(connection: sqlite3.Connection, table: str) -> list[tuple[str, str, int]]:
    """Return (name, type, part of the primary key) of each column of a table."""
    query = "SELECT name, type, pk FROM pragma_table_info(?)"
    return [(str(name), str(kind).upper(), int(key)) for name, kind, key in connection.execute(query, (table,))]


def storable(text: str) -> str:
    r"""
    Return a string that SQLite can store and compare: without NUL, and without half a surrogate pair.

    >>> print(storable("caf\xe9 \ud83d \0"))
    café \ud83d \x00
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", r"\x00")
