"""What is known of a model when the policy decides, `RetrainingSituation`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from driftline.outcomes import Performance
from driftline.results import FeatureStatus

__all__ = ["RetrainingSituation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainingSituation:
    """
    What is known of a model at one moment. A policy decides from it, and so may a guardrail.

    Attributes:
        at: the time, in UNIX seconds.
        status: the state of each feature and detector, by name.
        limits: the state of each limit of the outcomes, by name, such as ``"prediction.accuracy"``.
        accuracy: realised accuracy with its interval, or None if unknown.
        estimated: the accuracy estimated from the predictions, with its interval, or None if unknown.
        latency: median duration of a call in seconds, or None if unknown.
        labels: outcomes that have been graded, since the start; None if no outcomes are reported.
        broken: why a feature's data are broken, as a sentence, by the name of the feature.
        suspected: why a feature's data may be broken, by the name of the feature. The next window decides.
        reference: the fingerprint of the reference, or None.
        window: the label of the window, or None.
    """

    at: float
    status: Mapping[str, FeatureStatus] = field(default_factory=dict)
    limits: Mapping[str, FeatureStatus] = field(default_factory=dict)
    accuracy: Performance | None = None
    estimated: Performance | None = None
    latency: float | None = None
    labels: int | None = None
    broken: Mapping[str, str] = field(default_factory=dict)
    suspected: Mapping[str, str] = field(default_factory=dict)
    reference: str | None = None
    window: str | None = None
