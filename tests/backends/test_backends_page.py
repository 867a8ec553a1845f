"""docs/backends.md is what the rules of the sinks say, and has every backend of `driftline collector`."""

from __future__ import annotations

from pathlib import Path

import pytest
from backend_facts import FACTS, ROWS
from backend_queries import QUERIES
from backends_page import ORDER, page
from vendors import VENDORS

from driftline.fleet._collector.backends import BACKENDS

PAGE = Path(__file__).parents[2] / "docs" / "backends.md"
COMMAND = "python tests/backends/backends_page.py > docs/backends.md"


def test_the_page_is_generated():
    assert PAGE.read_text(encoding="utf-8") == page(), COMMAND


def test_every_backend_has_a_section():
    names = set(BACKENDS) - {"local", "gateway"}
    assert set(ORDER) == names == set(FACTS) == set(QUERIES) == {*VENDORS, "clickhouse"}
    assert all(tuple(rows) and set(rows) == set(ROWS) for rows in FACTS.values())


@pytest.mark.parametrize("name", VENDORS)
def test_page_and_collector_agree_on_the_temporality(name):
    recommended = BACKENDS[name].temporalities[0]
    assert (recommended == "delta") == VENDORS[name].delta


@pytest.mark.parametrize("name", VENDORS)
def test_no_variable_of_the_page_has_a_space(name):
    """Header values are quoted, because the SDK reads commas, blanks and equal signs."""
    for variable, value in VENDORS[name].variables().items():
        assert " " not in value, variable
