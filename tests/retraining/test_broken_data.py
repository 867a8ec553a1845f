"""Tests of broken data: values that are missing, out of range, or in another unit, beside real changes."""

from __future__ import annotations

import numpy as np
import pytest

import driftline as dl
from driftline.retraining._broken_data import BrokenData
from driftline.retraining._unit_change import CONVERSIONS, find_unit_change

DRIFTING = dl.FeatureStatus("drifting", 1e-9, 0.4, 500, "it drifts")
SHAPES = {
    "temperature": lambda random, n: random.normal(15.0, 8.0, n),
    "duration": lambda random, n: random.gamma(2.0, 3.0, n),
    "count": lambda random, n: random.poisson(40, n).astype(float),
    "uniform": lambda random, n: random.uniform(0.0, 100.0, n),
    "price": lambda random, n: np.round(random.lognormal(3.0, 1.0, n), 2),
}


def columns(seed, rows):
    random = np.random.default_rng(seed)
    return {name: shape(random, rows) for name, shape in SHAPES.items()} | {
        "carrier": random.choice(["AA", "UA", "DL"], rows)
    }


@pytest.fixture(scope="module")
def reference():
    return dl.Reference.fit(columns(1, 20_000))


def counts(reference, data):
    """The counts of rows over the bins of all features."""
    monitor = dl.Monitor("m", reference=reference, synchronous=True, enabled=True, window=dl.Window(rows=10_000))
    monitor.observe(data)
    snapshot = monitor.snapshot()
    monitor.shutdown()
    assert snapshot is not None
    return snapshot.counts


def examine(reference, *windows):
    """Why data are broken in each of the windows."""
    broken = BrokenData(reference.watched)
    status = dict.fromkeys((feature.name for feature in reference.features), DRIFTING)
    return [broken.examine(counts(reference, window), status).broken for window in windows]


def change(name, function, seed=2, rows=3_000):
    data = columns(seed, rows)
    return {**data, name: function(np.asarray(data[name]))}


REAL = {
    "nothing": lambda x: x,
    "half a deviation up": lambda x: x + 0.5 * x.std(),
    "two deviations up": lambda x: x + 2.0 * x.std(),
    "wider": lambda x: (x - x.mean()) * 1.5 + x.mean(),
    "narrower": lambda x: (x - x.mean()) * 0.6 + x.mean(),
    "a fifth more": lambda x: 1.2 * x,
    "0.7 times": lambda x: 0.7 * x,
    "half of the rows": lambda x: np.where(np.arange(len(x)) % 2 == 0, x, x + 2.0 * x.std()),
}


@pytest.mark.parametrize("change_name", REAL)
def test_a_real_change_is_not_broken(reference, change_name):
    """In no shape: a shift, a scale that no unit has, and a change of half of the rows."""
    for name in SHAPES:
        (broken,) = examine(reference, change(name, REAL[change_name]))
        assert not any("unit" in reason for reason in broken.values()), (name, broken)


@pytest.mark.parametrize(
    ("name", "function", "words"),
    [
        ("temperature", lambda x: x / 1.609344, "kilometres to miles (x × 0.6214)"),
        ("duration", lambda x: 1.8 * x + 32.0, "Celsius to degrees Fahrenheit (x × 1.8 +32)"),
        ("count", lambda x: 1.609344 * x, "miles to kilometres (x × 1.609)"),
        ("count", lambda x: 0.45359237 * x, "pounds to kilograms (x × 0.4536)"),
        ("uniform", lambda x: x / 1_000.0, "a number to thousands (x × 0.001)"),
        ("temperature", lambda x: -x, "a number to its negative (x × -1)"),
    ],
)
def test_another_unit_is_broken(reference, name, function, words):
    (broken,) = examine(reference, change(name, function))
    assert list(broken) == [name]
    assert broken[name].startswith(f"{name}: as after a change of unit, such as ")
    assert words in broken[name]


def test_what_no_state_confirms_is_suspected(reference):
    """A window that is not complete, or says too little. Suddenly is only once."""
    data = counts(reference, change("count", lambda x: 1.609344 * x))
    broken = BrokenData(reference.watched)
    assert broken.examine(data, {}, thorough=False) == ({}, {})
    assert [list(names) for names in broken.examine(data, {})] == [[], ["count"]]
    gone = counts(reference, change("duration", lambda x: x + 500.0))
    assert [[*map(list, broken.examine(gone, {}))] for _ in range(2)] == [[[], ["duration"]], [[], []]]
    assert list(broken.examine(gone, {"duration": DRIFTING}).broken) == ["duration"]


def test_values_that_go_missing_are_broken(reference):
    """A quarter of them more than in the reference, whatever the state of the feature is."""
    some, most = (
        change("duration", lambda x, share=share: np.where(np.arange(len(x)) < share * len(x), np.nan, x))
        for share in (0.2, 0.6)
    )
    assert examine(reference, some, most) == [{}, {"duration": "duration: 60% are missing, 0% in the reference"}]
    all_missing = change("duration", lambda x: np.full(len(x), np.nan))
    assert list(BrokenData(reference.watched).examine(counts(reference, most), {}).suspected) == ["duration"]
    assert list(BrokenData(reference.watched).examine(counts(reference, all_missing), {}).broken) == ["duration"]


def test_values_that_leave_the_range_suddenly_are_broken(reference):
    """Until they are back. Those that leave slowly, as in a season, are a real change."""
    good, half, gone = (change("duration", lambda x, more=more: x + more) for more in (0.0, 30.0, 500.0))
    few = change("duration", lambda x: x + np.where(np.arange(len(x)) % 4 == 0, 500.0, 0.0))
    reason = {"duration": "duration: suddenly 100% are out of range"}
    assert examine(reference, good, gone, gone, good) == [{}, reason, reason, {}]
    assert examine(reference, gone) == [reason]
    assert examine(reference, few, gone) == [{}, {}]
    del half


def test_categories_that_are_all_unseen_are_broken(reference):
    renamed = {**columns(3, 2_000), "carrier": np.array(["aa", "ua"] * 1_000)}
    assert examine(reference, columns(2, 2_000), renamed) == [
        {},
        {"carrier": "carrier: suddenly 100% are of unseen categories"},
    ]


def test_few_rows_are_not_examined(reference):
    few = {name: values[:20] for name, values in columns(4, 2_000).items()}
    assert examine(reference, {**few, "duration": np.full(20, np.nan)}) == [{}]


@pytest.mark.parametrize(
    "values",
    [[], [5.0] * 50, [1.0, 2.0], [np.nan] * 20, [1e300, -1e300, 0.0] * 10, [0.0, 1.0] * 500, ["a", "b"] * 20],
)
def test_odd_features_are_examined_without_an_error(values):
    """Constants, few values, huge ones and none."""
    try:
        reference = dl.Reference.fit({"x": values})
    except dl.ConfigurationError:
        return
    for value in (0.0, 5.0, 1e301, np.nan, "c"):
        broken = examine(reference, {"x": [value] * 500})
        assert len(broken) == 1
    assert find_unit_change(reference.features[0], np.zeros(reference.features[0].bins.size, dtype=np.int64)) is None


def test_conversions_go_both_ways():
    """Each is a different one, and none leaves values as they are."""
    assert len({(each.factor, each.offset) for each in CONVERSIONS}) == len(CONVERSIONS)
    assert all(each.factor != 0.0 and (each.factor, each.offset) != (1.0, 0.0) for each in CONVERSIONS)
