"""Whether the split itself can be trusted: as many calls as were sent, and the same traffic on both sides."""

from __future__ import annotations

import numpy as np

from driftline.canary._evalues.histograms import largest_difference, log_e_shape
from driftline.canary._evalues.rates import log_e_one_rate, log_mean_exp
from driftline.canary._evidence import CanaryEvidence
from driftline.canary._policy import CanaryPolicy
from driftline.canary._verdict import Criterion

__all__ = ["SPLIT_ALPHA", "split_criteria"]

SPLIT_ALPHA = 0.001
"""
Level of the checks of the split, which block a promotion and never roll back. As strict as is usual for sample-ratio
mismatch (Fabijan et al. 2019, *Diagnosing sample ratio mismatch in online controlled experiments*).
"""

MOST_E = 1e300


def split_criteria(evidence: CanaryEvidence, policy: CanaryPolicy) -> tuple[Criterion, ...]:
    """The checks for which there is something to check."""
    found = []
    ratio = _ratio(evidence, policy)
    if ratio is not None:
        found.append(ratio)
    if policy.allowed_feature_drift is not None:
        drift = _features(evidence, policy.allowed_feature_drift, policy.design_effect)
        if drift is not None:
            found.append(drift)
    return tuple(found)


def _ratio(evidence: CanaryEvidence, policy: CanaryPolicy) -> Criterion | None:
    """
    Sample-ratio mismatch: the candidate has more or fewer calls than its share.

    A mixture e-process for a known multinomial (Lindon & Malek 2022). Not for sticky keys: the calls of one key are no
    independent draws, and how many keys there are is not counted.
    """
    strata = [
        (policy.share if one.share is None else one.share, one.baseline.calls, one.candidate.calls)
        for one in evidence.strata
        if not one.sticky
    ]
    strata = [one for one in strata if one[0] is not None and 0.0 < one[0] < 1.0]
    if not strata:
        return None
    shares, baseline, candidate = (np.array(part, dtype=np.float64) for part in zip(*strata, strict=True))
    total = baseline + candidate
    calls, expected = int(total.sum()), float((shares * total).sum())
    evidence_ = float(
        log_e_one_rate(candidate / policy.design_effect, total / policy.design_effect, limit=shares, side=0)
    )
    got = float(candidate.sum()) / max(calls, 1)
    words = f"{got:.2%} of {calls:,} calls went to the candidate, {expected / max(calls, 1):.2%} were to"
    return _checked("split", abs(got - expected / max(calls, 1)), 0.0, calls, words, evidence_)


def _features(evidence: CanaryEvidence, allowed: float, design: float) -> Criterion | None:
    names = [name for one in evidence.strata for name in one.baseline.features]
    worst, worst_name, logs = -1.0, "", []
    rows = 0
    for name in dict.fromkeys(names):
        usable = [
            one
            for one in evidence.strata
            if name in one.baseline.features
            and name in one.candidate.features
            and one.candidate.comparable(name, one.baseline)
        ]
        if not usable:
            continue
        baseline = np.array([one.baseline.features[name] for one in usable], dtype=np.float64) / design
        candidate = np.array([one.candidate.features[name] for one in usable], dtype=np.float64) / design
        ordered = name not in usable[0].baseline.unordered
        seen = largest_difference(baseline, candidate, ordered=ordered)
        if np.isnan(seen):
            continue
        rows = int(min(baseline.sum(), candidate.sum()) * design)
        logs.append(log_e_shape(baseline, candidate, ordered=ordered, allowed=allowed))
        if seen > worst:
            worst, worst_name = seen, name
    if not logs:
        return None
    words = f"features of the two variants differ most in {worst_name}, by {100 * worst:.2g} points"
    return _checked("feature_drift", worst, allowed, rows, words, log_mean_exp(np.array(logs)))


def _checked(name: str, value: float, limit: float, rows: int, words: str, log_e: float) -> Criterion:
    needed = 1.0 / SPLIT_ALPHA
    evidence = min(float(np.exp(min(log_e, 700.0))), MOST_E)
    broken = evidence >= needed
    reason = f"the split is broken: {words}" if broken else words
    return Criterion(
        name, "inconclusive" if broken else "promote", value, limit, rows, reason, e_harm=evidence, e_harm_needed=needed
    )
