"""The public API equals the committed list. ``make public-api`` rewrites the list, when a change is meant."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from public_api import listing

COMMITTED = Path(__file__).with_name("public_api.txt").read_text(encoding="utf-8")
ENTRIES = re.split(r"\n(?![ )])", COMMITTED.rstrip("\n"))
"""Entries of the list; a long signature takes several lines."""

PATHS = sorted({re.match(r"(?:class )?([\w.]+)", entry)[1] for entry in ENTRIES})


@pytest.mark.parametrize("path", PATHS)
def test_every_listed_name_can_be_reached(path):
    """As an attribute of the module, or of the class in the module, that the list names."""
    parts = path.split(".")
    for length in range(len(parts) - 1, 0, -1):
        try:
            value = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        break
    for name in parts[length:-1]:
        value = getattr(value, name)
    assert hasattr(value, parts[-1]) or parts[-1] in getattr(value, "__dataclass_fields__", {})


def test_no_listed_signature_is_missing_or_changed():
    """An entry of the list that is not among those of today."""
    assert [entry for entry in ENTRIES if entry not in listing()] == []
