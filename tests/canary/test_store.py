"""The file of a canary: restarts, several processes, a process that is killed."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing

import pytest

import driftline as dl
from driftline import ConfigurationError
from driftline.canary import CanaryEvidence
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


def test_a_restart_continues_the_canary(path, make_monitor, serve, quick):
    """With its evidence, its beginning, and the verdict that stands."""

    def process():
        monitors = [make_monitor("m", version=str(number), synchronous=True) for number in (1, 2)]
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
    assert verdict.state == "rollback"
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
