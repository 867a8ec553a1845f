"""Checks of the traffic split: the candidate gets its share of the calls, and both variants get the same traffic."""

from __future__ import annotations

import numpy as np

from driftline.canary._evalues.histograms import largest_difference, log_e_two_histograms
from driftline.canary._evalues.rates import log_e_one_rate, log_mean_exp
from driftline.canary._evidence import CanaryEvidence
from driftline.canary._policy import CanaryPolicy
from driftline.canary._tests import e_value
from driftline.canary._verdict import Criterion

__all__ = ["SPLIT_ALPHA", "check_split"]

SPLIT_ALPHA = 0.001
"""
Probability that a check blocks the promotion although the split is right. Usual for checks of sample-ratio mismatch
(Fabijan et al. 2019, *Diagnosing sample ratio mismatch in online controlled experiments*).
"""


def check_split(evidence: CanaryEvidence, policy: CanaryPolicy) -> tuple[Criterion, ...]:
    """
    Return the checks of the split as criteria, which can prevent a promotion but never roll back.

    The criteria are "split" (the candidate's share of the calls) and "feature_drift", in this order. A criterion
    without evidence is missing.
    """
    criteria = []
    ratio = _sample_ratio(evidence, policy)
    if ratio is not None:
        criteria.append(ratio)
    if policy.allowed_feature_drift is not None:
        drift = _feature_drift(evidence, policy.allowed_feature_drift, policy.design_effect)
        if drift is not None:
            criteria.append(drift)
    return tuple(criteria)


def _sample_ratio(evidence: CanaryEvidence, policy: CanaryPolicy) -> Criterion | None:
    """
    Return the criterion "split": whether the candidate gets more or fewer calls than its share.

    The test is a mixture e-process for a known multinomial (Lindon & Malek 2022). It skips strata whose calls were
    routed by keys: calls of one key are not independent, and keys are not counted. It also skips strata without a
    share, and with a share of 0 or 1. If no stratum remains, return None.
    """
    strata = [
        (policy.share if stratum.share is None else stratum.share, stratum.baseline.calls, stratum.candidate.calls)
        for stratum in evidence.strata
        if not stratum.sticky
    ]
    strata = [stratum for stratum in strata if stratum[0] is not None and 0.0 < stratum[0] < 1.0]
    if not strata:
        return None
    shares, baseline, candidate = (np.array(part, dtype=np.float64) for part in zip(*strata, strict=True))
    total = baseline + candidate
    calls = int(total.sum())
    observed, expected = float(candidate.sum()) / max(calls, 1), float((shares * total).sum()) / max(calls, 1)
    log_e = float(log_e_one_rate(candidate / policy.design_effect, total / policy.design_effect, limit=shares, side=0))
    reason = f"{observed:.2%} of {calls:,} calls went to the candidate, {expected:.2%} expected"
    return _split_criterion("split", abs(observed - expected), 0.0, calls, reason, log_e)


def _feature_drift(evidence: CanaryEvidence, allowed: float, design_effect: float) -> Criterion | None:
    """
    Return the criterion "feature_drift": whether any feature differs between the variants by more than allowed.

    Args:
        evidence: the evidence. If no feature has rows of both variants over the same bins, return None.
        allowed: largest allowed difference of shares; `largest_difference` defines it.
        design_effect: variance inflation by which all counts are divided.
    """
    names = [name for stratum in evidence.strata for name in stratum.baseline.features]
    largest, largest_name, logs = -1.0, "", []
    rows = 0
    for name in dict.fromkeys(names):
        usable = [
            stratum
            for stratum in evidence.strata
            if name in stratum.baseline.features
            and name in stratum.candidate.features
            and stratum.candidate.comparable(name, stratum.baseline)
        ]
        if not usable:
            continue
        baseline = np.array([stratum.baseline.features[name] for stratum in usable], dtype=np.float64) / design_effect
        candidate = np.array([stratum.candidate.features[name] for stratum in usable], dtype=np.float64) / design_effect
        ordered = name not in usable[0].baseline.unordered
        difference = largest_difference(baseline, candidate, ordered=ordered)
        if np.isnan(difference):
            continue
        rows = int(min(baseline.sum(), candidate.sum()) * design_effect)
        logs.append(log_e_two_histograms(baseline, candidate, ordered=ordered, allowed=allowed))
        if difference > largest:
            largest, largest_name = difference, name
    if not logs:
        return None
    reason = f"features of the two variants differ most in {largest_name}, by {100 * largest:.2g} points"
    return _split_criterion("feature_drift", largest, allowed, rows, reason, log_mean_exp(np.array(logs)))


def _split_criterion(name: str, value: float, limit: float, rows: int, reason: str, log_e: float) -> Criterion:
    """Return a criterion: "inconclusive" if the e-value exp(*log_e*) reaches 1 / `SPLIT_ALPHA`, else "promote"."""
    needed = 1.0 / SPLIT_ALPHA
    evidence = e_value(log_e)
    broken = evidence >= needed
    return Criterion(
        name,
        "inconclusive" if broken else "promote",
        value,
        limit,
        rows,
        f"the split is broken: {reason}" if broken else reason,
        e_harm=evidence,
        e_harm_needed=needed,
    )
