"""Whatever a host is made of: what arrives through OTLP is what was served, each call once."""

from __future__ import annotations

import signal

import pytest

FORKING = ("fork", "pool", "pool_of_its_own", "executor")


def compare(receiver, lines):
    """Everything that arrived against the ledger: predictions, failures, durations, rows of every feature."""
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
def test_what_arrives_is_what_was_served(receiver, host, ledger, scenario):
    """The process ends by itself, and the last export is complete."""
    stderr = host(scenario)
    compare(receiver, ledger())
    assert "Traceback" not in stderr


@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
@pytest.mark.parametrize("scenario", FORKING)
def test_children_of_a_fork_send_their_own_and_nothing_twice(receiver, host, ledger, scenario, temporality):
    """In the middle of calls, drains, judgements, collections and exports of the parent; the sum is exact."""
    stderr = host(scenario, OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=temporality)
    lines = ledger()
    compare(receiver, lines)
    assert (
        len(receiver.instances()) == len({line.get("pid", place) for place, line in enumerate(lines)})
        or "pool" in (scenario)
        or scenario == "executor"
    )
    assert "Traceback" not in stderr


@pytest.mark.parametrize("seed", ["2", "3", "4"])
def test_forks_at_other_moments(receiver, host, ledger, seed):
    """Twelve forks each, at moments that a seed chooses."""
    host("fork", HOST_SEED=seed)
    lines = ledger()
    assert len(lines) == 13
    compare(receiver, lines)
    assert len(receiver.instances()) == 13


def test_a_process_that_is_killed_leaves_what_it_had_sent(receiver, host, ledger):
    """SIGTERM without a handler ends a process at once: what came before stands, nothing is made up."""
    host("killed", code=-signal.SIGTERM)
    sent = ledger()[0]["served"]
    assert sent <= receiver.served() <= sent + 100
    assert receiver.decreases == []


def test_daemon_threads_at_the_end_of_the_interpreter(receiver, host, ledger):
    """They are taken down in the middle of a call; the process ends cleanly all the same."""
    stderr = host("interrupted_threads")
    assert receiver.served() >= ledger()[0]["served"]
    assert receiver.decreases == []
    assert "Traceback" not in stderr
