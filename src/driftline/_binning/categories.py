"""Categories of a feature: chooses those that get bins, counts a column in them, and adds up two parts of data."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from driftline._binning.bins import CategoricalBins, Feature
from driftline._binning.layout import binner
from driftline._binning.selection import expect_selected
from driftline._capture.columns import CategoricalColumn, as_objects, count_codes
from driftline._capture.labels import is_missing, label_of
from driftline._runtime.guard import is_contained
from driftline.typing import Column, Label

__all__ = ["count_categories", "describe_identifiers", "fit_categories", "merge_categories"]

KNOWN_CATEGORIES = 4_096
"""Most rare categories that are kept by name, to bound memory; a column with more is like an identifier."""

DIGITS = 2
"""Decimals of expected rows. Their standard errors are larger than 0.1."""

MIN_IDENTIFIERS = 20
"""Fewest values of a column that may look like identifiers. Fewer may all differ by chance."""

IDENTIFIER_SHARE = 0.9
"""Share of the rows whose value occurs once, from which the values look like identifiers."""

EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
"""An e-mail address."""


def fit_categories(name: str, column: Column, max_categories: int) -> Feature:
    """
    Return a feature whose most frequent categories have their own bins, with the counts of a column.

    Args:
        name: the name of the feature.
        column: its values.
        max_categories: most categories that get their own bin.
    """
    seen = _count_labels(column)
    ordered = _by_frequency(seen)
    kept = ordered[:max_categories]
    rare = {label: seen[label] for label in ordered[max_categories:]}
    others, rare_rows, is_open = _list_rare(rare)
    once, twice = _seen_rarely(list(seen.values()))
    expected: tuple[float, ...] = ()
    if rare:
        rows = expect_selected(np.array([seen[label] for label in ordered]), len(kept))
        expected = tuple(round(value, DIGITS) for value in rows.tolist())
    own = [seen[label] for label in kept]
    counts = (*own, sum(rare.values()), 0, len(column) - sum(seen.values()))
    bins = CategoricalBins(tuple(kept), others, is_open)
    return Feature(name, bins, counts, once=once, twice=twice, rare=rare_rows, expected=expected)


def count_categories(like: Feature, column: Column) -> Feature:
    """
    Return the feature with the counts of another column in the bins of *like*, whose bins are categorical.

    Categories that *like* does not have are added to its rare ones. So no row of training data is *unseen*, whichever
    part of the data knows its category.
    """
    bins = like.bins
    if not isinstance(bins, CategoricalBins):
        msg = f"unreachable: {like.name!r} is numeric"
        raise TypeError(msg)
    seen = _count_labels(column)
    numbers = binner(bins)(list(seen))
    own = np.bincount(numbers, weights=list(seen.values()), minlength=bins.size).astype(np.int64).tolist()[: bins.other]
    rare = dict.fromkeys(bins.others, 0)
    for (label, rows), number in zip(seen.items(), numbers.tolist(), strict=True):
        if number >= bins.other:
            rare[label] = rare.get(label, 0) + rows
    others, rare_rows, is_open = _list_rare(rare, is_open=bins.open)
    once, twice = _seen_rarely(list(seen.values()))
    counts = (*own, sum(rare.values()), 0, len(column) - sum(seen.values()))
    return Feature(
        like.name, CategoricalBins(bins.categories, others, is_open), counts, once=once, twice=twice, rare=rare_rows
    )


def merge_categories(a: Feature, b: Feature) -> Feature:
    """
    Return the feature of the rows of both, whose own categories are the same.

    Rare categories are added up by name. If both parts know the rows of each, the result is that of one fit to all rows
    with the same own categories. If the result has more than `KNOWN_CATEGORIES` rare categories, its bins are open, and
    the numbers of categories seen once and twice are not known.
    """
    first, second = a.bins, b.bins
    if not isinstance(first, CategoricalBins) or not isinstance(second, CategoricalBins):
        msg = f"unreachable: {a.name!r} is numeric"
        raise TypeError(msg)
    counts = tuple(n + m for n, m in zip(a.counts, b.counts, strict=True))
    own = counts[: first.other]
    expected: tuple[float, ...] = ()
    if a.expected or b.expected:
        pairs = zip(a.expected or a.counts, b.expected or b.counts, own, strict=False)
        expected = tuple(round(n + m, DIGITS) for n, m, _ in pairs)
    merged = replace(a, counts=counts, expected=expected)
    if not knows_rare(a) or not knows_rare(b):
        # A part that an earlier release wrote says how many categories it has once, but not which. The first part fixes
        # the bins, so no row of it is unseen, and its number stays. The others have counted their unseen rows.
        fixed = b if a.counts[first.unseen] > 0 == b.counts[first.unseen] else a
        bins = CategoricalBins(first.categories, tuple(dict.fromkeys((*first.others, *second.others))), first.open)
        if len(bins.others) > KNOWN_CATEGORIES:
            bins = CategoricalBins(first.categories, (), open=True)
        return replace(merged, bins=bins, once=fixed.once, twice=fixed.twice, rare=())
    rare: Counter[Label] = Counter()
    for part, labels in ((a, first.others), (b, second.others)):
        for label, rows in zip(labels, part.rare, strict=True):
            rare[label] += rows
    others, rare_rows, is_open = _list_rare(rare, is_open=first.open or second.open)
    once, twice = (0, 0) if is_open else _seen_rarely([*own, *rare_rows])
    bins = CategoricalBins(first.categories, others, is_open)
    return replace(merged, bins=bins, once=once, twice=twice, rare=rare_rows)


def describe_identifiers(feature: Feature) -> str:
    """
    Return why the categories of a feature look like identifiers or personal data; an empty string if they do not.

    The sentence has no label.
    """
    bins, present = feature.bins, sum(feature.counts[:-1])
    if not isinstance(bins, CategoricalBins) or present < MIN_IDENTIFIERS:
        return ""
    if feature.once >= IDENTIFIER_SHARE * present:
        return f"{feature.once} of {present} values occur once"
    addresses = sum(isinstance(label, str) and EMAIL.fullmatch(label) is not None for label in bins.categories)
    return "most labels look like e-mail addresses" if 2 * addresses > len(bins.categories) else ""


def knows_rare(feature: Feature) -> bool:
    """Return whether a categorical feature has the rows of each of its rare categories, or has open bins."""
    bins = feature.bins
    if not isinstance(bins, CategoricalBins) or feature.counts[bins.unseen]:
        return False
    return bins.open or len(feature.rare) == len(bins.others)


def _list_rare(rare: Mapping[Label, int], *, is_open: bool = False) -> tuple[tuple[Label, ...], tuple[int, ...], bool]:
    """Return rare categories and the rows of each, or nothing and True if they are too many or if bins are open."""
    if is_open or len(rare) > KNOWN_CATEGORIES:
        return (), (), True
    ordered = _by_frequency(rare)
    return tuple(ordered), tuple(rare[label] for label in ordered), False


def _by_frequency(rows: Mapping[Label, int]) -> list[Label]:
    """Return labels, the most frequent first. Ties are ordered by name, so that the order of rows changes nothing."""
    return sorted(rows, key=lambda label: (-rows[label], str(label), type(label).__name__))


def _seen_rarely(rows: Sequence[int]) -> tuple[int, int]:
    """Return how many categories occur once and how many twice, given the rows of each category."""
    return rows.count(1), rows.count(2)


def _count_labels(column: Column) -> Counter[Label]:
    """Return the rows of each label of a column; missing values are not counted."""
    counted: Iterable[tuple[object, int]]
    if isinstance(column, CategoricalColumn):
        counted = zip(column.labels, count_codes(column)[1].tolist(), strict=True)
    else:
        values = as_objects(column)
        try:
            # Equal values have the same label, so labels are made once for each distinct value.
            counted = Counter(values).items()
        except BaseException as error:
            if not is_contained(error):
                raise
            # the hash of a value of the host may raise anything
            counted = ((value, 1) for value in values)
    seen: Counter[Label] = Counter()
    for value, rows in counted:
        if rows and not is_missing(value):
            seen[label_of(value)] += rows
    return seen
