"""The criteria of a `CanaryPolicy`: makes the test of each criterion from counts of the evidence."""

from __future__ import annotations

from collections.abc import Iterator

from driftline.canary._drift_tests import prediction_drift_test
from driftline.canary._evalues.means import Moments
from driftline.canary._evidence import CanaryEvidence
from driftline.canary._latency_tests import latency_tests
from driftline.canary._margins import Guardrail, Margin
from driftline.canary._mean_tests import capped_mean_test, mean_test
from driftline.canary._outcome_tests import OutcomeTests
from driftline.canary._policy import CanaryPolicy
from driftline.canary._rate_counts import RateCounts, count_calls, count_observations, count_variants, rows_of_a_key
from driftline.canary._rate_tests import disagreement_test, rate_test
from driftline.canary._tests import CriterionTest, empty_test
from driftline.canary._value_tables import ValueTables
from driftline.canary._variant_evidence import describe_unreadable

__all__ = ["criterion_tests"]


def criterion_tests(evidence: CanaryEvidence, policy: CanaryPolicy) -> Iterator[CriterionTest]:
    """Yield the test of each criterion that the policy does not switch off, in the order of the policy's arguments."""
    design_effect = policy.design_effect
    if policy.allowed_error_increase is not None:
        guardrail = Guardrail(_as_margin(policy.allowed_error_increase), "lower", "rate")
        yield rate_test("error_rate", "error rate", "calls", count_calls(evidence, design_effect), guardrail)
    outcome_tests = _outcome_tests(evidence, policy)
    yield from _accuracy_tests(evidence, policy, outcome_tests)
    if policy.allowed_latency_delta is not None:
        quantiles = (
            policy.latency_quantile if isinstance(policy.latency_quantile, tuple) else (policy.latency_quantile,)
        )
        yield from latency_tests(evidence, quantiles, _as_margin(policy.allowed_latency_delta), design_effect)
    if policy.allowed_prediction_drift is not None and _has_predictions(evidence):
        margin = _as_margin(policy.allowed_prediction_drift)
        yield prediction_drift_test(evidence, margin, max(design_effect, rows_of_a_key(evidence)))
    if policy.allowed_disagreement is not None:
        margin = _as_margin(policy.allowed_disagreement)
        yield disagreement_test(evidence.compared, evidence.agreed, margin, design_effect)
    yield from _other_rate_tests(evidence, policy, outcome_tests)
    yield from _guardrail_tests(evidence, policy)


def _outcome_tests(evidence: CanaryEvidence, policy: CanaryPolicy) -> OutcomeTests | None:
    """Return what makes the tests of outcomes at equal age; None if outcomes are not counted by time."""
    if policy.allowed_accuracy_drop is None and not policy.rates:
        return None
    after = policy.outcomes_after
    return OutcomeTests.of(evidence, after if isinstance(after, float) else None, policy.design_effect)


def _accuracy_tests(
    evidence: CanaryEvidence, policy: CanaryPolicy, outcome_tests: OutcomeTests | None
) -> Iterator[CriterionTest]:
    if policy.allowed_accuracy_drop is None:
        return
    guardrail = Guardrail(_as_margin(policy.allowed_accuracy_drop), "higher", "rate")
    if unreadable := _unreadable(evidence):
        yield empty_test("accuracy", "outcomes", guardrail.margin, obstacle=f"accuracy: {unreadable}")
    elif outcome_tests is not None:
        yield outcome_tests.accuracy(guardrail)
    else:
        counts = count_variants(evidence, lambda variant: (variant.correct, variant.known), policy.design_effect)
        yield rate_test("accuracy", "accuracy", "outcomes", counts, guardrail)


def _other_rate_tests(
    evidence: CanaryEvidence, policy: CanaryPolicy, outcome_tests: OutcomeTests | None
) -> Iterator[CriterionTest]:
    def count(name: str) -> RateCounts:
        return count_variants(evidence, lambda variant: variant.rates.get(name, (0, 0)), policy.design_effect)

    unreadable = _unreadable(evidence)
    for name, guardrail in policy.rates.items():
        if unreadable:
            yield empty_test(name, "trials", guardrail.margin, obstacle=f"{name}: {unreadable}")
        elif outcome_tests is not None:
            yield outcome_tests.rate(name, guardrail)
        else:
            yield rate_test(name, name, "trials", count(name), guardrail)


def _unreadable(evidence: CanaryEvidence) -> str:
    """Return why outcomes of either variant decide nothing; an empty string if all could be read."""
    return describe_unreadable(
        baseline=sum(stratum.baseline.unreadable for stratum in evidence.strata),
        candidate=sum(stratum.candidate.unreadable for stratum in evidence.strata),
    )


def _guardrail_tests(evidence: CanaryEvidence, policy: CanaryPolicy) -> Iterator[CriterionTest]:
    for name, guardrail in policy.guardrails.items():
        tables = _value_tables(evidence, name)
        if guardrail.kind == "rate":
            counts = count_observations(evidence, name, tables, policy.design_effect)
            yield rate_test(name, name, "observations", counts, guardrail)
        elif tables is not None:
            yield capped_mean_test(name, tables, guardrail, policy.design_effect)
        else:
            none = (Moments(), Moments())
            pairs = [stratum.guardrails.get(name, none) for stratum in evidence.strata]
            yield mean_test(name, pairs, guardrail, policy.design_effect)


def _value_tables(evidence: CanaryEvidence, name: str) -> tuple[ValueTables, ValueTables] | None:
    """Return the numbers of a guardrail over all strata; None if some are in no table, or there are none."""
    total = None
    for stratum in evidence.strata:
        pair = stratum.values.get(name)
        if pair is not None:
            total = pair if total is None else (total[0] + pair[0], total[1] + pair[1])
        elif any(moments.count for moments in stratum.guardrails.get(name, ())):
            return None
    return total


def _as_margin(margin: Margin | float) -> Margin:
    return margin if isinstance(margin, Margin) else Margin(margin)


def _has_predictions(evidence: CanaryEvidence) -> bool:
    return all(
        variant.predictions is not None
        for stratum in evidence.strata
        for variant in (stratum.baseline, stratum.candidate)
    )
