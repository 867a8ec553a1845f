"""The criteria of a `CanaryPolicy`: makes the test of each criterion from counts of the evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from driftline.canary._distribution_tests import latency_test, mean_test, prediction_drift_test
from driftline.canary._evalues.means import Moments
from driftline.canary._evidence import CanaryEvidence
from driftline.canary._margins import Guardrail, Margin
from driftline.canary._policy import CanaryPolicy
from driftline.canary._rate_tests import disagreement_test, rate_test
from driftline.canary._tests import CriterionTest
from driftline.canary._variant_evidence import VariantEvidence
from driftline.typing import Floats

__all__ = ["criterion_tests"]


def criterion_tests(evidence: CanaryEvidence, policy: CanaryPolicy) -> Iterator[CriterionTest]:
    """Yield the test of each criterion that the policy does not switch off, in the order of the policy's arguments."""
    design_effect = policy.design_effect
    if policy.allowed_error_increase is not None:
        yield rate_test(
            "error_rate",
            "error rate",
            "calls",
            _count_pairs(evidence, lambda variant: (variant.failed_calls, variant.calls)),
            Guardrail(_as_margin(policy.allowed_error_increase), "lower", "rate"),
            design_effect,
        )
    if policy.allowed_accuracy_drop is not None:
        yield rate_test(
            "accuracy",
            "accuracy",
            "outcomes",
            _count_pairs(evidence, lambda variant: (variant.correct, variant.known)),
            Guardrail(_as_margin(policy.allowed_accuracy_drop), "higher", "rate"),
            design_effect,
        )
    if policy.allowed_latency_delta is not None:
        quantiles = (
            policy.latency_quantile if isinstance(policy.latency_quantile, tuple) else (policy.latency_quantile,)
        )
        for quantile in quantiles:
            yield latency_test(
                evidence, quantile, _as_margin(policy.allowed_latency_delta), len(quantiles), design_effect
            )
    if policy.allowed_prediction_drift is not None and _has_predictions(evidence):
        yield prediction_drift_test(evidence, _as_margin(policy.allowed_prediction_drift), design_effect)
    if policy.allowed_disagreement is not None:
        yield disagreement_test(
            evidence.compared, evidence.agreed, _as_margin(policy.allowed_disagreement), design_effect
        )
    for name, rate in policy.rates.items():
        counts = _count_pairs(evidence, lambda variant, name=name: variant.rates.get(name, (0, 0)))  # type: ignore[misc]
        yield rate_test(name, name, "trials", counts, rate, design_effect)
    for name, guardrail in policy.guardrails.items():
        none = (Moments(), Moments())
        pairs = [stratum.guardrails.get(name, none) for stratum in evidence.strata]
        if guardrail.kind == "rate":
            counts = np.array(
                [[(moments.mean * moments.count, moments.count) for moments in pair] for pair in pairs]
            ).reshape(-1, 2, 2)
            yield rate_test(name, name, "observations", counts, guardrail, design_effect)
        else:
            yield mean_test(name, pairs, guardrail, design_effect)


def _as_margin(margin: Margin | float) -> Margin:
    return margin if isinstance(margin, Margin) else Margin(margin)


def _has_predictions(evidence: CanaryEvidence) -> bool:
    return all(
        variant.predictions is not None
        for stratum in evidence.strata
        for variant in (stratum.baseline, stratum.candidate)
    )


def _count_pairs(evidence: CanaryEvidence, read: Callable[[VariantEvidence], tuple[int, int]]) -> Floats:
    """
    Return events and trials of both variants, shape (strata, 2, 2).

    The axes are stratum, variant (baseline, candidate), and kind (events, trials).

    Args:
        evidence: the evidence.
        read: returns (events, trials) of one variant.
    """
    counts = [(read(stratum.baseline), read(stratum.candidate)) for stratum in evidence.strata]
    return np.array(counts, dtype=np.float64).reshape(-1, 2, 2)
