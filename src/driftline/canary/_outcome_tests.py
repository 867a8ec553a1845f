"""Tests of outcomes at equal age: accuracy, and other rates such as recall."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from driftline._windows.blocks import BlockCounts
from driftline._windows.outcome_tables import BAD, PREDICTED, OutcomeTables
from driftline.canary._evalues.design_effect import KeyedCounts
from driftline.canary._evidence import CanaryEvidence
from driftline.canary._margins import Guardrail
from driftline.canary._maturity import Maturity, format_age, outcome_pairs
from driftline.canary._rate_counts import RateCounts, align_pair, keyed_counts, stratify_pair
from driftline.canary._rate_tests import rate_test
from driftline.canary._tests import CriterionTest
from driftline.typing import Floats

__all__ = ["OutcomeTests"]


class OutcomeTests:
    """
    Makes the tests of outcomes from tables by the time of the prediction.

    Within a block of time, the predictions of both variants have the same age. So equal variants have equal shares of
    wrong outcomes so far, whatever the delays of right and wrong outcomes are, as long as both have the same.

    Args:
        evidence: the evidence.
        pairs: its tables: (baseline's, candidate's) for each share of the candidate.
        outcomes_after: seconds after which all outcomes have come, if the policy says so.
        least_effect: the smallest design effect.
    """

    __slots__ = ("_keys", "_least_effect", "_maturity", "_pairs")

    def __init__(
        self,
        evidence: CanaryEvidence,
        pairs: Sequence[tuple[OutcomeTables, OutcomeTables]],
        outcomes_after: float | None,
        least_effect: float,
    ) -> None:
        self._pairs, self._least_effect = pairs, least_effect
        self._maturity = Maturity.of(evidence, pairs, outcomes_after)
        self._keys = self._count_keys()

    @classmethod
    def of(cls, evidence: CanaryEvidence, outcomes_after: float | None, least_effect: float) -> OutcomeTests | None:
        """Return the tests; None if any outcomes are in no table. For the arguments see the class."""
        pairs = outcome_pairs(evidence)
        return None if not pairs else cls(evidence, pairs, outcomes_after, least_effect)

    def _count_keys(self) -> KeyedCounts | None:
        """Return predictions, and those with a wrong outcome, by bucket of their key; None if none has a key."""
        columns = [PREDICTED, BAD]
        keys = np.sum([[side.keys[:, columns] for side in pair] for pair in self._pairs], axis=0)
        totals = np.sum([[side.predictions.total()[columns] for side in pair] for pair in self._pairs], axis=0)
        keyed = keyed_counts(keys, totals)
        return keyed if keyed.trials.any() else None

    def accuracy(self, guardrail: Guardrail) -> CriterionTest:
        """
        Return the test of the share of predictions whose outcome is not wrong so far.

        Its denominator has all predictions, so early outcomes cannot outweigh late ones.

        Args:
            guardrail: has the margin.
        """
        counts, promoting = self._count([(a.predictions, b.predictions) for a, b in self._pairs], _not_wrong)
        missing, predictions = self._maturity.missing, self._maturity.predictions

        def describe(baseline: float, candidate: float) -> str:
            return (
                f"wrong so far {candidate:.2%} against {baseline:.2%} of the predictions at equal age, {missing:,} of "
                f"{predictions:,} outcomes still out"
            )

        return rate_test(
            "accuracy",
            "accuracy",
            "predictions",
            counts,
            guardrail,
            promoting=promoting,
            describe=describe if missing else None,
            obstacle=self._obstacle(promoting),
        )

    def rate(self, name: str, guardrail: Guardrail) -> CriterionTest:
        """
        Return the test of another rate of the outcomes.

        Its trials are not counted by key. Its design effect of keys is that of wrong predictions.

        Args:
            name: name of the rate, such as ``recall True``.
            guardrail: has the margin, and whether a higher or a lower rate is better.
        """
        none = BlockCounts.none(2)
        counts, promoting = self._count([(a.rates.get(name, none), b.rates.get(name, none)) for a, b in self._pairs])
        return rate_test(
            name, name, "trials", counts, guardrail, promoting=promoting, obstacle=self._obstacle(promoting)
        )

    def _obstacle(self, promoting: RateCounts) -> str:
        """Return why outcomes cannot promote a candidate yet, in words; an empty string if they can."""
        age = self._maturity.safe_age
        if age is None:
            return 'no promotion before it is known how late outcomes come: set outcomes_after, such as "7d"'
        if age and not promoting.counts[..., 1].sum(axis=0).all():
            return f"no promotion before predictions of both variants are {format_age(age)} old"
        return ""

    def _count(
        self, pairs: Sequence[tuple[BlockCounts, BlockCounts]], read: Callable[[Floats], Floats] | None = None
    ) -> tuple[RateCounts, RateCounts]:
        """
        Return the counts for evidence of harm, and those for evidence of safety.

        Args:
            pairs: tables of the baseline and of the candidate, for each share of the candidate.
            read: returns events and trials, shape (blocks, 2, 2), from counts of shape (blocks, 2, columns). If None,
                the columns are events and trials.
        """
        maturity = self._maturity
        ages = (maturity.harm_age, maturity.safe_age)
        harm = self._count_from(pairs, ages[0], read)
        if ages[1] is None:
            return harm, RateCounts(np.zeros((0, 2, 2)), keys=harm.keys)
        return harm, harm if ages[0] == ages[1] else self._count_from(pairs, ages[1], read)

    def _count_from(
        self,
        pairs: Sequence[tuple[BlockCounts, BlockCounts]],
        age: float,
        read: Callable[[Floats], Floats] | None,
    ) -> RateCounts:
        """Return the counts of predictions that have at least an age; for the arguments see `_count`."""
        selected = [self._maturity.select(pair, age) for pair in pairs]
        strata, blocks = (
            np.concatenate([arrange(pair) for pair in selected]) for arrange in (stratify_pair, align_pair)
        )
        if read is not None:
            strata, blocks = read(strata), read(blocks)
        return RateCounts.of(strata, blocks, self._keys, self._least_effect, late=read is not None)


def _not_wrong(counts: Floats) -> Floats:
    """Return predictions that are not wrong so far, and all predictions, from columns of `OutcomeTables`."""
    predictions = counts[..., PREDICTED]
    return np.stack([predictions - np.minimum(counts[..., BAD], predictions), predictions], axis=-1)
