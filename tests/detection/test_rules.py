"""Rules: what is drift, when it begins and when it is over."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from driftline import ConfigurationError, FalseAlarms, FeatureStatus, Monitor, Reference, Thresholds, Window
from driftline._binning.layout import Layout
from driftline._windows.ring import WindowCounts
from driftline.detection import Look, check_rule
from driftline.detection._evaluator import WindowEvaluator
from driftline.detection._scoring import named_distances
from driftline.distances import BY_NAME, corrected_psi

DAY = 86_400.0
HOUR = 3_600.0
SHARES = np.array([0.0, 0.01, 0.04, 0.05, *[0.1] * 8, 0.05, 0.04, 0.01, 0.0, 0.0])
SHARES /= SHARES.sum()


@pytest.fixture(scope="module")
def two():
    """A numeric and a categorical feature."""
    random = np.random.default_rng(3)
    return Reference.fit(
        {"x": random.normal(size=4_000), "t": random.choice(["a", "b", "c"], 4_000, p=[0.6, 0.3, 0.1])}
    )


def window_of(reference, x, t):
    """The counts of a window of these columns."""
    return WindowCounts(Layout(reference.features).count([np.asarray(x, dtype=float), list(t)], len(x)), len(x))


def quiet(reference, seed=0, rows=1_000):
    """A window from the distribution of the reference."""
    random = np.random.default_rng(seed)
    return window_of(reference, random.normal(size=rows), random.choice(["a", "b", "c"], rows, p=[0.6, 0.3, 0.1]))


def shifted(reference, by=1.0, seed=0, rows=1_000):
    """A window whose number has moved."""
    random = np.random.default_rng(seed)
    return window_of(reference, random.normal(by, size=rows), random.choice(["a", "b", "c"], rows, p=[0.6, 0.3, 0.1]))


def judging(reference, rule, window=None, now=None, distances=()):
    """A judging and what it tells of."""
    changes, reports = [], []
    made = WindowEvaluator(
        reference,
        Layout(reference.features),
        window or Window(rows=1_000),
        rule,
        named_distances(distances),
        (lambda: now[0]) if now else (lambda: 0.0),
        changes.append,
        lambda *one: reports.append(one),
    )
    return made, changes, reports


# --- Thresholds ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["psi", "js", "ks", "mean", "wasserstein", "hellinger", "total_variation", "kl"])
def test_a_threshold_is_reached_at_the_limit(two, name):
    """At the score itself the feature drifts, just above it does not."""
    window = shifted(two)
    group = Layout(two.features).slices[0]
    keywords = {"positions": two.features[0].positions()} if name in {"mean", "wasserstein", "ks"} else {}
    score = BY_NAME[name](two.features[0].counts, window.counts[group], **keywords)
    for limit, state in ((score, "drifting"), (np.nextafter(score, 9e9), "stable")):
        judged, _, _ = judging(two, Thresholds(**{name: float(limit)}))
        judged.evaluate([window])
        assert judged.status["x"].state == state
        assert judged.status["t"].state == "stable"


def test_lengths_are_judged_with_pauses_between_them(two):
    """One window at a time leaves the interpreter to others; several that wait are judged at once."""
    judged, _, _ = judging(two, FalseAlarms())
    paused = []
    for seed in range(4):
        judged.evaluate([quiet(two, seed)], pause=lambda: paused.append(1))
    assert len(paused) == 4 + 1  # each by itself, and four together
    judged.evaluate([quiet(two, seed) for seed in range(4, 8)], pause=lambda: paused.append(1))
    assert len(paused) == 4 + 1


def test_a_threshold_is_left_at_half_the_limit(two):
    """Hysteresis: a score between half the limit and the limit keeps the state that was."""
    strong, weak, none = shifted(two, 1.0), shifted(two, 0.35), quiet(two)
    judged, changes, _ = judging(two, Thresholds(mean=0.5))
    states = []
    for window in (weak, strong, weak, weak, none, weak):
        judged.evaluate([window])
        states.append(judged.status["x"].state)
    assert states == ["stable", "drifting", "drifting", "drifting", "stable", "stable"]
    assert [(one.previous, one.status.state) for one in changes if one.feature == "x"] == [
        ("insufficient_data", "stable"),
        ("stable", "drifting"),
        ("drifting", "stable"),
    ]


def test_any_of_several_limits_is_enough(two):
    """The reason names the distance that is over its limit, and what moved."""
    judged, _, _ = judging(two, Thresholds(psi=50.0, mean=0.5))
    judged.evaluate([shifted(two)])
    status = judged.status["x"]
    assert status.state == "drifting"
    assert status.reason.startswith("x: median ")
    assert status.components == ()
    assert "mean 0.9" in status.reason or "mean 1." in status.reason
    assert "limit 0.5" in status.reason
    assert "psi" not in status.reason


def test_a_distance_that_only_the_rule_wants_is_computed(two):
    """Beside those that were asked for, once."""
    judged, _, _ = judging(two, Thresholds(psi=0.2, ks=0.2), distances=("psi", "js"))
    judged.evaluate([quiet(two)])
    assert [score.distance for score in judged.scores if score.feature == "x"] == ["psi", "js", "ks"]


# --- FalseAlarms -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "cadence", "level"),
    [
        (FalseAlarms(1, per="30d"), HOUR, 1 / 720 / 3),
        (FalseAlarms(1, per="30d", lengths=(1,)), HOUR, 1 / 720),
        (FalseAlarms(2, per="30d", lengths=(1, 8)), HOUR, 1 / 720),
        (FalseAlarms(3, per="1d"), HOUR, 1 / 24),
        (FalseAlarms(1, per="1h"), HOUR, 0.05),
        (FalseAlarms(1, per="30d"), 1e-12, 1e-12),
    ],
)
def test_a_budget_is_a_level_per_judgement(rule, cadence, level):
    """Alarms times cadence over the time; at most 0.05, at least 1e-12."""
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
def test_the_cadence_is_the_windows_the_stated_or_the_observed_one(two, window, every, elapsed, level):
    """Windows of time know it; of rows it is stated, or observed between a second and a day."""
    rule = FalseAlarms(1, per="30d", every=every, lengths=(1,))
    judge = rule.prepare(two.features, Layout(two.features), window)
    evidence = judge(Look(shifted(two), 1, 1, elapsed, ()))
    assert f"(level {level:.2g})" in evidence[0].reason()


def test_a_longer_length_has_the_level_of_its_own_cadence(two):
    """Four windows of an hour are judged every four hours, at a third of the budget like the others."""
    judge = FalseAlarms(1, per="30d", every="1h").prepare(two.features, Layout(two.features), Window(rows=1_000))
    for panes in (1, 4, 16):
        evidence = judge(Look(shifted(two), panes, panes, 5.0, ()))
        assert f"(level {panes / 720 / 3:.2g})" in evidence[0].reason()


def test_the_elapsed_time_is_spread_over_the_windows_of_a_judgement(two):
    """Four windows in four hours are one an hour."""
    now = [0.0]
    judged, _, _ = judging(two, FalseAlarms(1, per="30d", lengths=(1,)), now=now)
    now[0] = 4 * HOUR
    judged.evaluate([shifted(two)] * 4)
    assert f"(level {1 / 720:.2g})" in judged.status["x"].reason


def test_a_drift_needs_significance_and_size(two):
    """A large window makes a shift significant that matters to nobody; the effect decides then."""
    window = shifted(two, 0.2, rows=200_000)
    small, _, _ = judging(two, FalseAlarms(1, every="1h", min_effect=0.05))
    small.evaluate([window])
    assert small.status["x"].state == "stable"
    assert small.status["x"].p_value < 1e-20
    assert small.status["x"].effect < 0.05
    asked, _, _ = judging(two, FalseAlarms(1, every="1h", min_effect=0.001))
    asked.evaluate([window])
    assert asked.status["x"].state == "drifting"


def test_the_effect_is_the_corrected_psi(two):
    """Of that feature, in that window."""
    window = shifted(two)
    judged, _, _ = judging(two, FalseAlarms(1, every="1h"))
    judged.evaluate([window])
    for feature, place in zip(two.features, Layout(two.features).slices, strict=True):
        assert judged.status[feature.name].effect == pytest.approx(corrected_psi(feature.counts, window.counts[place]))


def test_a_budget_is_left_when_the_effect_has_halved(two):
    """Entered at the least effect, left below half of it."""
    effects = {by: corrected_psi(two.features[0].counts, shifted(two, by).counts[:17]) for by in (1.0, 0.4, 0.2)}
    rule = FalseAlarms(1, every="1h", min_effect=float(effects[0.4] * 1.5), lengths=(1,))
    assert 0.5 * rule.min_effect > effects[0.2]
    judged, _, _ = judging(two, rule)
    states = []
    for by in (0.4, 1.0, 0.4, 0.4, 0.2, 0.4):
        judged.evaluate([shifted(two, by)])
        states.append(judged.status["x"].state)
    assert states == ["stable", "drifting", "drifting", "drifting", "stable", "stable"]


def test_a_budget_is_left_when_the_window_looks_like_the_reference(two):
    """Above a p-value of 0.05, however small the effect that is asked for."""
    judged, _, _ = judging(two, FalseAlarms(1, every="1h", min_effect=0.0, lengths=(1,)))
    p, states = [], []
    for window in (shifted(two, 0.12, 5), shifted(two, 1.0), shifted(two, 0.12, 5), quiet(two, 4)):
        judged.evaluate([window])
        p.append(judged.status["x"].p_value)
        states.append(judged.status["x"].state)
    assert 1e-3 < p[0] < 0.05
    assert p[3] > 0.05
    assert states == ["stable", "drifting", "drifting", "stable"]


def test_a_small_shift_that_lasts_is_found_by_a_longer_length(two):
    """A tenth of a deviation in windows of 1,000 rows: the window does not show it, sixteen together do."""
    judged, _, _ = judging(two, FalseAlarms(1, every="1h", min_effect=0.0))
    states = []
    for seed in range(16):
        judged.evaluate([shifted(two, 0.12, seed)])
        states.append(judged.status["x"].state)
    assert states[:3] == ["stable"] * 3
    assert states[-1] == "drifting"
    assert judged.status["x"].rows >= 4_000
    assert "location up" in judged.status["x"].reason


def test_a_big_drift_that_has_ended_is_over_at_once(two):
    """Though sixteen windows still hold rows of it."""
    judged, changes, _ = judging(two, FalseAlarms(1, every="1h"))
    for seed in range(8):
        judged.evaluate([quiet(two, seed)])
    judged.evaluate([shifted(two, 1.0)])
    assert judged.status["x"].state == "drifting"
    states = []
    for seed in range(20, 40):
        judged.evaluate([quiet(two, seed)])
        states.append(judged.status["x"].state)
    assert states[2:] == ["stable"] * 18
    assert [one.status.state for one in changes if one.feature == "x"].count("drifting") == 1


def test_scores_are_told_at_every_length(two):
    """Of the last look at each."""
    judged, _, _ = judging(two, FalseAlarms(1, every="1h", lengths=(1, 2)), distances=("psi",))
    judged.evaluate([quiet(two, 0)])
    assert {score.length for score in judged.scores} == {"1000 rows"}
    judged.evaluate([shifted(two, seed=1)])
    assert [(score.feature, score.length, score.rows) for score in judged.scores] == [
        ("x", "1000 rows", 1_000),
        ("t", "1000 rows", 1_000),
        ("x", "2000 rows", 2_000),
        ("t", "2000 rows", 2_000),
    ]


def test_a_sliding_window_is_looked_at_for_long_only_as_a_whole(two):
    """Longer lengths move by windows, not by panes: rows count in one of their parts."""
    judged, _, _ = judging(two, FalseAlarms(1, every="1h", lengths=(1, 2)), Window(rows=1_000, every=250))
    seen = []
    for step in range(9):
        judged.evaluate([quiet(two, step)])
        seen.append({score.length for score in judged.scores} or None)
    assert len(judged._whole) == 2
    assert judged._passed == 9


def test_the_whole_model_keeps_its_budget():
    """Over many references and windows of eight features: at least one alarm in about a twentieth, and no more."""
    random = np.random.default_rng(4)
    base = Reference.fit({f"f{place}": random.normal(size=2_000) for place in range(8)})
    layout = Layout(base.features)
    rule = FalseAlarms(1, per="20s", every="1s", min_effect=0.0, lengths=(1,))
    alarms = []
    for _ in range(250):
        features = [replace(one, counts=tuple(map(int, random.multinomial(3_000, SHARES)))) for one in base.features]
        judge = rule.prepare(features, layout, Window(rows=600))
        for _ in range(4):
            counts = np.concatenate([random.multinomial(600, SHARES) for _ in features])
            alarms.append(any(one.enter for one in judge(Look(WindowCounts(counts, 600), 1, 1, 1.0, ()))))
    # Four windows share a reference: the spread of the share is that of about 250 to 1,000 independent ones.
    assert np.mean(alarms) == pytest.approx(0.05, abs=0.03)


def test_a_shift_of_half_a_deviation_is_found_at_once(two):
    """At one false alarm in thirty days, judged hourly, with 2,000 rows; and no other feature is blamed."""
    found = blamed = 0
    for seed in range(50):
        judged, _, _ = judging(two, FalseAlarms(1, every="1h"))
        judged.evaluate([shifted(two, 0.5, seed, rows=2_000)])
        found += judged.status["x"].state == "drifting"
        blamed += judged.status["t"].state == "drifting"
    assert found == 50
    assert blamed == 0


# --- both ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [Thresholds(psi=0.1, min_rows=300), FalseAlarms(1, every="1h", min_rows=300)])
def test_too_few_rows_are_not_judged(two, rule):
    """Below the least number nothing is said, a drift that was included; at it, it is."""
    judged, changes, _ = judging(two, rule)
    assert judged.status["x"].reason == "no window yet"
    judged.evaluate([shifted(two, 2.0, rows=299)])
    assert judged.status["x"] == FeatureStatus("insufficient_data", None, None, 299, "299 rows, needs 300")
    assert changes == []
    judged.evaluate([shifted(two, 2.0, rows=300)])
    assert judged.status["x"].state == "drifting"
    judged.evaluate([shifted(two, 2.0, rows=10)])
    assert judged.status["x"].state == "insufficient_data"
    assert [one.status.state for one in changes if one.feature == "x"] == ["drifting", "insufficient_data"]


@pytest.mark.parametrize("rule", [Thresholds(psi=0.1), FalseAlarms(1, every="1h")])
def test_a_feature_that_has_gone_missing_drifts(two, rule):
    """The words say what it is."""
    judged, _, _ = judging(two, rule)
    random = np.random.default_rng(0)
    judged.evaluate([window_of(two, random.normal(size=1_000), [None] * 1_000)])
    assert judged.status["t"].state == "drifting"
    assert "missing from 0.0% to 100.0%" in judged.status["t"].reason
    assert judged.status["x"].state == "stable"


def test_an_unseen_category_is_named_as_such(two):
    """And the category that it took the place of."""
    judged, _, _ = judging(two, FalseAlarms(1, every="1h"))
    judged.evaluate([window_of(two, np.random.default_rng(0).normal(size=1_000), ["new"] * 500 + ["a"] * 500)])
    assert "unseen categories from 0.0% to 50.0%" in judged.status["t"].reason


def test_an_empty_window_is_judged_without_a_word(two):
    """After a silence of a whole window nothing is known."""
    judged, _, _ = judging(two, FalseAlarms(1, every="1h"))
    judged.evaluate([quiet(two), WindowCounts(np.zeros_like(quiet(two).counts), 0)])
    assert {one.state for one in judged.status.values()} == {"insufficient_data"}
    assert judged.scores == ()


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, r"Thresholds\(\): expected at least one limit"),
        ({"psi": 0}, "psi=0: expected a positive limit"),
        ({"psi": -0.1}, "psi=-0.1: expected a positive limit"),
        ({"psi": True}, "psi=True: expected a positive limit"),
        ({"psi": "0.2"}, "psi='0.2': expected a positive limit"),
        ({"psi": None}, "psi=None: expected a positive limit"),
        ({"psi": float("nan")}, "psi=nan: expected a positive limit"),
        ({"psi": float("inf")}, "psi=inf: expected a positive limit"),
        ({"psi": 10**400}, "psi=1000.*: expected a positive limit"),
        ({"psi": 0.2, "min_rows": 0}, "min_rows=0: expected a whole number of at least 1"),
        ({"psi": 0.2, "min_rows": 1.5}, "min_rows=1.5: expected a whole number of at least 1"),
    ],
)
def test_bad_thresholds_are_refused(arguments, message):
    """The message names the limit, the value and what was expected."""
    with pytest.raises(ConfigurationError, match=message):
        Thresholds(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 0}, "count=0: expected a positive number of false alarms"),
        ({"count": -1}, "count=-1: expected a positive number"),
        ({"count": True}, "count=True: expected a positive number"),
        ({"count": "1"}, "count='1': expected a positive number"),
        ({"count": float("inf")}, "count=inf: expected a positive number"),
        ({"count": 10**400}, "count=1000.*: expected a positive number"),
        ({"min_effect": 10**400}, "min_effect=1000.*: expected a PSI of at least 0"),
        ({"per": "a month"}, "per='a month': expected a positive duration"),
        ({"per": 0}, "per=0: expected a positive duration"),
        ({"every": "often"}, "every='often': expected a positive duration"),
        ({"every": -5}, "every=-5: expected a positive duration"),
        ({"min_effect": -0.1}, "min_effect=-0.1: expected a PSI of at least 0"),
        ({"min_effect": None}, "min_effect=None: expected a PSI of at least 0"),
        ({"min_effect": float("nan")}, "min_effect=nan: expected a PSI of at least 0"),
        ({"min_rows": 0}, "min_rows=0: expected a whole number of at least 1"),
        ({"lengths": ()}, r"lengths=\(\): expected numbers of windows such as \(1, 4, 16\)"),
        ({"lengths": 4}, "lengths=4: expected numbers of windows"),
        ({"lengths": (2, 4)}, r"lengths=\(2, 4\): expected ascending numbers of windows from 1 to 64"),
        ({"lengths": (1, 4, 4)}, r"lengths=\(1, 4, 4\): expected ascending numbers"),
        ({"lengths": (1, 65)}, r"lengths=\(1, 65\): expected ascending numbers"),
        ({"lengths": (1, "4")}, "lengths='4': expected a whole number of at least 1"),
        ({"min_rows": "many"}, "min_rows='many': expected a whole number of at least 1"),
    ],
)
def test_bad_budgets_are_refused(arguments, message):
    """The message names the argument, the value and what was expected."""
    with pytest.raises(ConfigurationError, match=message):
        FalseAlarms(**arguments)


@pytest.mark.parametrize("rule", [None, 5, "psi", 0.2, {"psi": 0.2}, FalseAlarms])
def test_what_is_no_rule_is_refused(rule):
    """A class that is not made yet included."""
    with pytest.raises(ConfigurationError, match=r"rule=.*: expected FalseAlarms\(\.\.\.\)"):
        check_rule(rule)


def test_a_threshold_of_an_unknown_distance_is_refused_when_the_monitor_is_made(two):
    """It could be one of the user's own: the monitor knows those."""
    with pytest.raises(ConfigurationError, match="'psy' is unknown, expected one of"):
        Monitor("m", reference=two, rule=Thresholds(psy=0.2), enabled=True)
