"""The values of a report are those of the monitor, the canary and the reference."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import driftline as dl
from driftline._drawing.text import number, percent, probability


def features_of(report):
    """The features of the JSON of a report, by name."""
    return {feature["name"]: feature for feature in json.loads(report.json())["features"]}


def test_every_figure_of_a_feature_is_that_of_the_monitor(monitor, page):
    """States, p-values, effects, parts and rows, in the JSON and on the page."""
    report = dl.report(None, monitor, labels=True)
    status, features = monitor.status(), features_of(report)
    shown = page(report.html)
    assert set(features) == {name for name in status if name != "prediction.accuracy"}
    assert {feature["state"] for feature in features.values()} == {"drifting", "stable"}
    for name, feature in features.items():
        expected = status[name]
        assert feature["state"] == expected.state
        assert feature["p_value"] == expected.p_value
        assert feature["effect"] == expected.effect
        assert feature["rows"] == expected.rows
        assert feature["reason"] == expected.reason
        parts = [(part.name, part.words, part.p_value, part.size) for part in expected.components]
        assert [(part["name"], part["words"], part["p_value"], part["size"]) for part in feature["parts"]] == parts
        assert {expected.p_value, expected.effect} <= set(shown.figures)
        for part in expected.components:
            assert part.words in shown.text
            assert number(part.size, 2) in shown.text
            assert probability(part.p_value) in shown.text


def test_every_distance_is_that_of_the_monitor(monitor, page):
    """Value, corrected value, rows and length of each."""
    report = dl.report(None, monitor)
    expected = [(s.feature, s.distance, s.value, s.corrected, s.rows, s.length) for s in monitor.scores()]
    shown = [
        (name, s["distance"], s["value"], s["corrected"], s["rows"], s["length"])
        for name, feature in features_of(report).items()
        for s in feature["scores"]
    ]
    assert sorted(shown, key=str) == sorted(expected, key=str)
    figures = set(page(report.html).figures)
    assert {score.value for score in monitor.scores()} <= figures


def test_shares_of_bins_are_those_of_the_window(monitor, reference):
    """Both sides add up to 1, and the current ones are counts of the last window."""
    snapshot = dl.report(None, monitor)
    for feature, (name, values) in zip(reference.watched, sorted_by(reference, features_of(snapshot)), strict=True):
        assert name == feature.name
        before = [each["reference"] for each in values["bins"]]
        assert before == pytest.approx([count / sum(feature.counts) for count in feature.counts])
        assert sum(each["current"] for each in values["bins"]) == pytest.approx(1.0)
        rows = [each["current"] * values["rows"] for each in values["bins"]]
        assert rows == pytest.approx([round(count) for count in rows])


def sorted_by(reference, features):
    """The features in the order of the reference."""
    return [(feature.name, features[feature.name]) for feature in reference.watched]


def test_those_that_matter_most_come_first(monitor):
    """Drifting features by effect, then the others."""
    features = list(features_of(dl.report(None, monitor)).values())
    drifting = [feature for feature in features if feature["state"] == "drifting"]
    assert features[: len(drifting)] == drifting
    effects = [feature["effect"] for feature in drifting]
    assert effects == sorted(effects, reverse=True)


def test_the_verdict_counts_what_drifts(monitor):
    """The sentence agrees with the states."""
    status = monitor.status()
    drifting = sum(status[name].state == "drifting" for name in ("amount", "age", "city"))
    assert drifting == 2
    assert dl.report(None, monitor).headline.startswith("2 of 3 features drift")


def test_outcomes_are_those_of_the_monitor(monitor, page):
    """Counts, accuracy, metrics with intervals, and the estimate."""
    report = dl.report(None, monitor)
    values = json.loads(report.json())["outcomes"]
    counts, estimate = monitor.outcome_counts(), monitor.estimated_accuracy()
    assert (values["known"], values["correct"], values["accuracy"]) == (counts.known, counts.correct, counts.accuracy)
    assert values["results"] == {name: number for name, number in counts.results.items() if number}
    assert values["estimated"]["value"] == estimate.value
    expected = [(each.metric, each.value, each.lower, each.upper, each.rows) for each in monitor.performance()]
    assert [
        tuple(each[key] for key in ("metric", "value", "lower", "upper", "rows")) for each in values["metrics"]
    ] == (expected)
    shown = page(report.html)
    assert {each.value for each in monitor.performance()} <= set(shown.figures)
    assert percent(estimate.value) in shown.text


def test_reliability_groups_hold_every_outcome(monitor):
    """Each group's share lies in its interval, its mean in its range, and no outcome is lost."""
    groups = json.loads(dl.report(None, monitor).json())["outcomes"]["reliability"]
    assert sum(group["rows"] for group in groups) == monitor.outcome_counts().known
    for group in groups:
        assert group["low"] <= group["predicted"] <= group["high"]
        assert group["lower"] <= group["actual"] <= group["upper"]


def test_the_course_ends_with_the_last_window(monitor, reference):
    """The median of the last window is the one beside the plot, and each window has its rows."""
    features = features_of(dl.report(None, monitor))
    course = features["amount"]["course"]
    assert course["rows"] == [400] * 6
    assert course["values"][-1] == pytest.approx(features["amount"]["medians"][1])
    assert course["reference"] == pytest.approx(features["amount"]["medians"][0])
    assert course["values"][-1] > course["band"][1] * 0.9 > course["values"][0] * 0.9
    city = features["city"]["course"]
    assert city["share"]
    assert city["values"][0] == 0.0
    assert city["values"][-1] > 0.1


def test_lengths_are_those_of_the_rule(monitor):
    """Each window length has its evidence; the state follows from one of them."""
    amount = features_of(dl.report(None, monitor))["amount"]
    assert [each["length"] for each in amount["lengths"]] == ["400 rows", "1600 rows"]
    (explaining,) = [each for each in amount["lengths"] if each["explains"]]
    assert (explaining["p_value"], explaining["effect"]) == (amount["p_value"], amount["effect"])
    assert explaining["drifting"]


def test_a_canary_has_its_criteria_and_their_course(canary, page):
    """The figures are those of the verdict, and the intervals become narrower."""
    report = dl.report(None, canary)
    verdict = canary.verdict()
    values = json.loads(report.json())["canary"]
    assert verdict.state == "rollback"
    assert report.headline == "The candidate does harm: roll it back."
    expected = {each.name: (each.value, each.lower, each.upper, each.rows, each.reason) for each in verdict.criteria}
    shown = {
        each["name"]: (each["value"], each["lower"], each["upper"], each["rows"], each["reason"])
        for each in values["criteria"]
    }
    assert shown == expected
    (errors,) = [each for each in values["criteria"] if each["name"] == "error_rate"]
    widths = [point["upper"] - point["lower"] for point in errors["course"] if point["lower"] is not None]
    assert len(errors["course"]) >= 8
    assert widths[-1] < widths[0]
    assert errors["value"] in page(report.html).figures


def test_a_verdict_alone_makes_a_report(canary):
    """It has no course."""
    report = dl.report(None, canary.verdict())
    assert report.headline == "The candidate does harm: roll it back."
    assert all(each["course"] == [] for each in json.loads(report.json())["canary"]["criteria"])


def test_a_canary_stands_beside_the_features(monitor, canary):
    """A rollback is the headline; what drifts is the next sentence."""
    report = dl.report(None, monitor, canary=canary)
    assert report.headline == "The candidate does harm: roll it back."
    assert any(sentence.startswith("2 of 3 features drift") for sentence in report.content.sentences)


def test_the_reference_says_how_good_it_is(monitor, reference):
    """The self-check with its figures."""
    values = json.loads(dl.report(None, monitor).json())["reference"]
    assert values["rows"] == reference.rows
    assert values["fingerprint"] == reference.fingerprint
    assert values["check"] == reference.check.words
    assert (values["independent"], values["corrected"]) == (reference.check.independent, reference.check.corrected)


CURRENT = {
    "amount": np.random.default_rng(4).permutation(np.linspace(5.0, 30.0, 900)),
    "age": np.arange(900) % 70 + 18.0,
    "city": ["rome", "paris", "oslo"] * 300,
}

FORMS = {
    "dict": lambda: CURRENT,
    "pandas": lambda: pd.DataFrame(CURRENT),
    "polars": lambda: pl.DataFrame(CURRENT),
    "pyarrow": lambda: pa.table(CURRENT),
    "rows": lambda: [dict(zip(CURRENT, row, strict=True)) for row in zip(*CURRENT.values(), strict=True)],
}


@pytest.mark.parametrize("form", FORMS)
def test_data_of_any_form_give_the_same_values(reference, form):
    """Whatever the library, and equal to those of a monitor with the same rule."""
    features = features_of(dl.report(reference, FORMS[form]()))
    rule = dl.FalseAlarms(0.01, per="1d", every="1d", lengths=(1,))
    window = dl.Window(rows=900)
    monitor = dl.Monitor("m", reference=reference, window=window, rule=rule, synchronous=True)
    monitor.observe(CURRENT)
    monitor.flush()
    for name in ("amount", "age", "city"):
        status = monitor.status()[name]
        assert (features[name]["state"], features[name]["rows"]) == (status.state, status.rows)
        assert features[name]["effect"] == pytest.approx(status.effect)
        assert features[name]["p_value"] == pytest.approx(status.p_value)
        assert features[name]["course"]["rows"][0] == 37


def test_predictions_and_outcomes_of_data_are_graded(reference):
    """Accuracy is that of the columns."""
    scores, actual = np.tile([0.9, 0.2, 0.8], 300), np.tile([True, True, True], 300)
    report = dl.report(reference, CURRENT, predictions=scores, outcomes=actual)
    values = json.loads(report.json())["outcomes"]
    assert (values["known"], values["correct"]) == (900, 600)
    assert any("66.7%" in sentence for sentence in report.content.sentences)


def test_a_snapshot_is_evaluated_with_the_same_counts(monitor, reference):
    """The counts of a snapshot, which has no order and no course."""
    snapshot = monitor.snapshot()
    features = features_of(dl.report(reference, snapshot))
    assert all(feature["course"] is None for feature in features.values())
    assert features["amount"]["state"] == "drifting"
    assert features["amount"]["rows"] == snapshot.rows


def test_thresholds_have_no_p_values(reference):
    """A rule that does not test gives dashes."""
    report = dl.report(reference, CURRENT, rule=dl.Thresholds(psi=0.2))
    features = features_of(report)
    assert all(feature["p_value"] is None for feature in features.values())
    assert features["amount"]["state"] == "drifting"
    assert "–" in report.html


def test_before_the_first_window_nothing_is_claimed(reference):
    """A monitor without rows, and one that still learns its reference."""
    fresh = dl.Monitor("m", reference=reference, synchronous=True)
    assert dl.report(None, fresh).headline == "Too little data to tell whether anything drifts."
    learning = dl.Monitor("m", reference=dl.Reference.learn(rows=100), synchronous=True)
    learning.observe({"x": np.arange(10.0)})
    assert dl.report(None, learning).headline == "Nothing has been compared yet."
    disabled = dl.Monitor("m", reference=reference, enabled=False)
    assert dl.report(None, disabled).headline == "Too little data to tell whether anything drifts."


def test_a_window_that_is_not_complete_is_shown(reference):
    """The rows so far, without a state."""
    monitor = dl.Monitor("m", reference=reference, synchronous=True)
    monitor.observe({name: column[:50] for name, column in CURRENT.items()})
    amount = features_of(dl.report(None, monitor))["amount"]
    assert amount["state"] == "insufficient_data"
    assert amount["length"] == "the window so far"
    assert sum(each["current"] for each in amount["bins"]) == pytest.approx(1.0)


def test_seasons_are_left_aside_for_data_without_times(page):
    """The page says so."""
    hours = np.arange(2_000) * 3_600
    reference = dl.Reference.fit({"x": np.sin(hours)}, time=hours, seasons=["hour"])
    report = dl.report(reference, {"x": np.sin(hours[:500])})
    assert "compared with all hours" in page(report.html).text


def test_detectors_and_limits_have_their_states(reference):
    """They stand beside the features."""

    class Never:
        drift_detected = False

        def update(self, x):
            """Take a value."""

    monitor = dl.Monitor("m", reference=reference, detectors={"age": Never()}, synchronous=True)
    monitor.observe(CURRENT)
    states = json.loads(dl.report(None, monitor).json())["states"]
    assert [state["name"] for state in states] == ["age (Never)"]


def test_numbers_that_are_not_finite_are_null():
    """JSON has no nan."""
    reference = dl.Reference.fit({"x": [math.nan] * 500, "y": np.arange(500.0)})
    report = dl.report(reference, {"x": [1.0] * 400, "y": [math.nan] * 400})
    json.loads(report.json(), parse_constant=pytest.fail)
    assert report.html


def test_absent_columns_are_named(reference, page):
    """They count as missing values."""
    report = dl.report(reference, {"amount": CURRENT["amount"], "city": CURRENT["city"]})
    assert "The data lack age: their values count as missing." in page(report.html).text
    assert features_of(report)["age"]["bins"][-1]["current"] == 1.0


SENTENCES = [
    ({"x": 0.0}, "Nothing drifts: the only feature is as in the reference."),
    ({"x": 3.0}, "The only feature drifts."),
    ({"x": 0.0, "y": 0.0}, "Nothing drifts: both features are as in the reference."),
    ({"x": 3.0, "y": 3.0}, "Both features drift."),
    ({"x": 3.0, "y": 0.0}, "1 of 2 features drifts."),
    ({"x": 3.0, "y": 3.0, "z": 3.0}, "All 3 features drift."),
]


@pytest.mark.parametrize(("shifts", "sentence"), SENTENCES)
def test_the_headline_is_a_sentence(shifts, sentence):
    """For any number of features."""
    random = np.random.default_rng(8)
    reference = dl.Reference.fit({name: random.normal(size=3_000) for name in shifts})
    report = dl.report(reference, {name: random.normal(shift, 1, 1_000) for name, shift in shifts.items()})
    assert report.headline == sentence


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (lambda r: (r, None), "expected a Monitor"),
        (lambda r: (None, CURRENT), "expected a Reference"),
        (lambda r: (3, CURRENT), "expected a Reference"),
        (lambda r: (r, 7), "expected a Monitor, a Snapshot, or rows"),
        (lambda r: (r, {"amount": []}), "no rows"),
        (lambda r: (r, dl.Snapshot(np.zeros(3, np.int64), 0, "other")), "over the bins other"),
    ],
)
def test_wrong_arguments_are_named(reference, arguments, message):
    """Each message says what is expected."""
    with pytest.raises(dl.ConfigurationError, match=message):
        dl.report(*arguments(reference))


def test_outcomes_need_predictions(reference):
    """They have nothing to be compared with."""
    with pytest.raises(dl.ConfigurationError, match="predictions="):
        dl.report(reference, CURRENT, outcomes=[True] * 900)


def test_another_reference_than_the_monitors_is_refused(monitor):
    """Its bins are others."""
    with pytest.raises(dl.ConfigurationError, match="expected that of the monitor"):
        dl.report(dl.Reference.fit({"x": [1.0, 2.0]}), monitor)


def test_nothing_of_a_comparison_is_exported(reference):
    """The monitor that reads the data drops its telemetry, and leaves none of its threads behind."""
    import threading  # noqa: PLC0415

    before = threading.active_count()
    dl.report(reference, CURRENT)
    assert threading.active_count() == before
