"""Columns of vectors are read, copied, and counted by their norm and a few projections."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import driftline as dl
from driftline._binning.layout import Layout
from driftline._capture.vectors import as_matrix, vector_length
from driftline.testing import in_memory_monitor

LENGTH = 48


class Tensor:
    """An object that numpy can read, such as a tensor."""

    def __init__(self, values):
        self._values = values
        self.shape = values.shape

    def __array__(self, dtype=None, copy=None):
        return np.array(self._values, dtype=dtype)


def draw(rows, seed=0, shift=0.0, topic=0.5):
    """Two topics with noise, and a plain feature; *shift* moves all vectors in one direction."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(9).normal(size=(3, LENGTH))
    vectors = centres[(random.random(rows) < topic).astype(int)] + 0.5 * random.normal(size=(rows, LENGTH))
    return {"x": random.normal(size=rows), "embedding": vectors + shift * centres[2]}


@pytest.fixture(scope="module")
def reference():
    """5,000 vectors: more than one step projects."""
    return dl.Reference.fit(draw(5_000))


def expected(reference, columns):
    return [count for item in dl.Reference.fit(columns, like=reference).features for count in item.counts]


def counted(reference, *calls):
    monitor = in_memory_monitor(reference=reference, window=dl.Window(rows=100_000))
    for features in calls:
        monitor.observe(features)
    snapshot = monitor.snapshot()
    monitor.shutdown()
    return snapshot.counts.tolist()


@pytest.mark.parametrize(
    ("column", "length"),
    [
        (np.zeros((3, 4)), 4),
        ([[1.0, 2.0], [3.0, 4.0]], 2),
        ([None, np.zeros(3), np.zeros(3), np.zeros(2)], 3),
        ([(1, 2)], 2),
        (np.array([np.zeros(2), None], dtype=object), 2),
        ([1.0, 2.0], None),
        (np.zeros(3), None),
        (["ab", "cd"], None),
        ([["a"], ["b"]], None),
        ([None, None], None),
        (np.array([["a", "b"]]), None),
        ([{"a": 1}], None),
        ([], None),
    ],
)
def test_columns_of_vectors_are_recognised(column, length):
    assert vector_length(column) == length


def test_other_values_in_a_column_of_vectors_are_missing():
    """None, ragged vectors, strings, nan and infinities become a row of nan."""
    column = [[1.0, 2.0], None, [1.0], "ab", [1.0, float("nan")], (3, 4), np.array([5, 6]), [float("inf"), 0.0], 7.0]
    matrix = as_matrix(column, 2)
    assert np.isnan(matrix).all(axis=1).tolist() == [False, True, True, True, True, False, False, True, True]
    assert matrix[[0, 5, 6]].tolist() == [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]


def test_a_vector_becomes_ten_features(reference):
    """The norm, four principal and four random projections, and the reconstruction error."""
    names = [item.name for item in reference.features]
    assert names[:2] == ["x", "embedding norm"]
    assert names[2:-1] == [f"embedding projection {index}" for index in range(1, 9)]
    assert names[-1] == "embedding reconstruction error"
    (vector,) = reference.derived.vectors
    directions, centre = np.array(vector.directions), np.array(vector.centre)
    assert directions[:4] @ directions[:4].T == pytest.approx(np.eye(4), abs=1e-4)
    vectors = draw(5_000)["embedding"]
    assert abs(directions[0] @ np.linalg.svd(vectors - centre, full_matrices=False)[2][0]) == pytest.approx(1, abs=1e-3)
    moments = {item.name: item.moments for item in reference.features}
    assert moments["embedding norm"].mean == pytest.approx(np.linalg.norm(vectors, axis=1).mean())
    left = (vectors - centre) - (vectors - centre) @ directions[:4].T @ directions[:4]
    error = np.sqrt(np.square(left).mean(axis=1))
    assert moments["embedding reconstruction error"].mean == pytest.approx(error.mean(), abs=1e-4)


def test_a_short_vector_has_fewer_directions():
    """A vector of two numbers has two principal directions."""
    column = np.random.default_rng(0).normal(size=(100, 2))
    assert dl.Reference.fit({"v": column}).derived.vectors[0].leading == 2
    assert dl.Reference.fit({"v": column[:, :1]}).derived.vectors[0].leading == 1


@pytest.mark.parametrize("rows", [1, 2, 20, 500])
@pytest.mark.parametrize("kind", ["dict", "lists", "pandas", "polars", "arrow"])
def test_batches_of_any_library_have_the_same_counts(reference, kind, rows):
    """Two-dimensional arrays, lists, object columns and columns of lists."""
    columns = draw(rows, seed=1)
    lists = {"x": columns["x"].tolist(), "embedding": columns["embedding"].tolist()}
    frame = {
        "dict": lambda: columns,
        "lists": lambda: lists,
        "pandas": lambda: pd.DataFrame({"x": columns["x"], "embedding": list(columns["embedding"])}),
        "polars": lambda: pl.DataFrame(lists),
        "arrow": lambda: pa.table(lists),
    }[kind]()
    assert counted(reference, frame) == expected(reference, columns)
    assert dl.Reference.fit(frame, like=reference).features == dl.Reference.fit(columns, like=reference).features


@pytest.mark.parametrize("convert", [lambda v: v, list, tuple, lambda v: v.astype(np.float32), Tensor])
def test_single_rows_of_any_kind_have_the_same_counts(reference, convert):
    """A dict, an object with attributes, a positional row."""
    columns = draw(30, seed=2)
    columns["embedding"] = columns["embedding"].astype(np.float32).astype(float)
    dicts = [{"x": x, "embedding": convert(v)} for x, v in zip(columns["x"], columns["embedding"], strict=True)]
    assert counted(reference, *dicts) == expected(reference, columns)
    assert counted(reference, dicts) == expected(reference, columns)
    assert counted(reference, *([item["x"], item["embedding"]] for item in dicts)) == expected(reference, columns)


def test_a_vector_may_be_the_only_input():
    """By name, alone, and as rows of vectors."""
    columns = {"embedding": draw(100, seed=3)["embedding"]}
    reference = dl.Reference.fit({"embedding": draw(5_000)["embedding"]})
    rows = columns["embedding"]
    for calls in ([columns], [rows], list(rows), [row.tolist() for row in rows], [{"embedding": row} for row in rows]):
        assert counted(reference, *calls) == expected(reference, columns)


def test_a_predict_function_may_take_the_vector(reference):
    """By the name of its parameter."""
    alone = dl.Reference.fit({"embedding": draw(5_000)["embedding"]})
    monitor = in_memory_monitor(reference=alone)

    @monitor.instrument
    def predict(embedding, top=3):
        return float(embedding.sum()) + top

    for row in draw(5, seed=3)["embedding"]:
        predict(row)
    counts = monitor.snapshot().counts
    assert counts.sum() == 5 * len(alone.features)
    assert counts.tolist() == expected(alone, {"embedding": draw(5, seed=3)["embedding"]})
    monitor.shutdown()


@pytest.mark.parametrize("rows", [1, 10, 200])
@pytest.mark.parametrize("kind", ["array", "lists", "object"])
def test_a_captured_vector_is_a_copy(reference, kind, rows):
    """The caller may reuse the array."""
    columns = draw(rows, seed=4)
    vectors = columns["embedding"].copy()
    passed = {
        "array": lambda: vectors,
        "lists": vectors.tolist,
        "object": lambda: [row for row in vectors],  # noqa: C416 - views of one array
    }[kind]()
    monitor = in_memory_monitor(reference=reference)
    if rows == 1:
        monitor.observe({"x": float(columns["x"][0]), "embedding": passed[0]})
    else:
        monitor.observe({"x": columns["x"], "embedding": passed})
    vectors[:] = 1e6
    if kind == "lists":
        for row in passed:
            row[:] = [1e6] * LENGTH
    assert monitor.snapshot().counts.tolist() == expected(reference, columns)
    monitor.shutdown()


def test_missing_and_ill_shaped_vectors_are_missing(reference):
    """None, another length, a string or an absent column: the row is counted, its vector is missing."""
    good = draw(1)["embedding"][0]
    calls = [{"x": 1.0, "embedding": value} for value in (good, None, good[:-1], "text", good.reshape(2, -1), 3.0)]
    counts = np.array(counted(reference, *calls, {"x": 1.0}))
    places = Layout(reference.features).slices
    assert counts[places[0]].sum() == 7
    assert [counts[index][-1] for index in places[1:]] == [6] * 10


def test_huge_entries_are_out_of_range_without_a_warning(reference):
    """Their squares overflow."""
    counts = np.array(counted(reference, {"x": 0.0, "embedding": np.full(LENGTH, 1e300)}))
    index = Layout(reference.features).slices[1]
    assert counts[index][-2] == 1


@pytest.mark.parametrize(
    ("change", "name"), [({"topic": 0.2}, "projection 1"), ({"shift": 0.3}, "reconstruction error")]
)
def test_a_changed_mix_and_a_shift_of_vectors_are_found(reference, change, name):
    """Principal directions show the mix, the error shows the shift."""
    monitor = in_memory_monitor(reference=reference, window=dl.Window(rows=2_000))
    for seed in range(24):
        # Fewer rows of one topic look like one of two states of the training data, until enough windows are alike.
        monitor.observe(draw(2_000, seed=20 + seed, **change))
    assert monitor.status()[f"embedding {name}"].state == "drifting"
    for seed in range(6, 11):
        monitor.observe(draw(2_000, seed=seed))
    assert "drifting" not in {item.state for item in monitor.status().values()}
    monitor.shutdown()


def test_a_reference_with_vectors_is_learned_from_traffic(caplog):
    """Without the names of the columns of vectors, these are skipped with a warning."""
    calls = [SimpleNamespace(x=x, embedding=v) for x, v in zip(*draw(200).values(), strict=True)]
    for vectors in (["embedding"], []):
        learn = dl.Reference.learn(rows=200, vectors=vectors)
        monitor = dl.Monitor("m", reference=learn, synchronous=True)
        for item in calls:
            monitor.observe({"x": item.x, "embedding": item.embedding})
        monitor.flush()
        assert len(monitor.reference.features) == (11 if vectors else 1)
        monitor.observe({"x": 1.0, "embedding": calls[0].embedding})
        assert monitor.snapshot().rows == 1
        monitor.shutdown()
    assert "column 'embedding' holds vectors: expected its name in vectors=" in caplog.text
