"""Explanations name the part that moved, the medians and the bins."""

from __future__ import annotations

import numpy as np
import pytest

from driftline import Reference
from driftline._binning.layout import Layout
from driftline._significance.two_sample import TwoSample
from driftline.detection._explanation import build_components, describe_shift


@pytest.fixture(scope="module")
def two():
    """A reference with a numeric and a categorical feature."""
    random = np.random.default_rng(3)
    return Reference.fit(
        {"x": random.normal(size=4_000), "t": random.choice(["a", "b", "c"], 4_000, p=[0.6, 0.3, 0.1])}
    )


def explain(reference, x, t, **options):
    """Return the explanations of both features for a window with these columns."""
    layout = Layout(reference.features)
    counts = layout.count([np.asarray(x, dtype=float), list(t)], len(x))
    result = TwoSample(reference.features, layout)(counts)
    return [
        describe_shift(feature, counts[bins], build_components(feature, parts, direction), **options)
        for feature, bins, parts, direction in zip(
            reference.features, layout.slices, result.parts, result.direction, strict=True
        )
    ]


def test_an_explanation_names_the_part_the_medians_and_the_bins(two):
    """With the shares before and after."""
    random = np.random.default_rng(0)
    x, t = explain(two, random.normal(1.0, size=2_000), random.choice(["a", "b", "c"], 2_000, p=[0.2, 0.7, 0.1]))
    assert x.startswith("x: location up")
    assert ", median " in x
    assert "% to " in x
    assert t.startswith("t: mix changed, ")
    assert "b from 28.8% to 7" in t


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (lambda random: random.normal(-0.5, size=2_000), "location down"),
        (lambda random: random.normal(scale=1.5, size=2_000), "spread wider"),
        (lambda random: random.normal(scale=0.6, size=2_000), "spread narrower"),
        (lambda random: np.where(random.random(2_000) < 0.1, np.nan, random.normal(size=2_000)), "more missing"),
        (lambda random: np.where(random.random(2_000) < 0.1, 99.0, random.normal(size=2_000)), "more out of range"),
        (lambda random: random.choice([-0.7, 0.7], 2_000), "shape changed"),
    ],
)
def test_each_part_has_its_description(two, values, expected):
    """Down, wider, narrower, missing, out of range, shape."""
    random = np.random.default_rng(1)
    assert expected in explain(two, values(random), ["a"] * 2_000)[0]


def test_labels_can_be_replaced_by_numbers(two):
    """For text that leaves the process."""
    _, t = explain(two, np.zeros(500), ["b"] * 500, labels=False)
    assert "category 1 from" in t
    assert "b from 2" not in t


def test_a_window_without_rows_is_described_by_the_name_alone(two):
    """There is nothing to compare."""
    assert describe_shift(two.features[0], np.zeros(two.features[0].bins.size, dtype=np.int64)) == "x"


def test_a_median_that_moved_against_all_values_is_not_named(two):
    """The lower tail grew, so that the values are lower, and the median is higher."""
    random = np.random.default_rng(2)
    upper = random.normal(0.35, 0.1, size=1_300)
    x, _ = explain(two, np.concatenate([upper, random.normal(-2.5, 0.3, size=700)]), ["a"] * 2_000)
    assert "location down" in x
    assert "median" not in x
    x, _ = explain(two, np.concatenate([upper, random.normal(2.5, 0.3, size=700)]), ["a"] * 2_000)
    assert "location up" in x
    assert "median" in x
