"""
The troubleshooting page has a row for every place and every reason that the code can emit.

The registry (``model/attributes.yaml``) lists them. Tests hold three things to it: the rows of the page, the literals
in the source, and the places that all tests together reach (a fixture in ``conftest.py``).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from driftline import semconv

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
SOURCES = sorted((ROOT / "src" / "driftline").rglob("*.py"))

REPORTERS = re.compile(r"guard|in_thread|in_callback|report|report_error|report_unreadable|on_error|caught")
"""Names of callables whose first argument is a place: the guard, its methods, and callables that forward to them."""

BINDERS = {"partial", "GuardedBlock"}
"""Calls that take a callable and, as the next argument, its first argument."""

DROPPERS = re.compile(r"drop|dropped|on_dropped|drop_rows")
"""Names of callables whose first argument is a reason and whose second is a number of rows."""


def tail(node):
    """The last name of a callable, without its underscore: ``report`` for ``self._guard.report``."""
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name.removeprefix("_")


def arguments(source: str, callables: re.Pattern[str]) -> Iterator[ast.expr]:
    """The first arguments of some callables, in calls and where `partial` or `GuardedBlock` binds them for later."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        if callables.fullmatch(tail(node.func)) and node.args:
            yield node.args[0]
        for later, value in zip(node.args, node.args[1:], strict=False):
            if callables.fullmatch(tail(later)) and tail(node.func) in BINDERS:
                yield value


def literals(callables: re.Pattern[str]) -> set[str]:
    """The literal first arguments of some callables in the whole package."""
    return {
        argument.value
        for path in SOURCES
        for argument in arguments(path.read_text(encoding="utf-8"), callables)
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    }


def rows(attribute):
    """The first column of the table of an attribute."""
    table = PAGE.split(f"| `{attribute}` |")[1].split("\n\n")[0]
    return re.findall(r"^\| `([a-z_]+)` \|", table, re.MULTILINE)


@pytest.mark.parametrize(
    ("attribute", "values"),
    [("ml.monitor.place", semconv.MONITOR_PLACES), ("ml.monitor.reason", semconv.MONITOR_REASONS)],
)
def test_the_page_has_a_row_for_each_value(attribute, values):
    """In alphabetical order, none absent, none superfluous."""
    assert rows(attribute) == sorted(values)


def test_each_row_has_a_meaning_and_a_remedy():
    """No cell is empty."""
    for line in PAGE.splitlines():
        if re.match(r"\| `[a-z_]+` \|", line):
            assert [len(cell.strip()) > 10 for cell in line.split("|")[2:4]] == [True, True], line


@pytest.mark.slow
def test_places_of_the_source_are_those_of_the_registry():
    """Every literal place in the source has a row, and every row a literal."""
    assert literals(REPORTERS) == set(semconv.MONITOR_PLACES)


@pytest.mark.slow
def test_reasons_of_the_source_are_those_of_the_registry():
    """Every literal reason in the source has a row, and every row a literal."""
    assert literals(DROPPERS) == set(semconv.MONITOR_REASONS)


def test_the_walk_finds_every_way_to_report():
    """A guarded block, a decorator, a method, a callback and a partial."""
    source = """
with guard("a"): pass
self._guard("b")(function)
self._guard.report("c", f"{n} windows")
on_error = lambda error: self._owner.caught("d", error)
partial(guard.report, "e", "message")
with GuardedBlock(self._on_error, "f"): pass
report(where, "not a literal")
"""
    places = [argument.value for argument in arguments(source, REPORTERS) if isinstance(argument, ast.Constant)]
    assert sorted(places) == ["a", "b", "c", "d", "e", "f"]


def test_places_are_documented_in_the_registry():
    """Each has a sentence."""
    text = (ROOT / "model" / "attributes.yaml").read_text(encoding="utf-8")
    for attribute in yaml.safe_load(text)["attributes"]:
        if attribute["key"] in {"ml.monitor.place", "ml.monitor.reason"}:
            assert all(member["brief"].endswith(".") for member in attribute["type"]["members"])
