"""Categories: those with bins are corrected for their selection, and parts of the data add up like one fit."""

from __future__ import annotations

import json
import logging
from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline import Reference, ReferenceError
from driftline._binning.bins import CategoricalBins, Feature, NumericBins
from driftline._binning.categories import KNOWN_CATEGORIES
from driftline._binning.layout import Layout
from driftline._binning.selection import NewRows, expect_selected, expected_rows, known_bins
from driftline._capture.libraries import read_column
from driftline._significance.components import OUTSIDE
from driftline._significance.two_sample import TwoSample


def feature_of(values, **options):
    return Reference.fit({"c": values}, categorical=["c"], **options).features[0]


def unseen_p(feature, values):
    """Return the p-value of unseen categories in a window of these values."""
    layout = Layout([feature])
    return TwoSample([feature], layout)(layout.count([values], len(values))).parts[0, OUTSIDE]


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
    np.testing.assert_allclose(unseen_p(summed, window), unseen_p(whole, window))
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


# --- columns that say that they are categorical, and identifiers -----------------------------------------------------

CODES = np.repeat(np.arange(1, 201) * 10, 20)
CATEGORIES_OF = {
    "pandas": lambda values: pd.Series(values).astype("category"),
    "ordered": lambda values: pd.Series(pd.Categorical(values, ordered=True)),
    "index": pd.CategoricalIndex,
    "arrow": lambda values: pa.array(values).dictionary_encode(),
    "chunks": lambda values: pa.chunked_array([values[:30], values[30:]]).dictionary_encode(),
    "pandas of arrow": lambda values: pd.Series(pd.arrays.ArrowExtensionArray(pa.array(values).dictionary_encode())),
}


@pytest.mark.parametrize("served", [np.int16, np.int64, np.float32, np.float64, object])
@pytest.mark.parametrize("codes", [CODES, CODES.astype(np.float64), CODES / 4], ids=["int", "float", "fraction"])
@pytest.mark.parametrize("kind", CATEGORIES_OF)
def test_a_column_of_codes_is_categorical_whatever_its_labels(kind, codes, served):
    """Also where the service sends the codes as plain numbers. Codes that never were are unseen."""
    reference = Reference.fit({"store": CATEGORIES_OF[kind](codes)}, max_categories=250)
    feature = reference.features[0]
    assert isinstance(feature.bins, CategoricalBins)
    layout = Layout([feature])
    if issubclass(served, np.integer) and not (codes == codes.astype(int)).all():
        return
    for column in (codes.astype(served), CATEGORIES_OF[kind](codes)):
        assert tuple(layout.count([read_column(column)], len(codes))) == feature.counts
    counts = layout.count([read_column((codes + 1).astype(served))], len(codes))
    assert counts[feature.bins.unseen] == len(codes)


def test_a_missing_code_is_missing_and_numeric_overrides_the_type():
    codes = pd.Series([*CODES, None]).astype("category")
    categorical = Reference.fit({"store": codes}, max_categories=250).features[0]
    assert categorical.counts[categorical.bins.missing] == 1
    assert categorical.bins.categories[0] == 10
    numeric = Reference.fit({"store": codes}, numeric=["store"]).features[0]
    assert isinstance(numeric.bins, NumericBins)
    assert numeric.counts[numeric.bins.missing] == 1


def test_intervals_of_a_category_have_their_names_as_labels():
    """`pandas.cut` makes them."""
    ages = pd.cut(pd.Series(range(100)), [0, 20, 60, 100], right=False)
    feature = Reference.fit({"age": ages}).features[0]
    assert set(feature.bins.categories) == {"[0, 20)", "[20, 60)", "[60, 100)"}
    assert tuple(Layout([feature]).count([read_column(ages)], 100)) == feature.counts


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([f"person{number}" for number in range(50)], "50 of 50 values occur once"),
        ([f"u{number}" for number in range(95)] + ["someone"] * 5, "95 of 100 values occur once"),
        ([f"anna.{number}@example.org" for number in range(9)] * 30, "most labels look like e-mail addresses"),
    ],
)
def test_a_column_like_identifiers_is_warned_of_once(values, why, caplog):
    """The warning names the column and the remedy, and no value."""
    with caplog.at_level(logging.WARNING, "driftline"):
        Reference.fit({"contact": values})
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith(f"column 'contact' looks like an identifier or personal data: {why}.")
    assert "expected ignore=['contact']" in message
    assert not any(value in message for value in values)


@pytest.mark.parametrize("ignored", [True, False])
def test_other_columns_are_not_warned_of(ignored, caplog):
    values = [f"person{number}" for number in range(500)]
    with caplog.at_level(logging.WARNING, "driftline"):
        if ignored:
            Reference.fit({"contact": values, "x": np.arange(500.0) * 617.0 % 500.0}, ignore=["contact"])
        else:
            Reference.fit({"few": list("abcde") * 3, "zipf": [1, 2, 3] * 5}, categorical=["zipf"])
    assert caplog.records == []


def test_predictions_like_identifiers_are_warned_of(caplog):
    with caplog.at_level(logging.WARNING, "driftline"):
        Reference.fit({"x": np.arange(50.0)}, predictions=[f"answer {number}" for number in range(50)])
    assert "the output 'prediction' looks like an identifier" in caplog.text
    assert "predictions= of classes or numbers" in caplog.text


@pytest.mark.parametrize("rows", [1_000, 4_000])
def test_a_reference_of_an_earlier_release_is_corrected_approximately(rows):
    """It has the number of rare categories, and of those seen once and twice."""
    random = np.random.default_rng(0)
    for values in (np.arange(rows), random.integers(0, 500, rows), random.zipf(1.5, rows)):
        reference = Reference.fit({"c": values.tolist()}, categorical=["c"])
        new, old = reference.features[0], _as_released(reference, reference).features[0]
        assert (len(new.expected), old.expected) == (50, ())
        np.testing.assert_allclose(expected_rows(old).sum(), sum(new.expected), rtol=0.2, atol=1.0)
    first = Reference.fit({"c": random.integers(0, 500, rows).tolist()}, categorical=["c"])
    later = _as_released(Reference.fit({"c": random.integers(0, 600, rows).tolist()}, like=first), first)
    assert expected_rows(later.features[0]).tolist() == []


@pytest.mark.parametrize(("values", "known"), [("uniform", 45), ("Zipf", 0), ("few", 0)])
def test_the_rates_of_equally_frequent_categories_are_known(values, known):
    """Those of categories that differ in frequency are as uncertain as their counts."""
    random = np.random.default_rng(0)
    shares = {"uniform": np.ones(200), "Zipf": 1 / np.arange(1, 201), "few": np.ones(20)}[values]
    feature = feature_of(random.choice(len(shares), 4_000, p=shares / shares.sum()).tolist())
    assert known_bins(feature) == pytest.approx(known, abs=8)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("expected", [1e300] * 50, r"features\[0\].expected\[0\] is 1e\+300, expected a number from 0"),
        ("expected", [1.0], r"features\[0\].expected is an array of 1, expected 50 numbers"),
        ("rare", [1], r"features\[0\].rare is an array of 1, expected 150 numbers"),
        ("rare", [10**6] * 150, r"features\[0\].rare is .*, expected at most the \d+ rows of other categories"),
    ],
)
def test_rows_of_categories_that_cannot_be_are_refused(key, value, message):
    document = json.loads(Reference.fit({"c": list(range(200)) * 2}, categorical=["c"]).to_json())
    document["features"][0][key] = value
    with pytest.raises(ReferenceError, match=message):
        Reference.from_json(json.dumps(document))
