"""What one window says about retraining: the limits that it crosses."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from driftline.outcomes import Performance
from driftline.results import FeatureStatus
from driftline.retraining._request import RetrainingEvidence
from driftline.retraining._situation import RetrainingSituation

if TYPE_CHECKING:
    from driftline.retraining._policy import RetrainingPolicy

__all__ = ["Assessment", "assess"]

WIDER = 2.0
"""
Factor of an interval of 95 %, so that its end is at 3.9 standard errors. It is looked at after each window, and
neighbouring outcomes depend on each other, which increases their variance by a factor of up to 4 here.
"""

LEAST_OUTCOMES = 30
"""Fewest outcomes behind a realised accuracy that counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """
    What one window says about retraining.

    Attributes:
        evidence: the limits that it crosses. If empty, it does not speak for retraining.
        broken: the features whose data are broken.
        errors: exceptions of guardrails.
    """

    evidence: tuple[RetrainingEvidence, ...] = ()
    broken: tuple[RetrainingEvidence, ...] = ()
    errors: tuple[Exception, ...] = ()

    def tasks(self, situation: RetrainingSituation) -> list[str]:
        """
        Return the features for which retraining is due: those that drift, or all if a limit of the model is crossed.

        With `RetrainingPolicy.lesson` they are those of `driftline.oneshot.enqueue_retraining_tasks`.

        Args:
            situation: what was assessed.
        """
        if any(each.reason != "drift" for each in self.evidence):
            return list(situation.status)
        drifting = {each.name for each in self.evidence}
        return [name for name in situation.status if name in drifting]


def assess(policy: RetrainingPolicy, situation: RetrainingSituation) -> Assessment:
    """Return the limits of a policy that a situation crosses."""
    errors: list[Exception] = []
    evidence = (
        *_drift(policy, situation),
        *_accuracy(policy, situation),
        *_latency(policy, situation),
        *_guardrails(policy, situation, errors),
    )
    broken: tuple[RetrainingEvidence, ...] = ()
    if policy.broken_data:
        broken = tuple(
            RetrainingEvidence(reason="broken_data", words=words, name=name) for name, words in situation.broken.items()
        )
    return Assessment(evidence=evidence, broken=broken, errors=tuple(errors))


def _drift(policy: RetrainingPolicy, situation: RetrainingSituation) -> Iterator[RetrainingEvidence]:
    if policy.min_drifting is None:
        return
    names = [
        name
        for name, status in situation.status.items()
        if status.state == "drifting" and (policy.features is None or name in policy.features)
    ]
    if len(names) < policy.min_drifting:
        return
    if policy.importance is not None:
        share = math.fsum(policy.importance.get(_feature_of(name), 0.0) for name in names)
        if share < policy.min_importance:
            return
        names.sort(key=lambda name: -policy.importance.get(_feature_of(name), 0.0) if policy.importance else 0.0)
    for name in names:
        yield _of_status("drift", name, situation.status[name])


def _feature_of(name: str) -> str:
    """Return the name of the feature of a detector, such as ``"age (ADWIN)"``."""
    return name.partition(" (")[0]


def _of_status(reason: str, name: str, status: FeatureStatus) -> RetrainingEvidence:
    return RetrainingEvidence(
        reason="drift" if reason == "drift" else "accuracy",
        words=status.reason,
        name=name,
        value=_finite(status.effect),
        p_value=_finite(status.p_value),
        rows=status.rows,
    )


def _accuracy(policy: RetrainingPolicy, situation: RetrainingSituation) -> Iterator[RetrainingEvidence]:
    if policy.limits:
        for name, status in situation.limits.items():
            if status.state == "drifting":
                yield _of_status("accuracy", name, status)
    for title, limit, measured, least in (
        ("accuracy", policy.min_accuracy, situation.accuracy, LEAST_OUTCOMES),
        ("estimated accuracy", policy.min_estimated_accuracy, situation.estimated, 1),
    ):
        if limit is None:
            continue
        if not policy.intervals:
            value = math.nan if measured is None else measured.value
            if not value >= limit:
                words = f"{title} {value:.2%} below {limit:.2%}" if value == value else f"{title} unknown"  # noqa: PLR0124
                yield RetrainingEvidence(reason="accuracy", words=words, name=title, value=_finite(value), limit=limit)
        elif measured is not None and _is_below(measured, limit, least):
            words = (
                f"{title} {measured.value:.2%} ({measured.lower:.2%} to {measured.upper:.2%}, n = {measured.rows}) "
                f"below {limit:.2%}"
            )
            yield RetrainingEvidence(
                reason="accuracy",
                words=words,
                name=title,
                value=measured.value,
                lower=measured.lower,
                upper=measured.upper,
                limit=limit,
                rows=measured.rows,
            )


def _is_below(measured: Performance, limit: float, least: int) -> bool:
    """Return whether an accuracy is below a limit, with its interval widened by `WIDER`. Without one it is exact."""
    if measured.lower == measured.upper == measured.value:
        return measured.value < limit
    return measured.rows >= least and measured.value + WIDER * (measured.upper - measured.value) < limit


def _latency(policy: RetrainingPolicy, situation: RetrainingSituation) -> Iterator[RetrainingEvidence]:
    limit = policy.max_latency
    if limit is None or (situation.latency is None and policy.intervals):
        return
    latency = math.nan if situation.latency is None else situation.latency
    crossed = latency > limit if policy.intervals else not latency <= limit
    if crossed:
        words = f"median latency {latency:.3g} s above {limit:g} s" if latency == latency else "latency unknown"  # noqa: PLR0124
        yield RetrainingEvidence(
            reason="latency", words=words, name="latency", value=_finite(latency), limit=_finite(limit)
        )


def _guardrails(
    policy: RetrainingPolicy, situation: RetrainingSituation, errors: list[Exception]
) -> Iterator[RetrainingEvidence]:
    for name, function in policy.guardrails.items():
        try:
            reason = function(situation)
        except Exception as error:  # noqa: BLE001 - a user function; reported by the caller
            errors.append(error)
            continue
        if reason:
            words = reason if isinstance(reason, str) else "crossed"
            yield RetrainingEvidence(reason="guardrail", words=f"{name}: {words}", name=name)


def _finite(value: float | None) -> float | None:
    """Return a number that JSON has, or None."""
    return float(value) if value is not None and math.isfinite(value) else None
