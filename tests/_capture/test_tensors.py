"""Tensors are read as arrays, and tables that cannot be read count as many rows as their shape says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import driftline as dl
from driftline.testing import Probe, in_memory_monitor

ROWS = 100
RNG = np.random.default_rng(3)
DATA = RNG.normal(size=(ROWS, 2))
REFERENCE = dl.Reference.fit(RNG.normal(size=(1_000, 2)), predictions=RNG.random(1_000))


class Tensor:
    """What numpy can read, and what is no array, such as a tensor of torch."""

    def __init__(self, values):
        self._values = np.asarray(values)
        self.shape = self._values.shape

    def __len__(self):
        return len(self._values)

    def __array__(self, dtype=None, copy=None):
        return np.array(self._values, dtype=dtype)


class OnDevice(Tensor):
    """A tensor in the memory of a device."""

    def __array__(self, dtype=None, copy=None):
        msg = "cannot convert a tensor of this device"
        raise TypeError(msg)


class Sparse:
    """A matrix that numpy cannot read."""

    shape = (ROWS, 2)


BATCHES = {
    "matrix": Tensor,
    "rows": lambda data: [Tensor(row) for row in data],
    "columns": lambda data: {str(index): Tensor(column) for index, column in enumerate(data.T)},
    "columns of one value": lambda data: {str(index): Tensor(column[:, None]) for index, column in enumerate(data.T)},
}


def monitor_of(reference, **options):
    return in_memory_monitor(reference=reference, window=dl.Window(rows=ROWS), **options)


@pytest.mark.parametrize("rows", [1, 3, ROWS])
@pytest.mark.parametrize("make", BATCHES.values(), ids=BATCHES)
def test_tensors_have_the_counts_of_arrays(make, rows):
    data = DATA[:rows]
    snapshots = []
    for batch in (data, make(data)):
        for decorated in (False, True):
            monitor = monitor_of(REFERENCE)
            if decorated:
                monitor.instrument(lambda features: np.full(rows, 0.5))(batch)
            else:
                monitor.observe(batch, np.full(rows, 0.5))
            monitor.flush()
            snapshots.append(monitor.snapshot())
    assert snapshots[0].rows == rows
    assert all(snapshot == snapshots[0] for snapshot in snapshots)


def test_a_reference_is_fitted_to_a_tensor():
    assert dl.Reference.fit(Tensor(DATA)).to_json() == dl.Reference.fit(DATA).to_json()


def test_vectors_may_be_a_tensor():
    vectors = RNG.normal(size=(ROWS, 16))
    for named in (False, True):
        reference = dl.Reference.fit({"e": vectors})
        snapshots = []
        for matrix in (vectors, Tensor(vectors)):
            monitor = monitor_of(reference)
            monitor.observe({"e": matrix} if named else matrix)
            snapshots.append(monitor.snapshot())
        assert snapshots[0] == snapshots[1]
        assert snapshots[0].rows == ROWS


@pytest.mark.parametrize("features", [OnDevice(DATA), Sparse()], ids=["on a device", "sparse"])
def test_a_table_that_cannot_be_read_counts_its_rows(features):
    monitor = monitor_of(REFERENCE, on_error="log")
    monitor.observe(features)
    totals = Probe(monitor).totals
    assert (totals.served, dict(totals.dropped)) == (ROWS, {"unreadable": ROWS})


@pytest.mark.parametrize("missing", [pd.NA, pd.NaT], ids=repr)
def test_missing_outputs_of_pandas_are_missing(missing):
    """Alone, as in a column."""
    monitor = monitor_of(REFERENCE)
    outputs = iter([0.5, missing] * (ROWS // 2))
    predict = monitor.instrument(lambda features: next(outputs))
    for row in DATA:
        predict(row)
    monitor.flush()
    assert monitor.snapshot().counts[Probe(monitor).bins_of("prediction")][-1] == ROWS / 2


@pytest.mark.parametrize("wrap", [lambda value: [value], np.array, lambda value: np.array([[value]])])
def test_outputs_that_hold_one_value_each_are_values(wrap):
    outputs = RNG.random(ROWS).tolist()
    snapshots = []
    for batch in (outputs, [wrap(value) for value in outputs]):
        monitor = monitor_of(REFERENCE)
        monitor.observe(DATA, batch)
        snapshots.append(monitor.snapshot())
    assert snapshots[0] == snapshots[1]


@pytest.mark.parametrize("output", [b"yes", np.bytes_(b"yes")], ids=repr)
def test_bytes_are_labels_of_predictions(output):
    reference = dl.Reference.fit(RNG.normal(size=(ROWS, 2)), predictions=["yes", "no"] * (ROWS // 2))
    monitor = monitor_of(reference)
    monitor.instrument(lambda features: output)(DATA[0])
    monitor.observe(DATA[:1], [output])
    monitor.flush()
    assert monitor.snapshot().counts[Probe(monitor).bins_of("prediction")].tolist() == [0, 2, 0, 0, 0]
