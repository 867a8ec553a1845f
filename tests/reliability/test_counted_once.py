"""Every kind of host exports each served call exactly once."""

from __future__ import annotations

import signal

import pytest

FORKING = ("fork", "pool", "pool_that_sets_up", "executor")


def compare(receiver, lines):
    """Compare the received predictions, failures, durations and rows with the ledger; return the served predictions."""
    served = sum(line["served"] for line in lines)
    failed = sum(line["failed"] for line in lines)
    assert receiver.served() == served
    assert sum(receiver.failed().values()) == failed
    assert receiver.total("ml.prediction.duration") == served + failed
    assert receiver.observations("x") == receiver.observations("channel") == served + failed
    assert receiver.total("ml.monitor.errors") == 0
    assert receiver.total("ml.monitor.rows.dropped") == 0
    assert receiver.decreases == []
    return served


@pytest.mark.parametrize(
    "scenario",
    [
        "threads",
        "cancellation",
        "generators",
        "errors",
        "spawn",
        "forkserver",
        "at_exit",
        "first_at_exit",
        "terminated",
    ],
)
def test_exports_are_exact(receiver, host, ledger, scenario):
    """The process ends normally, and its last export is complete."""
    stderr = host(scenario)
    compare(receiver, ledger())
    assert "Traceback" not in stderr


@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
@pytest.mark.parametrize("scenario", FORKING)
def test_children_of_a_fork_export_only_their_own_calls(receiver, host, ledger, scenario, temporality):
    """The parent forks in the middle of calls, drains, evaluations, collections and exports. The sum is exact."""
    stderr = host(scenario, OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=temporality)
    lines = ledger()
    compare(receiver, lines)
    assert (
        len(receiver.instances()) == len({line.get("pid", number) for number, line in enumerate(lines)})
        or "pool" in (scenario)
        or scenario == "executor"
    )
    assert "Traceback" not in stderr


@pytest.mark.parametrize("seed", ["2", "3", "4"])
def test_forks_at_other_moments(receiver, host, ledger, seed):
    """A seed chooses the moments of twelve forks."""
    host("fork", HOST_SEED=seed)
    lines = ledger()
    assert len(lines) == 13
    compare(receiver, lines)
    assert len(receiver.instances()) == 13


def test_a_killed_process_keeps_its_earlier_exports(receiver, host, ledger):
    """SIGTERM without a handler ends a process immediately. Earlier exports stay, and no count is invented."""
    host("killed", code=-signal.SIGTERM)
    sent = ledger()[0]["served"]
    assert sent <= receiver.served() <= sent + 100
    assert receiver.decreases == []


def test_daemon_threads_at_the_end_of_the_interpreter(receiver, host, ledger):
    """The interpreter ends them in the middle of a call, and the process still ends cleanly."""
    stderr = host("interrupted_threads")
    assert receiver.served() >= ledger()[0]["served"]
    assert receiver.decreases == []
    assert "Traceback" not in stderr
