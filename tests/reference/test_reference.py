"""References: equal for tables of every library, for every kind of column, and merged as concatenated data."""

from __future__ import annotations

import itertools
import json
from importlib.resources import files

import jsonschema
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline import ConfigurationError, Reference, ReferenceError
from driftline._binning.bins import (
    CategoricalBins,
    NumericBins,
)
from driftline._binning.layout import Layout
from driftline.reference import _reference

ROWS = 500
SCHEMA = json.loads(files("driftline").joinpath("reference.schema.json").read_text(encoding="utf-8"))


def columns(seed=0, rows=ROWS):
    """Return a dict of columns of many kinds."""
    random = np.random.default_rng(seed)
    return {
        "normal": random.normal(size=rows),
        "count": random.integers(0, 1_000, rows),
        "code": random.integers(0, 4, rows),
        "text": random.choice(["a", "b", "c"], rows).tolist(),
        "flag": (random.random(rows) < 0.3).tolist(),
        "constant": np.full(rows, 3.5),
    }


def feature(reference, name):
    return next(item for item in reference.watched if item.name == name)


def fitted(values, **options):
    """Return the only feature of a reference."""
    return Reference.fit({"x": values}, **options).features[0]


def test_tables_of_every_library_give_the_same_reference():
    """Equal bins, counts and bytes."""
    data = columns()
    expected = Reference.fit(data)
    for frame in (pd.DataFrame(data), pl.DataFrame(data), pa.table(data), pa.RecordBatch.from_pydict(data)):
        assert Reference.fit(frame) == expected
        assert Reference.fit(frame).to_json() == expected.to_json()


def test_columns_of_an_array_are_named_by_their_index():
    matrix = np.random.default_rng(0).normal(size=(ROWS, 3))
    assert Reference.fit(matrix) == Reference.fit({str(index): matrix[:, index] for index in range(3)})


@pytest.mark.parametrize(
    "values",
    [
        pd.array([1, 2, None, 4] * 100, dtype="Int64"),
        pd.array([1.5, None, 2.5, 4.0] * 100, dtype="Float64"),
        pl.Series([1, 2, None, 4] * 100),
        pa.array([1, 2, None, 4] * 100),
        [1, 2, None, 4] * 100,
    ],
    ids=["pandas Int64", "pandas Float64", "polars", "pyarrow", "list"],
)
def test_missing_numbers_of_every_library_get_the_bin_missing(values):
    item = fitted(values, numeric=["x"])
    assert isinstance(item.bins, NumericBins)
    assert item.counts[item.bins.missing] == 100
    assert sum(item.counts) == 400


@pytest.mark.parametrize(
    "values",
    [
        pd.Series(["a", "b", None, "a"] * 50),
        pd.Series(["a", "b", None, "a"] * 50, dtype="category"),
        pd.Series(["a", "b", pd.NA, "a"] * 50, dtype="string"),
        pl.Series(["a", "b", None, "a"] * 50),
        pl.Series(["a", "b", None, "a"] * 50, dtype=pl.Categorical),
        pa.array(["a", "b", None, "a"] * 50),
        ["a", "b", None, "a"] * 50,
        np.array(["a", "b", None, "a"] * 50, dtype=object),
    ],
)
def test_strings_of_every_library_are_categories(values):
    """The most frequent first, missing values apart."""
    item = fitted(values)
    assert item.bins == CategoricalBins(("a", "b"))
    assert item.counts == (100, 50, 0, 0, 50)


def test_values_or_arguments_decide_the_kind_of_a_column():
    """Strings, booleans and few integers are categorical; floats and other integers are numeric."""
    kinds = {item.name: type(item.bins) for item in Reference.fit(columns()).features}
    assert kinds == {
        "normal": NumericBins,
        "count": NumericBins,
        "code": CategoricalBins,
        "text": CategoricalBins,
        "flag": CategoricalBins,
        "constant": NumericBins,
    }
    asked = Reference.fit(columns(), categorical=["count"], numeric=["code"])
    assert isinstance(feature(asked, "count").bins, CategoricalBins)
    assert isinstance(feature(asked, "code").bins, NumericBins)


def test_a_numeric_feature_has_bins_for_tails_range_and_missing():
    """13 quantiles, a bin below the minimum, one above the maximum, one for missing values."""
    values = np.random.default_rng(0).normal(size=10_000)
    item = fitted(np.append(values, [np.nan] * 7))
    assert item.bins.size == 17
    assert item.counts[0] == 0
    assert item.counts[-2] == 0
    assert item.counts[-1] == 7
    shares = np.array(item.counts[1:-2]) / 10_000
    np.testing.assert_allclose(shares, [0.01, 0.04, 0.05, *[0.1] * 8, 0.05, 0.04, 0.01], atol=0.001)
    assert item.moments.mean == pytest.approx(values.mean())
    assert item.moments.std == pytest.approx(values.std())
    assert (item.moments.minimum, item.moments.maximum) == (values.min(), values.max())


def test_few_distinct_numbers_get_a_bin_each():
    """Further bins, for values that the training data do not have, are empty."""
    item = fitted(np.repeat([0.0, 0.5, 2.0], 50))
    assert item.bins.known_values == (0.0, 0.5, 2.0)
    assert [count for count in item.counts if count] == [50, 50, 50]
    assert [item.bins.label(number) for number, count in enumerate(item.counts) if count] == ["0", "0.5", "2"]


def test_a_reference_prints_as_one_line():
    """However many features and bins it has."""
    reference = Reference.fit({f"x{index}": np.arange(500.0) for index in range(50)}, predictions=np.arange(500.0))
    expected = f"Reference(rows=500, features=50, prediction, fingerprint={reference.fingerprint})"
    assert str(reference) == repr(reference) == expected
    bare = Reference.fit({"x": [1.0, 2.0]})
    assert repr(bare) == f"Reference(rows=2, features=1, fingerprint={bare.fingerprint})"


def test_other_values_than_a_constant_are_out_of_range():
    item = fitted(np.full(100, 3.5))
    assert item.counts == (0, 100, 0, 0)
    assert item.moments.std == 0.0
    assert item.positions()[:3].tolist() == [-1.0, 0.0, 1.0]


@pytest.mark.parametrize("values", [np.full(50, np.nan), [None] * 50, np.full(50, np.inf)])
def test_a_column_without_a_finite_value_is_a_feature(values):
    """It is fitted, saved and loaded."""
    reference = Reference.fit({"x": values, "y": range(50)})
    item = reference.features[0]
    assert item.moments is None
    assert sum(item.counts) == 50
    assert Reference.from_json(reference.to_json()) == reference


def test_a_frequent_value_gets_its_own_bin():
    """Such as the zero of a column that is mostly zero."""
    values = np.concatenate([np.zeros(700), np.random.default_rng(0).exponential(size=300)])
    item = fitted(values)
    assert 700 in item.counts


def test_infinite_values_are_out_of_range():
    """They are not missing."""
    item = fitted(np.append(np.arange(100.0), [np.inf, -np.inf, np.nan]))
    assert (item.counts[0], item.counts[-2], item.counts[-1]) == (1, 1, 1)


def test_rare_categories_are_other_or_open():
    """With more than 4,096 rare categories, no value is unseen."""
    labels = [f"c{number}" for number in range(100) for _ in range(100 - number)]
    item = fitted(labels, max_categories=10)
    assert item.bins.categories == tuple(f"c{number}" for number in range(10))
    assert len(item.bins.others) == 90
    assert item.counts[item.bins.other] == sum(range(1, 91))
    assert fitted([f"id{number}" for number in range(10_000)]).bins.open


def test_the_order_of_rows_does_not_change_bins():
    data = columns()
    order = np.random.default_rng(1).permutation(ROWS)
    shuffled = {
        name: np.array(column, dtype=object if isinstance(column, list) else None)[order]
        for name, column in data.items()
    }
    a, b = (json.loads(Reference.fit(item).to_json()) for item in (data, shuffled))
    for item, other in zip(a["features"], b["features"], strict=True):
        assert {key: item[key] for key in item if key not in {"means", "moments"}} == {
            key: other[key] for key in other if key not in {"means", "moments"}
        }


def test_predictions_are_a_feature_with_outcomes_per_bin(training, reference):
    assert reference.prediction.name == "prediction"
    assert sum(reference.outcomes.known) == len(training.predictions)
    right = (training.predictions >= 0.5) == training.outcomes
    assert sum(reference.outcomes.correct) == right.sum()


def test_unknown_outcomes_are_skipped(training):
    """None and nan."""
    unknown = [None if index % 2 else bool(item) for index, item in enumerate(training.outcomes)]
    reference = Reference.fit(training.features, predictions=training.predictions, outcomes=unknown)
    assert sum(reference.outcomes.known) == len(unknown) / 2


def test_outcomes_of_missing_predictions_are_skipped():
    reference = Reference.fit({"x": [1, 2, 3]}, predictions=[0.1, None, 0.9], outcomes=[0, 1, 0])
    assert sum(reference.outcomes.known) == 2
    assert sum(reference.outcomes.correct) == 1


def test_the_second_of_two_probability_columns_is_used():
    """As predict_proba of a binary classifier returns them."""
    p = np.random.default_rng(0).random(200)
    data = {"x": np.arange(200.0)}
    both = Reference.fit(data, predictions=np.stack([1 - p, p], axis=1))
    assert both == Reference.fit(data, predictions=p)


def test_saving_and_loading_keep_every_bit(tmp_path, reference):
    path = tmp_path / "reference.json"
    reference.save(path)
    loaded = Reference.load(path)
    assert loaded == reference
    assert loaded.fingerprint == reference.fingerprint
    loaded.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


def test_documents_fit_the_shipped_schema(reference):
    for item in (reference, Reference.fit(columns()), Reference.fit({"x": [None] * 5})):
        jsonschema.validate(json.loads(item.to_json()), SCHEMA)


@given(st.lists(st.integers(1, 300), min_size=2, max_size=4), st.integers(0, 2**16))
@pytest.mark.slow
def test_merging_equals_concatenation(sizes, seed):
    """Counts exactly; moments and means up to rounding."""
    parts = [columns(seed + index, rows) for index, rows in enumerate(sizes)]
    p = [np.random.default_rng(seed + index).random(rows) for index, rows in enumerate(sizes)]
    y = [np.random.default_rng(seed + index + 9).random(rows) < 0.5 for index, rows in enumerate(sizes)]
    whole = {name: list(itertools.chain.from_iterable(part[name] for part in parts)) for name in parts[0]}
    first = Reference.fit(columns(99), predictions=np.random.default_rng(0).random(ROWS))
    together = Reference.fit(whole, predictions=np.concatenate(p), outcomes=np.concatenate(y), like=first)
    merged = None
    for part, predictions, outcomes in zip(parts, p, y, strict=True):
        item = Reference.fit(part, predictions=predictions, outcomes=outcomes, like=first)
        merged = item if merged is None else merged.merge(item)
    assert merged.rows == together.rows
    assert (merged.outcomes.known, merged.outcomes.correct) == (together.outcomes.known, together.outcomes.correct)
    # The dispersion is the mean of the parts: across their ends it is not known.
    assert merged.outcomes.dispersion >= 1.0
    for a, b in zip(merged.watched, together.watched, strict=True):
        assert a.counts == b.counts
        if b.moments is not None:
            assert a.moments.count == b.moments.count
            assert a.moments.mean == pytest.approx(b.moments.mean)
            assert a.moments.std == pytest.approx(b.moments.std)
            filled = np.array(b.counts) > 0
            np.testing.assert_allclose(np.array(a.means)[filled[: len(a.means)]], np.array(b.means)[filled])


def test_the_fingerprint_identifies_bins_and_names():
    first = Reference.fit(columns(0))
    assert Reference.fit(columns(1), like=first).fingerprint == first.fingerprint
    assert Reference.fit(columns(1)).fingerprint != first.fingerprint
    assert Layout(first.features[:2]).fingerprint != Layout(first.features[1:3]).fingerprint


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ({}, {}, "data: 0 rows and 0 columns, expected at least one of each"),
        ({"x": []}, {}, "data: 0 rows and 1 columns"),
        (5, {}, "data: got int, expected a dict of columns"),
        (np.arange(5), {}, "data: expected a 2-D array of rows and columns, got 1 dimension"),
        ({"x": [1, 2], "y": [1]}, {}, "data: columns differ in length: 'x' has 2, 'y' has 1 rows"),
        (pd.DataFrame([[1, 2]], columns=["x", "x"]), {}, r"data: columns \['x'\] appear more than once"),
        ({"x": [1]}, {"categorical": ["y"]}, r"categorical=\['y'\]: no such columns"),
        ({"x": [1]}, {"numeric": ["y"]}, r"numeric=\['y'\]: no such columns"),
        ({"x": [1]}, {"categorical": "x"}, "categorical='x': expected a sequence of column names"),
        ({"x": [1]}, {"categorical": 5}, "categorical=5: expected a sequence of column names"),
        ({"x": [1]}, {"numeric": [5]}, r"numeric=\[5\]: expected column names, which are strings"),
        ({"x": [1]}, {"like": 5}, "like=5: expected a Reference"),
        ({"x": [1]}, {"correct": 5}, "correct=5: expected a function of a prediction and an outcome"),
        ({str(index): [1] for index in range(10_001)}, {}, "data: 10001 columns, expected at most 10000"),
        ({"x": [1]}, {"categorical": ["x"], "numeric": ["x"]}, r"\['x'\]: named both as categorical and as numeric"),
        ({"prediction": [1]}, {}, "a column is named 'prediction'"),
        ({"": [1]}, {}, "a column is named '': expected a string that is not empty"),
        ({"x": [1]}, {"max_categories": 0}, "max_categories=0: expected an integer from 1"),
        ({"x": [1]}, {"max_categories": True}, "max_categories=True: expected an integer from 1"),
        ({"x": np.array(["2024-01-01"], dtype="datetime64[D]")}, {}, "column 'x' holds dates"),
        ({"x": pd.to_datetime(["2024-01-01"])}, {}, "column 'x' holds dates"),
        ({"x": [1, 2]}, {"predictions": [1]}, "predictions: expected one value for each of the 2 rows"),
        ({"x": [1, 2]}, {"predictions": 5}, "predictions: expected one value for each of the 2 rows, got int"),
        ({"x": [1, 2]}, {"outcomes": [1, 0]}, "outcomes= without predictions="),
        ({"x": [1, 2]}, {"predictions": [5.5, 7.5], "outcomes": [5.0, 7.0]}, "expected correct=, a function"),
        ({"x": [1, 2]}, {"predictions": [0.1, 0.9], "outcomes": [1]}, "outcomes: expected one value for each"),
    ],
)
def test_invalid_training_data_are_refused(data, options, message):
    """The message names the value and what was expected."""
    with pytest.raises(ConfigurationError, match=message):
        Reference.fit(data, **options)


def test_merging_over_other_bins_is_refused(reference):
    """Anything else than a reference too."""
    for other in (Reference.fit(columns()), None):
        with pytest.raises(ConfigurationError, match="expected a Reference over the same bins"):
            reference.merge(other)


def test_like_needs_the_same_columns(training, reference):
    """An absent column and absent predictions are refused."""
    lacking = {name: column for name, column in training.features.items() if name != "age"}
    with pytest.raises(ConfigurationError, match=r"columns \['age'\] of the reference given as like= are absent"):
        Reference.fit(lacking, predictions=training.predictions, like=reference)
    with pytest.raises(ConfigurationError, match="predictions= must be given exactly when"):
        Reference.fit(training.features, like=reference)


@pytest.mark.parametrize("rows", [0, 99, 1_000_001, 5.5, True, "many"])
def test_learning_from_too_few_or_too_many_rows_is_refused(rows):
    with pytest.raises(ConfigurationError, match="expected an integer from 100 to 1000000"):
        Reference.learn(rows=rows)


@pytest.mark.parametrize("categorical", ["carrier", 5, [5]])
def test_learning_needs_sequences_of_names(categorical):
    """A string is no sequence of names."""
    with pytest.raises(ConfigurationError, match=r"categorical=.*: expected"):
        Reference.learn(categorical=categorical)


@pytest.mark.parametrize("path", [5, None, ["a"]])
def test_other_values_are_refused_as_paths(path, reference):
    """When reading and when writing."""
    for use in (Reference.load, reference.save):
        with pytest.raises(ConfigurationError, match="expected the path of a file"):
            use(path)


def test_long_comments_make_a_small_file_that_loads(tmp_path):
    comments = [f"{number:06d} " + "x" * 20_000 for number in range(4_000)]
    reference = Reference.fit({"comment": comments, "x": np.arange(4_000.0)})
    reference.save(tmp_path / "reference.json")
    assert (tmp_path / "reference.json").stat().st_size < 2**20
    assert Reference.load(tmp_path / "reference.json") == reference


def test_save_refuses_what_load_refuses(tmp_path, monkeypatch):
    path = tmp_path / "reference.json"
    monkeypatch.setattr(_reference, "MAX_FILE_BYTES", 1_000)
    with pytest.raises(ReferenceError, match=r"reference.json: \d+ bytes, expected at most 1000"):
        Reference.fit({"x": [f"label {number}" for number in range(1_000)]}).save(path)
    monkeypatch.undo()
    features = Reference.fit({"x": np.arange(100.0)}).features
    with pytest.raises(ReferenceError, match=r"features\[0\].counts is counts of 100 rows, expected counts of 7 rows"):
        Reference(features, rows=7).save(path)
    assert not path.exists()
