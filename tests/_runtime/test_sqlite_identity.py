"""The identity of a SQLite file and of the write-ahead log beside it, however the path leads to them."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

import pytest

from driftline._runtime.sqlite_identity import FileIdentity


@pytest.fixture
def connection(tmp_path):
    """A connection to a file in WAL mode, whose log is in use."""
    (tmp_path / "real").mkdir()
    with closing(sqlite3.connect(tmp_path / "real" / "notes.sqlite")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE note (text TEXT)")
        connection.commit()
        yield connection


@pytest.mark.usefixtures("connection")
def test_links_lead_to_the_same_file_and_log(tmp_path, monkeypatch):
    """SQLite keeps the log beside the target of a link. A link to a folder leads to both by itself."""
    target = tmp_path / "real" / "notes.sqlite"
    identity = FileIdentity.of(str(target))
    assert identity.file is not None
    assert identity.log is not None
    try:
        (tmp_path / "link.sqlite").symlink_to("real/notes.sqlite")
        (tmp_path / "link to link.sqlite").symlink_to("link.sqlite")
        (tmp_path / "folder").symlink_to("real")
    except OSError:
        pytest.skip("this account may not make links")
    monkeypatch.chdir(tmp_path)
    for path in ("link.sqlite", "link to link.sqlite", "folder/notes.sqlite", "real/notes.sqlite"):
        assert FileIdentity.of(path) == FileIdentity.of(str(tmp_path / path)) == identity


def test_only_links_are_resolved(connection, tmp_path, monkeypatch):
    """Resolving a path asks for the status of each of its folders, for every transaction."""
    monkeypatch.setattr(os.path, "realpath", None)
    target = str(tmp_path / "real" / "notes.sqlite")
    identity = FileIdentity.of(target)
    connection.execute("INSERT INTO note VALUES ('a')")
    connection.commit()
    assert identity.change(target) is None
