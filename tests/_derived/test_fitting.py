"""Dependence of rows of derived features, in training data and in traffic."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

import driftline as dl
from driftline._derived.transform import Deriver
from driftline._significance.components import LOCATION
from driftline.testing import in_memory_monitor

DERIVE = {"length": lambda row: len(row["text"])}
ROWS, RHO = 20_000, 0.97


def slow(random, rows):
    """Return a series with a long memory: AR(1) with variance 1."""
    noise = random.normal(size=rows + 1_000)
    return lfilter([np.sqrt(1 - RHO**2)], [1, -RHO], noise)[1_000:]


def draw(rows, seed=0):
    """Return strings whose length changes slowly, independent vectors, and two correlated features."""
    random = np.random.default_rng(seed)
    lengths = np.maximum(20 + 5 * slow(random, rows), 0).astype(int)
    a = slow(random, rows)
    return {
        "text": ["x" * length for length in lengths],
        "embedding": random.normal(size=(rows, 6)),
        "a": a,
        "b": 0.6 * a + 0.8 * slow(random, rows),
    }


@pytest.fixture(scope="module")
def reference():
    """All that can be derived, and a prediction."""
    columns = draw(ROWS)
    return dl.Reference.fit(columns, projections=True, derive=DERIVE, ignore=["text"], predictions=columns["b"])


def counted(reference, columns):
    """Return the columns of the features, derived separately."""
    derived = reference.derived
    columns_made = Deriver(derived, DERIVE, lambda *_: None)([columns[name] for name in derived.columns], ROWS)
    return dict(zip((*derived.plain, *derived.names), columns_made, strict=True))


def test_dependence_of_derived_features_is_that_of_their_columns(reference):
    """A reference that is fitted to the derived columns has the same."""
    columns = draw(ROWS)
    plain = dl.Reference.fit(counted(reference, columns), predictions=columns["b"])
    assert [item.name for item in plain.watched] == [item.name for item in reference.watched]
    assert plain.dependence == reference.dependence
    assert plain.check == reference.check
    factor = dict(zip(counted(reference, columns), reference.dependence.inflation(1_000).factor, strict=False))
    assert factor["length"][LOCATION] > 20
    assert factor["a given the others"][LOCATION] > 20
    assert factor["embedding norm"][LOCATION] < 2


def test_dependence_of_parts_adds_up_over_the_same_directions(reference):
    columns = draw(ROWS, seed=1)
    other = dl.Reference.fit(columns, like=reference, derive=DERIVE, predictions=columns["b"])
    assert other.derived == reference.derived
    assert other.dependence.factors.shape == reference.dependence.factors.shape
    assert other.dependence != reference.dependence
    merged = reference.merge(other)
    assert merged.dependence == reference.dependence.merge(other.dependence)
    assert merged.derived == reference.derived
    assert dl.Reference.from_json(merged.to_json()) == merged


def test_functions_for_a_reference_without_functions_are_refused():
    plain = dl.Reference.fit({"a": np.arange(100.0)})
    with pytest.raises(dl.ConfigurationError, match=r"derive=\['length'\]: expected functions named \[\]"):
        dl.Reference.fit({"a": np.arange(100.0)}, like=plain, derive=DERIVE)


def test_dependence_of_derived_features_is_learned_from_the_first_windows():
    """The training data were shuffled."""
    columns = draw(ROWS)
    order = np.random.default_rng(2).permutation(ROWS)
    shuffled = {name: [column[index] for index in order] for name, column in columns.items()}
    reference = dl.Reference.fit(shuffled, projections=True, derive=DERIVE, ignore=["text"])
    names = [item.name for item in reference.watched]
    known = dict(zip(names, reference.dependence.inflation(1_000).factor, strict=True))
    assert known["length"][LOCATION] < 2
    monitor = in_memory_monitor(reference=reference, derive=DERIVE, window=dl.Window(rows=1_000))
    served = draw(8_000, seed=3)
    for start in range(0, 8_000, 1_600):  # batches that are no multiple of a window
        monitor.observe({name: column[start : start + 1_600] for name, column in served.items()})
    states = monitor.status().values()
    assert all(item.state == "stable" or item.reason.startswith("cannot tell") for item in states)
    learned = dict(zip(names, monitor.dependence.inflation(1_000).factor, strict=True))
    assert learned["length"][LOCATION] > 5
    assert learned["b given the others"][LOCATION] > 5
    assert learned["embedding norm"][LOCATION] < 2
    known_again = reference.with_traffic(monitor.dependence)
    assert dl.Reference.from_json(known_again.to_json()) == known_again


def test_a_learned_reference_has_the_dependence_of_derived_features():
    monitor = in_memory_monitor(
        reference=dl.Reference.learn(2_000, projections=True, ignore=["text"], vectors=["embedding"]),
        derive=DERIVE,
        window=dl.Window(rows=500),
    )
    columns = draw(2_500)
    monitor.observe({name: column[:2_000] for name, column in columns.items()})
    monitor.flush()
    monitor.observe({name: column[2_000:] for name, column in columns.items()})
    learned = monitor.reference
    assert learned.dependence.factors.shape[1] == len(learned.watched) == len(monitor.status())
    assert (
        learned.dependence.inflation(500).factor[[item.name for item in learned.watched].index("length"), LOCATION] > 5
    )
