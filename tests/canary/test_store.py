"""The file of a canary: restarts, several processes, a process that is killed."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing, suppress
from dataclasses import replace

import pytest

import driftline as dl
from driftline import ConfigurationError
from driftline.canary import CanaryEvidence
from driftline.canary._sources import decide_files
from driftline.canary._store import CanaryStore

VARIANTS = {"candidate": {"ml.model.name": "m", "ml.model.version": "2"}}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "canary.db"


def test_a_process_adds_its_row_to_those_of_others(path, variant, evidence_of):
    """Saving twice counts the own evidence once."""
    first, second = CanaryStore(path, VARIANTS), CanaryStore(path, VARIANTS)
    first.save_evidence(evidence_of(variant(10), variant(1)))
    assert second.save_evidence(evidence_of(variant(5), variant(2))).pooled()[0].calls == 15
    assert first.save_evidence(evidence_of(variant(20), variant(1))).pooled()[0].calls == 25
    assert second.save_evidence(evidence_of(variant(5), variant(2))).pooled()[1].calls == 3


def test_verdicts_stand_and_a_rollback_is_never_replaced(path):
    """A promotion is replaced by a rollback."""
    store = CanaryStore(path, VARIANTS)
    assert store.read_verdict() is None
    store.save_verdict("promote", "good")
    store.save_verdict("rollback", "bad")
    store.save_verdict("promote", "good again")
    assert CanaryStore(path, VARIANTS).read_verdict() == ("rollback", "bad")


def test_a_file_holds_one_canary(path):
    """Another candidate is rejected; a process without a candidate joins."""
    CanaryStore(path, VARIANTS)
    CanaryStore(path, {"baseline": {"ml.model.name": "m"}})
    with pytest.raises(ConfigurationError, match=r'holds a canary whose candidate is .*"2".*, expected .*"3"'):
        CanaryStore(path, {"candidate": {"ml.model.name": "m", "ml.model.version": "3"}})


@pytest.mark.parametrize("bad", [7, None])
def test_invalid_paths_are_rejected(bad):
    with pytest.raises(ConfigurationError, match=r"path=.*: expected the path of a file"):
        CanaryStore(bad, VARIANTS)


def test_files_of_another_kind_are_rejected(tmp_path):
    """A folder, a text file, a path without a folder."""
    (tmp_path / "text").write_text("no database at all, but long enough for a header" * 10, encoding="utf-8")
    for bad in (tmp_path, tmp_path / "text", tmp_path / "no" / "where.db"):
        with pytest.raises(ConfigurationError, match="expected the file of a canary, or a file that can be created"):
            CanaryStore(bad, VARIANTS)


PROCESS = """
    import os, sys
    import driftline as dl
    from driftline.testing import in_memory_monitor
    side, calls, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    reference = dl.Reference.fit({"x": [float(n) for n in range(100)]})
    monitor = in_memory_monitor("m", version={"baseline": "1", "candidate": "2"}[side], reference=reference)
    policy = dl.CanaryPolicy(
        allowed_error_increase=dl.Margin(0.02, any_harm=True), allowed_accuracy_drop=None, allowed_latency_delta=None,
        allowed_prediction_drift=None, allowed_feature_drift=None,
    )
    canary = dl.Canary(**{side: monitor}, policy=policy, path=path)
    for number in range(calls):
        try:
            with monitor.prediction({"x": 1.0}):
                if side == "candidate" and number % 10 == 0:
                    raise KeyError
        except KeyError:
            pass
        if number % 50 == 49:
            canary.verdict()
    print(canary.verdict().state, flush=True)
    if len(sys.argv) > 4:
        sys.stdin.read()
"""


def start(side, calls, path, *more):
    """Start a process that serves one variant."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROCESS), side, str(calls), str(path), *more],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
    )


def total(path):
    """Return the calls of both variants in the file."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT body FROM evidence").fetchall()
    baseline, candidate = sum((CanaryEvidence.from_json(body) for (body,) in rows), start=CanaryEvidence()).pooled()
    return baseline.calls, candidate.calls


@pytest.mark.slow
def test_four_processes_share_their_evidence_and_the_verdict(path):
    """All write and read at the same time, and no call is lost."""
    running = [start(side, 1_000, path) for side in ("baseline", "candidate") for _ in range(2)]
    states = [process.communicate(timeout=120)[0].split()[-1] for process in running]
    assert all(process.returncode == 0 for process in running)
    assert total(path) == (2_000, 2_000)
    assert "rollback" in states
    assert CanaryStore(path, {}).read_verdict()[0] == "rollback"


def test_evidence_is_saved_often_and_cheaply(path, variant, evidence_of, monkeypatch):
    """By one row of this process, at most every 0.4 s, and less often if a write takes long."""
    now, spent = [100.0], [0.0]
    monkeypatch.setattr("driftline.canary._store.time.monotonic", lambda: now[0])
    monkeypatch.setattr("driftline.canary._store.time.thread_time", lambda: spent[0])
    store, reads = CanaryStore(path, VARIANTS), []

    def read(seconds=0.001):
        reads.append(now[0])
        spent[0] += seconds
        return evidence_of(variant(len(reads)), variant(1))

    for quarter in range(400, 405):
        now[0] = quarter / 4
        store.save_if_due(read)
    assert reads == [100.0, 100.5, 101.0]
    assert total(path) == (3, 1)
    now[0] = 200.0
    store.save_if_due(lambda: read(0.1))
    now[0] = 204.9
    store.save_if_due(read)
    assert reads[-1] == 200.0
    now[0] = 205.1
    store.save_if_due(read)
    assert reads[-1] == 205.1

    def fail():
        reads.append(now[0])
        raise OSError

    now[0] = 300.0
    for _ in range(3):
        with suppress(OSError):
            store.save_if_due(fail)
        now[0] += 0.1
    assert reads[-2:] == [205.1, 300.0]
    store.new_process()
    store.save_if_due(read)
    assert reads[-1] == now[0]


@pytest.mark.slow
def test_a_killed_process_keeps_its_saved_evidence(path):
    """All ended processes share one row."""
    first = start("candidate", 500, path, "wait")
    assert first.stdout.readline()
    first.kill()
    first.wait()
    first.stdout.close(), first.stdin.close()
    for _ in range(3):
        assert start("candidate", 100, path).communicate(timeout=120)
    assert start("baseline", 300, path).communicate(timeout=120)
    assert total(path) == (300, 800)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM evidence").fetchone()[0] == 2


def test_a_restart_continues_the_canary(path, make_monitor, serve, quick, clock):
    """With its evidence, its beginning, and the verdict that stands."""

    def process():
        monitors = [make_monitor("m", version=str(number), synchronous=True, wall_clock=clock) for number in (1, 2)]
        return dl.Canary(*monitors, quick(), path=path), monitors

    canary, (baseline, candidate) = process()
    serve(baseline, 100)
    serve(candidate, 100)
    assert canary.verdict().state == "inconclusive"
    began = canary._collector.began
    canary, (baseline, candidate) = process()
    assert canary._collector.began == began
    serve(baseline, 400)
    serve(candidate, 400, failed=200)
    verdict = canary.verdict()
    assert verdict.state == "rollback", verdict.reason
    assert verdict.criteria[0].rows == 500
    canary, (_, candidate) = process()
    serve(candidate, 2_000)
    again = canary.verdict()
    assert (again.state, again.reason) == ("rollback", verdict.reason)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_the_child_of_a_fork_has_its_own_row(path, pair, serve):
    canary = dl.Canary(*pair, path=path)
    serve(pair[1], 10)
    canary.verdict()
    child = os.fork()
    if child == 0:
        serve(pair[1], 3)
        canary.verdict()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    serve(pair[1], 1)
    canary.verdict()
    assert total(path) == (0, 14)


def test_without_the_file_a_process_uses_its_own_evidence(path, make_monitor, serve, telemetry):
    """The error is counted."""
    monitors = [make_monitor("m", version=str(number), synchronous=True, on_error="log") for number in (1, 2)]
    canary = dl.Canary(*monitors, path=path)
    serve(monitors[1], 5)
    for name in path.parent.iterdir():
        name.unlink()
    path.mkdir()
    assert canary.verdict().state == "inconclusive"
    assert canary.evidence().pooled()[1].calls == 5
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="canary") > 0


def test_the_file_holds_counts_as_json(path, variant, evidence_of):
    """It holds no values of features."""
    CanaryStore(path, VARIANTS).save_evidence(evidence_of(variant(3), variant(4)))
    with closing(sqlite3.connect(path)) as connection:
        (body,) = connection.execute("SELECT body FROM evidence").fetchone()
    assert json.loads(body)["strata"][0]["baseline"]["served"] == 3


def test_evidence_of_a_process_is_refused_twice(tmp_path, pair, serve):
    """Also as part of a sum. Without ids, as in older files, it adds up."""
    canary = dl.Canary(*pair, dl.CanaryPolicy())
    serve(pair[1], 30)
    own = canary.evidence()
    assert len(own.sources) == 1
    other = replace(own, sources=frozenset({"other"}))
    assert own.shared_sources(other) == frozenset()
    assert (own + other).sources == own.sources | other.sources
    texts = {
        "own": own,
        "copy": own,
        "sum": own + other,
        "other": other,
        "old": replace(own, sources=frozenset()),
    }
    files = {}
    for name, evidence in texts.items():
        files[name] = str(tmp_path / f"{name}.json")
        (tmp_path / f"{name}.json").write_text(evidence.to_json(), encoding="utf-8")
    assert CanaryEvidence.from_json(own.to_json()).sources == own.sources
    for pair_of_names in (("own", "copy"), ("own", "own"), ("sum", "other"), ("other", "old", "sum")):
        with pytest.raises(ConfigurationError, match=r"calls of a process that .* has too, so they would count twice"):
            decide_files([files[name] for name in pair_of_names], dl.CanaryPolicy())
    for names in (("own", "other", "old"), ("old", "old"), ("sum", "old")):
        assert decide_files([files[name] for name in names], dl.CanaryPolicy()).state == "inconclusive"


def test_the_child_of_a_fork_is_another_source(pair, path):
    canary = dl.Canary(*pair, path=path)
    before = canary.evidence().sources
    canary.restart()
    assert not canary._collector.read().sources & before
    assert canary.evidence().sources > before


def test_evidence_of_four_processes_equals_that_of_one(path, make_monitor, clock, row):
    """Tables by time and key included, to the last digit."""
    reference = make_monitor("m").reference

    def start():
        options = {"synchronous": True, "clock": clock, "wall_clock": clock, "reference": reference}
        monitors = [make_monitor("m", version=str(number), **options) for number in (1, 2)]
        canary = dl.Canary(*monitors, dl.CanaryPolicy(warm_up=None), share=0.5, path=path)
        return canary, [monitor.instrument(lambda features: features["age"] / 100) for monitor in monitors]

    processes = [start() for _ in range(4)]
    single_monitors = [
        make_monitor("m", version=str(n), synchronous=True, clock=clock, wall_clock=clock, reference=reference)
        for n in (1, 2)
    ]
    whole = dl.Canary(*single_monitors, dl.CanaryPolicy(warm_up=None), share=0.5)
    single = [monitor.instrument(lambda features: features["age"] / 100) for monitor in single_monitors]
    for number in range(600):
        canary, functions = processes[number % 4]
        features = {**row, "age": float(number % 90)}
        side = ["baseline", "candidate"].index(canary.route(f"user {number % 37}"))
        functions[side](features)
        whole.route(f"user {number % 37}")
        single[side](features)
        clock.now += 0.25 * (number % 7)
    merged, expected = processes[0][0].evidence(), whole.evidence()
    for canary, _ in processes:
        merged = canary.evidence()
    assert len(merged.sources) == 4
    for mine, other in zip(merged.pooled(), expected.pooled(), strict=True):
        summed, single_tables = mine.call_tables, other.call_tables
        assert (mine.calls, mine.served) == (other.calls, other.served)
        assert summed.keys.tolist() == single_tables.keys.tolist()
        level = max(summed.calls.level, single_tables.calls.level)
        assert summed.calls.at_level(level).trimmed().counts.tolist() == (
            single_tables.calls.at_level(level).trimmed().counts.tolist()
        )
        assert summed.bins.keys() == single_tables.bins.keys()
        for name, counts in summed.bins.items():
            assert counts.total().tolist() == single_tables.bins[name].total().tolist()
            assert (
                counts.total().tolist() == (mine.predictions if name == "prediction" else mine.features[name]).tolist()
            )
