"""Tests of the SQLite files: opening, waiting, forks, transactions, versions, and files that driftline 0.1 wrote."""

from __future__ import annotations

import gc
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from driftline._runtime import sqlite
from driftline._runtime.sqlite import Database, FileFormat, open_read_only
from driftline.canary import CanaryEvidence
from driftline.canary import _store as canary_store
from driftline.canary._store import CanaryStore
from driftline.errors import ConfigurationError
from driftline.outcomes import _sqlite_store as outcome_store
from driftline.outcomes import read_totals
from driftline.outcomes._join import Event
from driftline.outcomes._sqlite_store import FileStore
from driftline.retraining import RetrainingQueue, RetrainingRequest
from driftline.retraining import _queue as retraining_queue

DATA = Path(__file__).parents[1] / "data" / "0.1"
"""Files that driftline 0.1 wrote: a queue, outcomes, and a canary of two processes, of which one had ended."""

NOTES = FileFormat(
    "the file of notes",
    application_id=77,
    version=2,
    tables="CREATE TABLE IF NOT EXISTS note (text TEXT);",
    unstamped=frozenset({"note"}),
)

CANDIDATE = {"candidate": {"ml.model.name": "flights", "ml.model.version": "4"}}

STORES = {
    "canary": (canary_store.FORMAT, lambda path: CanaryStore(path, CANDIDATE)._database),
    "outcomes": (outcome_store.FORMAT, lambda path: FileStore(path, "flights", "3", None, 100, None)._database),
    "queue": (retraining_queue.FORMAT, lambda path: RetrainingQueue(path)._database),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "notes.sqlite"


@pytest.fixture
def database(path):
    with closing(Database(path, NOTES)) as database:
        yield database


def texts(database):
    with database.connection() as connection:
        return [text for (text,) in connection.execute("SELECT text FROM note ORDER BY rowid")]


def add(database, text, error=None):
    with database.transaction() as connection:
        connection.execute("INSERT INTO note VALUES (?)", (text,))
        if error is not None:
            raise error


def ids(path):
    """The ids that are stamped on a file."""
    with closing(sqlite3.connect(path)) as connection:
        names = ("application_id", "user_version")
        return tuple(connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names)


def old_file(name, folder):
    """A copy of a file that driftline 0.1 wrote."""
    return Path(shutil.copy(DATA / f"{name}.sqlite", folder))


def test_new_file_gets_its_ids_and_wal(database, path):
    assert ids(path) == (77, 2)
    with database.connection() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_transaction_commits_or_rolls_back(database):
    """An interrupt rolls back too."""
    add(database, "kept")
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error):
            add(database, "lost", error)
    add(database, "kept too")
    assert texts(database) == ["kept", "kept too"]


def test_transaction_raises_when_another_process_holds_the_file(database, path, monkeypatch):
    """It waits for `BUSY_SECONDS` only, and works again later."""
    database.disconnect()
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.01)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            add(database, "too early")
    add(database, "later")
    assert texts(database) == ["later"]


def test_a_file_that_may_only_be_read_is_refused_at_configuration(database, path, monkeypatch):
    """A file that another process holds is not."""
    add(database, "kept")
    database.close()
    connect = sqlite3.connect
    with closing(connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.01)
        Database(path, NOTES).close()

    def connect_read_only(target, **options):
        target = target if options.get("uri") else f"{path.as_uri()}?mode=ro"
        return connect(target, **{**options, "uri": True})

    monkeypatch.setattr(sqlite3, "connect", connect_read_only)
    with pytest.raises(ConfigurationError, match="readonly database, expected the file of notes"):
        Database(path, NOTES)


def test_threads_share_the_connection(database):
    threads = [threading.Thread(target=lambda: [add(database, str(number)) for number in range(20)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(texts(database)) == 160


def test_processes_create_one_file_together(path):
    """Each waits until the file is complete."""
    script = (
        "import sys; from driftline.retraining import RetrainingQueue; sys.stdin.read(1);"
        "print(RetrainingQueue(sys.argv[1]).pending())"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", script, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert [process.communicate("go")[0].strip() for process in processes] == ["()"] * 4


def test_a_file_that_another_process_creates_during_the_check_is_no_foreign_file(path):
    """The ids and the tables are read at one moment: else the old ids could be seen beside the new tables."""

    class Interrupted(sqlite3.Connection):
        """Lets another process create the file once, between the readings of its two ids."""

        def execute(self, sql, *parameters):
            if sql == "PRAGMA user_version" and not created:
                created.append(threading.Thread(target=lambda: Database(path, NOTES).close()))
                created[0].start()
                created[0].join(0.3)
            return super().execute(sql, *parameters)

    created = []
    with closing(sqlite3.connect(path, isolation_level=None, factory=Interrupted)) as connection:
        NOTES.prepare(connection)
    created[0].join()
    assert ids(path) == (77, 2)


@pytest.mark.parametrize("state", ["empty", "closed", "open"])
def test_the_first_look_at_a_file_that_another_process_creates_finds_no_foreign_file(path, state, monkeypatch):
    """That look comes before the lock of a writer, so its readings of the two ids must be of one moment too."""
    looks = []

    class Interrupted(sqlite3.Connection):
        """Lets another process create the file once, before the reading of the second id."""

        def execute(self, sql, *parameters):
            if sql == "PRAGMA user_version" and not looks:
                looks.append(sql)
                Database(path, NOTES).close()
            return super().execute(sql, *parameters)

    def connect(path, *, shared):
        uri = f"{path.resolve().as_uri()}?mode=ro{'' if shared else '&immutable=1'}"
        return sqlite3.connect(uri, uri=True, isolation_level=None, factory=Interrupted)

    monkeypatch.setattr(sqlite, "_connect_read_only", connect)
    path.touch()
    with closing(sqlite3.connect(path)) as other:
        if state != "empty":
            assert other.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
            assert other.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
            assert path.with_name(path.name + "-wal").exists()
        if state == "closed":
            other.close()
        with closing(Database(path, NOTES)) as database, database.connection():
            assert looks
    assert ids(path) == (77, 2)


def test_closed_database_cannot_be_used(database):
    database.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        texts(database)


def test_discarded_database_closes_its_file(path):
    database = Database(path, NOTES)
    with database.connection() as connection:
        pass
    del database
    gc.collect()
    with pytest.raises(sqlite3.ProgrammingError):
        connection.execute("SELECT 1")


def test_database_without_keep_open_notices_a_deleted_file(path):
    """The next use creates it again; a folder in its place raises."""
    database = Database(path, NOTES, keep_open=False)
    add(database, "before")
    path.unlink()
    assert texts(database) == []
    path.unlink()
    path.mkdir()
    with pytest.raises(sqlite3.OperationalError):
        texts(database)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
@pytest.mark.parametrize("in_memory", [False, True])
def test_fork_gives_each_process_its_own_connection(tmp_path, in_memory):
    """In a process without threads. A file is shared; a database in memory stays with the parent."""
    script = (
        "import os, sys; from pathlib import Path; from driftline._runtime.sqlite import Database, FileFormat\n"
        "notes = FileFormat('notes', 77, 2, 'CREATE TABLE IF NOT EXISTS note (text TEXT);')\n"
        "database = Database(Path(sys.argv[1]) if sys.argv[1] else None, notes)\n"
        "def run(statement):\n"
        "    with database.connection() as connection: return connection.execute(statement).fetchall()\n"
        "run(\"INSERT INTO note VALUES ('parent')\"); child = os.fork()\n"
        "if not child:\n"
        "    before = len(run('SELECT * FROM note')); run(\"INSERT INTO note VALUES ('child')\"); os._exit(before)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), run('SELECT text FROM note'))\n"
    )
    path = "" if in_memory else tmp_path / "notes.sqlite"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, path], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert done.stdout.strip() == ("0 [('parent',)]" if in_memory else "1 [('parent',), ('child',)]")


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
def test_fork_waits_for_a_transaction_of_another_thread(database):
    """The child gets no half of a transaction, and the lock works in both processes."""
    entered, go_on = threading.Event(), threading.Event()

    def write():
        with database.transaction() as connection:
            connection.execute("INSERT INTO note VALUES ('first')")
            entered.set()
            go_on.wait(30)
            connection.execute("INSERT INTO note VALUES ('second')")

    thread = threading.Thread(target=write)
    thread.start()
    entered.wait(30)
    timer = threading.Timer(0.1, go_on.set)
    timer.start()
    child = os.fork()
    if not child:
        os._exit(len(texts(database)))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
    thread.join()
    timer.join()
    assert texts(database) == ["first", "second"]


FOREIGN = {
    "another program": "PRAGMA application_id = 5",
    "another table": "CREATE TABLE other (text TEXT)",
    "a table of requests": "CREATE TABLE requests (id TEXT PRIMARY KEY, url TEXT)",
    "a table of evidence": "CREATE TABLE evidence (process TEXT); CREATE TABLE standing (what TEXT)",
    "a view": "CREATE VIEW evidence AS SELECT 1",
    "in WAL mode": "PRAGMA journal_mode = WAL; CREATE TABLE customer (name TEXT)",
    "another version": "PRAGMA user_version = 3",
}
"""SQL statements that make a database of another program."""


@pytest.mark.parametrize("name", STORES)
def test_store_refuses_a_newer_version(name, tmp_path):
    """The message names the file and both versions, and the file stays unchanged."""
    file_format, open_store = STORES[name]
    path = tmp_path / "newer.sqlite"
    open_store(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {file_format.version + 1}")
    expected = (
        f"={str(path)!r}: it is of schema {file_format.version + 1}, this driftline knows {file_format.version}: "
        f"a newer driftline wrote it, expected {file_format.content}"
    )
    with pytest.raises(ConfigurationError, match=re.escape(expected)):
        open_store(path)
    assert ids(path) == (file_format.application_id, file_format.version + 1)


@pytest.mark.parametrize("name", STORES)
@pytest.mark.parametrize("other", [*STORES, *FOREIGN])
def test_store_refuses_files_of_another_kind(name, other, tmp_path):
    """A file of another store, or of another program, stays unchanged."""
    path = tmp_path / "other.sqlite"
    if other in STORES:
        STORES[other][1](path).close()
    else:
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(FOREIGN[other])
    before = path.read_bytes()
    if other == name:
        STORES[name][1](path).close()
        return
    with pytest.raises(ConfigurationError, match="it is another program's database"):
        STORES[name][1](path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this platform has no pipes in folders")
@pytest.mark.parametrize("name", STORES)
def test_store_refuses_a_pipe_and_a_device(name, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path(os.devnull)):
        with pytest.raises(ConfigurationError, match="it is no regular file"):
            STORES[name][1](path)


@pytest.mark.parametrize("name", STORES)
def test_store_accepts_an_empty_file(name, tmp_path):
    """Such as `tempfile` makes; nothing in it is another program's."""
    path = tmp_path / "empty.sqlite"
    path.touch()
    STORES[name][1](path).close()
    assert ids(path)[0] == STORES[name][0].application_id


def test_unnoticed_by_sqlite_a_queue_is_deleted(tmp_path, caplog):
    """A request goes to a new file, and the log says so."""
    queue = RetrainingQueue(tmp_path / "queue.sqlite")
    request = RetrainingRequest("a1", "m", None, "drift", "carrier: category '\ud83d'", (), 1.5e9)
    assert queue.put(request)
    (tmp_path / "queue.sqlite").unlink()
    assert queue.put(request)
    queue.close()
    assert "was deleted while in use" in caplog.text
    (pending,) = RetrainingQueue(tmp_path / "queue.sqlite").pending()
    assert pending.detail == r"carrier: category '\ud83d'"


@pytest.mark.parametrize("name", STORES)
def test_file_of_0_1_gets_its_ids(name, tmp_path):
    """Files of outcomes had ids already. Opening a file again changes nothing."""
    file_format, open_store = STORES[name]
    path = old_file(name, tmp_path)
    assert ids(path) == ((file_format.application_id, 1) if name == "outcomes" else (0, 0))
    for _ in range(2):
        open_store(path).close()
        assert ids(path) == (file_format.application_id, file_format.version)


def test_queue_of_0_1_keeps_its_requests(tmp_path):
    queue = RetrainingQueue(old_file("queue", tmp_path))
    (request,) = queue.pending()
    assert replace(request, history=()) == RetrainingRequest(
        "a1", "flights", "3", "drift", "departure delay moved up", ("delay", "carrier"), 1.5e9
    )
    assert [each.state for each in request.history] == ["requested"]
    assert queue.sizes("flights", None)["acknowledged"] == 1
    assert queue.acknowledge("a1")
    queue.close()


def test_outcomes_of_0_1_keep_their_records(tmp_path):
    """Totals, a pending prediction, and an outcome that came before its prediction are there."""
    path = old_file("outcomes", tmp_path)
    assert read_totals(path) == {
        ("flights", "3", None): {"correct": 1, "unmatched": 1, "remembered": 2, "told": 2, "waiting": 1}
    }
    store, pairs = FileStore(path, "flights", "3", None, 100, None), []
    events = [Event("p2", True, "on time", 1.7e9), Event("p3", False, 0.8, 1.7e9)]
    store.apply(events, 1.7e9, lambda joined: pairs.extend(joined.pairs) or Counter())
    assert [(output, actual) for _, output, actual, *_ in pairs] == [("late", "on time"), (0.8, True)]
    store.close()


def test_canary_of_0_1_keeps_its_evidence_and_verdict(tmp_path):
    store = CanaryStore(old_file("canary", tmp_path), CANDIDATE)
    assert store.began == 1.5e9
    assert store.read_verdict() == ("promote", "every criterion is within its margin")
    baseline, candidate = store.save_evidence(CanaryEvidence()).pooled()
    assert (baseline.served, baseline.failed, candidate.served, candidate.failed) == (300, 3, 30, 1)
    store._database.close()


def test_open_read_only_yields_one_moment(database, path):
    """It sees no row that is added meanwhile, and cannot write."""
    add(database, "before")
    with open_read_only(path, NOTES) as connection:
        assert connection.execute("SELECT count(*) FROM note").fetchone() == (1,)
        add(database, "meanwhile")
        assert connection.execute("SELECT count(*) FROM note").fetchone() == (1,)
        connection.execute("ROLLBACK")
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute("INSERT INTO note VALUES ('no')")


def test_open_read_only_changes_nothing(tmp_path):
    """Neither the file of 0.1 nor its folder, which SQLite would leave two more files in."""
    path = old_file("canary", tmp_path)
    before = path.read_bytes()
    with open_read_only(path, canary_store.FORMAT) as connection:
        assert connection.execute("SELECT count(*) FROM evidence").fetchone() == (2,)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_open_read_only_refuses_missing_and_foreign_files(tmp_path):
    empty = tmp_path / "empty.sqlite"
    empty.touch()
    for path, expected in [
        (tmp_path / "missing.sqlite", "there is no such file"),
        (empty, "it is empty"),
        (tmp_path, "it is no regular file"),
        (old_file("queue", tmp_path), "it is another program's database"),
    ]:
        message = re.escape(f"path={str(path)!r}: {expected}, expected the file of notes")
        with pytest.raises(ConfigurationError, match=message), open_read_only(path, NOTES):
            pass


def test_an_older_file_is_migrated_once_and_as_a_whole(path):
    """A failure in the middle changes nothing. Of several threads that open the file, one migrates it."""
    old = FileFormat("notes", 0x6E6F7465, 1, "CREATE TABLE IF NOT EXISTS note (text)")
    step = "ALTER TABLE note ADD COLUMN author; INSERT INTO note VALUES ('migrated', 'me')"
    new = replace(old, version=2, tables="CREATE TABLE IF NOT EXISTS note (text, author)", migrations={1: step})
    Database(path, old).close()
    with pytest.raises(ConfigurationError, match="no such table: absent"):
        Database(path, replace(new, migrations={1: f"{step}; DROP TABLE absent"}))
    with open_read_only(path, old) as connection:
        assert connection.execute("SELECT * FROM note").fetchall() == []
    databases = []
    threads = [threading.Thread(target=lambda: databases.append(Database(path, new))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(databases) == 4
    with databases[0].connection() as connection:
        assert connection.execute("SELECT * FROM note").fetchall() == [("migrated", "me")]
    for database in databases:
        database.close()
    with pytest.raises(ConfigurationError, match="it is of schema 2, this driftline knows 1"):
        Database(path, old)
