"""A reference is replaced while a host serves."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from otlp_receiver import eventually
from served import EXPECTED, ROWS, serve

import driftline as dl
from driftline.testing import Probe


def other_reference(names=("x", "channel"), low=0.0):
    """Return another reference, with different cuts and possibly different features."""
    random = np.random.default_rng(6)
    kinds = {"x": random.normal(low + 50.0, 20.0, 1_000), "channel": random.choice(["web", "shop"], 1_000).tolist()}
    columns = {name: kinds.get(name, random.random(1_000)) for name in names}
    return dl.Reference.fit(columns, predictions=random.random(1_000))


@pytest.mark.parametrize("names", [("x", "channel"), ("channel", "x"), ("x",), ("x", "new", "channel")], ids="+".join)
def test_replacing_a_reference_while_serving_loses_nothing(receiver, sending, make, names):
    """Threads serve meanwhile. No row is lost, counted twice, or read in the order of another reference."""
    monitor = make(sending(receiver))
    results, rounds, threads = [], 30, 4
    running = [threading.Thread(target=lambda: results.append(serve(monitor, ROWS * rounds))) for _ in range(threads)]
    for thread in running:
        thread.start()
    for turn in range(12):
        time.sleep(0.03)
        monitor.replace_reference(other_reference(names if turn % 2 == 0 else ("x", "channel"), float(turn)))
    for thread in running:
        thread.join()
    assert results == [EXPECTED * rounds] * threads
    served = threads * rounds * len(ROWS)
    assert eventually(receiver.served, served) == served
    assert eventually(lambda: receiver.total("ml.prediction.duration"), served) == served
    dropped = receiver.total("ml.monitor.rows.dropped", ml__monitor__reason="replaced")
    assert receiver.observations("x") == served - dropped
    assert dropped <= 12 * threads
    assert receiver.decreases == []


def test_a_replacement_resets_states_and_keeps_counters(receiver, sending, make):
    """States and windows are reset, with an event. Counters continue. Different bins are different series."""
    monitor = make(sending(receiver))
    for _ in range(100):
        monitor.observe({"x": [1_000.0], "channel": ["web"]}, [0.5])
    assert monitor.status()["x"].state == "drifting"
    before = monitor.reference.fingerprint
    replacement = other_reference()
    monitor.replace_reference(replacement)
    assert monitor.reference is replacement
    assert monitor.status()["x"] == dl.FeatureStatus("insufficient_data", None, None, 0, "no window yet")
    assert monitor.snapshot().rows == 0
    assert serve(monitor) == EXPECTED
    assert eventually(receiver.served, 100 + len(ROWS)) == 100 + len(ROWS)
    assert eventually(lambda: receiver.observations("x"), 100 + len(ROWS)) == 100 + len(ROWS)
    old = receiver.total("ml.feature.observations", ml__feature__name="x", ml__reference__fingerprint=before)
    new = receiver.total(
        "ml.feature.observations", ml__feature__name="x", ml__reference__fingerprint=replacement.fingerprint
    )
    assert (old, new) == (100, len(ROWS))
    changes = [
        attributes["ml.drift.reason"]
        for name, attributes in receiver.events
        if name == "ml.feature.drift.state_changed" and attributes["ml.feature.drift.previous_state"] == "drifting"
    ]
    assert eventually(lambda: "the reference was replaced" in str(receiver.events), True), changes


def test_a_restored_reference_continues_its_series(receiver, sending, make, reference_file):
    """Counts of the same bins add up."""
    monitor = make(sending(receiver))
    serve(monitor)
    monitor.replace_reference(other_reference())
    serve(monitor)
    monitor.replace_reference(reference_file)
    serve(monitor)
    fingerprint = monitor.reference.fingerprint
    assert eventually(lambda: receiver.observations("x"), 3 * len(ROWS)) == 3 * len(ROWS)
    counted = receiver.total("ml.feature.observations", ml__feature__name="x", ml__reference__fingerprint=fingerprint)
    assert counted == 2 * len(ROWS)
    assert receiver.decreases == []


def test_old_references_are_merged_into_totals(receiver, sending, make):
    """At most eight replaced references are kept, and the sums stay."""
    monitor = make(sending(receiver), export_bins=False)
    for turn in range(20):
        serve(monitor, ROWS[:50])
        monitor.replace_reference(other_reference(low=float(turn)))
    serve(monitor, ROWS[:50])
    assert eventually(receiver.served, 21 * 50) == 21 * 50
    assert Probe(monitor).retired_references <= 8


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (dl.Reference.learn(), "expected a Reference or the path of one"),
        (3, "expected a Reference, the path of one"),
        ("no/such/file", "cannot be read"),
    ],
    ids=["learn", "number", "absent"],
)
def test_an_invalid_replacement_raises(make, argument, message):
    """The present reference stays."""
    monitor = make({})
    before = monitor.reference
    with pytest.raises(dl.DriftlineError, match=message):
        monitor.replace_reference(argument)
    assert monitor.reference is before


def test_a_replacement_ends_the_learning(receiver, sending, make):
    """Rows before the replacement are counted, and compared with no reference."""
    monitor = make(sending(receiver), reference=dl.Reference.learn(rows=1_000))
    assert serve(monitor) == EXPECTED
    monitor.replace_reference(other_reference())
    assert serve(monitor) == EXPECTED
    assert eventually(receiver.served, 2 * len(ROWS)) == 2 * len(ROWS)
    assert eventually(lambda: receiver.observations("x"), len(ROWS)) == len(ROWS)


def test_a_canary_reports_different_bins(make):
    """Predictions over different bins are not compared. With equal bins the verdict is available again."""
    baseline, candidate = make({}, version="1"), make({}, version="2")
    canary = dl.Canary(
        baseline, candidate, dl.ThresholdPolicy(min_accuracy=None, allowed_latency_delta=None, min_rows=100)
    )
    serve(baseline), serve(candidate)
    assert canary.verdict().state == "promote"
    baseline.replace_reference(other_reference())
    serve(baseline), serve(candidate)
    verdict = canary.verdict()
    assert verdict.state == "inconclusive"
    assert "predictions over different bins" in verdict.reason
    candidate.replace_reference(baseline.reference)
    serve(baseline), serve(candidate)
    assert canary.verdict().state == "promote"
