"""Quantiles from counts agree with those of numpy from the rows, within the error that they state."""

from __future__ import annotations

import json

import numpy as np
import pytest

from driftline import Reference
from driftline._binning.layout import Layout
from driftline.detection._explanation import build_components, describe_shift
from driftline.detection._quantiles import bin_values, estimate_quantile, fitted_quantiles

SHAPES = {
    "normal": lambda random, rows: random.normal(size=rows),
    "lognormal": lambda random, rows: random.lognormal(0, 2, rows),
    "Cauchy": lambda random, rows: random.standard_cauchy(rows),
    "uniform": lambda random, rows: random.uniform(-1, 1, rows),
    "zero-inflated": lambda random, rows: np.where(random.random(rows) < 0.5, 0.0, random.gamma(2, 10, rows)),
    "whole numbers": lambda random, rows: random.poisson(30, rows).astype(float),
    "few values": lambda random, rows: random.choice([1.0, 2.0, 4.0, 8.0], rows),
    "prices": lambda random, rows: np.round(random.lognormal(3, 1, rows), 2),
}
"""Name of a kind of column to a function that draws it."""


def feature_of(values):
    """Return the numeric feature that is fitted to values, and the function that counts values in its bins."""
    (feature,) = Reference.fit({"x": values}, numeric=["x"]).features
    layout = Layout([feature])
    return feature, lambda column: layout.count([column], len(column))


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.05, 0.25, 0.5, 0.75, 0.9])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_true_quantile_is_in_the_stated_range(shape, share):
    """For 5 to 60 bins, windows of 1 to 2,000 rows, and values that moved by up to twice their range."""
    random = np.random.default_rng([7, *shape.encode()])
    draw = SHAPES[shape]
    for _ in range(60):
        usual = draw(random, int(random.choice([5, 30, 300, 3_000])))
        feature, count = feature_of(usual)
        values = draw(random, int(random.choice([1, 2, 7, 200, 2_000])))
        values = values + np.round(
            random.normal() * np.ptp(usual) * random.choice([0.0, 0.1, 0.5]), 2 * random.integers(2)
        )
        quantile = estimate_quantile(feature, count(values), share)
        truth = float(np.quantile(values, share))
        rounding = 1e-9 * abs(truth) + 1e-12
        # Whole numbers and prices are rounded to their last decimal, which a shift by others may miss.
        rounding += feature.step
        assert quantile.low - rounding <= truth <= quantile.high + rounding
        if np.isfinite([quantile.low, quantile.high]).all():
            assert quantile.low - 1e-9 <= quantile.value <= quantile.high + 1e-9


@pytest.mark.parametrize("shape", ["whole numbers", "few values"])
def test_quantiles_of_values_with_their_own_bins_are_exact(shape):
    """Half-way between two values too."""
    random = np.random.default_rng(3)
    usual = SHAPES[shape](random, 3_000) if shape == "few values" else random.poisson(2, 3_000).astype(float)
    feature, count = feature_of(usual)
    for rows in (1, 2, 3, 10, 101, 1_000):
        values = random.choice(usual, rows)
        for share in (0.25, 0.5, 0.75):
            quantile = estimate_quantile(feature, count(values), share)
            assert quantile.low == quantile.value == quantile.high == pytest.approx(np.quantile(values, share))


def test_the_reference_has_exact_quartiles_and_the_last_decimal():
    """Of the values that are not missing; none after a merge and in files of earlier releases."""
    random = np.random.default_rng(4)
    values = np.where(random.random(2_001) < 0.1, np.nan, np.round(random.normal(20, 5, 2_001), 1))
    reference = Reference.fit({"x": values})
    (feature,) = reference.features
    assert feature.quartiles == pytest.approx(np.nanquantile(values, [0.25, 0.5, 0.75]))
    assert feature.step == 0.1
    assert [each.value for each in fitted_quantiles(feature)] == list(feature.quartiles)
    again = Reference.from_json(reference.to_json())
    assert again == reference
    (merged,) = reference.merge(Reference.fit({"x": values}, like=reference)).features
    assert (merged.quartiles, merged.step) == ((), 0.1)
    document = json.loads(reference.to_json())
    for key in ("quartiles", "step"):
        del document["features"][0][key]
    (old,) = Reference.from_json(json.dumps(document)).features
    assert (old.quartiles, old.step) == ((), 0.0)
    counts = Layout([old]).count([values + 10.0], len(values))
    assert "(±" in describe_shift(old, counts).partition(" to ")[0]


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ([1.0, 2.0, 5.0], 1.0),
        ([0.1, 0.2, 0.30000000000000004], 0.1),
        ([19.99, 5.0], 0.01),
        ([1e-9, 2e-9], 0.0),
        ([1 / 3, 2.0], 0.0),
        ([1.7e9, 1.7e9 + 1], 1.0),
        ([2_000_000.3, 1.0], 0.1),
        ([1e17, 1.0], 0.0),
        ([np.float32(0.1), np.float32(100.7)], 0.1),
        ([0.0, 0.0], 1.0),
    ],
)
def test_the_unit_of_the_last_decimal(values, step):
    """Up to three decimals, also with the roundings of float32."""
    (feature,) = Reference.fit({"x": np.array(values, dtype=float)}, numeric=["x"]).features
    assert feature.step == step


def test_ends_of_bins_are_multiples_of_the_last_decimal():
    """A cut just above a price leaves it in the bin below."""
    random = np.random.default_rng(8)
    values = np.round(random.lognormal(3, 1, 5_000), 2)
    feature, _ = feature_of(values)
    for number in range(1, len(feature.bins.cuts)):
        low, high = bin_values(feature, number)
        inside = (values >= low - 1e-9) & (values <= high + 1e-9)
        assert inside.sum() == feature.counts[number]


def test_half_of_the_values_beyond_the_range():
    """The range is written, and no number that the counts cannot know."""
    random = np.random.default_rng(2)
    values = random.normal(size=2_000)
    feature, count = feature_of(values)
    highest = f"{values.max():.3f}"[:4]
    assert f"to above {highest}" in describe_shift(feature, count(np.full(300, 9.0)))
    assert "to below -" in describe_shift(feature, count(np.full(300, -9.0)))
    # One half is below and one above: the median is unknown.
    assert "median" not in describe_shift(feature, count(np.array([9.0, -9.0])))
    whole, count = feature_of(random.poisson(30, 2_000).astype(float))
    assert f"to above {whole.moments.maximum:.0f}," in describe_shift(whole, count(np.full(300, 99.0)))
    assert "median" not in describe_shift(feature, count(np.full(300, np.nan)))


@pytest.mark.parametrize("seed", range(40))
def test_files_with_extreme_numbers_are_described(seed):
    """Numbers that a fit never writes, and that a damaged file may have, raise nothing and are not written."""
    random = np.random.default_rng(seed)
    pool = [0.0, 5e-324, 1e-9, 1.0, 1 + 2**-52, 71.4, 1e17, 1e140, 1.7e308, -1.0, -1e300, -1.7e308]
    cuts = sorted(random.choice(pool, int(random.integers(2, 9)), replace=False).tolist())
    bins = len(cuts) + 2
    low, middle, high = sorted(random.choice(pool, 3, replace=False).tolist())
    feature = {
        "name": "x", "kind": "numeric", "cuts": cuts, "counts": [1] * bins, "means": random.choice(pool, bins).tolist(),
        "moments": {"count": bins, "mean": middle, "std": 1.0, "minimum": low, "maximum": high},
        "known_values": [middle], "quartiles": [low, middle, high], "step": float(random.choice([1, 0.1, 0.01])),
    }  # fmt: skip
    document = {"schema_version": 2, "rows": bins, "features": [feature]}
    (feature,) = Reference.from_json(json.dumps(document)).features
    for _ in range(20):
        current = random.integers(0, 9, bins)
        expected = random.random(bins) + 0.1
        with np.errstate(all="raise"):
            components = build_components(feature, np.full(5, 1e-4), random.normal(size=5), current, expected)
            sentences = [describe_shift(feature, current, components, expected=each) for each in (None, expected)]
        assert not any(word in sentence.lower() for sentence in sentences for word in ("nan", "inf"))
