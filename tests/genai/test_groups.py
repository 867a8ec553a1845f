"""Groups of spans: what they accept, and what they refuse."""

from __future__ import annotations

import math
import re

import pytest
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes

import driftline as dl
from driftline.genai import GENAI, SpanGroup
from driftline.genai._groups import content_attribute
from driftline.genai._values import LONG, MAX_CHARACTERS, label, number


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, 3.0),
        (2.5, 2.5),
        (True, None),
        ("3", None),
        (math.nan, None),
        (math.inf, None),
        (10**400, None),
        ((1, 2), None),
        (None, None),
    ],
)
def test_numbers(value, expected):
    assert number(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("stop", "stop"),
        (200, "200"),
        (True, "true"),
        (("stop",), "stop"),
        (["b", "a", "b"], "a,b"),
        (("stop", 3, None), "stop"),
        ((), None),
        (0.5, None),
        (b"bytes", None),
        ("x" * (MAX_CHARACTERS + 1), LONG),
        (("x" * MAX_CHARACTERS, "y" * MAX_CHARACTERS), LONG),
        ("two\nlines", LONG),
        ("\ud800", LONG),
        (10**400, LONG),
    ],
)
def test_labels(value, expected):
    assert label(value) == expected


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": 3}, "name"),
        ({"where": {}}, "where"),
        ({"where": 3}, "where"),
        ({"where": {"a": "text"}}, "where"),
        ({"where": "input.value"}, "where"),
        ({"by": "http.route"}, "by"),
        ({"by": ["gen_ai.input.messages"]}, "by"),
        ({"by": [[]]}, "by"),
        ({"numbers": "tokens"}, "numbers"),
        ({"labels": [3]}, "labels"),
        ({"labels": ["llm.input_messages.0.message.content"]}, "labels"),
        ({"labels": {"answer": "gen_ai.output.messages"}}, "labels"),
        ({"labels": {"answer": ["a", "output.value"]}}, "labels"),
        ({"labels": ["duration"]}, "labels"),
        ({"labels": ["a"], "numbers": ["a"]}, "labels"),
        ({"duration": "yes"}, "duration"),
        ({"duration": False}, "numbers"),
    ],
)
def test_wrong_groups_are_refused(arguments, named):
    with pytest.raises(dl.ConfigurationError, match=f"^{named}="):
        SpanGroup(**{"name": "http", "where": "http.route", **arguments})


def test_no_group_reads_content():
    names = set(
        re.findall(r"'([a-z_]+\.[a-z_.]+)'", repr([(each.where, each.by, each.numbers, each.labels) for each in GENAI]))
    )
    assert len(names) > 30
    assert not any(map(content_attribute, names))


def test_content_of_both_conventions_is_known():
    """Every name of the conventions' own packages that holds content, and no name that is counted."""
    names = {
        value
        for module in (gen_ai_attributes, *_openinference())
        for value in vars(module).values()
        if isinstance(value, str) and value.startswith(("gen_ai.", "llm.", "input.", "output.", "embedding."))
    }
    content = re.compile(
        r"messages|prompts?$|completion$|instructions$|\.value$|arguments|result$|text$|explanation|choices$"
    )
    counted = {"gen_ai.evaluation.score.value", "llm.token_count.prompt", "llm.token_count.completion"}
    counted |= {"llm.cost.prompt", "llm.cost.completion"}
    assert len(names) >= 50
    assert {name for name in names if content.search(name) and not content_attribute(name)} - counted == set()


def _openinference():
    try:
        from openinference.semconv.trace import EmbeddingAttributes, SpanAttributes  # noqa: PLC0415
    except ModuleNotFoundError:
        return ()
    return EmbeddingAttributes, SpanAttributes
