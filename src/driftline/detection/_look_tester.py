"""`LookTester`: tests one look against its baseline, and weighs which parts of the difference are large enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import Feature
from driftline._binning.layout import Layout
from driftline._significance.combination import bonferroni, combine_cotangents, cotangents
from driftline._significance.components import LOCATION, SHAPE, SPREAD
from driftline._significance.part_sizes import PartSizes
from driftline._significance.two_sample import TwoSample, TwoSampleResult
from driftline.detection._blindness import Blindness
from driftline.detection._evidence_table import Details, EvidenceTable
from driftline.detection._explanation import build_components, describe_shift
from driftline.detection._lazy import Lazy, LazySequence
from driftline.detection._least_effects import PartLimits
from driftline.detection._rules import LEAVE_SHARE, Look
from driftline.results import Component
from driftline.typing import Counts, Floats

__all__ = ["LookTester"]

LEAVE_P = 0.05
"""The p-value above which a drift ends. Of windows without drift, one in twenty is at or below it by chance."""

NEUTRAL_P = 0.5
"""The p-value of a part that is too small to count. In the Cauchy combination, it neither adds nor removes evidence."""

ROUNDING = 1e-6
"""Relative error that a bound of p-values allows for. Sums in another order differ by less than a billionth."""


@dataclass(frozen=True, slots=True, eq=False)
class _Tested:
    """
    The test of a look, before it is known which parts are large enough.

    Attributes:
        look: the look.
        level: significance level of the model.
        result: the result of the test.
        terms: shape (features, parts), `cotangents` of the p-values; 0 where a part does not apply.
        number: shape (features,), number of parts that apply.
        testable: shape (features,), whether there are rows enough.
        hidden: the features whose location the look is blind for.
    """

    look: Look
    level: float
    result: TwoSampleResult
    terms: Floats
    number: Counts
    testable: NDArray[np.bool_]
    hidden: Sequence[int]

    def may_enter(self) -> bool:
        """
        Return whether a feature could drift, if those of its parts counted that give the smallest p-value.

        Nearly always none could, so that it need not be measured how large the parts are.
        """
        least = combine_cotangents(np.maximum(self.terms, 0.0), self.number)[self.testable]
        return bool((least * len(least) <= self.level * (1.0 + ROUNDING)).any())


@dataclass(frozen=True, slots=True, eq=False)
class _Weighed:
    """
    Which parts of the difference are large enough, and what follows.

    Attributes:
        details: the columns of the evidence.
        enter: shape (features,), whether a stable feature becomes drifting.
        psi: shape (features,), PSI; nan without rows.
        counting: shape (features, parts), whether a part is large enough to count.
    """

    details: Details
    enter: NDArray[np.bool_]
    psi: Floats
    counting: NDArray[np.bool_]


class LookTester:
    """
    Tests looks, and returns the evidence for all features.

    Args:
        features: the features, in the order of *layout*.
        layout: the layout of their bins.
        limits: how large the parts of each feature have to be.
        min_rows: rows below which a feature is not tested.
    """

    __slots__ = ("_features", "_find_blind", "_layout", "_limits", "_measure_sizes", "_min_rows", "_test")

    def __init__(self, features: Sequence[Feature], layout: Layout, limits: PartLimits, min_rows: int) -> None:
        self._features, self._layout = features, layout
        self._limits, self._min_rows = limits, min_rows
        self._test = TwoSample(features, layout)
        self._measure_sizes = PartSizes(features, layout)
        self._find_blind = Blindness(features, layout)

    def __call__(self, look: Look, level: float) -> EvidenceTable:
        """
        Return the evidence of a look.

        How large the parts are is measured now if a feature could drift, else when the evidence is read.

        Args:
            look: the look.
            level: significance level of the model.
        """
        difference = look.difference
        if difference is None:
            result = self._test(look.window.counts, None, look.expected)
        else:
            baseline = look.expected if difference.baseline is None else difference.baseline
            result = self._test(look.window.counts, difference.inflation, baseline)
        known = ~np.isnan(result.parts)
        testable = (result.rows >= self._min_rows) & (result.rows > 0)
        blind = self._find_blind(look, known, level / max(int(testable.sum()), 1))
        terms = np.where(known, cotangents(result.parts), 0.0)
        hidden = [index for index, parts in blind.items() if LOCATION in parts]
        tested = _Tested(look, level, result, terms, known.sum(axis=1), testable, hidden)
        weighed = Lazy(partial(self._weigh, tested))
        enter = weighed().enter if tested.may_enter() else np.zeros(len(self._features), dtype=np.bool_)
        return EvidenceTable(
            enter,
            result.rows,
            None if difference is None else difference.error,
            blind,
            lambda: weighed().details,
            lambda index: partial(self._reason, tested, weighed, index),
            lambda index: LazySequence(self._components, tested, weighed, index),
        )

    def _weigh(self, tested: _Tested) -> _Weighed:
        """Measure how large the parts of a difference are, and return what follows."""
        look, result = tested.look, tested.result
        seen = None if look.difference is None else look.difference.seen
        sizes = self._measure_sizes(look.window.counts, look.expected, seen)
        psi, effect = self._test.effects(look.window.counts, seen, look.expected)
        counting = self._limits.counting(sizes, effect)
        # Where even a large shift would not show, what moves with it (spread and shape) is no evidence.
        counting[np.ix_(tested.hidden, [SPREAD, SHAPE])] = False
        p = _combine(tested.terms, tested.number, counting)
        adjusted = np.full(len(p), np.inf)
        adjusted[tested.testable] = bonferroni(p[tested.testable])
        enter = adjusted <= tested.level
        lasts = _combine(tested.terms, tested.number, self._limits.counting(sizes, effect, LEAVE_SHARE)) <= LEAVE_P
        details = Details(
            enter | (tested.testable & lasts),
            # Without a part that counts, the p-value is that of the whole difference, however small it is.
            np.where(counting.any(axis=1), p, _whole(tested)),
            effect,
            np.where(result.direction < 0.0, -result.deviation, result.deviation),
            np.argmin(np.where(counting & ~np.isnan(result.parts), result.parts, np.inf), axis=1),
        )
        return _Weighed(details, enter, psi, counting)

    def _components(self, tested: _Tested, weighed: Lazy[_Weighed], index: int) -> tuple[Component, ...]:
        """Return the parts of the difference of a feature."""
        look, bins, result = tested.look, self._layout.slices[index], tested.result
        expected = None if look.expected is None else look.expected[bins]
        return build_components(
            self._features[index],
            result.parts[index],
            result.direction[index],
            look.window.counts[bins],
            expected,
            weighed().counting[index],
        )

    def _reason(self, tested: _Tested, weighed: Lazy[_Weighed], index: int) -> str:
        """Return why a feature drifts."""
        look, bins = tested.look, self._layout.slices[index]
        shift = describe_shift(
            self._features[index],
            look.window.counts[bins],
            self._components(tested, weighed, index),
            expected=None if look.expected is None else look.expected[bins],
        )
        details, psi = weighed().details, weighed().psi
        return (
            f"{shift}; PSI {psi[index]:.3g} ({details.effects[index]:.3g} corrected), "
            f"p {_format_p(float(details.p_values[index]))} (level {tested.level:.2g}), "
            f"n = {int(tested.result.rows[index])}"
        )


def _combine(terms: Floats, number: Counts, counting: NDArray[np.bool_]) -> Floats:
    """
    Return the p-value of each feature over the parts that count, shape (features,); `NEUTRAL_P` if none does.

    The other parts are neutral, not dropped. A significant part is more likely to be large enough, so the number of
    parts that the combination allows for must not depend on it.

    Args:
        terms: shape (features, parts), `cotangents` of the p-values; 0 where a part does not apply.
        number: shape (features,), number of parts that apply.
        counting: shape (features, parts), whether a part is large enough to count.
    """
    # The term of `NEUTRAL_P` is 0.
    combined = combine_cotangents(np.where(counting, terms, 0.0), number)
    return np.where(counting.any(axis=1), combined, NEUTRAL_P)


def _whole(tested: _Tested) -> Floats:
    """Return the p-value of each feature over all parts, shape (features,); nan where it has no rows."""
    return np.where(tested.result.rows > 0, combine_cotangents(tested.terms, tested.number), np.nan)


def _format_p(p: float) -> str:
    """Return a p-value as a string such as ``0.0012``. One that is too small for a float becomes ``< 1e-300``."""
    return f"{p:.2g}" if p > 1e-300 else "< 1e-300"  # noqa: PLR2004 - the smallest value of `cauchy_combination`
