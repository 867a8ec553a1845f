"""Every figure of the sentences of thousands of alarms agrees with the raw rows."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from driftline import FalseAlarms, Reference, Thresholds, Window
from driftline._binning.layout import Layout
from driftline._significance.two_sample import TwoSample
from driftline.detection._explanation import build_components, describe_shift
from driftline.testing import ManualClock, in_memory_monitor

from .sentences import SHARE, check_categories, check_numbers, check_share, in_bin, parts_of

DAY = 86_400.0
"""Seconds of a day."""

SHAPES = {
    "normal": (lambda random, rows: random.normal(size=rows), 0.0),
    "lognormal": (lambda random, rows: random.lognormal(size=rows), 0.0),
    "Student's t of 2 degrees": (lambda random, rows: random.standard_t(2, rows), 0.0),
    "Cauchy": (lambda random, rows: random.standard_cauchy(rows), 0.0),
    "uniform": (lambda random, rows: random.uniform(size=rows), 0.0),
    "exponential": (lambda random, rows: random.exponential(100.0, rows), 0.0),
    "two humps": (lambda random, rows: random.normal(np.where(random.random(rows) < 0.5, -2, 2), 0.5), 0.0),
    "zero-inflated": (lambda random, rows: np.where(random.random(rows) < 0.6, 0, random.gamma(2, 10, rows)), 0.0),
    "a spike": (lambda random, rows: np.where(random.random(rows) < 0.3, 5.0, random.normal(5, 1, rows)), 0.0),
    "large": (lambda random, rows: 1.7e9 + random.uniform(0, 1e6, rows), 0.0),
    "tiny": (lambda random, rows: random.normal(0, 1e-9, rows), 0.0),
    "huge": (lambda random, rows: random.normal(0, 1e30, rows), 0.0),
    "float32": (lambda random, rows: random.normal(size=rows).astype(np.float32).astype(float), 0.0),
    "few fractions": (lambda random, rows: random.choice([0, 1 / 3, 2 / 3, 1], rows), 0.0),
    "zeros and counts": (
        lambda random, rows: np.where(random.random(rows) < 0.5, 0, random.poisson(30, rows)).astype(float),
        1.0,
    ),
    "constant": (lambda _, rows: np.full(rows, 3.0), 1.0),
    "two values": (lambda random, rows: (random.random(rows) < 0.3).astype(float), 1.0),
    "few values": (lambda random, rows: random.choice([1.0, 2, 3, 5, 10], rows, p=[0.4, 0.3, 0.15, 0.1, 0.05]), 1.0),
    "small counts": (lambda random, rows: random.poisson(1.5, rows).astype(float), 1.0),
    "counts": (lambda random, rows: random.poisson(40, rows).astype(float), 1.0),
    "minutes": (lambda random, rows: np.rint(random.normal(-2, 30, rows)), 1.0),
    "salaries": (lambda random, rows: np.rint(random.lognormal(10, 0.5, rows)), 1.0),
    "prices": (lambda random, rows: np.round(random.lognormal(3, 1, rows), 2), 0.01),
    "tenths": (lambda random, rows: np.round(random.normal(20, 5, rows), 1), 0.1),
}
"""Name of a kind of column to a function that draws it, and the unit of its last decimal (0 for many decimals)."""

DRIFTS = 9
"""Kinds of drift of `drifted`."""

ALARM = 1e-3
"""Largest p-value of an alarm, about the level of the default rule for windows of an hour."""


def drifted(random, values, middle, unit, kind):
    """Return the values of a window after one kind of drift."""
    rows = len(values)
    if kind == 0:
        values = (values - middle) * np.exp(random.normal(0, 0.5)) + middle
    elif kind == 1:
        values[random.random(rows) < random.random() * 0.3] = np.nan
    elif kind == 2:
        beyond = [np.inf, -np.inf, middle + 20 * unit, middle - 20 * unit]
        values[random.random(rows) < random.random() * 0.1] = random.choice(beyond)
    elif kind == 3:
        values[random.random(rows) < 0.2] = middle
    elif kind == 4:
        values = (values - middle) * np.exp(random.normal(0, 0.5)) + middle + random.normal() * unit
    elif kind == 5:
        values[random.random(rows) < 0.5] += random.normal() * unit
    else:
        values = values + random.normal() * unit
    return values


def alarms_of(shape, seed, references, windows):
    """Yield (sentence, values of the reference, values of the window, step, scale) for each alarm of one shape."""
    draw, step = SHAPES[shape]
    random = np.random.default_rng([seed, *shape.encode()])
    for number in range(references):
        usual = draw(random, int(random.choice([500, 2_000, 10_000])))
        if number % 3 == 2:
            usual[random.random(len(usual)) < 0.05] = np.nan
        known = usual[~np.isnan(usual)]
        (feature,) = Reference.fit({"x": usual}, numeric=["x"]).features
        layout = Layout([feature])
        test = TwoSample([feature], layout)
        middle = float(np.median(known))
        unit = min(float(known.std()), float(np.subtract(*np.quantile(known, [0.75, 0.25]))) / 1.349)
        unit = unit or float(known.std()) or 1.0
        for _ in range(windows):
            values = draw(random, int(random.choice([200, 201, 1_000, 3_001])))
            values = drifted(random, values, middle, unit, random.integers(DRIFTS))
            if step:
                finite = np.isfinite(values)
                values[finite] = np.round(np.round(values[finite] / step) * step, 3)
            counts = layout.count([values], len(values))
            result = test(counts)
            if result.p[0] <= ALARM:
                components = build_components(feature, result.parts[0], result.direction[0], counts)
                yield describe_shift(feature, counts, components), usual, values, step, unit


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_figures_about_numbers_agree_with_the_rows(shape):
    """Medians within their own error, shares as counted in the printed ranges, and the directions of the words."""
    errors = []
    alarms = 0
    for sentence, usual, values, step, unit in alarms_of(shape, seed=0, references=3, windows=50):
        alarms += 1
        error = check_numbers(sentence, usual, values, step=step)
        errors.extend([] if error is None else [error / unit])
    assert alarms > 50
    if shape in {"normal", "uniform", "exponential", "Student's t of 2 degrees", "minutes", "tenths"}:
        # Smooth shapes are far better than their stated error, half the width of a bin.
        assert np.mean(errors) < 0.04
    if shape in {"constant", "two values", "few values", "small counts"}:
        assert np.mean(errors or [0.0]) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize(
    "shape", ["zeros and counts", "few values", "small counts", "counts", "minutes", "prices", "tenths"]
)
def test_bins_of_whole_numbers_are_right_for_values_in_between(shape):
    """Also where training data have whole numbers or few decimals, and served values have more, as after a new unit."""
    draw, _ = SHAPES[shape]
    random = np.random.default_rng([11, *shape.encode()])
    alarms = 0
    for number in range(30):
        usual = draw(random, 2_000)
        unit, middle = float(usual.std()), float(np.median(usual))
        values = draw(random, 1_000) * random.choice([1.0, 1 / 60, 1.3, 2.2046]) + unit * random.choice(
            [0.0, 0.3, -0.7]
        )
        if number % 3 == 0:
            values[:100] = middle + 0.1 * unit
        (feature,) = Reference.fit({"x": usual}, numeric=["x"]).features
        layout = Layout([feature])
        counts = layout.count([values], len(values))
        result = TwoSample([feature], layout)(counts)
        if result.p[0] <= ALARM:
            alarms += 1
            components = build_components(feature, result.parts[0], result.direction[0], counts)
            for part in parts_of(describe_shift(feature, counts, components))[1][1:]:
                if match := SHARE.fullmatch(part):
                    before, after = (in_bin(match["bin"], rows).mean() for rows in (usual, values))
                    check_share(match["before"], float(before))
                    # Digits at the ends of a range may hide a row.
                    check_share(match["after"], float(after), 1.0001 / len(values))
    assert alarms > 10


def test_whole_numbers_that_float32_cannot_tell_from_the_smallest_are_in_its_bin():
    """The range of large numbers begins where float32 rounds the smallest one to, and the sentence says so."""
    random = np.random.default_rng(2)
    usual = random.integers(10**12, 10**12 + 5_000, 5_000)
    monitor = in_memory_monitor(reference=Reference.fit({"x": usual}), window=Window(rows=1_000))
    values = random.integers(10**12 - 6_000, 10**12 - 1_000, 1_000).astype(float)
    monitor.observe({"x": values})
    shares = [match for part in parts_of(monitor.status()["x"].reason)[1] if (match := SHARE.fullmatch(part))]
    assert len(shares) == 2
    for match in shares:
        check_share(match["after"], float(in_bin(match["bin"], values).mean()))


@pytest.mark.parametrize(
    "label", ["missing", "other categories", "unseen categories", "", " a", "a, b", "a: b", 'a"', "a\n"]
)
def test_labels_that_read_as_another_part_of_a_sentence_are_in_quotation_marks(label):
    """So a category named missing is not taken for missing values, and an empty one is visible."""
    reference = Reference.fit({"c": [label, "b", "c", "d"] * 500}, categorical=["c"])
    monitor = in_memory_monitor(reference=reference, window=Window(rows=400))
    monitor.observe({"c": [label] * 400})
    assert f"c: mix changed, {json.dumps(label)} from 25.0% to 100.0%, " in monitor.status()["c"].reason


def test_medians_that_are_written_alike_are_not_named():
    """Of a column of zeros and gamma values that changes its sign, the median stays 0."""
    random = np.random.default_rng(3)
    usual = np.where(random.random(4_000) < 0.7, 0.0, random.gamma(2, 10, 4_000))
    monitor = in_memory_monitor(reference=Reference.fit({"x": usual}), window=Window(rows=1_000))
    monitor.observe({"x": -random.permutation(usual)[:1_000]})
    reason = monitor.status()["x"].reason
    assert reason.startswith("x: location down")
    assert "median" not in reason


def labels_of(random, rows, kind):
    """Return labels of one kind of categorical column; None is missing."""
    if kind == "few":
        labels = random.choice(list("abcde"), rows, p=random.dirichlet([5, 4, 3, 2, 1])).tolist()
    elif kind == "many":
        labels = [f"id {number}" for number in random.zipf(1.3, rows) % 3_000]
    else:
        labels = [f"rare {number}" for number in random.poisson(random.uniform(3, 60), rows)]
    return labels


@pytest.mark.parametrize("labels", [True, False])
@pytest.mark.parametrize("kind", ["few", "many", "moving"])
def test_figures_about_categories_agree_with_the_rows(kind, labels):
    """Also where labels are replaced by numbers, as in events; unseen ones with the share that is to be expected."""
    random = np.random.default_rng([3, labels, len(kind)])
    alarms = 0
    for number in range(8):
        usual = labels_of(random, 2_000, kind)
        if number % 2:
            usual = [None if random.random() < 0.05 else label for label in usual]
        (feature,) = Reference.fit({"c": usual}, categorical=["c"], max_categories=12).features
        layout = Layout([feature])
        test = TwoSample([feature], layout)
        for _ in range(15):
            values = labels_of(random, 1_000, kind)
            values = [None if random.random() < 0.03 else label for label in values]
            share = random.random() * 0.1
            values = [f"new {random.integers(9)}" if random.random() < share else label for label in values]
            counts = layout.count([values], len(values))
            result = test(counts)
            if result.p[0] <= ALARM:
                alarms += 1
                components = build_components(feature, result.parts[0], result.direction[0], counts)
                sentence = describe_shift(feature, counts, components, labels=labels)
                times = Counter(Counter(label for label in usual if label is not None).values())
                named = feature.bins.categories
                check_categories(sentence, usual, values, named=named, labels=labels, once=times[1])
    assert alarms > 50


def test_figures_with_seasons_compare_with_what_the_season_expects():
    """A window at night is compared with the nights of the reference, and the sentence says so."""
    random = np.random.default_rng(7)
    rows = 20 * 24 * 60
    times = 1_699_920_000.0 + np.arange(rows) * 60.0
    course = 8 * np.sin((times / 3_600 - 9) / 24 * 2 * np.pi)
    usual = course + random.normal(size=rows)
    reference = Reference.fit({"x": usual, "t": times}, time="t", seasons=("hour",))
    hours = (times // 3_600).astype(int) % 24
    alarms = 0
    for hour in range(24):
        wall, clock = ManualClock(times[0] + 30 * DAY + hour * 3_600), ManualClock()
        monitor = in_memory_monitor(
            reference=reference, window=Window(rows=1_000), rule=FalseAlarms(every="1h"), wall_clock=wall, clock=clock
        )
        inside = hours == hour
        values = random.choice(usual[inside], 1_000) + random.choice([-1.0, -0.5, 0.5, 1.0])
        monitor.observe({"x": values})
        status = monitor.status()["x"]
        if status.state == "drifting":
            alarms += 1
            check_numbers(status.reason, usual, values, weights=inside.astype(float))
            assert "median" not in status.reason or " is expected" in status.reason
    assert alarms > 20


@pytest.mark.parametrize("rule", [FalseAlarms(every="1h"), Thresholds(psi=0.1)])
def test_the_reasons_of_a_monitor_agree_with_the_rows(rule):
    """The reasons of both rules, and the explanations of scores."""
    random = np.random.default_rng(4)
    usual = {"x": random.normal(size=5_000), "n": random.poisson(40, 5_000).astype(float)}
    window = {"x": random.normal(0.5, 1.2, 2_000), "n": random.poisson(45, 2_000).astype(float)}
    monitor = in_memory_monitor(reference=Reference.fit(usual), window=Window(rows=2_000), rule=rule)
    monitor.observe(window)
    for name, step in (("x", 0.0), ("n", 1.0)):
        status = monitor.status()[name]
        assert status.state == "drifting"
        check_numbers(status.reason, usual[name], window[name], step=step)
        (score,) = (score for score in monitor.scores() if (score.feature, score.distance) == (name, "psi"))
        check_numbers(str(score), usual[name], window[name], step=step)
        assert str(score).endswith("n = 2000")
        assert len(parts_of(status.reason)[1]) > 1
