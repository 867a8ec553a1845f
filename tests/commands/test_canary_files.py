"""`driftline canary` with files that are damaged, of another program, or being written: no exit code is a verdict."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from driftline._runtime import sqlite
from driftline.canary import CanaryEvidence
from driftline.canary._store import CanaryStore
from driftline.cli import main
from driftline.outcomes._sqlite_store import FileStore
from driftline.retraining import RetrainingQueue

DATA = Path(__file__).parents[1] / "data" / "0.1"
MODEL = ["--model", "m", "--version", "2"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["promote", "rollback", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["state", "reason"]), inner),
)


def damaged(change):
    """Return the file of a canary of 0.1 with some bytes replaced."""
    start, data = change
    content = bytearray((DATA / "canary.sqlite").read_bytes())
    content[start : start + len(data)] = data
    return bytes(content)


@pytest.mark.parametrize(
    "body",
    [
        '["foo","bar"]',
        "null",
        "[]",
        '["promote"]',
        '["promote", 1]',
        '{"promote": ""}',
        "[" * 100_000,
        "",
        "promote",
        "1",
    ],
)
def test_a_damaged_decision(body, tmp_path, capsys):
    path = tmp_path / "canary.db"
    CanaryStore(path, {})
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO standing VALUES ('verdict', ?)", (body,))
    assert main(["canary", "--path", str(path)]) == 3
    assert "is damaged" in capsys.readouterr().err


def customers(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE customer (name TEXT)")


OTHER_FILES = {
    "customers": customers,
    "outcomes": lambda path: FileStore(path, "m", None, None, 10, None).close(),
    "queue": lambda path: RetrainingQueue(path).close(),
    "empty": lambda path: path.touch(),
    "text": lambda path: path.write_text("hello" * 1_000, encoding="utf-8"),
    "folder": lambda path: path.mkdir(),
    "absent": lambda path: None,
}


@pytest.mark.parametrize("name", OTHER_FILES)
def test_a_file_that_is_none_of_a_canary(name, tmp_path, capsys):
    """It stays as it is, and gets no neighbours."""
    path = tmp_path / "other.db"
    OTHER_FILES[name](path)
    before = path.read_bytes() if path.is_file() else None
    assert main(["canary", "--path", str(path)]) == 3
    assert "expected the file of a canary" in capsys.readouterr().err
    assert (path.read_bytes() if path.is_file() else None) == before
    assert [file.name for file in tmp_path.iterdir()] == ["other.db"] * (name != "absent")


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.binary(max_size=300)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.tuples(st.integers(0, 20_000), st.binary(min_size=1, max_size=40)).map(damaged)
)
def test_no_file_is_a_verdict_by_accident(tmp_path, content):
    """Neither as evidence, nor as a policy, nor as the file of a canary, though it may be a damaged one."""
    path = tmp_path / "file"
    path.write_bytes(content)
    for arguments in (["--evidence", path], ["--evidence", DATA / "evidence.json", "--policy", path]):
        assert main(["canary", *map(str, arguments)]) in {2, 3}
    code = main(["canary", "--path", str(path)])
    assert code in {2, 3} or (code == 0 and b'["promote"' in content)
    assert path.read_bytes() == content


def test_a_file_that_is_written_to_is_read_later(tmp_path, monkeypatch, capsys):
    """With `--wait`; else the code is 3."""
    path = tmp_path / "canary.db"
    CanaryStore(path, {}).save_verdict("promote", "good")
    errors = [sqlite3.OperationalError("database is locked"), sqlite3.OperationalError("database is locked"), None]

    def connect(file, *, shared):
        if error := errors.pop(0):
            raise error
        return connect_read_only(file, shared=shared)

    connect_read_only = sqlite._connect_read_only  # noqa: SLF001 - to let it fail
    monkeypatch.setattr(sqlite, "_connect_read_only", connect)
    assert main(["canary", "--path", str(path)]) == 3
    assert main(["canary", "--path", str(path), "--wait", "--interval", "1ms"]) == 0


def test_a_file_of_0_1_is_read_as_it_is(tmp_path, capsys):
    path = Path(shutil.copy(DATA / "canary.sqlite", tmp_path))
    before = path.read_bytes()
    assert main(["canary", "--path", str(path)]) == 0
    assert capsys.readouterr().out == "promote: every criterion is within its margin\n"
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["", "null", "[" * 100_000, "[[" + "[]," * 100_000, '{"schema_version": 9}', "[1]"])
@pytest.mark.parametrize("argument", ["--evidence", "--policy"])
def test_damaged_evidence_and_policies(text, argument, tmp_path, capsys):
    file, whole = tmp_path / "bad.json", tmp_path / "evidence.json"
    file.write_text(text, encoding="utf-8")
    whole.write_text(CanaryEvidence().to_json(), encoding="utf-8")
    arguments = [file] if argument == "--evidence" else [whole, "--policy", file]
    assert main(["canary", "--evidence", *map(str, arguments)]) == 3
    assert str(file) in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this platform has no pipes in folders")
def test_pipes_and_devices(tmp_path, capsys, monkeypatch):
    """A pipe that a command writes to is read; others end in time."""
    monkeypatch.setattr("driftline.canary._sources.PIPE_SECONDS", 0.2)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero"), tmp_path):
        assert main(["canary", "--evidence", str(path)]) == 3
        assert str(path) in capsys.readouterr().err
    monkeypatch.setattr("driftline.canary._sources.PIPE_SECONDS", 10.0)
    thread = threading.Thread(target=lambda: pipe.write_text(CanaryEvidence().to_json(), encoding="utf-8"))
    thread.start()
    assert main(["canary", "--evidence", str(pipe)]) == 2
    thread.join()
