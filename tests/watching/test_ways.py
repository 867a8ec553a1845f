"""The table of ``docs/watching.md``: what three ways to watch an object break."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_page_has_the_table_of_ways():
    pytest.importorskip("sklearn", "1.9")  # the errors of a proxy depend on the version
    spec = importlib.util.spec_from_file_location("ways", ROOT / "benchmarks/watching/ways.py")
    ways = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(ways)
    table = ways.table()
    assert table in (ROOT / "docs/watching.md").read_text(encoding="utf-8")
    assert all(row.rstrip(" |").endswith("yes") for row in table.splitlines()[2:] if "`type(model) is C`" not in row)
