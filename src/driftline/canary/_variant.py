"""`Variant`: what a canary uses of a monitor."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import partial
from typing import Any, Protocol

from driftline._binning.bins import Feature
from driftline._runtime.call_keys import Bucket
from driftline._runtime.shadow_watch import ShadowRecorder
from driftline.canary._policy import CanaryPolicy
from driftline.canary._thresholds import ThresholdPolicy
from driftline.canary._variant_evidence import VariantEvidence
from driftline.canary._verdict import Verdict
from driftline.results import CanaryState

__all__ = ["ReadCounts", "Variant", "clock_of", "count_evidence"]


class ReadCounts(Protocol):
    """A function that returns the counts of one variant since this process started."""

    def __call__(self, *, settle: bool = True) -> VariantEvidence:
        """Return the counts. If *settle* is False, leave pending calls to the next reading."""
        ...


class Variant(Protocol):
    """The interface of a monitor that a canary uses."""

    @property
    def variant_attributes(self) -> Mapping[str, str]:
        """Attributes of the telemetry that identify the variant: name and version of the model, and the variant."""
        ...

    @property
    def prediction_bins(self) -> str | None:
        """Fingerprint of the bins of the prediction; None if the reference has no prediction."""
        ...

    @property
    def prediction_feature(self) -> Feature | None:
        """Bins and kind of the prediction, from the reference; None if the reference has no prediction."""
        ...

    def evidence(self, *, settle: bool = True) -> VariantEvidence:
        """
        Return the variant's counts of calls, predictions and outcomes since this process started.

        A variant may also have a method ``count_evidence(warm_up_calls, warm_up_seconds, since)``, as `Monitor` has.
        The canary, which began at the Unix time *since*, calls it once, before the first reading. From then on
        ``evidence(settle=..., since=since)`` also has calls by time and by key, where the first calls of the process,
        or those of its first seconds, are a warm-up; and outcomes by the time of their prediction, for predictions
        since the canary began. The method returns a context variable, which the canary sets to a hash of the key of
        the calls that follow, or to None.

        A method ``unix_time()`` returns the Unix time in seconds of the variant's clock. By default it is `time.time`.

        Args:
            settle: whether to bin pending calls first. If False, they are left to the next reading.
        """
        ...

    def attach(self, canary: Any) -> None:
        """Call `Canary.refresh` of *canary* in the background from now on, and export its state."""
        ...

    def canary_changed(self, previous: CanaryState, verdict: Verdict) -> None:
        """Emit an event for a *verdict* whose state differs from *previous*, the state of the verdict before it."""
        ...

    def flagged(self, key: str, variant: str, provider: str | None) -> None:
        """
        Put a feature flag on the spans and events of this variant.

        Args:
            key: ``feature_flag.key``.
            variant: ``feature_flag.result.variant``: "baseline" or "candidate".
            provider: ``feature_flag.provider.name``; None without one.
        """
        ...

    def caught(self, place: str, error: BaseException) -> None:
        """Count *error* in ``ml.monitor.errors`` without raising it; *place* names the operation that failed."""
        ...

    def shadow_recorder(self) -> ShadowRecorder:
        """Return the object that records what a shadow does with this variant."""
        ...


def count_evidence(
    variant: Variant, policy: CanaryPolicy | ThresholdPolicy, seconds: float
) -> tuple[ReadCounts, Bucket | None]:
    """
    Let a variant count evidence by time and key from now on, if it can, for a canary that began *seconds* ago.

    Return the function that reads the counts for this canary, and the variable for keys of calls.
    """
    count = getattr(variant, "count_evidence", None)
    if count is None:
        return variant.evidence, None
    warm_up = (0, 0.0) if isinstance(policy, ThresholdPolicy) else (policy.warm_up_calls, policy.warm_up_seconds)
    since = clock_of(variant)() - seconds
    variable = count(*warm_up, since)
    read: ReadCounts = partial(variant.evidence, since=since)  # type: ignore[call-arg] # as its `count_evidence` has it
    return read, variable if isinstance(variable, ContextVar) else None


def clock_of(variant: Variant) -> Callable[[], float]:
    """Return the clock of a variant, which returns Unix seconds."""
    clock: Callable[[], float] = getattr(variant, "unix_time", time.time)
    return clock
