"""The public API equals the committed list. ``make public-api`` rewrites the list, when a change is meant."""

from __future__ import annotations

import difflib
import importlib
import re
from pathlib import Path

from public_api import listing, public_modules

COMMITTED = Path(__file__).with_name("public_api.txt").read_text(encoding="utf-8")
ENTRIES = re.split(r"\n(?![ )])", COMMITTED.rstrip("\n"))
"""Entries of the list; a long signature takes several lines."""


def test_every_listed_name_can_be_imported():
    """By the module that the list names."""
    modules = sorted(public_modules(), key=len, reverse=True)
    for entry in ENTRIES:
        path = re.match(r"(?:class )?([\w.]+)", entry)[1]
        module = next(module for module in modules if path.startswith(f"{module}."))
        name, *members = path[len(module) + 1 :].split(".")
        assert members or hasattr(importlib.import_module(module), name), entry


def test_the_list_is_complete_and_no_signature_has_changed():
    """Lines with ``-`` are in the list alone, lines with ``+`` in the code alone."""
    difference = difflib.unified_diff(ENTRIES, listing(), "public_api.txt", "driftline", n=0, lineterm="")
    assert "\n".join(difference) == ""
