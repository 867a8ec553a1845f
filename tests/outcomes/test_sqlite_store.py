"""The file of outcomes: restarts, forks, kills and locks, and sharing between versions and models."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import driftline as dl
from driftline.errors import ConfigurationError
from driftline.outcomes import _joiner
from driftline.outcomes._join import Event
from driftline.outcomes._join_key import join_key
from driftline.outcomes._sqlite_store import FileStore, read_totals
from driftline.testing import Probe

JOIN = Path(__file__).parents[2] / "benchmarks" / "outcomes" / "join.py"


@pytest.fixture
def path(tmp_path):
    """The path of a file that does not exist yet."""
    return tmp_path / "outcomes.sqlite"


def serve(monitor, row, ids, score=0.9):
    monitor.observe({name: [value] * len(ids) for name, value in row.items()}, [score] * len(ids), prediction_ids=ids)


@pytest.mark.slow
def test_two_processes_and_a_kill_lose_no_count():
    """A small version of the benchmark."""
    process = subprocess.run(
        [sys.executable, str(JOIN), "--rows", "20000"], capture_output=True, text=True, timeout=300, check=False
    )
    assert process.returncode == 0, process.stdout + process.stderr
    assert "every count is exact" in process.stdout


def test_outcomes_are_joined_after_a_restart(make_monitor, path, row):
    """A later monitor has the predictions of an earlier one."""
    first = make_monitor(outcomes=path)
    serve(first, row, ["a", "b"])
    first.shutdown()
    second = make_monitor(outcomes=str(path))
    second.outcome("a", True)
    second.outcome("b", False)
    assert second.accuracy() == 0.5
    assert read_totals(path) == {("m", None, None): {"remembered": 2, "told": 2, "correct": 1, "incorrect": 1}}


def test_an_outcome_counts_for_the_version_that_predicted(make_monitor, path, row, telemetry):
    """It arrives at the monitor of another version, before or after the first one shut down."""
    old, new = (make_monitor("pair", version=version, outcomes=path) for version in ("1", "2"))
    serve(old, row, ["a", "b"])
    old.flush()
    new.outcome("a", True)
    assert new.outcome_counts().known == 0
    assert old.outcome_counts().results == {"correct": 1}
    old.shutdown()
    new.outcome("b", True)
    new.flush()
    assert telemetry.value("ml.outcomes", ml__model__version="1", ml__outcome__result="correct") == 2
    assert telemetry.value("ml.outcomes", ml__model__version="2") is None
    assert read_totals(path)[("pair", "1", None)] == {"remembered": 2, "correct": 2}


def test_models_share_a_file_and_not_their_ids(make_monitor, path, row):
    first, second = make_monitor("first", outcomes=path), make_monitor("second", outcomes=path)
    serve(first, row, ["a"])
    first.flush()
    second.outcome("a", True)
    assert second.outcome_counts().results == {"unmatched": 1}
    first.outcome("a", True)
    assert first.outcome_counts().results == {"correct": 1}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_its_own_connection(make_monitor, path, row):
    """Its counts start at zero, and it shares the records of the file."""
    monitor = make_monitor(outcomes=path, synchronous=True)
    serve(monitor, row, ["a", "b"])
    monitor.flush()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        monitor.outcome("a", True)
        os.write(writer, repr(sorted(monitor.outcome_counts().results.items())).encode())
        os._exit(0)
    os.close(writer)
    assert os.waitpid(child, 0)[1] == 0
    assert os.read(reader, 1_000) == b"[('correct', 1)]"
    os.close(reader)
    assert monitor.outcome_counts().results == {}
    monitor.outcome("a", True)
    monitor.outcome("b", True)
    assert monitor.outcome_counts().results == {"duplicate": 1, "correct": 1}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_no_connection_is_open_during_a_fork(path):
    """The child must not inherit SQLite's table of locks."""
    store = FileStore(path, "m", None, None, 10, None)
    child = os.fork()
    if child == 0:
        os._exit(int(store._database._connection is not None))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    store.apply([Event("a", False, 1, 0.0)], 0.0, lambda pairs: Counter())
    store.close()


@pytest.mark.parametrize(
    "value", [0.25, 3, True, None, "late", [1, 2], {"a": 0.1, "b": 0.9}, {True: 0.7, False: 0.3}, {}, float("inf")]
)
def test_values_keep_their_type(path, value):
    """Numbers, booleans, strings, lists, and probabilities by class with keys of any type."""
    store = FileStore(path, "m", None, None, 10, None)
    pairs = []

    def grade(joined):
        pairs.extend(joined.pairs)
        return Counter()

    store.apply([Event("a", False, value, 0.0)], 0.0, grade)
    label = 1 if value is None else value
    store.apply([Event("a", True, label, 0.0)], 0.0, grade)
    ((_, output, actual, *_),) = pairs
    assert (output, actual) == (value, label)
    assert type(output) is type(value)
    store.close()


CIRCULAR: list[object] = []
CIRCULAR.append(CIRCULAR)
DEEP: list[object] = []
for _ in range(100_000):
    DEEP = [DEEP]


class Unprintable:
    """Its string cannot be made."""

    def __str__(self):
        raise ArithmeticError


@pytest.mark.parametrize(
    "value",
    [CIRCULAR, DEEP, {"a": {(1, 2): 3}}, Unprintable(), 10**5_000],
    ids=["circular", "deep", "tuple as a key", "unprintable", "5,001 digits"],
)
def test_one_value_that_cannot_be_stored_stops_nothing(make_monitor, path, row, value, caplog, telemetry):
    """It is dropped, counted, and reported once with its type. All other events of the chunk are joined."""
    monitor = make_monitor(outcomes=path, on_error="log", synchronous=True)
    ids = list(range(600))
    for number in ids:
        monitor.outcome(number, True)
        if number in {0, 300, 599}:
            monitor.outcome(f"bad {number}", value)
    serve(monitor, row, ids)
    monitor.flush()
    assert monitor.outcome_counts().results == {"unmatched": 600, "early": 600, "correct": 600, "dropped": 3}
    assert read_totals(path)[("m", None, None)]["correct"] == 600
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="outcomes") == 3
    messages = [record.getMessage() for record in caplog.records if "cannot be kept" in record.getMessage()]
    assert len(messages) == 1
    assert f"an outcome of type {type(value).__name__} cannot be kept" in messages[0]


IDS = st.one_of(
    st.text(st.characters(), max_size=70),
    st.text(st.characters(categories=["Cs"]), min_size=1, max_size=4),
    st.integers(),
    st.integers().map(lambda exponent: 10 ** (abs(exponent) % 9_000)),
    st.floats(),
    st.binary(max_size=5),
    st.none(),
    st.booleans(),
    st.tuples(st.text(st.characters(), max_size=3), st.integers()),
)


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(IDS, st.none() | st.text(st.characters(), min_size=1, max_size=3))
def test_an_id_of_any_kind_is_joined(prediction_id, version):
    """Half surrogate pairs, NUL, long ids and numbers of any size; the same for the version."""
    with TemporaryDirectory() as folder:
        store = FileStore(Path(folder, "o.sqlite"), "m\ud83d\0", version, "\0", 10, None)
        pairs = []
        for is_outcome in (False, True):
            event = Event(join_key(prediction_id), is_outcome, 1, 0.0)
            store.apply([event], 0.0, lambda joined: pairs.extend(joined.pairs) or Counter())
        assert len(pairs) == 1
        store.close()


def test_a_rolled_back_chunk_leaves_no_number_of_its_source(path):
    """The next source that registers would get the same number."""
    first, second = (FileStore(path, "m", version, None, 10, None) for version in ("1", "2"))
    with pytest.raises(ValueError, match="Circular"):
        first.apply([Event("bad", True, CIRCULAR, 0.0)], 0.0, lambda joined: Counter())
    for store in (second, first):
        store.apply([Event(f"of {store._own_source[1]}", False, 1, 0.0)], 0.0, lambda joined: Counter())
    assert read_totals(path) == {("m", version, None): {"remembered": 1, "waiting": 1} for version in ("1", "2")}
    first.close(), second.close()


def delete(path):
    path.unlink()


def replace(path):
    FileStore(path.with_name("new"), "m", None, None, 10, None).close()
    path.with_name("new").replace(path)


def empty(path):
    path.write_bytes(b"")


@pytest.mark.skipif(os.name == "nt", reason="an open file cannot be deleted here")
@pytest.mark.parametrize("change", [delete, replace, empty])
def test_a_file_that_vanishes_is_noticed_and_made_again(make_monitor, path, row, change, caplog, telemetry):
    """What only the file held is lost. All later events are in the new file, also those of other processes."""
    monitor = make_monitor(outcomes=path, on_error="log", synchronous=True)
    other = FileStore(path, "m", None, None, 10, None)
    serve(monitor, row, ["lost", "other"])
    monitor.flush()
    other.apply([Event("other", True, True, 0.0)], 0.0, lambda joined: Counter())
    change(path)
    serve(monitor, row, ["a", "b"])
    monitor.outcome("a", True)
    monitor.outcome("lost", True)
    monitor.flush()
    assert monitor.outcome_counts().results == {"correct": 1, "unmatched": 1}
    other.apply([Event("b", True, True, 0.0)], 0.0, lambda joined: Counter())
    other.close()
    monitor.shutdown()
    assert read_totals(path)[("m", None, None)] == {"correct": 1, "unmatched": 1, "remembered": 2, "told": 3}
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="outcomes") == 1
    assert "while in use. What only it held is lost." in caplog.text


@pytest.mark.skipif(os.name == "nt", reason="an open file cannot be truncated here")
def test_a_file_that_was_cut_off_is_reported_until_it_is_moved_away(make_monitor, path, row, caplog, telemetry):
    """Its events stay pending. Nothing is written to it."""
    store = FileStore(path, "m", None, None, 10_000, None)
    store.apply([Event(f"old {number}", False, 1, 0.0) for number in range(2_000)], 0.0, lambda joined: Counter())
    store.close()
    monitor = make_monitor(outcomes=dl.OutcomePolicy(path=path, expire=None), on_error="log", synchronous=True)
    serve(monitor, row, range(500))
    monitor.flush()
    with path.open("r+b") as file:
        file.truncate(3 * 4096)
    serve(monitor, row, ["a"])
    monitor.outcome("a", True)
    monitor.flush()
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="outcomes") >= 1
    assert path.stat().st_size == 3 * 4096
    assert caplog.text.count("to 12288 bytes: restore it, or move it away") == 1
    assert monitor.outcome_counts().results == {}
    path.rename(path.with_name("damaged"))
    assert monitor.outcome_counts().results == {"correct": 1}
    monitor.shutdown()
    assert read_totals(path)[("m", None, None)] == {"correct": 1, "remembered": 1, "told": 1}


def test_numpy_values_become_plain_ones(path):
    """Any other object becomes its string."""
    store = FileStore(path, "m", None, None, 10, None)
    pairs = []
    values = {"a": np.float32(0.5), "b": np.array([1, 2]), "c": Path("x")}
    store.apply([Event(key, False, value, 0.0) for key, value in values.items()], 0.0, lambda joined: Counter())
    store.apply(
        [Event(key, True, 1, 0.0) for key in values], 0.0, lambda joined: pairs.extend(joined.pairs) or Counter()
    )
    assert [output for _, output, *_ in pairs] == [0.5, [1, 2], "x"]
    store.close()


def test_events_stay_pending_while_the_file_is_locked(make_monitor, path, row, monkeypatch):
    """Nothing raises into the application, and nothing is lost."""
    monkeypatch.setattr("driftline._runtime.sqlite.BUSY_SECONDS", 0.01)
    monitor = make_monitor(outcomes=path, on_error="log", synchronous=True)
    serve(monitor, row, ["a"])
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    monitor.outcome("a", True)
    assert monitor.outcome_counts().results == {}
    other.execute("ROLLBACK")
    other.close()
    assert monitor.outcome_counts().results == {"correct": 1}


def test_excess_events_of_a_locked_file_are_dropped_and_counted(make_monitor, path, row, monkeypatch, telemetry):
    """The oldest are dropped first, so that memory is bounded."""
    monkeypatch.setattr("driftline._runtime.sqlite.BUSY_SECONDS", 0.0)
    monkeypatch.setattr(_joiner, "MAX_EVENTS", 2_000)
    monitor = make_monitor(outcomes=path, on_error="log", synchronous=True)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    serve(monitor, row, list(range(3_000)))
    assert Probe(monitor).pending_outcomes <= 2_000
    other.execute("ROLLBACK")
    other.close()
    monitor.flush()
    dropped = telemetry.value("ml.outcomes", ml__outcome__result="dropped")
    assert dropped + read_totals(path)[("m", None, None)]["remembered"] == 3_000
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="outcomes") >= 1


def apply(store, *events, now=0.0):
    """Apply events and return the results by (source, result), and the corrections."""
    results, corrections = Counter(), []

    def grade(joined):
        corrections.extend(joined.corrections)
        return Counter((pair.source, f"joined {pair.output}") for pair in joined.pairs)

    results.update(store.apply(events, now, grade).results)
    return dict(results), corrections


@pytest.fixture
def pair(path):
    """The stores of a baseline and a candidate in one file."""
    stores = [FileStore(path, "m", version, None, 100, 1e6) for version in ("1", "2")]
    yield stores
    for store in stores:
        store.close()


def test_an_outcome_reaches_each_version_that_predicted(pair):
    """The predictions of a shadow do not replace those of its baseline. Corrections and repetitions reach both."""
    baseline, candidate = pair
    other = ("m", "1", None)
    assert apply(baseline, Event("a", False, 0.1, 0.0))[0] == {}
    assert apply(candidate, Event("a", False, 0.2, 1.0))[0] == {}
    assert apply(candidate, Event("a", True, 1, 5.0))[0] == {(other, "joined 0.1"): 1, (None, "joined 0.2"): 1}
    results, corrections = apply(candidate, Event("a", True, 0, 9.0), Event("a", True, 0, 9.0))
    assert results == {(source, result): 1 for source in (other, None) for result in ("corrected", "duplicate")}
    assert [(c.pair.source, c.pair.output, c.previous, c.pair.actual) for c in corrections] == [
        (other, 0.1, 1, 0),
        (None, 0.2, 1, 0),
    ]


def test_the_prediction_of_a_shadow_may_come_after_the_outcome(pair):
    """It is joined with the outcome that the baseline has, if it is of the same request."""
    baseline, candidate = pair
    apply(baseline, Event("a", False, 0.1, 0.0), Event("a", True, 1, 1.0))
    assert apply(candidate, Event("a", False, 0.2, 2.0))[0] == {(None, "early"): 1, (None, "joined 0.2"): 1}
    assert apply(baseline, Event("b", True, 1, 1.0))[0] == {(None, "unmatched"): 1}
    for store in pair:
        ((_, result),) = apply(store, Event("b", False, 0.3, 2.0))[0].keys() - {(None, "early")}
        assert result == "joined 0.3"


def test_an_id_that_another_version_uses_again_waits_for_its_own_outcome(pair):
    """As when customers are scored every month, by the version of that month. The outcome is no correction."""
    baseline, candidate = pair
    apply(baseline, Event("customer", False, 0.1, 0.0), Event("customer", True, 1, 10.0))
    assert apply(candidate, Event("customer", False, 0.2, 5_000.0), now=5_000.0)[0] == {}
    assert apply(baseline, Event("customer", True, 0, 5_010.0), now=5_010.0)[0] == {(("m", "2", None), "joined 0.2"): 1}


def test_records_of_all_versions_expire(pair):
    """Each counts for its own version, and the number of records stays right."""
    for number, store in enumerate(pair):
        apply(store, Event("a", False, 0.1, float(number)), Event("b", False, 0.1, float(number)))
    results, _ = apply(pair[0], now=3e6)
    assert results == {(None, "expired"): 2, (("m", "2", None), "expired"): 2}
    apply(pair[0], now=6e6)
    with sqlite3.connect(pair[0]._database._path) as connection:
        assert connection.execute("SELECT count(*) FROM record").fetchone() == (0,)
        assert dict(connection.execute("SELECT state, rows FROM size")) == dict.fromkeys(range(4), 0)
    connection.close()


def other_program(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE other (x)")
    connection.commit()
    connection.close()


def newer(path):
    FileStore(path, "m", None, None, 10, None).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda path: path.write_text("hello " * 1_000), "file is not a database, expected a file of outcomes"),
        (lambda path: path.mkdir(), "unable to open database file, expected"),
        (other_program, "it is another program's database, expected"),
        (newer, "it is of schema 99, this driftline knows 2: a newer driftline wrote it, expected"),
    ],
)
def test_a_foreign_file_is_refused(reference, path, prepare, message):
    """The monitor raises when it is made, and the file stays unchanged."""
    prepare(path)
    with pytest.raises(ConfigurationError, match=re.escape(f"outcomes={str(path)!r}: ")) as caught:
        dl.Monitor("m", reference=reference, outcomes=path, enabled=True)
    assert message in str(caught.value)


def test_a_missing_folder_is_refused(reference, tmp_path):
    """It is not created, because a misspelled path would go unnoticed."""
    with pytest.raises(
        ConfigurationError,
        match="unable to open database file, expected a file of outcomes",
    ):
        dl.Monitor("m", reference=reference, outcomes=tmp_path / "no" / "such" / "folder.sqlite", enabled=True)


@pytest.mark.parametrize("wrong_path", ["/no/such/file", 5])
def test_read_totals_refuses_a_wrong_path(wrong_path):
    """The message has the path."""
    with pytest.raises(ConfigurationError, match=re.escape(f"path={wrong_path!r}: ")):
        read_totals(wrong_path)
