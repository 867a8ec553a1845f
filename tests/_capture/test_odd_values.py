"""Values that are no plain numbers, and numbers of rare types: masked, complex, dates, and long doubles."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import driftline as dl
from driftline.testing import Probe, in_memory_monitor

ROWS = 2_000
RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(size=ROWS)


@pytest.mark.parametrize("rows", [1, 32, 33, 500])
@pytest.mark.parametrize("kind", [float, np.float32, int, bool])
def test_masked_values_are_missing(rows, kind):
    """As None in a list, in arrays of one and two dimensions, in dicts of columns, and at fit."""
    data = RNG.integers(0, 2, (rows, 2)).astype(kind)
    mask = RNG.random((rows, 2)) < 0.3
    masked = np.ma.MaskedArray(data, mask)
    plain = [
        [None if hidden else value for value, hidden in zip(*row, strict=True)]
        for row in zip(data.tolist(), mask, strict=True)
    ]
    training = RNG.integers(0, 2, (500, 2)).astype(kind)
    for reference in (dl.Reference.fit(training), dl.Reference.fit(training, categorical=["0", "1"])):
        bins = []
        for batch in (
            plain,
            masked,
            {"0": masked[:, 0], "1": masked[:, 1]},
            list(masked),
            [tuple(row) for row in masked],
        ):
            monitor = in_memory_monitor(reference=reference)
            monitor.observe(batch)
            bins.append(monitor.snapshot().counts.tolist())
        for row in masked:
            monitor.observe({"0": row[0], "1": row[1]})
        assert all(item == bins[0] for item in bins)
        assert (monitor.snapshot().counts == 2 * np.array(bins[0])).all()
    columns = {name: [row[index] for row in plain] for index, name in enumerate("01")}
    assert dl.Reference.fit(masked).features == dl.Reference.fit({"0": masked[:, 0], "1": masked[:, 1]}).features
    if kind is not np.float32:
        assert dl.Reference.fit(masked).features == dl.Reference.fit(columns).features


STRANGE = [
    np.complex128(1 + 2j),
    np.complex64(1 + 2j),
    1 + 2j,
    np.datetime64("2020-01-01", "ns"),
    np.datetime64("2020-01-01", "D"),
    np.timedelta64(5, "ns"),
    np.timedelta64(5, "s"),
    np.datetime64("NaT", "ns"),
    pd.Timestamp("2020-01-01"),
    pd.Timedelta("5s"),
    np.ma.masked,
]


@pytest.mark.parametrize("value", STRANGE, ids=repr)
@pytest.mark.parametrize("rows", [1, 32, 33, 300])
@pytest.mark.parametrize("strict", [False, True])
def test_values_that_are_no_numbers_are_missing_however_they_come(value, rows, strict, counts):
    """No warning reaches the host, and no settings of the host change a count."""
    reference = dl.Reference.fit({"x": np.arange(-50.0, 50.0), "y": np.arange(-50.0, 50.0)})
    batches = [
        [{"x": value, "y": 0.5}] * rows,
        {"x": [value] * rows, "y": [0.5] * rows},
        [(value, 0.5)] * rows,
    ]
    if value is not np.ma.masked:  # numpy makes nan of it, with a warning
        whole, objects = np.array([value] * rows), np.empty(rows, object)
        objects[:] = [value] * rows
        batches += [
            {"x": whole, "y": [0.5] * rows},
            {"x": objects, "y": [0.5] * rows},
            pd.DataFrame({"x": [value] * rows, "y": [0.5] * rows}),
        ]
    with warnings.catch_warnings(record=True) as emitted, np.errstate(all="raise" if strict else "warn"):
        warnings.simplefilter("error" if strict else "always")
        for batch in batches:
            monitor = in_memory_monitor(reference=reference, on_error="log")
            monitor.observe(batch)
            single = monitor.instrument(lambda features: 0.5)
            single({"x": value, "y": 0.5})
            single({"y": 0.5, "x": value})
            assert counts(monitor)[:3] == (rows + 2, {}, rows + 2), type(batch)
            missing = monitor.snapshot().counts[reference.features[0].bins.size - 1]
            assert missing == rows + 2, type(batch)
    assert not emitted


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.skipif(sys.platform == "win32", reason="a longdouble is a double there")
def test_long_doubles_mean_the_nearest_float(strict, counts):
    """Beyond the range of a float they are infinite."""
    huge = np.array([1.5, 2.5] * 150, dtype=np.longdouble)
    huge[0] = np.longdouble("1e4000")
    tiny = RNG.normal(size=500).astype(np.longdouble) * np.longdouble("1e-4900")
    with warnings.catch_warnings(record=True) as emitted, np.errstate(all="raise" if strict else "warn"):
        warnings.simplefilter("error" if strict else "always")
        dl.Reference.fit({"x": tiny})
        reference = dl.Reference.fit({"x": RNG.normal(size=500)})
        monitor = in_memory_monitor(reference=reference, on_error="log")
        monitor.observe({"x": huge})
        for value in huge:
            monitor.observe({"x": value})
        assert counts(monitor) == (600, {}, 600, {})
        bins = reference.features[0].bins.size
        assert monitor.snapshot().counts[bins - 2] == int((huge > reference.features[0].bins.cuts[-1]).sum()) * 2
    assert not emitted


def test_settings_of_the_host_fail_no_monitor_of_a_released_file():
    """Building one multiplies probabilities that are too small for a float."""
    reference = dl.Reference.load(Path(__file__).parents[1] / "data" / "0.1" / "features.json")
    with np.errstate(all="raise"):
        monitor = in_memory_monitor(reference=reference)
        monitor.replace_reference(reference)
    assert monitor.reference == reference


@pytest.mark.parametrize("scale", [1e-308, 1e-320, 1e300, 1e140])
def test_settings_of_the_host_fail_nothing(scale):
    """Numbers whose squares are too small or too large are in every step from the fit to the scores."""
    data = {"x": RNG.normal(size=2_000) * scale, "y": RNG.normal(size=2_000)}
    outcomes = (RNG.random(2_000) < 0.5).tolist()
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        reference = dl.Reference.fit(data, predictions=RNG.random(2_000), outcomes=outcomes, projections=True)
        monitor = in_memory_monitor(reference=reference, window=dl.Window(rows=500), on_error="log")
        monitor.observe(data, RNG.random(2_000), prediction_ids=list(range(2_000)))
        monitor.outcomes(range(2_000), outcomes)
        monitor.flush()
        assert monitor.status()
        assert monitor.scores()
        assert monitor.performance()
        assert monitor.estimated_accuracy()
        other = in_memory_monitor(reference=reference, variant="candidate", on_error="log")
        other.observe(data, RNG.random(2_000))
        assert dl.Canary(baseline=monitor, candidate=other).verdict()
    assert dict(Probe(monitor).errors) == {}
