"""Tests of `RetrainingPolicy`: what one window says, and the rule of the lesson."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftline import ConfigurationError, FeatureStatus
from driftline.oneshot import DriftReport, enqueue_retraining_tasks, should_trigger_retraining
from driftline.outcomes import Performance
from driftline.retraining import RetrainingPolicy, RetrainingQueue, RetrainingSituation

STABLE = FeatureStatus("stable", 0.5, 0.0, 500, "as the reference")
DRIFTING = FeatureStatus("drifting", 1e-9, 0.4, 500, "age: median 40 to 50")
UNKNOWN = FeatureStatus("insufficient_data", None, None, 5, "5 rows, needs 200")


def reasons_of(policy, **situation):
    """The reasons for which one window speaks for retraining."""
    return [each.reason for each in policy.assess(RetrainingSituation(at=1.0, **situation)).evidence]


def accuracy(value, lower, upper, rows=1_000):
    return Performance("accuracy", value, lower, upper, rows)


def test_drift_speaks_for_retraining_by_default_and_a_point_estimate_does_not():
    """Nor does latency, which a new model does not change."""
    policy = RetrainingPolicy()
    assert reasons_of(policy, status={"age": DRIFTING}) == ["drift"]
    assert reasons_of(policy, status={"age": STABLE, "carrier": UNKNOWN}) == []
    assert reasons_of(policy, accuracy=accuracy(0.1, 0.05, 0.2), latency=60.0) == []
    assert reasons_of(policy, limits={"prediction.accuracy": DRIFTING, "prediction.recall": STABLE}) == ["accuracy"]
    assert reasons_of(RetrainingPolicy(limits=False), limits={"prediction.accuracy": DRIFTING}) == []


@pytest.mark.parametrize(
    ("value", "lower", "upper", "rows", "crossed"),
    [
        (0.70, 0.68, 0.72, 2_000, True),
        (0.76, 0.74, 0.78, 2_000, False),  # the interval ends at the limit
        (0.76, 0.745, 0.775, 2_000, False),  # it ends below, but would not if it were wider
        (0.0, 0.0, 0.97, 1, False),  # the first outcome, wrong
        (0.0, 0.0, 0.16, 20, False),  # too few
        (0.0, 0.0, 0.11, 30, True),
        (math.nan, math.nan, math.nan, 500, False),
    ],
)
def test_accuracy_is_low_with_its_whole_interval(value, lower, upper, rows, crossed):
    policy = RetrainingPolicy(min_accuracy=0.78)
    assert bool(reasons_of(policy, accuracy=accuracy(value, lower, upper, rows))) is crossed
    estimated = RetrainingPolicy(min_estimated_accuracy=0.78)
    assert reasons_of(estimated, accuracy=accuracy(value, lower, upper, rows)) == []
    if rows >= 30:
        assert bool(reasons_of(estimated, estimated=accuracy(value, lower, upper, rows))) is crossed


def test_evidence_has_figures_and_words():
    policy = RetrainingPolicy(min_accuracy=0.78, max_latency=0.5)
    situation = RetrainingSituation(
        at=1.0, status={"age": DRIFTING}, accuracy=accuracy(0.7, 0.68, 0.72), latency=2.0, reference="f", window="1h"
    )
    drift, low, slow = policy.assess(situation).evidence
    assert (drift.name, drift.value, drift.p_value, drift.rows, drift.words) == ("age", 0.4, 1e-9, 500, DRIFTING.reason)
    assert (low.value, low.lower, low.upper, low.limit, low.rows) == (0.7, 0.68, 0.72, 0.78, 1_000)
    assert low.words == "accuracy 70.00% (68.00% to 72.00%, n = 1000) below 78.00%"
    assert (slow.value, slow.limit, slow.words) == (2.0, 0.5, "median latency 2 s above 0.5 s")


@pytest.mark.parametrize(
    ("min_drifting", "drifting", "expected"), [(1, 0, False), (1, 1, True), (3, 2, False), (3, 3, True)]
)
def test_enough_features_must_drift(min_drifting, drifting, expected):
    status = {f"f{index}": DRIFTING for index in range(drifting)} | {"stable": STABLE, "unknown": UNKNOWN}
    assert bool(reasons_of(RetrainingPolicy(min_drifting=min_drifting), status=status)) is expected
    assert reasons_of(RetrainingPolicy(min_drifting=None), status=status) == []


def test_only_some_features_count():
    policy = RetrainingPolicy(features={"age"})
    assert reasons_of(policy, status={"age": STABLE, "carrier": DRIFTING}) == []
    assert reasons_of(policy, status={"age": DRIFTING, "carrier": DRIFTING}) == ["drift"]


def test_features_count_by_their_importance():
    """From the user or from the model. The most important one is named first; a detector counts as its feature."""
    model = SimpleNamespace(feature_importances_=np.array([2.0, 7.0, 1.0]), feature_names_in_=["age", "delay", "x"])
    for importance in ({"age": 2, "delay": 7, "x": 1}, model):
        policy = RetrainingPolicy(importance=importance, min_importance=0.3)
        assert policy.importance == {"age": 0.2, "delay": 0.7, "x": 0.1}
        assert reasons_of(policy, status={"age": DRIFTING, "unknown": DRIFTING}) == []
        assert reasons_of(policy, status={"age": DRIFTING, "x": DRIFTING}) == ["drift"] * 2
        assert reasons_of(policy, status={"delay (ADWIN)": DRIFTING}) == ["drift"]
        situation = RetrainingSituation(at=1.0, status={"x": DRIFTING, "age": DRIFTING, "delay": DRIFTING})
        assert [each.name for each in policy.assess(situation).evidence] == ["delay", "age", "x"]
    linear = SimpleNamespace(coef_=np.array([[1.0, -3.0], [1.0, 3.0]]), feature_names_in_=["a", "b"])
    assert RetrainingPolicy(importance=linear).importance == {"a": 0.25, "b": 0.75}


def test_guardrails_give_reasons():
    """A sentence is evidence, and one that raises is an error."""

    def broken(_):
        msg = "no database"
        raise OSError(msg)

    policy = RetrainingPolicy(
        guardrails={"revenue": lambda each: f"{each.latency:g} per hour", "ok": lambda _: None, "broken": broken}
    )
    assessment = policy.assess(RetrainingSituation(at=1.0, latency=12.0))
    assert [(each.reason, each.name, each.words) for each in assessment.evidence] == [
        ("guardrail", "revenue", "revenue: 12 per hour")
    ]
    assert [str(error) for error in assessment.errors] == ["no database"]


def test_the_interface_of_0_1_returns_one_request():
    """It has all reasons. Accuracy counts as exact."""
    policy = RetrainingPolicy(min_accuracy=0.78, max_latency=0.5)
    (request,) = policy.requests("m", "3", {"age": DRIFTING}, 0.5, 2.0)
    assert [each.reason for each in request.evidence] == ["drift", "accuracy", "latency"]
    assert (request.model, request.version, request.reason, request.features) == ("m", "3", "drift", ("age",))
    assert (request.id, request.ordinal) == ("", 0)
    assert policy.requests("m", "3", {"age": STABLE}, 0.78, 0.5) == ()
    assert policy.requests("m", "3", {}, None, None) == ()
    assert RetrainingPolicy(max_latency=math.inf).requests("m", "3", {}, None, 1e9) == ()


def numbers(low, high):
    special = st.sampled_from([0.78, 0.5, math.nan, math.inf, -math.inf])
    return st.one_of(st.floats(low, high), special)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 5), st.booleans()), max_size=5), numbers(0, 1), numbers(0, 2), st.booleans())
def test_the_lesson_is_the_lesson(features, accuracy_value, latency, known):
    """`RetrainingPolicy.lesson()` is `should_trigger_retraining`, and its tasks those of `enqueue_retraining_tasks`."""
    reports = [DriftReport(f"f{index}", 0.0, 1.0, score, bad) for index, (score, bad) in enumerate(features)]
    policy = RetrainingPolicy.lesson()

    def situation(reports):
        states = {report.feature: DRIFTING if report.triggered else STABLE for report in reports}
        value = accuracy_value if known else math.nan
        return RetrainingSituation(
            at=0.0,
            status=states,
            accuracy=accuracy(value, value, value) if known else None,
            latency=latency,
        )

    measured = accuracy_value if known else math.nan
    for report in reports:
        due = should_trigger_retraining(report, accuracy=measured, latency=latency)
        assert bool(policy.assess(situation([report])).evidence) is due
    tasks = enqueue_retraining_tasks(reports, accuracy=measured, latency=latency)
    assert policy.assess(situation(reports)).tasks(situation(reports)) == tasks


def test_policies_do_not_share_their_default_queue():
    first, second = RetrainingPolicy(), RetrainingPolicy()
    first.queue.put(first.requests("m", None, {"age": DRIFTING}, None, None)[0])
    assert len(first.queue.pending()) == 1
    assert second.queue.pending() == ()
    assert RetrainingPolicy.lesson(first.queue).queue is first.queue
    assert isinstance(RetrainingPolicy.lesson().queue, RetrainingQueue)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_drifting": 0}, "min_drifting=0: expected an integer of at least 1, or None"),
        ({"min_drifting": 1.5}, "min_drifting=1.5: expected an integer of at least 1, or None"),
        ({"min_drifting": True}, "min_drifting=True: expected an integer of at least 1, or None"),
        ({"min_accuracy": 0.0}, "min_accuracy=0.0: expected a number above 0 and at most 1, or None"),
        ({"min_accuracy": 1.1}, "min_accuracy=1.1: expected a number above 0 and at most 1"),
        ({"min_accuracy": "high"}, "min_accuracy='high': expected a number above 0"),
        ({"min_accuracy": float("nan")}, "min_accuracy=nan: expected a number above 0"),
        ({"min_estimated_accuracy": 2}, "min_estimated_accuracy=2: expected a number above 0"),
        ({"max_latency": 0}, "max_latency=0: expected a number above 0"),
        ({"max_latency": -1.0}, "max_latency=-1.0: expected a number above 0"),
        ({"max_latency": True}, "max_latency=True: expected a number above 0"),
        ({"max_latency": np.array([])}, r"max_latency=array.*: expected a number above 0"),
        ({"persistence": 2}, r"persistence=2: expected \(k, n\)"),
        ({"persistence": (3, 2)}, r"persistence=\(3, 2\): expected"),
        ({"persistence": (0, 2)}, r"persistence=\(0, 2\): expected"),
        ({"persistence": (True, 2)}, r"persistence=\(True, 2\): expected"),
        ({"persistence": (1, 10_000)}, r"persistence=\(1, 10000\): expected"),
        ({"persistence": (1, 2, 3)}, r"persistence=\(1, 2, 3\): expected"),
        ({"min_labels": -1}, "min_labels=-1: expected an integer of at least 0"),
        ({"cooldown": "soon"}, "cooldown='soon'"),
        ({"expire": -1}, "expire=-1"),
        ({"features": "age"}, "features='age': expected a collection of names"),
        ({"features": [1]}, r"features=\[1\]: expected a collection of names"),
        ({"importance": {"age": -1}}, r"importance\['age'\]=-1: expected a number of at least 0"),
        ({"importance": {"age": 0}}, "expected at least one number above 0"),
        ({"importance": {1: 1}}, "expected a dict of numbers"),
        ({"importance": object()}, "expected a dict of numbers of at least 0, or a fitted model"),
        ({"min_importance": 2}, "min_importance=2: expected a number from 0 to 1"),
        ({"guardrails": [len]}, "expected a dict of functions by name"),
        ({"guardrails": {"a": 5}}, r"guardrails\['a'\]=5: expected a function"),
        ({"broken_data": "yes"}, "broken_data='yes'"),
        ({"queue": "queue.db"}, "queue='queue.db': expected a RetrainingQueue"),
        ({"queue": None}, "queue=None: expected a RetrainingQueue"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    """The message names the limit, the value and what was expected."""
    with pytest.raises(ConfigurationError, match=message):
        RetrainingPolicy(**arguments)
