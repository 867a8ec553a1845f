"""Derived features in damaged or hostile files: an error that names the part, or a reference that works."""

from __future__ import annotations

import copy
import json
from importlib import resources

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import driftline as dl
from driftline.testing import in_memory_monitor

DERIVE = {"length": lambda row: len(row["text"])}


def columns():
    """Return text, vectors, and two correlated numeric features."""
    random = np.random.default_rng(0)
    a = random.normal(size=300)
    return {
        "text": ["x" * int(size) for size in random.poisson(5, 300)],
        "embedding": random.normal(size=(300, 6)),
        "a": a,
        "b": a + random.normal(size=300),
        "kind": random.choice(["u", "v"], 300).tolist(),
    }


@pytest.fixture(scope="module")
def fitted():
    """A reference with all that can be derived."""
    return dl.Reference.fit(columns(), projections=True, derive=DERIVE, ignore=["text"])


@pytest.fixture(scope="module")
def document(fitted):
    """Its file, parsed."""
    return json.loads(fitted.to_json())


def replaced(document, path, value):
    """Return a copy of the document with another value at a path."""
    changed = copy.deepcopy(document)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


def paths(value, path=()):
    """Yield the path of every value in a JSON document."""
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from paths(child, (*path, key))


def test_a_document_is_read_and_written_back(fitted, document):
    """The document fits the shipped schema."""
    again = dl.Reference.from_json(fitted.to_json())
    assert again == fitted
    assert again.to_json() == fitted.to_json()
    assert again.fingerprint == fitted.fingerprint
    schema = json.loads((resources.files("driftline") / "reference.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, schema)


def test_a_file_without_the_key_has_no_derived_features(training):
    """Its fingerprint is that of the bins alone."""
    reference = dl.Reference.fit(training.features)
    document = json.loads(reference.to_json())
    assert document.pop("derived") is None
    assert dl.Reference.from_json(json.dumps(document)) == reference


def test_other_directions_change_the_fingerprint(fitted, document):
    """The bins are the same."""
    changed = replaced(document, ("derived", "projections", "directions", 0, 0), 0.5)
    assert dl.Reference.from_json(json.dumps(changed)).fingerprint != fitted.fingerprint


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ((), [], "derived is [], expected an object"),
        (("columns",), "text", "derived.columns is 'text', expected an array"),
        (
            ("columns", 2),
            "embedding",
            "'embedding', 'b', 'kind'], expected different names",
        ),
        (("columns", 2), "z", "derived is a description by which features[0].name is 'z', expected 'a'"),
        (("columns", 4), "prediction", "by which features[2].name is 'prediction'"),
        (("inputs", 0), "texts", "derived.inputs is ['texts'], expected names from derived.columns"),
        (("inputs", 1), "a", "derived.vectors is ['embedding'], expected columns from derived.inputs"),
        (("functions", 0), "size", "by which features[3].name is 'size', expected 'length'"),
        (("functions",), [], "expected 'length'"),
        (("vectors",), [], "expected 'embedding norm'"),
        (("vectors", 0, "centre", 0), None, "derived.vectors[0].centre[0] is None, expected a finite number"),
        (("vectors", 0, "centre"), [], "derived.vectors[0].directions[0] is an array of 6, expected 1 numbers"),
        (("vectors", 0, "directions", 3), [1.0], "directions[3] is an array of 1, expected 6 numbers"),
        (("vectors", 0, "directions"), [], "derived.vectors[0].directions is [], expected at least one direction"),
        (("vectors", 0, "leading"), 9, "derived.vectors[0].leading is 9, expected at most the 8 directions"),
        (("vectors", 0, "leading"), True, "derived.vectors[0].leading is True, expected an integer"),
        (
            ("projections", "columns", 0),
            "kind",
            "derived.projections.columns[0] is 'kind', expected the name of a numeric",
        ),
        (("projections", "columns", 0), "no", "derived.projections.columns[0] is 'no', expected the name of a numeric"),
        (("projections", "columns"), ["a"], "derived.projections.knots is an array of 2, expected 1 arrays"),
        (
            ("projections", "knots", 0),
            [1.0, 1.0],
            "knots[0] is [1.0, 1.0], expected at least two increasing numbers",
        ),
        (("projections", "scores", 0), [1.0, 2.0], "derived.projections.scores[0] is an array of 2, expected"),
        (
            ("projections", "names"),
            ["one"],
            "derived.projections.names is an array of 1, expected 4 names, one for each direction",
        ),
        (("projections", "directions", 0, 0), 10**400, "directions[0][0] is"),
    ],
)
def test_an_error_names_the_part(document, path, value, message):
    """And what was expected."""
    with pytest.raises(dl.ReferenceError) as raised:
        dl.Reference.from_json(json.dumps(replaced(document, ("derived", *path), value)))
    assert message in str(raised.value)


@given(data=st.data())
@settings(max_examples=150, deadline=None)
@pytest.mark.slow
def test_any_value_at_any_path_is_refused_or_works(document, data):
    """A reference that is read makes a monitor that counts."""
    path = data.draw(st.sampled_from([("derived", *item) for item in paths(document["derived"])]))
    value = data.draw(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=3)
        | st.lists(st.floats(-9, 9), max_size=3)
        | st.just({})
    )
    try:
        reference = dl.Reference.from_json(json.dumps(replaced(document, path, value)))
    except dl.ReferenceError:
        return
    derive = {name: lambda row: 1 for name in (reference.derived.functions if reference.derived else ())}
    monitor = in_memory_monitor(reference=reference, derive=derive)
    monitor.observe({name: column[:40] for name, column in columns().items() if name in reference.columns})
    assert monitor.snapshot().rows == 40
    monitor.shutdown()


def test_vectors_of_a_million_numbers_are_refused(document):
    """A file must not choose how much memory is used."""
    changed = replaced(document, ("derived", "vectors", 0, "centre"), [0] * 1_000_000)
    with pytest.raises(dl.ReferenceError, match="an array of 1000000, expected at most 65536 items"):
        dl.Reference.from_json(json.dumps(changed))
