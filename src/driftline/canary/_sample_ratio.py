"""Checks of the traffic split: the candidate gets its share of the calls, and both variants get the same traffic."""

from __future__ import annotations

import numpy as np

from driftline.canary._drift_tests import bin_counts
from driftline.canary._evalues.histograms import FAR, Histograms, largest_differences, log_e_differences
from driftline.canary._evalues.rates import log_e_one_rate
from driftline.canary._evidence import CanaryEvidence
from driftline.canary._policy import CanaryPolicy
from driftline.canary._rate_counts import rows_of_a_key
from driftline.canary._tests import e_value
from driftline.canary._verdict import Criterion
from driftline.typing import Floats

__all__ = ["SPLIT_ALPHA", "check_split"]

SPLIT_ALPHA = 0.001
"""
Probability that a check blocks the promotion although the split is right. Usual for checks of sample-ratio mismatch
(Fabijan et al. 2019, *Diagnosing sample ratio mismatch in online controlled experiments*).
"""

FEW_CALLS = 1.5
"""Calls of a key below which the reason of the check "split" does not mention them."""


def check_split(evidence: CanaryEvidence, policy: CanaryPolicy) -> tuple[Criterion, ...]:
    """
    Return the checks of the split as criteria, which can prevent a promotion but never roll back.

    The criteria are "split" (the candidate's share of the calls) and "feature_drift", in this order. A criterion
    without evidence is missing. All counts are divided by the number of calls, or rows, of a key, because all calls of
    a key go to one variant, and may have the same features.
    """
    criteria = []
    design_effect = max(policy.design_effect, rows_of_a_key(evidence))
    ratio = _sample_ratio(evidence, policy, design_effect)
    if ratio is not None:
        criteria.append(ratio)
    if policy.allowed_feature_drift is not None:
        drift = _feature_drift(evidence, policy.allowed_feature_drift, design_effect)
        if drift is not None:
            criteria.append(drift)
    return tuple(criteria)


def _sample_ratio(evidence: CanaryEvidence, policy: CanaryPolicy, design_effect: float) -> Criterion | None:
    """
    Return the criterion "split": whether the candidate gets more or fewer calls than its share.

    The test is a mixture e-process for a known multinomial (Lindon & Malek 2022). It skips strata without a share, and
    with a share of 0 or 1. It also skips strata whose calls were routed by keys, if the keys are not counted. If no
    stratum with calls remains, return None.

    A batch of `Monitor.observe` has rows that a splitter has sent here one by one, or as a whole. Either way, rows have
    the share, and batches may not. So rows are compared where there are batches, as if each batch had been sent as one.

    Args:
        evidence: the evidence.
        policy: has the share, if driftline does not split the calls.
        design_effect: variance inflation by which all counts are divided.
    """
    used = [
        (share, stratum.baseline, stratum.candidate)
        for stratum in evidence.strata
        if (share := policy.share if stratum.share is None else stratum.share) is not None
        and 0.0 < share < 1.0
        and (not stratum.sticky or (stratum.baseline.call_tables and stratum.candidate.call_tables))
    ]
    sides = [side for _, *pair in used for side in pair]
    batched = any(side.batches for side in sides)
    if batched:
        design_effect = max(design_effect, *(side.rows / side.calls for side in sides if side.calls))
    strata = [(share, *(side.rows if batched else side.calls for side in pair)) for share, *pair in used]
    shares, baseline, candidate = np.array(strata, dtype=np.float64).reshape(-1, 3).T
    total = baseline + candidate
    calls = int(total.sum())
    if not calls:
        return None
    observed, expected = float(candidate.sum()) / calls, float((shares * total).sum()) / calls
    log_e = float(log_e_one_rate(candidate / design_effect, total / design_effect, limit=shares, side=0))
    unit, cluster = ("rows", "a key or batch") if batched else ("calls", "a key")
    keyed = f", with about {design_effect:,.3g} {unit} of {cluster}" if design_effect >= FEW_CALLS else ""
    reason = f"{observed:.2%} of {calls:,} {unit} went to the candidate, {expected:.2%} expected{keyed}"
    return _split_criterion("split", abs(observed - expected), 0.0, calls, reason, log_e)


def _feature_drift(evidence: CanaryEvidence, allowed: float, design_effect: float) -> Criterion | None:
    """
    Return the criterion "feature_drift": whether any feature differs between the variants by more than allowed.

    Args:
        evidence: the evidence. If no feature has rows of both variants over the same bins, return None.
        allowed: largest allowed difference of shares; `Histograms.largest_difference` defines it.
        design_effect: variance inflation by which all counts are divided.
    """
    counts: dict[str, Floats] = {}
    for indices, names in _comparable_features(evidence).items():
        counts.update(bin_counts([evidence.strata[index] for index in indices], names))
    unordered = evidence.strata[-1].baseline.unordered if evidence.strata else frozenset()
    # Features of as many bins and blocks are compared together.
    groups: dict[tuple[bool, tuple[int, ...]], list[str]] = {}
    for name, rows in counts.items():
        groups.setdefault((name not in unordered, rows.shape), []).append(name)
    differences: dict[str, float] = {}
    for (ordered, _), names in groups.items():
        largest = largest_differences(np.stack([counts[name] for name in names]), ordered=ordered)
        differences.update({name: value for name, value in zip(names, largest.tolist(), strict=True) if value >= 0.0})
    if not differences:
        return None
    far = [
        Histograms(*(counts[name][:, side] / design_effect for side in (0, 1)), ordered=name not in unordered)
        for name, value in differences.items()
        if value >= FAR * allowed
    ]
    log_e = log_e_differences(far, allowed, len(differences))
    largest_name = max(differences, key=differences.__getitem__)
    value = differences[largest_name]
    rows_of_one = int(min(counts[name].sum(axis=(0, 2)).min() for name in differences))
    reason = f"features of the two variants differ most in {largest_name}, by {100 * value:.2g} points"
    return _split_criterion("feature_drift", value, allowed, rows_of_one, reason, log_e)


def _comparable_features(evidence: CanaryEvidence) -> dict[tuple[int, ...], list[str]]:
    """Return names of features by the indices of the strata in which both variants count them over the same bins."""
    usable: dict[str, tuple[int, ...]] = {}
    for index, stratum in enumerate(evidence.strata):
        for name in stratum.baseline.features:
            if name in stratum.candidate.features and stratum.candidate.comparable(name, stratum.baseline):
                usable[name] = (*usable.get(name, ()), index)
    groups: dict[tuple[int, ...], list[str]] = {}
    for name, indices in usable.items():
        groups.setdefault(indices, []).append(name)
    return groups


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
