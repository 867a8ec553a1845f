"""Rules decide what counts as drift, when it begins and when it ends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from driftline import FalseAlarms, FeatureStatus, Reference, Thresholds, Window
from driftline._binning.layout import Layout
from driftline._windows.ring import WindowCounts
from driftline.detection import Look
from driftline.detection._evaluator import WindowEvaluator
from driftline.detection._scoring import resolve_distances
from driftline.distances import BY_NAME, corrected_psi

DAY = 86_400.0
HOUR = 3_600.0
SHARES = np.array([0.0, 0.01, 0.04, 0.05, *[0.1] * 8, 0.05, 0.04, 0.01, 0.0, 0.0])
SHARES /= SHARES.sum()


@pytest.fixture(scope="module")
def two():
    """A reference with a numeric and a categorical feature."""
    random = np.random.default_rng(3)
    return Reference.fit(
        {"x": random.normal(size=4_000), "t": random.choice(["a", "b", "c"], 4_000, p=[0.6, 0.3, 0.1])}
    )


def window_of(reference, x, t):
    """Return the counts of a window with these columns."""
    return WindowCounts(Layout(reference.features).count([np.asarray(x, dtype=float), list(t)], len(x)), len(x))


def quiet(reference, seed=0, rows=1_000):
    """Return a window from the distribution of the reference."""
    random = np.random.default_rng(seed)
    return window_of(reference, random.normal(size=rows), random.choice(["a", "b", "c"], rows, p=[0.6, 0.3, 0.1]))


def shifted(reference, by=1.0, seed=0, rows=1_000):
    """Return a window in which the numeric feature has moved by some deviations."""
    random = np.random.default_rng(seed)
    return window_of(reference, random.normal(by, size=rows), random.choice(["a", "b", "c"], rows, p=[0.6, 0.3, 0.1]))


def evaluator_for(reference, rule, window=None, now=None, distances=()):
    """Return an evaluator, and the lists of the changes and of the reports that it makes."""
    changes, reports = [], []
    evaluator = WindowEvaluator(
        reference,
        Layout(reference.features),
        window or Window(rows=1_000),
        rule,
        resolve_distances(distances),
        (lambda: now[0]) if now else (lambda: 0.0),
        changes.append,
        lambda *report: reports.append(report),
    )
    return evaluator, changes, reports


# --- Thresholds ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["psi", "js", "ks", "mean", "wasserstein", "hellinger", "total_variation", "kl"])
def test_a_feature_drifts_at_the_limit_itself(two, name):
    """With a limit equal to the score the feature drifts, with a limit just above it does not."""
    window = shifted(two)
    group = Layout(two.features).slices[0]
    keywords = {"positions": two.features[0].positions()} if name in {"mean", "wasserstein", "ks"} else {}
    score = BY_NAME[name](two.features[0].counts, window.counts[group], **keywords)
    for limit, state in ((score, "drifting"), (np.nextafter(score, 9e9), "stable")):
        evaluator, _, _ = evaluator_for(two, Thresholds(**{name: float(limit)}))
        evaluator.evaluate([window])
        assert evaluator.status["x"].state == state
        # Without an order of the categories these distances do not exist.
        assert evaluator.status["t"].state == ("insufficient_data" if keywords else "stable")


def test_evaluate_pauses_after_each_length_of_a_single_window(two):
    """So that other threads can run. Several pending windows are evaluated without a pause."""
    evaluator, _, _ = evaluator_for(two, FalseAlarms())
    paused = []
    for seed in range(4):
        evaluator.evaluate([quiet(two, seed)], pause=lambda: paused.append(1))
    assert len(paused) == 4 + 1  # four single windows, and the length of four
    evaluator.evaluate([quiet(two, seed) for seed in range(4, 8)], pause=lambda: paused.append(1))
    assert len(paused) == 4 + 1


def test_a_drift_ends_below_half_the_limit(two):
    """A score between half the limit and the limit keeps the state (hysteresis)."""
    strong, weak, none = shifted(two, 1.0), shifted(two, 0.35), quiet(two)
    evaluator, changes, _ = evaluator_for(two, Thresholds(mean=0.5))
    states = []
    for window in (weak, strong, weak, weak, none, weak):
        evaluator.evaluate([window])
        states.append(evaluator.status["x"].state)
    assert states == ["stable", "drifting", "drifting", "drifting", "stable", "stable"]
    assert [(change.previous, change.status.state) for change in changes if change.feature == "x"] == [
        ("insufficient_data", "stable"),
        ("stable", "drifting"),
        ("drifting", "stable"),
    ]


def test_one_exceeded_limit_of_several_is_a_drift(two):
    """The reason names the distance that exceeds its limit, and describes the shift."""
    evaluator, _, _ = evaluator_for(two, Thresholds(psi=50.0, mean=0.5))
    evaluator.evaluate([shifted(two)])
    status = evaluator.status["x"]
    assert status.state == "drifting"
    assert status.reason.startswith("x: median ")
    assert status.components == ()
    assert "mean 0.9" in status.reason or "mean 1." in status.reason
    assert "limit 0.5" in status.reason
    assert "psi" not in status.reason


def test_a_distance_that_only_the_rule_reads_is_computed_once(two):
    """In addition to those of the `distances` argument."""
    evaluator, _, _ = evaluator_for(two, Thresholds(psi=0.2, ks=0.2), distances=("psi", "js"))
    evaluator.evaluate([quiet(two)])
    assert [score.distance for score in evaluator.scores if score.feature == "x"] == ["psi", "js", "ks"]


# --- FalseAlarms -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "cadence", "level"),
    [
        (FalseAlarms(1, per="30d"), HOUR, 1 / 720 / 4),
        (FalseAlarms(1, per="30d", lengths=(1,)), HOUR, 1 / 720),
        (FalseAlarms(2, per="30d", lengths=(1, 8)), HOUR, 1 / 720),
        (FalseAlarms(4, per="1d"), HOUR, 1 / 24),
        (FalseAlarms(1, per="1h"), HOUR, 0.05),
        (FalseAlarms(1, per="30d"), 1e-12, 1e-12),
    ],
)
def test_a_budget_becomes_a_level_per_evaluation(rule, cadence, level):
    """Alarms times cadence over the time, at most 0.05, at least 1e-12."""
    assert rule.level(cadence) == pytest.approx(level)


@pytest.mark.parametrize(
    ("window", "every", "elapsed", "level"),
    [
        (Window("1h"), None, 5.0, 1 / 720),
        (Window("1h", every="10min"), "1d", 5.0, 1 / 4_320),
        (Window(rows=1_000), "1h", 5.0, 1 / 720),
        (Window(rows=1_000), None, 2 * HOUR, 2 / 720),
        (Window(rows=1_000), None, 0.001, 1 / (30 * DAY)),
        (Window(rows=1_000), None, 9 * DAY, 1 / 30),
    ],
)
def test_the_cadence_comes_from_the_window_or_every_or_the_clock(two, window, every, elapsed, level):
    """A window of time knows its cadence. For a window of rows, `every` states it, or the rule measures it."""
    rule = FalseAlarms(1, per="30d", every=every, lengths=(1,))
    evaluate = rule.prepare(two.features, Layout(two.features), window)
    evidence = evaluate(Look(shifted(two), 1, 1, elapsed, ()))
    assert f"(level {level:.2g})" in evidence[0].reason()


def test_a_longer_length_has_the_level_of_its_longer_cadence(two):
    """A look that is due every two hours has twice the level of one that is due every hour: a quarter of the budget."""
    evaluate = FalseAlarms(1, per="30d", every="1h").prepare(two.features, Layout(two.features), Window(rows=1_000))
    for length, panes in ((1, 1), (4, 1), (16, 2), (64, 8)):
        evidence = evaluate(Look(shifted(two), length, panes, 5.0, ()))
        assert f"(level {panes / 720 / 4:.2g})" in evidence[0].reason()


@pytest.mark.parametrize("panes", [1, 4])
def test_a_first_look_has_the_level_of_the_later_ones(two, panes, recording_rule):
    """Not that of all windows since the start."""
    rule = recording_rule(1, 4, 16, 64)
    now = [0.0]
    evaluator, _, _ = evaluator_for(two, rule, now=now, window=Window("1h", every=f"{60 // panes}min"))
    for _ in range(100 * panes):
        now[0] += HOUR / panes
        evaluator.evaluate([shifted(two)])
    hours = {length: {(panes * windows, windows * HOUR)} for length, windows in ((4, 1), (16, 2), (64, 8))}
    looks = {length: set() for length in rule.lengths}
    for look in rule.looks:
        looks[look.length].add((look.panes, round(look.elapsed, 6)))
    assert looks == {1: {(1, HOUR / panes)}, **hours}


def test_the_elapsed_time_is_spread_over_the_windows_of_an_evaluation(two):
    """Four windows in four hours have a cadence of one hour."""
    now = [0.0]
    evaluator, _, _ = evaluator_for(two, FalseAlarms(1, per="30d", lengths=(1,)), now=now)
    now[0] = 4 * HOUR
    evaluator.evaluate([shifted(two)] * 4)
    assert f"(level {1 / 720:.2g})" in evaluator.status["x"].reason


def test_a_drift_needs_significance_and_size(two):
    """In a large window a negligible shift is significant, so the effect decides."""
    window = shifted(two, 0.2, rows=200_000)
    strict, _, _ = evaluator_for(two, FalseAlarms(1, every="1h", min_effect=0.05))
    strict.evaluate([window])
    assert strict.status["x"].state == "stable"
    assert strict.status["x"].p_value < 1e-20
    assert strict.status["x"].effect < 0.05
    lax, _, _ = evaluator_for(two, FalseAlarms(1, every="1h", min_effect=0.001))
    lax.evaluate([window])
    assert lax.status["x"].state == "drifting"


def test_the_effect_is_the_corrected_psi(two):
    """`status.effect` equals `corrected_psi` of the same counts."""
    window = shifted(two)
    evaluator, _, _ = evaluator_for(two, FalseAlarms(1, every="1h"))
    evaluator.evaluate([window])
    for feature, bins in zip(two.features, Layout(two.features).slices, strict=True):
        assert evaluator.status[feature.name].effect == pytest.approx(
            corrected_psi(feature.counts, window.counts[bins])
        )


def test_a_drift_ends_below_half_of_its_strength(two):
    """It begins at `min_effect`, and goes on below it."""
    effect = corrected_psi(two.features[0].counts, shifted(two, 0.6).counts[:17])
    evaluator, _, _ = evaluator_for(two, FalseAlarms(1, every="1h", min_effect=float(effect * 1.5), lengths=(1,)))
    states = []
    for by in (0.6, 1.0, 0.6, 0.6, 0.4, 0.6):
        evaluator.evaluate([shifted(two, by)])
        states.append(evaluator.status["x"].state)
    assert states == ["stable", "drifting", "drifting", "drifting", "stable", "stable"]


def test_a_large_drift_does_not_go_on_as_a_small_one(two):
    """What is left of it has to be significant itself, at the level of an alarm."""
    evaluator, _, _ = evaluator_for(two, FalseAlarms(1, every="1h", min_effect=0.0, lengths=(1,)))
    p, states = [], []
    for window in (shifted(two, 0.12, 5), shifted(two, 1.0), shifted(two, 0.12, 5), shifted(two, 1.0), quiet(two, 4)):
        evaluator.evaluate([window])
        p.append(evaluator.status["x"].p_value)
        states.append(evaluator.status["x"].state)
    assert 1e-3 < p[0] < 0.05
    assert 1e-3 < p[2] < 0.05
    assert states == ["stable", "drifting", "stable", "drifting", "stable"]


def test_a_longer_length_finds_a_small_shift_that_lasts(two):
    """A window of 1,000 rows does not show a shift of a tenth of a deviation. Sixteen windows together do."""
    evaluator, _, _ = evaluator_for(two, FalseAlarms(1, every="1h", min_effect=0.0))
    states = []
    for seed in range(16):
        evaluator.evaluate([shifted(two, 0.12, seed)])
        states.append(evaluator.status["x"].state)
    assert states[:3] == ["stable"] * 3
    assert states[-1] == "drifting"
    assert evaluator.status["x"].rows >= 4_000
    assert "location up" in evaluator.status["x"].reason


def test_a_large_drift_ends_with_the_first_quiet_windows(two):
    """Although the sixteen latest windows still hold its rows."""
    evaluator, changes, _ = evaluator_for(two, FalseAlarms(1, every="1h"))
    for seed in range(8):
        evaluator.evaluate([quiet(two, seed)])
    evaluator.evaluate([shifted(two, 1.0)])
    assert evaluator.status["x"].state == "drifting"
    states = []
    for seed in range(20, 40):
        evaluator.evaluate([quiet(two, seed)])
        states.append(evaluator.status["x"].state)
    assert states[2:] == ["stable"] * 18
    assert [change.status.state for change in changes if change.feature == "x"].count("drifting") == 1


def test_scores_hold_the_latest_ones_of_every_length(two):
    """The window itself, and two windows together."""
    evaluator, _, _ = evaluator_for(two, FalseAlarms(1, every="1h", lengths=(1, 2)), distances=("psi",))
    evaluator.evaluate([quiet(two, 0)])
    assert {score.length for score in evaluator.scores} == {"1000 rows"}
    evaluator.evaluate([shifted(two, seed=1)])
    assert [(score.feature, score.length, score.rows) for score in evaluator.scores] == [
        ("x", "1000 rows", 1_000),
        ("t", "1000 rows", 1_000),
        ("x", "2000 rows", 2_000),
        ("t", "2000 rows", 2_000),
    ]


def test_longer_lengths_of_a_sliding_window_move_by_whole_windows(two):
    """Not by panes, so that a row counts in only one of the windows that a length adds up."""
    rule, window = FalseAlarms(1, every="1h", lengths=(1, 2)), Window(rows=1_000, every=250)
    evaluator, _, _ = evaluator_for(two, rule, window, distances=("psi",))
    values = []
    for step in range(12):
        evaluator.evaluate([quiet(two, step)])
        values.append([score.value for score in evaluator.scores if score.length == "2000 rows"])
    assert values[:7] == [[]] * 7  # the second whole window is complete after eight panes
    assert values[7] == values[8] == values[9] == values[10]
    assert values[11] != values[10]


@pytest.mark.slow
def test_the_whole_model_keeps_its_budget():
    """Over many references, about one window in twenty of eight features has an alarm at a level of 0.05."""
    random = np.random.default_rng(4)
    base = Reference.fit({f"f{index}": random.normal(size=2_000) for index in range(8)})
    layout = Layout(base.features)
    rule = FalseAlarms(1, per="20s", every="1s", min_effect=0.0, lengths=(1,))
    alarms = []
    for _ in range(250):
        features = [replace(one, counts=tuple(map(int, random.multinomial(3_000, SHARES)))) for one in base.features]
        evaluate = rule.prepare(features, layout, Window(rows=600))
        for _ in range(4):
            counts = np.concatenate([random.multinomial(600, SHARES) for _ in features])
            alarms.append(any(one.enter for one in evaluate(Look(WindowCounts(counts, 600), 1, 1, 1.0, ()))))
    # Four windows share a reference, so the share varies like that of 250 to 1,000 independent windows.
    assert np.mean(alarms) == pytest.approx(0.05, abs=0.03)


def test_one_window_shows_a_shift_of_half_a_deviation(two):
    """At one false alarm in thirty days, hourly windows of 2,000 rows. The other feature stays stable."""
    hits = false_alarms = 0
    for seed in range(50):
        evaluator, _, _ = evaluator_for(two, FalseAlarms(1, every="1h"))
        evaluator.evaluate([shifted(two, 0.5, seed, rows=2_000)])
        hits += evaluator.status["x"].state == "drifting"
        false_alarms += evaluator.status["t"].state == "drifting"
    assert hits == 50
    assert false_alarms == 0


# --- both ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [Thresholds(psi=0.1, min_rows=300), FalseAlarms(1, every="1h", min_rows=300)])
def test_too_few_rows_are_insufficient_data(two, rule):
    """Below `min_rows` there is no state, even after a drift. At `min_rows` there is."""
    evaluator, changes, _ = evaluator_for(two, rule)
    assert evaluator.status["x"].reason == "no window yet"
    evaluator.evaluate([shifted(two, 2.0, rows=299)])
    assert evaluator.status["x"] == FeatureStatus("insufficient_data", None, None, 299, "299 rows, needs 300")
    assert changes == []
    evaluator.evaluate([shifted(two, 2.0, rows=300)])
    assert evaluator.status["x"].state == "drifting"
    evaluator.evaluate([shifted(two, 2.0, rows=10)])
    assert evaluator.status["x"].state == "insufficient_data"
    assert [change.status.state for change in changes if change.feature == "x"] == ["drifting", "insufficient_data"]


@pytest.mark.parametrize("rule", [Thresholds(psi=0.1), FalseAlarms(1, every="1h")])
def test_a_feature_that_goes_missing_drifts(two, rule):
    """The reason names the share of missing values."""
    evaluator, _, _ = evaluator_for(two, rule)
    random = np.random.default_rng(0)
    evaluator.evaluate([window_of(two, random.normal(size=1_000), [None] * 1_000)])
    assert evaluator.status["t"].state == "drifting"
    assert "missing from 0.0% to 100.0%" in evaluator.status["t"].reason
    assert evaluator.status["x"].state == "stable"


def test_the_reason_names_unseen_categories(two):
    """With their shares before and after."""
    evaluator, _, _ = evaluator_for(two, FalseAlarms(1, every="1h"))
    evaluator.evaluate([window_of(two, np.random.default_rng(0).normal(size=1_000), ["new"] * 500 + ["a"] * 500)])
    assert "unseen categories from 0.0% to 50.0%" in evaluator.status["t"].reason


def test_an_empty_window_has_no_state(two):
    """Every feature becomes `insufficient_data`, and there are no scores."""
    evaluator, _, _ = evaluator_for(two, FalseAlarms(1, every="1h"))
    evaluator.evaluate([quiet(two), WindowCounts(np.zeros_like(quiet(two).counts), 0)])
    assert {one.state for one in evaluator.status.values()} == {"insufficient_data"}
    assert evaluator.scores == ()


def test_the_dict_of_states_is_another_one_after_each_evaluation(two):
    evaluator, _, _ = evaluator_for(two, FalseAlarms())
    evaluator.evaluate([quiet(two)])
    before, token = evaluator.status, evaluator.evaluation
    assert evaluator.status is before
    assert evaluator.evaluation is token
    evaluator.evaluate([quiet(two, 1)])
    assert evaluator.evaluation is not token
    assert evaluator.status is not before
    assert before["x"].rows == evaluator.status["x"].rows == 1_000
