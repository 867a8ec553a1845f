"""The sentence of an alarm leads with the part that is largest, not with the one that is most significant."""

from __future__ import annotations

import numpy as np
import pytest

from driftline import Reference
from driftline._binning.layout import Layout
from driftline._significance.components import LOCATION, MISSING, NUMERIC, OUTSIDE, SHAPE, SPREAD
from driftline._significance.two_sample import TwoSample
from driftline.detection._explanation import build_components
from driftline.detection._part_effects import measure_parts, measure_rank_shift


def compare(usual, values, **options):
    """Return the feature of *usual*, the counts of *values* in its bins, and the components of the difference."""
    (feature,) = Reference.fit({"x": usual}, **options).features
    layout = Layout([feature])
    counts = layout.count([values], len(values))
    result = TwoSample([feature], layout)(counts)
    return feature, counts, build_components(feature, result.parts[0], result.direction[0], counts)


@pytest.mark.parametrize("moved", [0.2, 0.3, 0.6, -0.3])
@pytest.mark.parametrize("shape", ["uniform", "normal", "exponential", "standard_t", "logistic"])
def test_a_distribution_that_moves_has_its_location_moved(shape, moved):
    """Also where its rows beyond the range, or its empty bins, are more significant."""
    random = np.random.default_rng(1)
    draw = getattr(random, shape)
    options = {"df": 3} if shape == "standard_t" else {}
    usual, values = draw(size=10_000, **options), draw(size=3_000, **options)
    _, _, components = compare(usual, values + moved * usual.std())
    assert components[0].words == f"location {'up' if moved > 0 else 'down'}"
    assert components[0].size == max(each.size for each in components if each.p_value < 1e-3)


@pytest.mark.parametrize(
    ("drift", "part"),
    [
        (lambda random, values: 1.5 * values, SPREAD),
        (lambda random, values: values / 2, SPREAD),
        (lambda random, values: np.sign(values) + values / 5, SHAPE),
        (lambda random, values: np.where(random.random(len(values)) < 0.1, 99.0, values), OUTSIDE),
        (lambda random, values: np.where(random.random(len(values)) < 0.01, 99.0, values), OUTSIDE),
        (lambda random, values: np.where(random.random(len(values)) < 0.1, np.nan, values), MISSING),
        (lambda random, values: np.where(random.random(len(values)) < 0.9, np.nan, values + 0.5), MISSING),
    ],
    ids=["wider", "narrower", "two humps", "far values", "few far values", "missing", "mostly missing"],
)
def test_each_part_can_lead(drift, part):
    random = np.random.default_rng(5)
    values = drift(random, random.normal(size=3_000))
    _, _, components = compare(random.normal(size=10_000), values)
    assert components[0].name == NUMERIC[part]


@pytest.mark.parametrize("shape", ["uniform", "normal", "exponential", "lognormal", "standard_t", "chisquare"])
@pytest.mark.parametrize("share", [0.01, 0.03, 0.08])
def test_few_rows_far_beyond_the_range_lead_and_move_nothing_else(shape, share):
    """They move each quantile a little, which is not a shift, and they leave the others as they were."""
    random = np.random.default_rng(11)
    draw = getattr(random, shape)
    options = {"df": 3} if shape in {"standard_t", "chisquare"} else {}
    usual, values = draw(size=20_000, **options), draw(size=2_000, **options)
    _, _, components = compare(usual, np.where(random.random(2_000) < share, usual.max() + 20 * usual.std(), values))
    assert components[0].words == "more out of range"
    assert components[0].size == pytest.approx((share * np.log(share / 2.5e-5)) ** 0.5, rel=0.4)  # nearly the PSI
    assert max(each.size for each in components[1:]) < 0.5 * components[0].size


def test_a_part_that_does_not_count_does_not_lead():
    """The alarm is about the others."""
    random = np.random.default_rng(6)
    usual = random.normal(size=10_000)
    (feature,) = Reference.fit({"x": usual}).features
    layout = Layout([feature])
    counts = layout.count([random.normal(0.5, 1.4, 3_000)], 3_000)
    result = TwoSample([feature], layout)(counts)
    counting = np.ones(len(NUMERIC), dtype=bool)
    counting[LOCATION] = False
    for enough, first in ((None, {"location", "spread"}), (counting, {"spread"})):
        components = build_components(feature, result.parts[0], result.direction[0], counts, None, enough)
        assert components[0].name in first
        assert {each.name for each in components} == {"location", "spread", "shape", "out of range"}


def test_sizes_are_in_standard_deviations():
    """Of a normal feature: a shift has its size, and a factor the root of its PSI."""
    random = np.random.default_rng(7)
    (feature,) = Reference.fit({"x": random.normal(size=100_000)}).features
    layout = Layout([feature])
    before = np.array(feature.counts, dtype=float)
    for moved in (0.2, 0.5, 1.0):
        sizes = measure_parts(feature, before, layout.count([random.normal(moved, 1, 100_000)], 100_000).astype(float))
        assert sizes[LOCATION] == pytest.approx(moved, rel=0.1)
        assert max(sizes[SPREAD], sizes[SHAPE], sizes[MISSING]) < 0.05
    for factor in (0.7, 1.3):
        sizes = measure_parts(feature, before, layout.count([random.normal(0, factor, 100_000)], 100_000).astype(float))
        assert sizes[SPREAD] == pytest.approx(2**0.5 * abs(np.sinh(np.log(factor))), rel=0.1)
        assert sizes[LOCATION] < 0.02
    assert measure_parts(feature, before, np.zeros_like(before)).tolist() == [0.0] * 5
    assert np.isfinite(measure_parts(feature, before, layout.count([np.full(9, np.inf)], 9).astype(float))).all()


def test_a_constant_that_moves_is_finite():
    _, _, components = compare(np.full(1_000, 3.0), np.full(1_000, 4.0), numeric=["x"])
    assert {each.words for each in components} == {"location up", "more out of range"}
    assert np.isfinite([each.size for each in components]).all()


def test_the_location_has_the_direction_of_the_ranks():
    """The test pools a rare bin with its neighbour, which may turn its direction round."""
    random = np.random.default_rng(9)
    usual = np.where(random.random(10_000) < 0.5, 0, random.poisson(30, 10_000)).astype(float)
    values = np.where(random.random(201) < 0.48, -2, random.poisson(38, 201)).astype(float)
    feature, counts, components = compare(usual, values)
    shift = measure_rank_shift(np.array(feature.counts, dtype=float), counts.astype(float))
    pairs = np.sign(values[:, None] - usual[None, :]).mean()
    assert shift == pytest.approx(pairs, abs=0.02)
    (location,) = (each for each in components if each.name == "location")
    assert location.words == f"location {'up' if pairs > 0 else 'down'}"
    assert measure_rank_shift(np.zeros(5), np.ones(5)) == 0.0
