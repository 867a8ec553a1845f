"""The form of a reference inside a model: its size, its limits, and what it refuses."""

from __future__ import annotations

import json
import re
import zlib
from base64 import urlsafe_b64encode
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import driftline as dl
from driftline.carrying import _text
from driftline.carrying._text import decode, encode

PAGE = (Path(__file__).parents[2] / "docs" / "carrying.md").read_text(encoding="utf-8")


def many_features(count, rows=20_000):
    """The reference that the page describes."""
    random = np.random.default_rng(0)
    labels = [f"value {index}" for index in range(20)]
    columns = {
        f"feature_{index}": random.choice(labels, rows).tolist() if index % 5 == 4 else random.lognormal(size=rows)
        for index in range(count)
    }
    predictions = random.random(rows)
    return dl.Reference.fit(columns, predictions=predictions, outcomes=random.random(rows) < predictions)


@pytest.mark.parametrize("count", [1, 20, pytest.param(200, marks=pytest.mark.slow)])
def test_sizes_are_those_of_the_page(count):
    """The table is within 5 % of what this machine makes."""
    row = re.search(rf"^\| {count} \|(.*)\|$", PAGE, re.MULTILINE)[1]
    expected = [int(cell.replace(",", "")) for cell in row.split("|")]
    reference = many_features(count)
    document = reference.to_json()
    dense = json.dumps(json.loads(document), separators=(",", ":"))
    sizes = [len(document.encode()), len(dense), len(encode(reference)), len(encode(reference)) / count]
    assert sizes == pytest.approx(expected, rel=0.05)


def test_the_text_is_a_line_of_plain_characters(reference):
    """No format has to escape any of them."""
    assert re.fullmatch(r"driftline\.reference\.1\.[A-Za-z0-9_=-]+\.", encode(reference))
    assert decode(encode(reference), "here").to_json() == reference.to_json()
    assert decode(encode(reference).encode("ascii"), "here").to_json() == reference.to_json()
    assert decode(reference.to_json(), "here").to_json() == reference.to_json()


def packed(data):
    """A text of any bytes."""
    return f"driftline.reference.1.{urlsafe_b64encode(data).decode()}."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "a NoneType, expected a string"),
        ("", "'' is no reference"),
        ("{", "expected JSON"),
        ("[]", "is no reference"),
        ("driftline.reference.x", "is no reference"),
        ("driftline.reference.2.AAAA.", "version 2, expected 1"),
        ("driftline.reference.1.AAAA", "damaged or truncated after character 26 of 26"),
        ("driftline.reference.1.AAAA. ", "damaged or truncated after character 27 of 28"),
        ("driftline.reference.1.AAA.", "damaged: "),
        (packed(b"no zlib"), "damaged: "),
        (packed(zlib.compress(b"[]")), "expected an object"),
        (packed(zlib.compress(b"\xff")), "damaged: 'utf-8'"),
        (packed(zlib.compress(b"{}" * 99)[:-5]), "truncated"),
        (packed(zlib.compress(b'{"schema_version": 99}')), "a newer driftline"),
        (packed(zlib.compress(b"[" * 100_000)), "expected JSON"),
        (b"\xff\xfe", "is no reference"),
    ],
    ids=repr,
)
def test_other_texts_are_errors_with_their_place(text, message):
    """The message begins with the source."""
    with pytest.raises(dl.ReferenceError, match=re.escape(message)) as error:
        decode(text, "the reference of the Booster")
    assert str(error.value).startswith("the reference of the Booster: ")
    assert len(str(error.value)) < 400


@given(data=st.data())
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_change_of_any_character_is_an_error(reference, data):
    """Never another reference, and never another kind of error."""
    text = encode(reference)
    index = data.draw(st.integers(0, len(text) - 1))
    changed = text[:index] + data.draw(st.characters()) + text[index + data.draw(st.integers(0, 3)) :]
    try:
        result = decode(changed, "here")
    except dl.ReferenceError:
        return
    assert result.to_json() == reference.to_json()


@pytest.mark.slow
def test_a_bomb_takes_little_memory(monkeypatch):
    """Decompression stops at the limit of a file."""
    bomb = packed(zlib.compress(b"[" * (2**26 + 2**20), 9))
    assert len(bomb) < 2**20
    with pytest.raises(dl.ReferenceError, match="more than 67108864 bytes when decompressed"):
        decode(bomb, "here")
    monkeypatch.setattr(_text, "MAX_TEXT", 100)
    with pytest.raises(dl.ReferenceError, match="characters, expected at most 100"):
        decode(bomb, "here")


def test_a_reference_that_could_not_be_read_back_is_not_written(reference, monkeypatch):
    """`carry` says so, where the training data are."""
    monkeypatch.setattr(_text, "MAX_FILE_BYTES", 1_000)
    with pytest.raises(dl.ReferenceError, match="expected at most 1000"):
        encode(reference)
