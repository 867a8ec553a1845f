"""Categories: those with bins are corrected for their selection, and parts of the data add up like one fit."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline import Reference
from driftline._binning.bins import CategoricalBins, Feature
from driftline._binning.categories import KNOWN_CATEGORIES
from driftline._binning.layout import Layout
from driftline._binning.selection import NewRows, expect_selected
from driftline._significance.components import OUTSIDE
from driftline._significance.two_sample import TwoSample


def feature_of(values, **options):
    return Reference.fit({"c": values}, categorical=["c"], **options).features[0]


def unseen_p(feature, values):
    """Return the p-value of unseen categories in a window of these values."""
    layout = Layout([feature])
    return TwoSample([feature], layout)(layout.count([values], len(values)), len(values)).parts[0, OUTSIDE]


# --- parts of the data ---------------------------------------------------------------------------------------------


@given(
    st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=60), min_size=2, max_size=4),
    st.lists(st.integers(0, 60), min_size=1, max_size=60),
    st.integers(1, 8),
)
def test_merged_parts_are_one_fit(parts, window, most):
    """Categories seen once and twice, rare ones, counts, and the p-value of unseen ones in any window."""
    first = Reference.fit({"c": parts[0]}, categorical=["c"], max_categories=most)
    merged = first
    for part in parts[1:]:
        merged = merged.merge(Reference.fit({"c": part}, like=first))
    rows = [value for part in parts for value in part]
    whole, summed = Reference.fit({"c": rows}, like=first).features[0], merged.features[0]
    assert (summed.bins, summed.counts, summed.rare, summed.once, summed.twice) == (
        whole.bins,
        whole.counts,
        whole.rare,
        whole.once,
        whole.twice,
    )
    times = Counter(Counter(rows).values())
    assert (summed.once, summed.twice) == (times[1], times[2])
    assert summed.counts[summed.bins.unseen] == 0
    np.testing.assert_equal(unseen_p(summed, window), unseen_p(whole, window))
    # The own categories of one fit may be others; what is unseen is the same.
    np.testing.assert_allclose(unseen_p(summed, window), unseen_p(feature_of(rows, max_categories=most), window))
    assert Reference.from_json(merged.to_json()) == merged


def test_the_order_of_parts_does_not_change_the_result():
    first = Reference.fit({"c": list("aaabbcd")}, max_categories=2)
    second, third = (Reference.fit({"c": list(values)}, like=first) for values in ("abe", "effz"))
    assert first.merge(second).merge(third) == first.merge(third.merge(second))


def test_too_many_rare_categories_open_the_bins():
    """Then nothing is unseen, and what was seen once is not known."""
    first = Reference.fit({"c": [f"a{number}" for number in range(4_000)]})
    merged = first.merge(Reference.fit({"c": [f"b{number}" for number in range(4_000)]}, like=first))
    feature = merged.features[0]
    assert feature.bins == CategoricalBins(first.features[0].bins.categories, (), open=True)
    assert (feature.once, feature.twice, feature.rare) == (0, 0, ())
    assert feature.counts[feature.bins.other] == 8_000 - 50
    assert Reference.from_json(merged.to_json()) == merged
    again = merged.merge(Reference.fit({"c": ["c"] * 9}, like=first))
    assert again.features[0].bins.open
    assert KNOWN_CATEGORIES < 8_000 - 50


def test_parts_of_an_earlier_release_keep_the_estimate_of_the_first():
    """They do not say which categories they have once, and count categories of the others as unseen."""
    random = np.random.default_rng(0)
    names = [f"c{number}" for number in range(3_000)]
    first = Reference.fit({"c": random.choice(names, 15_000)})
    parts = [Reference.fit({"c": random.choice(names, 15_000)}, like=first)]
    old_first, *old_parts = (_as_released(reference, first) for reference in (first, *parts))
    merged = old_first
    for part in old_parts:
        merged = merged.merge(part)
    feature = merged.features[0]
    assert feature.once == first.features[0].once
    assert feature.counts[feature.bins.unseen] > 50
    assert unseen_p(feature, random.choice(names, 5_000)) > 0.01
    new = np.where(random.random(5_000) < 0.1, "new", random.choice(names, 5_000))
    assert unseen_p(feature, new) < 1e-100
    assert Reference.from_json(merged.to_json()) == merged


def _as_released(reference, first):
    """Return a reference as 0.1 wrote it: over the bins of the first part, without rows of rare categories."""
    document = json.loads(reference.to_json())
    known = document["features"][0]["others"]
    rows = dict(zip(known, document["features"][0].pop("rare"), strict=True))
    others = list(first.features[0].bins.others)
    document["features"][0]["others"] = others
    document["features"][0].pop("expected", None)
    unseen = sum(count for label, count in rows.items() if label not in set(others))
    document["features"][0]["counts"][-3] -= unseen
    document["features"][0]["counts"][-2] += unseen
    return Reference.from_json(json.dumps(document))


# --- selection -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1_000, 10_000, 100_000])
@pytest.mark.parametrize("categories", [60, 100, 500, 5_000])
def test_equally_frequent_categories_are_expected_equally(categories, rows):
    """The fifty most frequent have up to five times their rate in the sample."""
    counts = np.sort(np.random.default_rng(0).multinomial(rows, np.full(categories, 1 / categories)))[::-1]
    counts = counts[counts > 0]
    expected, rate = expect_selected(counts, 50), rows / categories
    assert abs(expected.sum() - 50 * rate) < 2.5 * np.sqrt(50 * rate)
    assert counts[:50].sum() - 50 * rate > np.sqrt(50 * rate)


def test_counts_far_above_the_others_stay():
    counts = np.array([5_000, 4_000, 3_000, 100, 90, 80, 70, 60])
    assert expect_selected(counts, 3).tolist() == [5_000, 4_000, 3_000]
    assert expect_selected(counts, 8).tolist() == counts.tolist()


def test_values_that_never_repeat_are_not_expected_again():
    """All new rows of an identifier are unseen, and none is in an own bin."""
    feature = feature_of([f"id{number}" for number in range(1_000)])
    expected = NewRows([feature])(np.array(feature.counts))
    assert expected[feature.bins.unseen] == pytest.approx(1_000, abs=0.1)
    assert expected[: feature.bins.other].sum() == pytest.approx(0.0, abs=0.1)


def test_expected_rows_add_up_and_leave_other_features_alone():
    numbers = np.random.default_rng(0).geometric(0.01, 3_000)
    features = Reference.fit(
        {"c": [*numbers, None], "x": np.arange(3_001.0), "few": list("ab") * 1_500 + ["a"]},
        categorical=["c"],
        max_categories=30,
    ).features
    counts = np.concatenate([np.array(feature.counts) for feature in features])
    expected = NewRows(features)(counts)
    size = features[0].bins.size
    assert expected.sum() == pytest.approx(counts.sum())
    assert expected[size:].tolist() == counts[size:].tolist()
    assert expected[features[0].bins.missing] == 1
    assert expected[features[0].bins.unseen] == pytest.approx(features[0].once)
    same = counts[size:]
    assert NewRows(features[1:])(same) is same


def test_a_feature_whose_every_category_was_seen_once_has_no_more_rows_than_before():
    feature = Feature("c", CategoricalBins(("a", "b")), (1, 1, 0, 0, 0), once=2)
    assert NewRows([feature])(np.array(feature.counts)).tolist() == [0.0, 0.0, 0.0, 2.0, 0.0]
