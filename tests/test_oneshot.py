"""The functions for two samples: at and around every threshold, in order, and rounded after the comparison."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline import ConfigurationError
from driftline.oneshot import (
    CanaryVerdict,
    DriftReport,
    compute_mean_drift,
    detect_drift_across_features,
    enqueue_retraining_tasks,
    evaluate_canary,
    should_trigger_retraining,
)

SAMPLES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40)
QUIET = DriftReport("feature_value", 1.0, 1.0, 0.0, triggered=False)
LOUD = DriftReport("feature_value", 1.0, 2.0, 1.0, triggered=True)
HEALTHY = {"accuracy": 0.9, "latency": 0.1, "error_rate": 0.01}


# --- compute_mean_drift ----------------------------------------------------------------------------------------------


def test_the_mean_drift_of_the_lesson():
    """It is |3 - 2| over the population deviation of 1, 2, 3."""
    report = compute_mean_drift([1.0, 2.0, 3.0], [2.0, 3.0, 4.0])
    assert report == DriftReport("feature_value", 2.0, 3.0, 1.2247, triggered=True)


@given(SAMPLES, SAMPLES, st.floats(0.0, 5.0))
def test_the_mean_drift_agrees_with_numpy(baseline, current, threshold):
    """The threshold applies to the unrounded score. The mean of a constant is the constant, without rounding."""
    report = compute_mean_drift(baseline, current, threshold=threshold)
    spread = 1e-6 if min(baseline) == max(baseline) else float(np.std(baseline)) or 1e-6
    before, after = (
        values[0] if min(values) == max(values) else float(np.mean(values)) for values in (baseline, current)
    )
    score = abs(after - before) / spread
    assert (report.baseline_mean, report.current_mean) == (round(before, 4), round(after, 4))
    assert report.drift_score == round(score, 4)
    assert report.triggered == (score >= threshold)


@pytest.mark.parametrize(
    ("shift", "score", "triggered"), [(0.199, 0.199, False), (0.2, 0.2, True), (0.201, 0.201, True), (-0.2, 0.2, True)]
)
def test_a_score_equal_to_the_threshold_triggers(shift, score, triggered):
    """With a baseline of mean 0 and deviation 1 the score is the absolute shift."""
    report = compute_mean_drift([-1.0, 1.0], [shift])
    assert (report.drift_score, report.triggered) == (score, triggered)


def test_the_unrounded_score_decides():
    """A score of 0.19999 is reported as 0.2 and does not trigger."""
    report = compute_mean_drift([-1.0, 1.0], [0.19999])
    assert (report.drift_score, report.triggered) == (0.2, False)


def test_numbers_are_rounded_to_four_decimals():
    """Both means and the score."""
    report = compute_mean_drift([0.0, 2 / 3], [1 / 3 + 1e-5], threshold=1.0)
    assert (report.baseline_mean, report.current_mean, report.drift_score) == (0.3333, 0.3333, 0.0)


@pytest.mark.parametrize("constant", [5.0, 0.1, 1e-9])
def test_a_constant_baseline_has_a_spread_of_a_millionth(constant):
    """Even 0.1, whose deviation is slightly above 0 because of rounding."""
    baseline = [constant] * 10
    assert compute_mean_drift(baseline, baseline) == DriftReport(
        "feature_value", round(constant, 4), round(constant, 4), 0.0, triggered=False
    )
    assert compute_mean_drift(baseline, [constant + 1e-3]).drift_score == pytest.approx(1e3, rel=1e-6)


@pytest.mark.parametrize(
    "make", [list, tuple, np.array, pd.Series, pl.Series, pa.array, iter, lambda values: (x for x in values)]
)
def test_samples_may_be_of_any_kind(make):
    """Lists, arrays, series and generators."""
    assert compute_mean_drift(make([1.0, 2.0, 3.0]), make([2.0, 3.0, 4.0])).drift_score == 1.2247


@pytest.mark.parametrize("empty", [[], (), np.array([]), pd.Series([], dtype=float), iter([])])
def test_an_empty_sample_is_refused(empty):
    """The message names the sample."""
    with pytest.raises(ValueError, match="current: an empty sample"):
        compute_mean_drift([1.0], empty)
    with pytest.raises(ValueError, match="baseline: an empty sample"):
        compute_mean_drift([], [1.0])


NAN, INF = float("nan"), float("inf")


@given(st.floats(-1e12, 1e12), st.integers(1, 2_000), st.integers(1, 2_000))
def test_a_constant_has_not_drifted_from_itself(constant, before, after):
    """However long the samples are: their means would differ by rounding."""
    report = compute_mean_drift(np.full(before, constant), np.full(after, constant), threshold=1e-9)
    assert (report.drift_score, report.triggered) == (0.0, False)


WITH_GAPS = {
    "list": list,
    "generator": iter,
    "object array": lambda values: np.array(values, dtype=object),
    "masked array": lambda values: np.ma.masked_invalid([NAN if value is None else value for value in values]),
    "half floats": lambda values: np.array([NAN if value is None else value for value in values], dtype=np.float16),
    "long doubles": lambda values: np.array([NAN if value is None else value for value in values], dtype=np.longdouble),
    "pandas": pd.Series,
    "pandas, nullable": lambda values: pd.Series(values, dtype="Float64"),
    "pandas, arrow": lambda values: pd.Series(values, dtype="double[pyarrow]"),
    "pandas, category": lambda values: pd.Series(values, dtype="category"),
    "polars": pl.Series,
    "polars, decimal": lambda values: pl.Series(values).cast(pl.Decimal(10, 2)),
    "arrow": pa.array,
    "arrow, chunked": lambda values: pa.chunked_array([values[:1], values[1:]]),
}


@pytest.mark.parametrize("kind", WITH_GAPS)
def test_missing_values_are_not_part_of_a_sample(kind):
    """They hid any drift: the mean of a sample with one of them is nan."""
    make = WITH_GAPS[kind]
    report = compute_mean_drift(make([1.0, None, 2.0, 3.0]), make([5.0, 6.0, None, 7.0]))
    assert report == DriftReport("feature_value", 2.0, 6.0, 4.899, triggered=True)
    with pytest.raises(ValueError, match="current: a sample of missing values, expected at least one value"):
        compute_mean_drift([1.0], make([None, None]) if kind != "polars, decimal" else [None])


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["u"] * 9, "str"),
        ([1.0, "n/a", 2.0], "str"),
        (pd.Series(["u", None]), "str"),
        (pd.Series(["u", "v"], dtype="category"), "str"),
        (pl.Series(["u", "v"]), "str"),
        (pa.array(["u", None]), "str"),
        (np.array(["u"]), "str"),
        (pd.Series(pd.date_range("2020-01-01", periods=3)), "datetime64"),
        ([1 + 2j], "complex"),
        ([{}], "dict"),
    ],
)
def test_values_that_are_no_numbers_are_refused(values, kind):
    """The message names the sample, the type and the feature."""
    with pytest.raises(ValueError, match=f"current: a value of type {kind}.*, expected numbers"):
        compute_mean_drift([1.0, 2.0], values)
    with pytest.raises(ValueError, match=f"baseline: a value of type {kind}.* in feature 'c', expected numbers"):
        detect_drift_across_features({"c": values}, {"c": [1.0]})


@pytest.mark.parametrize("current", [[INF, 1.0], [-INF], [INF, -INF], [10**400]])
def test_an_infinite_value_is_the_largest_drift(current):
    """In the baseline there is nothing to compare with."""
    report = compute_mean_drift([1.0, 2.0], current)
    assert (report.drift_score, report.triggered) == (INF, True)
    with pytest.raises(ValueError, match="baseline: an infinite value, expected finite ones"):
        compute_mean_drift(current, [1.0])


@pytest.mark.parametrize("unit", [1.0, 1e100, 1e200, 5e307])
def test_numbers_whose_squares_overflow_have_the_same_score(unit):
    """As numbers around 1."""
    before, after = np.array([1.0, 2.0, 3.0]), np.array([3.0, 3.5])
    assert compute_mean_drift(before * unit, after * unit).drift_score == compute_mean_drift(before, after).drift_score


def test_a_limit_that_is_nan_is_refused():
    """Nothing is above or below it."""
    for call in (
        lambda: compute_mean_drift([1.0], [1.0], threshold=NAN),
        lambda: evaluate_canary({}, HEALTHY, min_accuracy=NAN),
        lambda: evaluate_canary({}, HEALTHY, allowed_latency_delta=np.float32("nan")),
    ):
        with pytest.raises(ConfigurationError, match=r"=.*nan.*: expected a number"):
            call()


# --- detect_drift_across_features ------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [dict, pd.DataFrame, pl.DataFrame, pa.table])
def test_every_feature_that_both_frames_have_gets_a_report(make):
    """With the name of its column. Features of only one frame are skipped."""
    before = make({"a": [1.0, 2.0, 3.0], "b": [1.0, 2.0, 3.0], "gone": [1.0, 1.0, 1.0]})
    after = make({"b": [1.0, 2.0, 3.0], "a": [2.0, 3.0, 4.0], "new": [1.0, 1.0, 1.0]})
    reports = detect_drift_across_features(before, after)
    assert list(reports) == ["a", "b"]
    assert reports["a"] == DriftReport("a", 2.0, 3.0, 1.2247, triggered=True)
    assert reports["b"] == DriftReport("b", 2.0, 2.0, 0.0, triggered=False)
    assert detect_drift_across_features(before, after, threshold=2.0)["a"].triggered is False


def test_two_frames_may_differ_in_length():
    """An empty column is refused."""
    assert detect_drift_across_features({"a": [1, 2, 3]}, {"a": [2.0]})["a"].drift_score == 0.0
    with pytest.raises(ValueError, match="current: an empty sample"):
        detect_drift_across_features({"a": [1, 2, 3]}, {"a": []})


@pytest.mark.parametrize("frame", [5, None, [1, 2], np.zeros((2, 2)), pd.DataFrame([[1, 2]])])
def test_an_object_that_is_not_a_frame_with_names_is_refused(frame):
    """The message names the argument."""
    with pytest.raises(ConfigurationError, match="baseline_frame: "):
        detect_drift_across_features(frame, {"a": [1]})
    with pytest.raises(ConfigurationError, match="current_frame: "):
        detect_drift_across_features({"a": [1]}, frame)


# --- retraining ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("report", "accuracy", "latency", "due"),
    [
        (QUIET, 0.9, 0.1, False),
        (LOUD, 0.9, 0.1, True),
        (QUIET, 0.7799, 0.1, True),
        (QUIET, 0.78, 0.1, False),
        (QUIET, 0.7801, 0.1, False),
        (QUIET, 0.9, 0.4999, False),
        (QUIET, 0.9, 0.5, False),
        (QUIET, 0.9, 0.5001, True),
        (LOUD, 0.1, 9.0, True),
    ],
)
def test_retraining_is_due(report, accuracy, latency, due):
    """If the report triggered, below an accuracy of 0.78, and above a latency of half a second."""
    assert should_trigger_retraining(report, accuracy=accuracy, latency=latency) is due


@pytest.mark.parametrize("unknown", [NAN, None, np.float32("nan"), pd.NA, Decimal("nan")])
def test_an_unknown_metric_asks_for_retraining(unknown):
    """It is not within its limit."""
    assert should_trigger_retraining(QUIET, accuracy=unknown, latency=0.1)
    assert should_trigger_retraining(QUIET, accuracy=0.9, latency=unknown)


def test_features_that_triggered_are_retrained():
    """All features are, if accuracy is too low or latency too high. Reports may be a mapping or a sequence."""
    reports = detect_drift_across_features({"a": [1.0, 2.0], "b": [1.0, 2.0]}, {"a": [5.0], "b": [1.5]})
    assert enqueue_retraining_tasks(reports, accuracy=0.9, latency=0.1) == ["a"]
    assert enqueue_retraining_tasks(list(reports.values()), accuracy=0.9, latency=0.1) == ["a"]
    assert enqueue_retraining_tasks(reports, accuracy=0.5, latency=0.1) == ["a", "b"]
    assert enqueue_retraining_tasks(reports, accuracy=0.9, latency=0.6) == ["a", "b"]
    assert enqueue_retraining_tasks({}, accuracy=0.5, latency=0.6) == []


# --- evaluate_canary -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        ({}, CanaryVerdict(True, "Canary healthy", {"accuracy": 0.9, "latency_delta": 0.0})),
        ({"accuracy": 0.7999}, CanaryVerdict(False, "Accuracy below threshold", {"accuracy": 0.7999})),
        ({"accuracy": 0.8}, CanaryVerdict(True, "Canary healthy", {"accuracy": 0.8, "latency_delta": 0.0})),
        ({"latency": 0.1499}, CanaryVerdict(True, "Canary healthy", {"accuracy": 0.9, "latency_delta": 0.0499})),
        ({"latency": 0.1501}, CanaryVerdict(False, "Latency regression", {"latency_delta": 0.0501})),
        ({"latency": 0.15001}, CanaryVerdict(False, "Latency regression", {"latency_delta": 0.05})),
        ({"latency": 0.01}, CanaryVerdict(True, "Canary healthy", {"accuracy": 0.9, "latency_delta": -0.09})),
        ({"error_rate": 0.012}, CanaryVerdict(True, "Canary healthy", {"accuracy": 0.9, "latency_delta": 0.0})),
        ({"error_rate": 0.0121}, CanaryVerdict(False, "Error rate increase", {"error_rate": 0.0121})),
        (
            {"accuracy": 0.1, "latency": 9.0, "error_rate": 1.0},
            CanaryVerdict(False, "Accuracy below threshold", {"accuracy": 0.1}),
        ),
        ({"latency": 9.0, "error_rate": 1.0}, CanaryVerdict(False, "Latency regression", {"latency_delta": 8.9})),
    ],
)
def test_a_canary_at_and_around_every_threshold(candidate, expected):
    """Accuracy, then latency, then errors. The first criterion that fails is the reason."""
    assert evaluate_canary(HEALTHY, {**HEALTHY, **candidate}) == expected


def test_a_latency_difference_at_the_limit_is_allowed():
    """With numbers that floats represent exactly."""
    verdict = evaluate_canary({"latency": 0.25}, {"accuracy": 0.9, "latency": 0.5}, allowed_latency_delta=0.25)
    assert verdict.promote
    verdict = evaluate_canary({"latency": 0.25}, {"accuracy": 0.9, "latency": 0.5}, allowed_latency_delta=0.24)
    assert verdict.reason == "Latency regression"


UNKNOWN = [NAN, None, np.float64("nan"), pd.NA, Decimal("nan"), "unknown"]


@pytest.mark.parametrize("unknown", UNKNOWN)
def test_an_unknown_metric_never_promotes(unknown):
    """An unknown accuracy counts as 0. An unknown latency or error rate of either variant is the reason."""
    verdict = evaluate_canary(HEALTHY, {**HEALTHY, "accuracy": unknown})
    assert verdict == CanaryVerdict(False, "Accuracy below threshold", {"accuracy": 0.0})
    for name, reason in (("latency", "Latency unknown"), ("error_rate", "Error rate unknown")):
        bad = {**HEALTHY, name: unknown}
        for sides in ((HEALTHY, bad), (bad, HEALTHY), (bad, bad)):
            assert evaluate_canary(*sides) == CanaryVerdict(False, reason, {})


@given(
    *[
        st.dictionaries(st.sampled_from(list(HEALTHY)), st.floats() | st.none() | st.sampled_from([0.9, 0.1, 0.01]))
        for _ in range(2)
    ]
)
def test_a_promotion_has_only_known_numbers(baseline, candidate):
    """And its metrics are finite."""
    verdict = evaluate_canary(baseline, candidate)
    if verdict.promote:
        values = [metrics.get(name, 0.0) for metrics in (baseline, candidate) for name in ("latency", "error_rate")]
        values += [candidate.get("accuracy"), *verdict.metrics.values()]
        assert all(value is not None and np.isfinite(value) for value in values)
    assert all(not np.isnan(value) for value in verdict.metrics.values())


def test_an_absent_metric_is_0():
    """An accuracy of 0 is below the threshold. Any error rate exceeds a baseline of 0."""
    assert evaluate_canary({}, {}) == CanaryVerdict(False, "Accuracy below threshold", {"accuracy": 0.0})
    assert evaluate_canary({}, {}, min_accuracy=0.0) == CanaryVerdict(
        True, "Canary healthy", {"accuracy": 0.0, "latency_delta": 0.0}
    )
    assert evaluate_canary({}, {"accuracy": 0.9, "error_rate": 1e-9}).reason == "Error rate increase"


@pytest.mark.parametrize("scale", [1e-308, 1e-160, 1.0, 1e300])
def test_settings_of_the_host_for_float_errors_raise_nothing(scale):
    samples = scale * np.array([1.0, 2.0, 4.0]), scale * np.array([2.0, 4.0, 5.0])
    with np.errstate(all="raise"):
        compute_mean_drift(*samples)
