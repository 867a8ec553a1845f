"""Descriptions of JSON documents: what they accept, and which part an error names."""

from __future__ import annotations

import pytest

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
