"""`driftline show` prints what a reference holds."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from driftline._binning.bins import CategoricalBins, Feature
from driftline._runtime.output import say
from driftline.commands._state_table import finite, print_columns, print_document
from driftline.reference import Reference

__all__ = ["add_arguments", "run"]

SCHEMA_VERSION = 1
"""Version of the form of the JSON."""

HEADINGS = ("feature", "kind", "bins", "missing", "values")

MOST_CATEGORIES = 5
"""Categories that a line of the table names."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = "Print the features of a reference, and what its rows show about themselves."
    parser.add_argument("reference", metavar="REFERENCE", help="the file of the reference")
    parser.add_argument("--labels", action="store_true", help="name categories")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Print the reference, and return 0."""
    reference = Reference.load(options.reference)
    if options.json:
        print_document(_document(reference, labels=options.labels))
        return 0
    say(f"{reference.rows:,} rows, {len(reference.features)} features, fingerprint {reference.fingerprint}", sys.stdout)
    outcomes = reference.outcomes
    known = 0 if outcomes is None else sum(outcomes.known)
    if outcomes is not None and known:
        share = sum(outcomes.correct) / known
        say(f"accuracy {share:.1%} of {known:,} outcomes", sys.stdout)
    if reference.derived is not None:
        say(f"derived features from the columns {', '.join(reference.columns)}", sys.stdout)
    if reference.seasons is not None and reference.seasons.kinds:
        say(f"seasons {', '.join(reference.seasons.kinds)} in {reference.seasons.timezone}", sys.stdout)
    if reference.check is not None:
        say(reference.check.words, sys.stdout)
    rows = [
        (each.name, _kind(each), str(each.bins.size), f"{_missing(each):.2%}", _values(each, labels=options.labels))
        for each in reference.watched
    ]
    print_columns(HEADINGS, rows, {"bins", "missing"})
    return 0


def _kind(feature: Feature) -> str:
    return "categorical" if isinstance(feature.bins, CategoricalBins) else "numeric"


def _missing(feature: Feature) -> float:
    """Return the share of rows without a value."""
    return feature.counts[feature.bins.missing] / max(sum(feature.counts), 1)


def _values(feature: Feature, *, labels: bool) -> str:
    """Return the range and the middle of numbers, or the most frequent categories with their shares."""
    bins, moments = feature.bins, feature.moments
    if isinstance(bins, CategoricalBins):
        known = len(bins.categories) + len(bins.others)
        text = f"{'more than ' if bins.open else ''}{known} {'category' if known == 1 else 'categories'}"
        if not labels:
            return text
        rows = max(sum(feature.counts), 1)
        named = [
            f"{bins.label(number)} {feature.counts[number] / rows:.1%}"
            for number in range(min(MOST_CATEGORIES, len(bins.categories)))
        ]
        return f"{text}: {', '.join(named)}" if named else text
    if moments is None:
        return "no finite value"
    middle = f", median {feature.quartiles[1]:.6g}" if feature.quartiles else ""
    return f"{moments.minimum:.6g} to {moments.maximum:.6g}{middle}, mean {moments.mean:.6g}, std {moments.std:.6g}"


def _document(reference: Reference, *, labels: bool) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "fingerprint": reference.fingerprint,
        "rows": reference.rows,
        "check": None if reference.check is None else reference.check.words,
        "features": [_feature(each, labels=labels) for each in reference.watched],
    }


def _feature(feature: Feature, *, labels: bool) -> dict[str, Any]:
    bins, moments = feature.bins, feature.moments
    named = labels or not isinstance(bins, CategoricalBins)
    document: dict[str, Any] = {
        "name": feature.name,
        "kind": _kind(feature),
        "missing": _missing(feature),
        "bins": [
            {"label": bins.label(number) if named else f"category {number}", "rows": rows}
            for number, rows in enumerate(feature.counts)
        ],
    }
    if moments is not None:
        document["moments"] = {name: finite(getattr(moments, name)) for name in ("mean", "std", "minimum", "maximum")}
        document["quartiles"] = list(feature.quartiles)
    return document
