"""Descriptions of JSON documents: what they accept, and which part an error names."""

from __future__ import annotations

import re
import sys
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline._runtime import json
from driftline._runtime.json import DocumentError

POINT = json.record(lambda x, y, label: (x, y, label), x=json.number, y=json.number, label=json.absent("", json.name))
DRAWING = json.record(dict, points=json.array(POINT, most=2), by_name=json.nullable(json.mapping(POINT, most=2)))


def error_of(text, reader):
    """The message about a document."""
    with pytest.raises(DocumentError) as raised:
        json.read(text, reader)
    return str(raised.value)


def test_a_document_is_read():
    text = '{"points": [{"x": 1, "y": 2.5}], "by_name": {"a": {"x": 0, "y": 0, "label": "b"}}, "other": 1}'
    assert json.read(text, DRAWING) == {"points": ((1.0, 2.5, ""),), "by_name": {"a": (0.0, 0.0, "b")}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "the document is [], expected an object"),
        ("{}", "points is absent, expected an array"),
        ('{"points": 3}', "points is 3, expected an array"),
        ('{"points": [{}]}', "points[0].x is absent, expected a finite number"),
        ('{"points": [{"x": 1, "y": 2, "label": null}]}', "points[0].label is None, expected a string that is not"),
        ('{"points": [{"x": 1, "y": 2}, {"x": 1, "y": "a"}]}', "points[1].y is 'a', expected a finite number"),
        ('{"points": [1, 2, 3]}', "points is an array of 3, expected at most 2 items"),
        ('{"points": [], "by_name": {"a": 1}}', "by_name.a is 1, expected an object"),
        ('{"points": [], "by_name": {"a": 1, "b": 2, "c": 3}}', "by_name is an object of 3, expected at most 2 names"),
        ('{"points": [], "by_name": {"%s": 1}}' % ("n" * 1_000), f"by_name.{'n' * 80} is 1, expected an object"),
        ('{"points": "%s"}' % ("n" * 1_000), f"points is '{'n' * 79}…, expected an array"),
    ],
)
def test_an_error_names_the_part(text, message):
    assert error_of(text, DRAWING).startswith(message)


@pytest.mark.parametrize(
    ("reader", "good", "bad"),
    [
        (json.count, ["0", "9007199254740992"], ["-1", "1.0", "true", "9007199254740993", '"1"', "null"]),
        (json.integer(2, 4), ["2", "4"], ["1", "5"]),
        (json.number, ["0", "-1.5e300"], ["true", "1e999", "1" + "0" * 400, '"1"', "null", "[]"]),
        (json.positive, ["0.1"], ["0", "-1"]),
        (json.string, ['""', '"a"'], ["1", "null"]),
        (json.name, ['"a"'], ['""', "1"]),
        (json.boolean, ["true"], ["1", "null"]),
        (json.choice("a", "b"), ['"a"'], ['"c"', "1", '["a"]']),
        (json.array(json.count, size=2), ["[1, 2]"], ["[1]", "[1, 2, 3]", "{}"]),
        (json.row(complex, json.number, json.count), ["[0.5, 2]"], ["[0.5, 0.5]", "[1]", "3"]),
        (json.check(json.array(json.number), json.increasing, "increasing numbers"), ["[]", "[1, 2]"], ["[1, 1]"]),
        (json.check(json.array(json.name), json.unique, "different names"), ['["a"]'], ['["a", "a"]']),
        (json.tagged("kind", point=POINT), ['{"kind": "point", "x": 0, "y": 0}'], ['{"kind": "line"}', "{}", "[]"]),
        (json.versioned(1, POINT), ['{"schema_version": 1, "x": 0, "y": 0}'], ['{"schema_version": true}', "{}", "1"]),
    ],
)
def test_a_description_accepts_and_refuses(reader, good, bad):
    for text in good:
        json.read(text, reader)
    for text in bad:
        assert "expected" in error_of(text, reader)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "NaN", "[Infinity]", "'a'"])
def test_a_text_that_is_not_json_is_refused(text):
    assert error_of(text, POINT).startswith("expected JSON: ")


def test_a_newer_version_is_refused_by_name():
    message = "schema_version is 3, expected 1: a newer driftline wrote this document"
    assert error_of('{"schema_version": 3}', json.versioned(1, POINT)) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" + "[]," * 3_000_000 + "[]]", "JSON of 6,000,002 values|JSON of 3,000,002 arrays and objects"),
        ("[" + "1," * 8_000_001 + "1]", "JSON of 8,000,002 values, expected at most 8,000,000"),
        ("[" + "[[[[]]]]," * 260_000 + "[]]", "JSON of 1,040,002 arrays and objects, expected at most 1,000,000"),
        (
            '[{"a": 1}' + ',{"a": 1}' * 1_000_000 + "]",
            "JSON of 1,000,002 arrays and objects, expected at most 1,000,000",
        ),
        ('["a"' + ',"a"' * 2_000_000 + "]", "JSON of 2,000,001 strings, expected at most 2,000,000"),
        ("[" * 100_000 + "]" * 100_000, "expected JSON: "),
    ],
    ids=["arrays", "numbers", "nested", "objects", "strings", "deep"],
)
def test_a_document_of_many_values_is_refused_before_it_is_parsed(text, message):
    """They would take a hundred times the memory of the text."""
    tracemalloc.start()
    assert re.search(message, error_of(text, json.number))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000


def test_a_number_of_many_digits_is_refused(monkeypatch):
    """Also where the host has switched Python's limit off."""
    text = "[" + "9" * 5_000 + "]"
    assert error_of(text, json.number).startswith("expected JSON: Exceeds the limit")
    monkeypatch.setattr(sys, "get_int_max_str_digits", lambda: 0, raising=False)
    assert (
        error_of(text, json.number)
        == "the document is JSON with a number of more than 4300 digits, expected shorter ones"
    )


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
)


@given(VALUES)
def test_a_value_is_shown_as_its_repr(value):
    """Cut off, and without a conversion of the rest."""
    whole = repr(value)
    assert json.shown(value)[:80] == whole[:80]
    assert len(json.shown(value)) <= 81


def test_only_the_beginning_of_a_value_is_converted():
    """A repr of the whole takes as much memory as the document."""

    class Item:
        def __repr__(self):
            shown.append(self)
            return "an item"

    shown = []
    assert json.shown([[Item() for _ in range(1_000)]] * 1_000).startswith("[[an item, an item, ")
    assert len(shown) < 20
