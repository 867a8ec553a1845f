"""The public `Canary`: it splits the traffic between two monitored variants and decides about the candidate."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from driftline._binning.bins import Feature
from driftline._binning.prediction_kind import default_correct
from driftline._runtime import validation as check
from driftline._runtime.guard import GuardedBlock, is_contained
from driftline.canary._arguments import check_functions, check_variants
from driftline.canary._collector import EvidenceCollector
from driftline.canary._decision import judge_canary
from driftline.canary._evidence import CanaryEvidence
from driftline.canary._guardrails import GuardrailFeed
from driftline.canary._policy import CanaryPolicy
from driftline.canary._routing import Side, choose_side, route_calls
from driftline.canary._shadow import Agree, Shadow, default_agreement
from driftline.canary._standing import StandingVerdict
from driftline.canary._store import CanaryStore
from driftline.canary._thresholds import ThresholdPolicy
from driftline.canary._variant_evidence import VariantEvidence
from driftline.canary._verdict import Verdict
from driftline.errors import ConfigurationError
from driftline.results import CanaryState

__all__ = ["Canary", "Variant"]

PAUSE_FACTOR = 50.0
"""Pause after a background decision, as a multiple of its duration. Such decisions thus take 2 % of one core."""

MAX_SHADOW_QUEUE = 100_000
"""Largest *size* of a shadow's queue, in inputs."""


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

    def evidence(self) -> VariantEvidence:
        """Return the variant's counts of calls, predictions and outcomes since this process started."""
        ...

    def attach(self, canary: Canary) -> None:
        """Call `Canary.refresh` in the background from now on, and export the canary's state."""
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

    def dropped(self, reason: str, rows: int) -> None:
        """Add the number of *rows* that a shadow skipped to ``ml.monitor.rows.dropped``, with the *reason*."""
        ...


class Canary:
    """
    Compares two monitored variants of a model, and decides about the candidate.

    Calls that the monitors recorded before the canary was created do not count.

    Args:
        baseline: the monitor of the trusted variant. None if another process serves it; this needs a *path*.
        candidate: the monitor of the variant on trial. None if another process serves it; this needs a *path*. The
            telemetry of this monitor carries the canary's state.
        policy: the harm that the candidate may do: a `CanaryPolicy` (the default), or a `ThresholdPolicy`.
        share: the candidate's share of the calls, in [0, 1]. `route` and `split` send it this share, and the verdict
            checks that it gets this share. If None, driftline does not split the calls.
        salt: string that is hashed together with each key, so that another canary sends other keys to its candidate.
        flag: ``feature_flag.key`` on the spans and events of both variants, if a feature flag chooses the variant.
        flag_provider: ``feature_flag.provider.name``.
        on_verdict: called with (previous state, `Verdict`) when the state changes; not within a prediction.
        path: a file that keeps the state over restarts, and sums up the evidence of all processes of a host. If None,
            the state is kept in memory.

    Raises:
        ConfigurationError: the monitors are missing, are the same, or have different bins of the prediction. Or an
            argument has a wrong type or value, or the file holds another canary.
    """

    def __init__(
        self,
        baseline: Variant | None = None,
        candidate: Variant | None = None,
        policy: CanaryPolicy | ThresholdPolicy | None = None,
        *,
        share: float | None = None,
        salt: str = "",
        flag: str | None = None,
        flag_provider: str | None = None,
        on_verdict: Callable[[CanaryState, Verdict], None] | None = None,
        path: str | os.PathLike[str] | None = None,
    ) -> None:
        check_variants(baseline, candidate, path)
        if policy is not None and not isinstance(policy, (CanaryPolicy, ThresholdPolicy)):
            check.reject("policy", policy, "a CanaryPolicy or a ThresholdPolicy")
        check.string("salt", salt)
        check.optional(check.string, "flag", flag)
        check.optional(check.string, "flag_provider", flag_provider)
        check.optional(check.function, "on_verdict", on_verdict)
        checked_share = check.optional(check.probability, "share", share)
        sides: dict[Side, Variant | None] = {"baseline": baseline, "candidate": candidate}
        variants = {side: variant for side, variant in sides.items() if variant is not None}
        self._owner: Variant = candidate or baseline  # type: ignore[assignment] # one of the two is not None
        self._policy = policy or CanaryPolicy()
        self._salt, self._on_verdict = salt, on_verdict
        self._store = None
        if path is not None:
            self._store = CanaryStore(path, {side: variant.variant_attributes for side, variant in variants.items()})
        self._standing = StandingVerdict(self._store, self._owner.caught)
        self._collector = EvidenceCollector(
            None if baseline is None else baseline.evidence,
            None if candidate is None else candidate.evidence,
            checked_share,
            self._policy.guardrails if isinstance(self._policy, CanaryPolicy) else (),
            self._began(),
        )
        self._shadows: tuple[Shadow, ...] = ()
        self._last: Verdict | None = None
        self._state: CanaryState = self._standing.state
        self._lock, self._next_refresh = threading.RLock(), 0.0
        if flag is not None:
            for side, variant in variants.items():
                variant.flagged(flag, side, flag_provider)
        self._owner.attach(self)

    def _began(self) -> float:
        return time.time() if self._store is None else self._store.began

    # --- splitting traffic -------------------------------------------------------------------------------------------

    @property
    def share(self) -> float | None:
        """
        The candidate's share of the calls, in [0, 1]; None if driftline does not split them.

        Set it to change the share. Calls before and after the change are counted in separate `Stratum` objects.
        """
        return self._collector.share

    @share.setter
    def share(self, share: float) -> None:
        self._collector.change_share(check.probability("share", share))

    def route(self, key: object = None) -> Side:
        """
        Return "baseline" or "candidate" for one call: the candidate with the probability *share*.

        The same key gets the same variant as long as *share* does not change. If *key* is None, the choice is random.
        A key is a string, bytes, an integer or a UUID. For any other key, and if no share is set, the result is
        "baseline". A rollback does not change the routing; `on_verdict` may set *share* to 0.
        """
        collector = self._collector
        if collector.share is None:
            return "baseline"
        if key is not None:
            collector.sticky = True
        try:
            return choose_side(collector.share, key, self._salt)
        except BaseException as error:
            if not is_contained(error):
                raise
            # the guard
            self._owner.caught("route", error)
            return "baseline"

    def split(
        self,
        baseline: Callable[..., Any],
        candidate: Callable[..., Any],
        *,
        key: Callable[..., object] | None = None,
    ) -> Callable[..., Any]:
        """
        Return a function that passes each call to *baseline* or *candidate*, as `route` decides.

        Args:
            baseline: the instrumented predict function of the baseline.
            candidate: the instrumented predict function of the candidate. Either both are plain or both async.
            key: called with the arguments of a call, returns its key. If None, each call is routed at random.

        Raises:
            ConfigurationError: an argument is not a function, only one predict function is async, or no share is set.
        """
        check_functions(baseline, candidate)
        check.optional(check.function, "key", key)
        if self.share is None:
            msg = "share=None: expected the candidate's share of the calls, to split them"
            raise ConfigurationError(msg)
        return route_calls(self.route, baseline, candidate, key, self._owner.caught)

    def shadow(
        self,
        baseline: Callable[..., Any],
        candidate: Callable[..., Any],
        *,
        agree: Agree | None = None,
        size: int = 1_000,
    ) -> Callable[..., Any]:
        """
        Return a function that calls *baseline*, and lets a thread repeat each call with *candidate*.

        The candidate's output is compared and never returned. Its monitor counts the errors that it raises. It gets
        copies of dicts, lists, arrays and frames, made before the baseline runs; other arguments are not copied.

        Args:
            baseline: the instrumented predict function of the baseline.
            candidate: the instrumented predict function of the candidate. Either both are plain or both async.
            agree: called with (baseline's output, candidate's output), returns whether they agree; for a batch, one
                such value per row. By default labels must be equal, probabilities on the same side of 0.5, and other
                numbers within one per cent.
            size: inputs that the queue holds at most. The candidate skips further ones; ``ml.monitor.rows.dropped``
                counts them.

        Raises:
            ConfigurationError: an argument is not a function, only one predict function is async, or *size* is not
                between 1 and `MAX_SHADOW_QUEUE`.
        """
        check_functions(baseline, candidate)
        check.optional(check.function, "agree", agree)
        check.integer("size", size, at_least=1, at_most=MAX_SHADOW_QUEUE)
        feature = self._owner.prediction_feature
        shadow = Shadow(
            candidate,
            agree or default_agreement(None if feature is None else default_correct(feature)),
            size,
            self._collector.add_comparisons,
            lambda rows: self._owner.dropped("shadow", rows),
            self._owner.caught,
        )
        self._shadows = (*self._shadows, shadow)
        return shadow.wrap(baseline)

    def guardrail(self, name: str) -> GuardrailFeed:
        """
        Return the object that accepts observations of the policy's guardrail *name*.

        Use it as in ``canary.guardrail("revenue").observe("candidate", 12.5)``.

        Raises:
            ConfigurationError: the policy has no guardrail of this name.
        """
        guardrails = self._policy.guardrails if isinstance(self._policy, CanaryPolicy) else {}
        if name not in guardrails:
            msg = f"guardrail({name!r}): expected one of the policy's: {', '.join(guardrails) or 'it has none'}"
            raise ConfigurationError(msg)
        return GuardrailFeed(
            name,
            rate=guardrails[name].kind == "rate",
            add=self._collector.add_observation,
            on_error=self._owner.caught,
        )

    # --- deciding ----------------------------------------------------------------------------------------------------

    def evidence(self) -> CanaryEvidence:
        """
        Return the counts of both variants since the canary began.

        With a *path*, save the counts of this process to the file and return the sum over all processes. If the file
        cannot be written, count the error and return the counts of this process.
        """
        own = self._collector.read()
        if self._store is not None:
            with GuardedBlock(self._owner.caught, "canary"):  # the disk may be full or gone
                return self._store.save_evidence(own)
        return own

    def verdict(self) -> Verdict:
        """
        Decide about the candidate from the evidence so far, and return the verdict.

        If the state has changed, emit an event and call *on_verdict*.

        With a `CanaryPolicy`, a rollback is final, and a promotion stays until a rollback. Therefore *alpha* bounds the
        probability that a harmless candidate is *ever* rolled back. With a `ThresholdPolicy`, a verdict does not depend
        on earlier verdicts.
        """
        verdict = judge_canary(self.evidence(), self._policy)
        with self._lock:
            if not isinstance(self._policy, ThresholdPolicy):
                verdict = self._standing.apply(verdict)
            previous, self._last, self._state = self._state, verdict, verdict.state
        if previous != verdict.state:
            self._owner.canary_changed(previous, verdict)
            if self._on_verdict is not None:
                with GuardedBlock(self._owner.caught, "on_verdict"):
                    self._on_verdict(previous, verdict)
        return verdict

    def refresh(self) -> None:
        """Call `verdict` if the pause after the last `refresh` is over; `PAUSE_FACTOR` defines that pause."""
        now = time.monotonic()
        if now >= self._next_refresh:
            self.verdict()
            self._next_refresh = now + PAUSE_FACTOR * (time.monotonic() - now)

    @property
    def state(self) -> CanaryState | None:
        """The state of the last verdict; None before the first."""
        return None if self._last is None else self._last.state

    @property
    def last(self) -> Verdict | None:
        """The last verdict; None before the first."""
        return self._last

    # --- life --------------------------------------------------------------------------------------------------------

    def flush(self, seconds: float = 10.0) -> bool:
        """
        Wait until all shadows have processed their queues, and return True.

        If a shadow needs longer than *seconds*, return False without waiting for further shadows.
        """
        return all(shadow.flush(seconds) for shadow in self._shadows)

    def close(self, seconds: float = 10.0) -> None:
        """
        End the threads of all shadows, and call `verdict` a last time, which also saves the evidence to *path*.

        Args:
            seconds: longest time that each shadow may take to process its queue.
        """
        for shadow in self._shadows:
            shadow.close(seconds)
        self.verdict()

    def restart(self) -> None:
        """Reset counts, queues and locks in the child of a fork; a promotion or rollback decided before is kept."""
        self._last = None
        if self._store is not None:
            self._store.new_process()
        for shadow in self._shadows:
            shadow.reset()
        self._lock, self._next_refresh = threading.RLock(), 0.0
        self._collector.restart(self._began())
