"""Draws a reference as a card for notebooks, without the names of categories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from driftline._binning.bins import CategoricalBins, Feature
from driftline._drawing.cards import MAX_ROWS, draw_card, draw_table
from driftline._drawing.histogram import draw_shares, draw_small_values
from driftline._drawing.text import count, escape_sentence, isolated, number, percent

if TYPE_CHECKING:
    from driftline.reference._reference import Reference

__all__ = ["draw_reference"]

MAX_BARS = 12
"""Categories of a feature in its picture."""


def draw_reference(reference: Reference) -> str:
    """Return a reference as a card."""
    features, check = reference.watched, reference.check
    cells = (_cells(feature) for feature in features[:MAX_ROWS])
    table = draw_table(("feature", "", "mean", "deviation", "range", "missing"), cells, len(features) - MAX_ROWS)
    words = "" if check is None else f'<p class="soft">{escape_sentence(check.words, 500)}</p>'
    name = escape_sentence(reference.fingerprint, 60)
    head = f'Reference of {count(reference.rows)} rows <span class="soft">{name}</span>'
    return draw_card(head, words, table)


def _cells(feature: Feature) -> Sequence[str]:
    """Return the cells of a feature: name, picture, mean, deviation, range, share of missing values."""
    total = max(sum(feature.counts), 1)
    missing = percent(feature.counts[-1] / total)
    if isinstance(feature.bins, CategoricalBins):
        shares = [each / total for each in feature.counts[:MAX_BARS]]
        kinds = f"{count(len(feature.bins.categories) + len(feature.bins.others))} categories"
        return isolated(feature.name, 60), draw_small_values(shares, [0.0] * len(shares)), "", "", kinds, missing
    moments, cuts = feature.moments, feature.bins.cuts
    if moments is None or len(cuts) < 2:  # noqa: PLR2004 - a bin has two ends
        return isolated(feature.name, 60), "", "", "", "", missing
    picture = draw_shares(cuts, [each / total for each in feature.counts[1 : len(cuts)]])
    span = f"{number(moments.minimum)} to {number(moments.maximum)}"
    return isolated(feature.name, 60), picture, number(moments.mean), number(moments.std), span, missing
