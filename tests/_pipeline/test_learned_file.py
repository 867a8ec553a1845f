"""The file of what was learned about dependence: written in one step, merged, and ignored if it is none."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import driftline as dl
from driftline._pipeline import learned_file
from driftline._pipeline.learned_file import CONTENT, MAX_OTHERS, LearnedFile, LearnedFileError
from driftline._runtime.file_lock import lock_file
from driftline._significance.clusters import ROW_SIZE
from driftline._significance.components import PARTS
from driftline._significance.learned import FeatureDependence, Learned
from driftline.testing import Probe, in_memory_monitor


def feature(freedom=10.0, kind="numeric", factor=2.5):
    """The dependence of a feature at two lengths. One part is unknown."""
    factors = np.full((2, PARTS), factor)
    factors[:, 4] = np.nan
    return FeatureDependence(kind, np.array([31.25, 62.5]), np.array([freedom, freedom / 2]), factors, np.ones(2))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "m.learned.json"


@pytest.fixture
def file(path):
    return LearnedFile(path, "m")


def test_what_is_written_is_read_again(file, path):
    learned = Learned(
        {"x": feature(), "größe\ud800": feature(kind="categorical"), "prediction": feature(1e-3, factor=0.0)}
    )
    assert file.read() == Learned({})
    file.update(learned)
    assert file.read() == learned
    before = path.read_bytes()
    file.update(learned)
    assert path.read_bytes() == before


def test_the_file_keeps_what_rests_on_more_evidence(file):
    file.update(Learned({"a": feature(100.0), "b": feature(1.0)}))
    file.update(Learned({"a": feature(10.0), "b": feature(10.0), "c": feature(3.0)}))
    assert {name: each.freedom[0] for name, each in file.read().features.items()} == {"a": 100.0, "b": 10.0, "c": 3.0}


def test_writing_again_and_again_changes_nothing(file):
    """Neither by rounding nor by adding up."""
    file.update(Learned({"x": feature(1234.56789, factor=1 / 3)}))
    first = file.read()
    assert first.features["x"].factors[0, 0] == 0.3333
    for _ in range(5):
        file.update(first)
        file.update(Learned({"x": feature(1234.56789, factor=1 / 3)}))
    assert file.read() == first


def test_features_of_other_versions_are_kept_up_to_a_limit(file, path, monkeypatch):
    file.update(Learned({f"old{number}": feature() for number in range(MAX_OTHERS + 5)}))
    file.update(Learned({"x": feature()}))
    names = list(file.read().features)
    assert len(names) == MAX_OTHERS + 1
    assert "x" in names
    assert "old0" not in names
    monkeypatch.setattr(learned_file, "MAX_FILE_BYTES", 50_000)
    with pytest.raises(LearnedFileError, match="bytes, expected at most 50000"):
        LearnedFile(path.with_name("b.json"), "m").update(Learned({f"x{n}": feature() for n in range(400)}))


def document(**changes):
    """A valid document with changes."""
    entry = {
        "name": "x",
        "kind": "numeric",
        "lengths": [10, 20],
        "freedom": [9, 4],
        "factors": [[1.0] * PARTS, [None] * PARTS],
        "directions": [1.0, 1.0],
    }
    whole = {"content": CONTENT, "schema_version": 1, "model": "m", "features": [entry]}
    for key, value in changes.items():
        (whole if key in whole else entry)[key] = value
    return json.dumps(whole)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("secret, 12\n", "expected JSON"),
        ('{"secret": 1}', "expected a file that driftline wrote"),
        ("[]", "expected a file that driftline wrote"),
        (document(schema_version=2), "a newer driftline wrote this document"),
        (document(schema_version=0), "schema_version is 0, expected 1"),
        (document(model="other"), "model is 'other', expected 'm': each model needs its own file"),
        (document(kind="word"), r"features\[0\].kind is 'word'"),
        (document(lengths=[20, 10]), r"features\[0\].lengths"),
        (document(lengths=[]), r"features\[0\].lengths"),
        (document(freedom=[9]), r"freedom is an array of 1, expected 2 items, one for each length"),
        (document(freedom=[9, 0]), r"freedom\[1\] is 0, expected a positive number"),
        (document(factors=[[-1.0] * PARTS] * 2), r"factors\[0\]\[0\] is -1.0"),
        (document(factors=[[1e300] * PARTS] * 2), r"factors\[0\]\[0\] is 1e\+300"),
        (document(directions=["a", 1]), r"directions\[0\] is 'a'"),
        (document()[:-5], "expected JSON"),
        ("\x00" * 100, "expected JSON"),
        ("[" * 100_000, "expected"),
    ],
)
def test_a_file_that_is_none_is_left_alone(path, file, text, message):
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LearnedFileError, match=message) as error:
        file.read()
    assert "secret" not in str(error.value)
    with pytest.raises(LearnedFileError, match=message):
        file.update(Learned({"x": feature()}))
    assert path.read_text(encoding="utf-8") == text


def test_the_valid_document_of_these_tests_is_read(path, file):
    path.write_text(document(), encoding="utf-8")
    assert list(file.read().features) == ["x"]


def test_a_file_of_other_bytes_is_not_quoted(path, file):
    path.write_bytes(b"\xff\xfesecret")
    with pytest.raises(LearnedFileError, match=r"cannot be read: UnicodeDecodeError$"):
        file.read()


def test_an_empty_file_is_a_new_one(path, file):
    path.touch()
    assert file.read() == Learned({})
    file.update(Learned({"x": feature()}))
    assert list(file.read().features) == ["x"]


@pytest.mark.skipif(os.name == "nt", reason="links and modes of POSIX")
def test_a_link_stays_a_link_and_the_mode_stays(tmp_path, file, path):
    target = tmp_path / "data" / "target.json"
    target.parent.mkdir()
    path.symlink_to(target)
    file.update(Learned({"x": feature()}))
    target.chmod(0o600)
    file.update(Learned({"y": feature()}))
    assert path.is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert set(file.read().features) == {"x", "y"}
    path.unlink()
    path.symlink_to(path)
    for use in (file.read, lambda: file.update(Learned({}))):
        with pytest.raises(LearnedFileError, match="Too many levels"):
            use()


def test_a_locked_file_is_not_written(path, file, monkeypatch):
    pytest.importorskip("fcntl")
    monkeypatch.setattr(learned_file, "LOCK_SECONDS", 0.02)
    with lock_file(path, 0.0), pytest.raises(LearnedFileError, match="another process keeps it locked"):
        file.update(Learned({"x": feature()}))


# --- a monitor with a file -------------------------------------------------------------------------------------------

RANDOM = np.random.default_rng(0)
LUMPY = {"x": np.repeat(RANDOM.normal(size=400), 50), "word": np.repeat(RANDOM.choice(["a", "b"], 400), 50)}
"""Each value stays for 50 rows."""

SHUFFLED = dl.Reference.fit({name: RANDOM.permutation(column) for name, column in LUMPY.items()})


def monitor_with(path, reference=SHUFFLED, **options):
    """A monitor of such traffic with a file."""
    return in_memory_monitor("m", reference=reference, window=dl.Window(rows=500), learned_path=path, **options)


def test_the_next_process_starts_with_what_was_learned(path):
    first = monitor_with(path)
    first.observe(LUMPY)
    first.shutdown()
    rounded = LearnedFile(path, "m").read()
    assert set(rounded.features) == {"x", "word"}
    other_bins = dl.Reference.fit({"new": RANDOM.normal(size=900), "x": RANDOM.normal(5, 3, 900)})
    second = monitor_with(path, other_bins)
    assert Probe(second).learned == rounded
    known = Probe(second).learned.dependence(other_bins.watched)
    assert np.nanmax(known.factors[:, 1]) > 10
    assert np.isnan(known.factors[:, 0]).all()


def test_a_monitor_that_learned_nothing_writes_nothing(path):
    monitor = monitor_with(path)
    monitor.flush()
    monitor.shutdown()
    assert not path.exists()


def test_a_disabled_monitor_reads_and_writes_nothing(path):
    path.write_text("no such file", encoding="utf-8")
    monitor = monitor_with(path, enabled=False)
    monitor.observe(LUMPY)
    monitor.shutdown()
    assert Probe(monitor).errors == {}


def test_a_rule_that_needs_no_dependence_writes_nothing(path):
    monitor = monitor_with(path, rule=dl.Thresholds(psi=0.2))
    monitor.observe(LUMPY)
    monitor.shutdown()
    assert not path.exists()


@pytest.mark.parametrize(
    "content", ["damaged", document(model="other"), document(schema_version=9), SHUFFLED.to_json()]
)
def test_a_file_that_cannot_be_used_is_reported_once(path, content, caplog):
    """Also with ``on_error="raise"``: the monitor learns afresh, and the file stays as it is."""
    path.write_text(content, encoding="utf-8")
    monitor = monitor_with(path)
    monitor.observe(LUMPY)
    monitor.flush()
    monitor.shutdown()
    assert Probe(monitor).errors == {"learned": 1}
    (line,) = [record.getMessage() for record in caplog.records if "learned_path=" in record.getMessage()]
    assert f"learned_path={path}: " in line
    assert path.read_text(encoding="utf-8") == content


@pytest.mark.parametrize("value", [3, b"file", object(), ["a"]])
def test_a_path_of_a_wrong_type_raises(value):
    with pytest.raises(dl.ConfigurationError, match="learned_path="):
        monitor_with(value)


def test_the_path_of_a_folder_raises(tmp_path):
    with pytest.raises(dl.ConfigurationError, match=r"learned_path=.*expected the path of a file, not of a folder"):
        monitor_with(tmp_path)


def test_a_folder_that_is_absent_is_reported(tmp_path):
    monitor = monitor_with(tmp_path / "absent" / "m.json")
    monitor.observe(LUMPY)
    monitor.flush()
    assert Probe(monitor).errors == {"learned": 1}


def test_the_file_is_written_now_and_then(path, monkeypatch):
    """And not in each round."""
    now = [0.0]
    monkeypatch.setattr("driftline._pipeline.kept_dependence.time.monotonic", lambda: now[0])
    monitor = monitor_with(path)
    half = {name: column[:10_000] for name, column in LUMPY.items()}
    monitor.observe(half)
    monitor.status()
    assert not path.exists()
    now[0] = 61.0
    monitor.status()
    first = path.read_bytes()
    monitor.observe(half)
    monitor.status()
    assert path.read_bytes() == first
    now[0] = 10_000.0
    monitor.status()
    assert path.read_bytes() != first
    written = path.stat().st_mtime_ns
    monitor.flush()
    assert path.stat().st_mtime_ns == written, "nothing was learned since"


def test_what_earlier_references_showed_is_written_too(path):
    monitor = monitor_with(path)
    monitor.observe(LUMPY)
    monitor.replace_reference(dl.Reference.fit({"y": LUMPY["x"]}))
    monitor.observe({"y": LUMPY["x"]})
    monitor.shutdown()
    assert set(LearnedFile(path, "m").read().features) == {"x", "word", "y"}


def test_no_value_of_a_row_is_in_the_file(path):
    """Names of features, and numbers that are no values."""
    words = np.array(["first.person@example.com", "4242-4242-4242"])[RANDOM.integers(0, 2, 20_000)]
    numbers = RANDOM.choice([271_828.25, 314_159.5], 20_000)
    columns = {"word": words, "number": numbers}
    monitor = monitor_with(path, dl.Reference.fit(columns))
    monitor.observe(columns)
    monitor.shutdown()
    text = path.read_text(encoding="utf-8")
    assert "number" in text
    for secret in ("person", "4242", "271828", "314159"):
        assert secret not in text


# --- real processes --------------------------------------------------------------------------------------------------

WORKER = """
    import sys, time
    import numpy as np
    import driftline as dl
    from driftline._pipeline import kept_dependence
    from driftline.testing import Probe
    kept_dependence.SAVE_SECONDS = kept_dependence.SAVE_FACTOR = 0.01
    seed = int(sys.argv[2])
    random = np.random.default_rng(seed)
    reference = dl.Reference.fit({"x": random.normal(size=2_000)})
    monitor = dl.Monitor("m", reference=reference, window=dl.Window(rows=500), learned_path=sys.argv[1])
    predict = monitor.instrument(lambda features: None)
    print("serving", flush=True)
    while not STOP:
        monitor.observe({"x": np.repeat(random.normal(size=10), 50)})
        time.sleep(0.005)
    monitor.shutdown()
    print(Probe(monitor).errors, Probe(monitor).learned.features["x"].evidence, flush=True)
"""


def start(path, seed, stop):
    """Start a worker. *stop* is code of the condition under which it ends."""
    code = textwrap.dedent(WORKER).replace("STOP", stop)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-c", code, str(path), str(seed)], env=environment, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.slow
@pytest.mark.system
def test_workers_that_share_a_file_lose_nothing_and_count_nothing_twice(path):
    """The file ends with the evidence of the worker that has most, although others are killed while they write."""
    workers = [start(path, seed, "Probe(monitor).totals.rows >= 20_000") for seed in range(3)]
    killed = [start(path, seed, "False") for seed in range(3, 5)]
    for number, worker in enumerate(killed):
        assert worker.stdout.readline() == "serving\n"
        if number:
            while not path.exists():
                assert worker.poll() is None
        worker.kill()
        worker.communicate()
    lines = [worker.communicate(timeout=120)[0].splitlines() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    evidence = []
    for _, line in lines:
        errors, _, own = line.rpartition(" ")
        assert errors == "{}"
        evidence.append(float(own))
    assert LearnedFile(path, "m").read().features["x"].evidence == pytest.approx(max(evidence))
    assert [each.name for each in path.parent.iterdir() if not each.name.startswith(".driftline-")] == [path.name]


@pytest.mark.system
def test_a_full_disk_leaves_the_file_as_it_was(path):
    """A limit on the size of files stands for the disk."""
    resource = pytest.importorskip("resource")
    first = monitor_with(path)
    first.observe({name: column[:2_000] for name, column in LUMPY.items()})
    first.shutdown()
    before = path.read_bytes()
    child = os.fork()
    if child == 0:  # pragma: no cover - in the child
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        monitor = monitor_with(path)
        monitor.observe(LUMPY)
        monitor.flush()
        os._exit(0 if Probe(monitor).errors == {"learned": 1} else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to_is_reported(path):
    Path(path.parent).chmod(0o500)
    monitor = monitor_with(path)
    monitor.observe(LUMPY)
    monitor.flush()
    Path(path.parent).chmod(0o700)
    assert Probe(monitor).errors == {"learned": 1}


@pytest.mark.system
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_the_child_of_a_fork_starts_from_the_file(path):
    monitor = monitor_with(path)
    monitor.observe(LUMPY)
    monitor.flush()
    saved = LearnedFile(path, "m").read()
    successor = monitor_with(path)
    successor.observe(LUMPY)
    child = os.fork()
    if child == 0:  # pragma: no cover - in the child
        learned = Probe(successor).learned
        os._exit(0 if learned == saved else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def keyed_monitor(path, reference):
    """A monitor that learns from keys, and begins with what the file has."""
    return in_memory_monitor(
        "m",
        reference=reference,
        cluster="user",
        window=dl.Window(rows=1_000),
        rule=dl.FalseAlarms(1, every="1h"),
        distances=(),
        learned_path=path,
    )


def keyed_rows(random, rows):
    """Rows of users, half of whose variance lies between users."""
    user = random.integers(0, 200, rows)
    return {"x": random.normal(size=200)[user] + random.normal(size=rows), "user": user}


def test_what_keys_show_survives_a_restart(path):
    random = np.random.default_rng(0)
    reference = dl.Reference.fit({"x": random.normal(0.0, 2**0.5, size=20_000)})
    monitor = keyed_monitor(path, reference)
    for _ in range(20):
        monitor.observe(keyed_rows(random, 1_000))
    before = Probe(monitor).learned.features["x"]
    monitor.shutdown()
    assert before.keys is not None
    restarted = keyed_monitor(path, reference)
    after = Probe(restarted).learned.features["x"]
    assert after.keys is not None
    # The correlation is the same, and counts for less.
    assert after.keys[0] / after.keys[PARTS] == pytest.approx(before.keys[0] / before.keys[PARTS], rel=0.01)
    restarted.observe(keyed_rows(random, 1_000))
    assert restarted.status()["x"].state != "drifting"
    restarted.shutdown()


def test_what_is_known_of_keys_is_written_and_read_again(file):
    keys = np.linspace(-1.0, 2.0, ROW_SIZE)
    keys[PARTS:] = np.abs(keys[PARTS:])
    learned = Learned({"x": replace(feature(), keys=keys), "y": feature()})
    file.update(learned)
    assert file.read() == learned
    # A process without keys knows more of the blocks, and does not delete them.
    file.update(Learned({"x": feature(100.0)}))
    read = file.read().features["x"]
    assert read.freedom[0] == 100.0
    assert np.array_equal(read.keys, keys)


def test_damaged_keys_are_refused(file, path):
    file.update(Learned({"x": replace(feature(), keys=np.ones(ROW_SIZE))}))
    document = json.loads(path.read_text())
    document["features"][0]["keys"][-1] = -1.0
    path.write_text(json.dumps(document))
    with pytest.raises(LearnedFileError, match="no negative numbers"):
        file.read()
