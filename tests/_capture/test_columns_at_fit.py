"""Columns of training data: ignored ones, the column of times, and those that a fit refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

import driftline as dl
from driftline.testing import in_memory_monitor

ROWS = 2_000
RNG = np.random.default_rng(0)
FAR_DATES = pl.Series([2**31 - 1] * ROWS, dtype=pl.Int32).cast(pl.Date)
"""Dates that Python cannot hold: polars panics when it reads them."""

GOOD = {"x": RNG.normal(size=ROWS), "c": RNG.choice(["a", "b"], ROWS).tolist()}


def test_columns_that_a_fit_ignores_are_not_read(counts):
    """Of any type, and while serving too."""
    frame = pl.DataFrame({**GOOD, "day": FAR_DATES, "hash": [b"1"] * ROWS})
    reference = dl.Reference.fit(frame, ignore=["day", "hash"])
    assert [feature.name for feature in reference.features] == ["x", "c"]
    monitor = in_memory_monitor(reference=reference, on_error="log")
    monitor.observe(frame)
    assert counts(monitor) == (ROWS, {}, ROWS, {})
    images = {**GOOD, "image": np.zeros((ROWS, 2, 2)), "tag": "v1"}
    reference = dl.Reference.fit(images, ignore=["image", "tag"])
    monitor = in_memory_monitor(reference=reference, on_error="log")
    monitor.observe(images)
    assert counts(monitor) == (ROWS, {}, ROWS, {})


def test_the_column_of_times_is_known(tmp_path, counts):
    """It is no feature and no error, as long as it is in the file."""
    frame = pd.DataFrame({**GOOD, "at": pd.date_range("2024-01-01", periods=ROWS, freq="min")})
    fitted = dl.Reference.fit(frame, time="at")
    fitted.save(tmp_path / "r.json")
    for reference in (fitted, dl.Reference.load(tmp_path / "r.json"), fitted.merge(fitted)):
        monitor = in_memory_monitor(reference=reference, on_error="log")
        monitor.observe(frame)
        monitor.observe({name: frame[name][0] for name in frame})
        assert counts(monitor) == (ROWS + 1, {}, ROWS + 1, {})


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ([np.zeros((8, 8))] * 50, r"column 'v' holds arrays of shape \(8, 8\)"),
        (np.zeros((50, 8, 8)), r"column 'v' is a float64 array of shape \(50, 8, 8\)"),
        ([[[1.0]]] * 50, "column 'v' holds values of type list"),
        (np.array(5.0), "column 'v' is a float64 array of shape"),
        ("v1", "column 'v' cannot be read"),
        (FAR_DATES, r"column 'v' cannot be read \(polars Date"),
        (pd.date_range("2024-01-01", periods=50), "ignore= or time="),
    ],
)
def test_columns_that_are_no_features_are_refused_at_fit(column, message):
    """The message names the shape or the type, and the argument."""
    rows = len(column) if getattr(column, "ndim", 1) and not isinstance(column, str) else 50
    with pytest.raises(dl.ConfigurationError, match=message):
        dl.Reference.fit({"x": np.arange(float(rows)), "v": column})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0.5] * 9, "predictions: expected one value for each of the 10 rows, got list of 9 items"),
        (np.zeros(9), r"got float64 array of shape \(9,\)"),
        (np.zeros((9, 2)), "got 9 rows of 2 columns"),
        (pd.Series([0.5] * 11), "got Series of 11 values"),
    ],
)
def test_a_wrong_length_names_both_numbers(values, message):
    with pytest.raises(dl.ConfigurationError, match=message):
        dl.Reference.fit({"x": np.arange(10.0)}, predictions=values)
