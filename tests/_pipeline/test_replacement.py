"""Another reference while serving, beside derived features, seasons, detectors and outcomes."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

import driftline as dl
from driftline._pipeline.pipeline import Pipeline
from driftline._recording.durations import PIECE, DurationQueue
from driftline.testing import ManualClock, Probe, in_memory_monitor


def length(row):
    """A user function that derives a feature."""
    return float(len(row["text"]))


def texts(low, size=400):
    """Training data with a string, whose length is a derived feature."""
    random = np.random.default_rng(low)
    return {
        "text": ["x" * int(count) for count in random.integers(low, low + 20, size)],
        "amount": random.normal(low, 1.0, size),
        "fee": random.normal(low, 1.0, size),
    }


def derived(low, **options):
    """A reference of this training data."""
    return dl.Reference.fit(texts(low), derive={"length": length}, ignore=["text"], **options)


def test_derived_features_are_counted_by_the_present_reference():
    """Projections and lengths are counted in the bins of the new reference."""
    monitor = in_memory_monitor(reference=derived(1, projections=True), derive={"length": length})
    for _ in range(40):
        monitor.observe({"text": "x" * 45, "amount": 40.0, "fee": 40.0})
    other = derived(40)
    monitor.replace_reference(other)
    monitor.observe({"text": ["x" * 45] * 60, "amount": [40.0] * 60, "fee": [40.0] * 60})
    snapshot = monitor.snapshot()
    assert snapshot.fingerprint == other.fingerprint
    assert snapshot.rows == 60
    assert list(monitor.status()) == ["amount", "fee", "length"]
    inside = snapshot.counts[Probe(monitor).bins_of("length")][1:-2]
    assert inside.sum() == 60, "45 letters lie within what the new reference has seen"


@pytest.mark.parametrize(
    ("replacement", "message"),
    [
        (lambda: dl.Reference.fit({"amount": np.arange(100.0)}), r"derive=\['length'\]: expected functions named \[\]"),
        (
            lambda: dl.Reference.fit(texts(1), derive={"size": length}, ignore=["text"]),
            r"expected functions named \['size'\]",
        ),
    ],
    ids=["none", "another"],
)
def test_reference_with_other_user_functions_is_refused(replacement, message):
    """The message names the functions, and the present reference stays."""
    monitor = in_memory_monitor(reference=derived(1), derive={"length": length})
    before = monitor.reference
    with pytest.raises(dl.ConfigurationError, match=message):
        monitor.replace_reference(replacement())
    assert monitor.reference is before


def totals_of(monitor):
    """What has been counted of all calls."""
    monitor.flush()
    return Probe(monitor).totals


def served(monitor, kind):
    """Begin a call of one kind, and return a function that ends it."""
    if kind == "block":
        call = monitor.prediction({"v": 3.0})
        call.__enter__()
        return lambda: call.__exit__(None, None, None)
    if kind == "failing":
        call = monitor.prediction({"v": 3.0})
        call.__enter__()
        return lambda: call.__exit__(ValueError, ValueError(), None)
    if kind == "batch":
        call = monitor.prediction({"v": [3.0] * 5})
        call.__enter__()
        return lambda: call.__exit__(None, None, None)
    outputs = {"plain": 0.5, "odd": np.float32(0.5)}

    async def hold(features):
        await asyncio.sleep(0)
        return outputs.get(kind)

    under_way = monitor.instrument(hold)({"v": 3.0})
    under_way.send(None)

    def end():
        with pytest.raises(StopIteration):
            under_way.send(None)

    return end


WAYS = {"plain": (1, 0), "odd": (1, 0), "none": (1, 0), "block": (1, 0), "batch": (5, 0), "failing": (0, 1)}
VECTORS = np.random.default_rng(3).normal(size=(100, 3))


@pytest.mark.parametrize("kind", WAYS)
def test_call_ends_under_the_reference_it_began_under(kind):
    """A column that has become a vector is still read as a number for this call."""
    monitor = in_memory_monitor(reference=dl.Reference.fit({"v": np.arange(100.0)}))
    end = served(monitor, kind)
    monitor.replace_reference(dl.Reference.fit({"v": VECTORS}))
    end()
    monitor.observe({"v": [0.0, 1.0, 2.0]})
    assert monitor.snapshot().rows == 1
    tally = totals_of(monitor)
    assert tally.dropped == {}
    assert (tally.served - 1, sum(tally.failed.values())) == WAYS[kind]
    assert Probe(monitor).late_counts()[0].sum() == sum(WAYS[kind]), "in the bins that it began with"


@pytest.mark.parametrize("kind", WAYS)
def test_call_that_outlives_all_kept_references_is_counted(kind):
    """Its row counts as dropped."""
    monitor = in_memory_monitor(reference=dl.Reference.fit({"v": np.arange(100.0)}))
    end = served(monitor, kind)
    for turn in range(12):
        monitor.replace_reference(dl.Reference.fit({"v": np.arange(100.0) + turn}))
    end()
    tally = totals_of(monitor)
    assert tally.dropped == {"replaced": sum(WAYS[kind])}
    assert (tally.served, sum(tally.failed.values())) == WAYS[kind]


def test_batch_that_outlives_all_kept_references_is_counted():
    """Rows without a call, which were read and are not yet counted."""
    monitor = in_memory_monitor(reference=dl.Reference.fit({"v": np.arange(100.0)}))
    record, record_unreadable = (Probe(monitor).begin_batch(features) for features in ({"v": [1.0] * 50}, None))
    for _ in range(12):
        monitor.replace_reference(dl.Reference.fit({"v": np.arange(100.0)}))
    record()
    record_unreadable()
    tally = totals_of(monitor)
    assert (tally.served, tally.dropped) == (51, {"replaced": 50, "unreadable": 1})


def test_call_that_began_while_a_reference_was_learned_is_counted():
    monitor = in_memory_monitor(reference=dl.Reference.learn(rows=100))
    monitor.observe({"v": 3.0})
    end = served(monitor, "plain")
    monitor.replace_reference(dl.Reference.fit({"v": VECTORS}))
    end()
    tally = totals_of(monitor)
    assert (tally.served, tally.dropped, monitor.snapshot().rows) == (2, {}, 0)


class LastValue:
    """A stream detector that never finds a change."""

    drift_detected = False

    def update(self, value):
        """Receive a value."""


def test_discarded_learned_reference_leaves_the_detectors_alone(monkeypatch):
    """A replacement that arrives between the fit and its use decides which streams the detectors watch."""
    replacement = dl.Reference.fit({"a": np.arange(100.0), "b": np.arange(100.0)})
    on_learned = Pipeline._on_learned  # noqa: SLF001 - the instant between the fit and its use has no public name

    def replace_first(pipeline, learned):
        pipeline.replace_reference(replacement)
        on_learned(pipeline, learned)

    monkeypatch.setattr(Pipeline, "_on_learned", replace_first)
    monitor = in_memory_monitor(reference=dl.Reference.learn(rows=100), detectors={"b": LastValue()})
    for value in range(100):
        monitor.observe({"a": float(value)})
    monitor.flush()
    assert monitor.reference is replacement
    monitor.observe({"a": 1.0, "b": 2.0})
    assert monitor.status()["b (LastValue)"].reason == "LastValue found no change in 1 values"
    assert Probe(monitor).errors == {}


def test_worker_thread_pauses_after_a_replacement_too(monkeypatch, make_monitor):
    """It records the durations of many calls in small pieces, whichever recorder counted the calls."""
    monitor = make_monitor(reference=dl.Reference.fit({"v": np.arange(100.0)}), synchronous=False)
    Probe(monitor).hold_worker()
    predict = monitor.instrument(lambda features: 0.5)
    for _ in range(160):
        predict({"v": 3.0})
    monitor.replace_reference(dl.Reference.fit({"v": np.arange(50.0)}))
    most, record = [], DurationQueue.record
    monkeypatch.setattr(
        DurationQueue, "record", lambda queue, some, *, wait: (most.append(some), record(queue, some, wait=wait))
    )
    Probe(monitor).settle(pause=lambda: None)
    assert sum(most) >= 160
    assert max(most) == PIECE


def test_seasons_may_be_added_and_removed():
    """Rows are counted by the hour only under a reference with seasons. Counters add up either way."""
    hours = np.arange(0.0, 28 * 86_400.0, 600.0)
    load = np.sin(hours / 86_400.0 * 2 * np.pi) + np.random.default_rng(1).normal(0, 0.1, len(hours))
    seasonal = dl.Reference.fit({"load": load, "time": hours}, time="time", seasons=["hour"])
    plain = dl.Reference.fit({"load": load})
    wall = ManualClock(5 * 3_600.0)
    monitor = in_memory_monitor(reference=plain, wall_clock=wall, window=dl.Window(rows=500))
    for reference, bins in ((seasonal, 168), (plain, 0), (seasonal, 168)):
        monitor.observe({"load": load[:250].tolist()})
        monitor.replace_reference(reference)
        assert len(monitor.snapshot().counts) == reference.features[0].bins.size + bins
    monitor.observe({"load": load[:500].tolist()})
    assert monitor.status()["load"].rows == 500
    evidence = monitor.evidence()
    assert evidence.served == 1_250
    assert evidence.features["load"].sum() == 1_250, "both references count in the same bins"


class Sums:
    """A detector that keeps the values that it was fed."""

    fed = ()

    def __init__(self):
        self.drift_detected = False

    def __deepcopy__(self, _):
        return Sums()

    def update(self, x):
        """Remember a value."""
        Sums.fed += (x,)


def test_detectors_keep_their_column(monkeypatch):
    """Late rows of a reference with another order of columns are read in that order."""
    monkeypatch.setattr(Sums, "fed", ())
    first = dl.Reference.fit({"a": np.arange(100.0), "b": np.arange(100.0)})
    other = dl.Reference.fit({"b": np.arange(100.0), "a": np.arange(100.0)})
    monitor = in_memory_monitor(reference=first, detectors={"a": Sums()}, synchronous=False)
    Probe(monitor).hold_worker()
    monitor.observe({"a": 1.0, "b": -1.0})
    monitor.replace_reference(other)
    monitor.observe({"a": 2.0, "b": -1.0})
    monitor.flush()
    assert sorted(Sums.fed) == [1.0, 2.0]
    assert monitor.status()["a (Sums)"].rows == 2
    with pytest.raises(dl.ConfigurationError, match="detectors: 'a': no such feature"):
        monitor.replace_reference(dl.Reference.fit({"b": np.arange(100.0)}))
    assert monitor.reference is other


def test_detector_that_a_learned_reference_skipped_runs_again(monkeypatch):
    """The new reference has the feature that it watches."""
    monkeypatch.setattr(Sums, "fed", ())
    monitor = in_memory_monitor(
        reference=dl.Reference.learn(rows=100), detectors={"a": Sums()}, on_error="log", enabled=True
    )
    for turn in range(110):
        monitor.observe({"b": float(turn)})
    assert "skipped" in monitor.status()["a (Sums)"].reason
    monitor.replace_reference(dl.Reference.fit({"a": np.arange(100.0)}))
    monitor.observe({"a": 1.0})
    assert monitor.status()["a (Sums)"].rows == 1
    assert Sums.fed == (1.0,)


def test_outcomes_survive_a_replacement(training, reference, make_monitor, telemetry, row):
    """Totals stay, the window is reset, a broken limit has no state, and pending predictions are joined."""
    monitor = make_monitor(
        outcomes=dl.OutcomePolicy(limits={"accuracy": 0.9}, window=dl.Window(rows=100, every=10)), synchronous=True
    )
    for turn in range(100):
        monitor.observe(row, [0.9], prediction_ids=[turn])
        monitor.outcome(turn, False)
    monitor.observe(row, [0.9], prediction_ids=["late"])
    assert monitor.status()["prediction.accuracy"].state == "drifting"
    assert monitor.outcome_counts().bins.sum() == 100
    halved = dl.Reference.fit(training.features, predictions=training.predictions / 2, outcomes=training.outcomes)
    monitor.replace_reference(halved)
    assert "prediction.accuracy" not in monitor.status()
    assert monitor.accuracy() is None
    assert monitor.performance() == ()
    monitor.outcome("late", True)
    counts = monitor.outcome_counts()
    assert (counts.known, counts.correct, monitor.accuracy()) == (101, 1, 1.0)
    assert counts.bins.shape == (0, 2), "of two references there is no sum"
    changes = [
        attributes for _, attributes in telemetry.events() if attributes["ml.feature.name"] == "prediction.accuracy"
    ]
    assert [change["ml.feature.drift.state"] for change in changes] == ["drifting", "insufficient_data"]
    assert changes[1]["ml.drift.reason"] == "the reference was replaced"
    assert changes[1]["ml.window.length"] == "100 outcomes"


def test_outcomes_graded_for_the_previous_reference_count_in_totals(training, make_monitor, row):
    """Another thread may be between grading and adding. The new window does not have these outcomes."""
    monitor = make_monitor(synchronous=True)
    ledger = Probe(monitor).ledger
    (late,) = ledger.grade([(0.9, True), (0.8, False)])
    monitor.replace_reference(dl.Reference.fit(training.features, predictions=training.predictions * 100))
    ledger.add_grading(late, late.results)
    assert (monitor.outcome_counts().known, monitor.outcome_counts().correct) == (2, 1)
    assert monitor.outcome_counts().results == {"correct": 1, "incorrect": 1}
    assert monitor.accuracy() is None


def test_what_was_learned_about_dependence_survives_the_replacement():
    """By name and kind: features that are new, or of another kind, start afresh."""
    random = np.random.default_rng(0)
    # Each value stays for 50 rows.
    lumpy = {name: np.repeat(random.normal(size=400), 50) for name in ("a", "b")} | {"c": ["x", "y"] * 10_000}
    monitor = in_memory_monitor(reference=dl.Reference.fit(lumpy), window=dl.Window(rows=500))
    monitor.observe(lumpy)
    before = Probe(monitor).learned
    assert set(before.features) == {"a", "b", "c"}
    retrained = {"new": random.normal(size=2_000), "c": random.normal(size=2_000), "b": random.normal(9, 3, size=2_000)}
    monitor.replace_reference(dl.Reference.fit(retrained))
    after = Probe(monitor).learned
    assert after.features["b"] == before.features["b"]
    known = after.dependence(monitor.reference.watched)
    assert np.isfinite(known.factors).any(axis=(0, 2)).tolist() == [False, False, True]
    assert np.nanmax(known.factors) > 10
