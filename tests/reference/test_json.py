"""Damaged or hostile files of references: a ReferenceError that names the part, in bounded memory."""

from __future__ import annotations

import copy
import json
import os
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftline import Monitor, Reference, ReferenceError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def document(reference):
    """A valid file, parsed."""
    return json.loads(reference.to_json())


def paths(value, path=()):
    """Yield the path of every value in a JSON document."""
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from paths(child, (*path, key))


def replaced(document, path, value):
    """Return a copy of the document with another value at a path."""
    changed = copy.deepcopy(document)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


def attempt(text):
    """Return the reference that is read, or None and the message of the error."""
    try:
        return Reference.from_json(text), ""
    except ReferenceError as error:
        return None, str(error)


def test_a_truncated_file_is_refused(reference, tmp_path):
    """Cut at every 101st byte."""
    text = reference.to_json()
    path = tmp_path / "cut.json"
    for end in range(0, len(text) - 2, 101):
        path.write_text(text[:end], encoding="utf-8")
        with pytest.raises(ReferenceError, match=r"cut\.json: expected JSON"):
            Reference.load(path)


def test_a_newer_schema_is_refused(document):
    """The message names both versions."""
    with pytest.raises(ReferenceError, match="schema_version is 5, expected 1 to 4: a newer driftline wrote this"):
        Reference.from_json(json.dumps({**document, "schema_version": 5}))


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_constants_that_are_no_json_numbers_are_refused(reference, constant):
    """Python's json would read them."""
    text = reference.to_json().replace('"std": ', f'"std": {constant}, "was": ', 1)
    with pytest.raises(ReferenceError, match=f"{constant} is not a JSON number"):
        Reference.from_json(text)


@pytest.mark.slow
def test_a_million_bins_are_refused(document):
    """A file must not choose how much memory is used."""
    cuts = list(range(1_000_000))
    hostile = replaced(document, ("features", 0, "cuts"), cuts)
    with pytest.raises(ReferenceError, match=r"features\[0\]\.cuts is an array of 1000000, expected at most 4094"):
        Reference.from_json(json.dumps(hostile))
    many = replaced(document, ("features",), [document["features"][0]] * 10_001)
    with pytest.raises(ReferenceError, match="features is an array of 10001, expected at most 10000"):
        Reference.from_json(json.dumps(many))


def test_a_huge_file_is_refused_unread(tmp_path):
    """By its size."""
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(10 * 2**30)
    tracemalloc.start()
    try:
        with pytest.raises(ReferenceError, match="10737418240 bytes, expected at most"):
            Reference.load(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "5",
        '"x"',
        "[" * 100_000,
        '{"a":' * 100_000,
        "{}",
        '{"schema_version": true}',
        "\x00\x01",
        "1e999999",
    ],
)
def test_other_json_is_refused(text):
    """Empty, nested a hundred thousand levels deep, of another kind."""
    with pytest.raises(ReferenceError):
        Reference.from_json(text)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this platform has no pipes in folders")
def test_a_pipe_without_content_is_refused(tmp_path):
    """It would hang the host at its start."""
    os.mkfifo(tmp_path / "pipe")
    for load in (Reference.load, lambda path: Monitor("m", reference=path)):
        with pytest.raises(ReferenceError, match="pipe: cannot be read: it is a pipe that does not give its content"):
            load(tmp_path / "pipe")


def test_a_reference_of_too_many_values_is_refused_quickly(tmp_path):
    """Before it is parsed, whether they are bins of features or nested lists."""
    start = time.monotonic()
    for text in ("[" + "[]," * 5_000_000 + "[]]", '{"features": [' + "1," * 9_000_000 + "1]}"):
        path = tmp_path / "many.json"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ReferenceError, match=r"many.json: the document is JSON of [\d,]+ values, expected at most"):
            Reference.load(path)
    assert time.monotonic() - start < 10.0


def test_a_device_is_read_up_to_the_limit():
    """It has no size to refuse it by."""
    with pytest.raises(ReferenceError, match="67108865 bytes, expected at most 67108864"):
        Reference.load("/dev/zero")


@pytest.mark.parametrize("text", [None, 5, b"{}", ["{}"]])
def test_a_reference_is_read_from_a_string_only(text):
    """Bytes are not decoded."""
    with pytest.raises(ReferenceError, match="expected a JSON string"):
        Reference.from_json(text)


def test_an_unreadable_file_is_refused(tmp_path):
    """Not UTF-8, a folder, an absent file."""
    path = tmp_path / "bytes.json"
    path.write_bytes(b"\xff\xfe\x00{")
    for where in (path, tmp_path, tmp_path / "absent.json", "nul\0.json"):
        with pytest.raises(ReferenceError, match="cannot be read"):
            Reference.load(where)


@pytest.mark.slow
def test_wrong_values_at_any_path_are_refused_or_harmless(document):
    """No other error is raised, and no reference is half read."""
    short = copy.deepcopy(document)
    wrong = [None, True, -1, 1.5, 2**70, "text", "", [], [[]], {}, {"a": 1}]
    refused = 0
    for path in paths(short):
        if not path or (isinstance(path[-1], int) and path[-1] > 2):
            continue
        for value in wrong:
            read, message = attempt(json.dumps(replaced(short, path, value)))
            refused += read is None
            # A reference that is read must be valid.
            assert message.startswith("reference: ") if read is None else Reference.from_json(read.to_json()) == read
    assert refused > 500


@settings(max_examples=200)
@given(JSON)
def test_any_other_json_is_refused(value):
    with pytest.raises(ReferenceError):
        Reference.from_json(json.dumps(value))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("rows",), 0, "rows is 0, expected an integer of at least 1"),
        (("features",), [], "features is .*, expected at least one feature"),
        (("features", 0, "cuts"), [1.0, 1.0], r"features\[0\]\.cuts is .*strictly increasing"),
        (("features", 0, "known_values"), [2.0, 1.0], r"features\[0\]\.known_values is .*increasing numbers"),
        (("features", 0, "groups"), [0, 2], r"features\[0\]\.groups is .*the same number or 1 more"),
        (("features", 0, "groups"), [0, 1], r"features\[0\]\.groups is .*expected \d+ numbers, one for each bin"),
        (("features", 0, "cuts"), [2.0], r"features\[0\]\.cuts is .*at least two"),
        (("features", 0, "counts"), [1, 2], r"features\[0\]\.counts is .*expected \d+ counts, one for each bin"),
        (("features", 0, "counts", 1), -4, r"features\[0\]\.counts\[1\] is -4, expected an integer of at least 0"),
        (
            ("features", 0, "counts", 1),
            5_000,
            r"\[0\]\.counts is counts of .* rows, expected counts of 4000 rows",
        ),
        (("features", 0, "kind"), "date", r"features\[0\]\.kind is 'date', expected 'numeric' or 'categorical'"),
        (("features", 0, "moments", "std"), -1.0, r"features\[0\]\.moments is .*a std of at least 0"),
        (("features", 1, "name"), "age", "features is .*, expected different names"),
        (("features", 2, "categories", 0), {}, r"features\[2\]\.categories\[0\] is {}, expected a string, number"),
        (("features", 2, "open"), "no", r"features\[2\]\.open is 'no', expected true or false"),
        (("features", 0, "moments", "count"), 0, r"moments\.count is 0, expected an integer of at least 1"),
        (("features", 0, "name"), "prediction", r"features\[0\]\.name is 'prediction', expected another name"),
        (("prediction", "name"), "age", "prediction.name is 'age', expected 'prediction'"),
        (("prediction",), None, "outcomes is .*expected null where there is no prediction"),
        (("outcomes", "correct", 3), 10**9, "outcomes.correct is .*at most outcomes.known"),
        (("outcomes", "dispersion"), 0.5, "outcomes.dispersion is 0.5, expected a number from 1 to "),
        (("outcomes", "dispersion"), "much", "outcomes.dispersion is 'much', expected a "),
    ],
)
def test_an_error_names_the_part(document, path, value, message):
    """And the value, and what was expected."""
    with pytest.raises(ReferenceError, match=message):
        Reference.from_json(json.dumps(replaced(document, path, value)))


def test_a_monitor_refuses_a_damaged_file(tmp_path):
    path = tmp_path / "damaged.json"
    path.write_text("{", encoding="utf-8")
    with pytest.raises(ReferenceError, match=r"damaged\.json: expected JSON"):
        Monitor("m", reference=path)
