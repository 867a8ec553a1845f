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
from driftline._runtime.guard import GuardedBlock
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
"""Pause after a background decision, in durations of that decision: background decisions take 2 % of one core."""

MAX_SHADOW_QUEUE = 100_000
"""Inputs that the queue of a shadow may hold at most."""


class Variant(Protocol):
    """The interface of a monitor that a canary uses."""

    @property
    def variant_attributes(self) -> Mapping[str, str]:
        """Model, version and variant, as attributes."""
        ...

    @property
    def prediction_bins(self) -> str | None:
        """The fingerprint of the bins of the prediction; None where the prediction is not watched."""
        ...

    @property
    def prediction_feature(self) -> Feature | None:
        """The prediction as the reference describes it; None where the prediction is not watched."""
        ...

    def evidence(self) -> VariantEvidence:
        """Return the counts since the start of the process."""
        ...

    def attach(self, canary: Canary) -> None:
        """Refresh this canary in the background, and export its state."""
        ...

    def canary_changed(self, previous: CanaryState, verdict: Verdict) -> None:
        """Emit the event of a verdict that differs from the previous one."""
        ...

    def flagged(self, key: str, variant: str, provider: str | None) -> None:
        """Put the feature flag that chooses this variant on spans and events."""
        ...

    def caught(self, place: str, error: Exception) -> None:
        """Count an error, and keep it from the caller."""
        ...

    def dropped(self, reason: str, rows: int) -> None:
        """Count rows that were not predicted."""
        ...


class Canary:
    """
    Compares two monitored variants of a model, from its construction on.

    Args:
        baseline: the monitor of the trusted variant; None where another process serves it.
        candidate: the monitor of the variant on trial, or None likewise. Its telemetry carries the canary's state.
        policy: the harm that the candidate may do: a `CanaryPolicy` (the default), or a `ThresholdPolicy`.
        share: the candidate's share of the calls. `route` and `split` send it this share, and the decision expects it.
        salt: mixed into the hash of the keys, so that another canary sends other keys to its candidate.
        flag: ``feature_flag.key`` on the spans and events of both variants, where a flag chooses the variant.
        flag_provider: ``feature_flag.provider.name``.
        on_verdict: called with (previous state, `Verdict`) when the state changes; not within a prediction.
        path: a file that keeps the state over restarts and adds up the processes of a host. If None, the state is in
            memory.

    Raises:
        ConfigurationError: the monitors are missing, the same or over different bins of the prediction; an argument has
            a wrong type or value; or the file holds another canary.
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
        """The candidate's share of the calls; setting it begins a new stratum of the evidence."""
        return self._collector.share

    @share.setter
    def share(self, share: float) -> None:
        self._collector.change_share(check.probability("share", share))

    def route(self, key: object = None) -> Side:
        """
        Return the variant that serves a call: the candidate with the probability *share*.

        The same key always gets the same variant. The baseline serves when no share is set, and for a key that is not a
        string, bytes, an integer or a UUID. A rollback does not change the routing; `on_verdict` may set *share* to 0.
        """
        collector = self._collector
        if collector.share is None:
            return "baseline"
        if key is not None:
            collector.sticky = True
        try:
            return choose_side(collector.share, key, self._salt)
        except Exception as error:  # noqa: BLE001 - the guard
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
        Return a predict function that routes each call to one of two.

        Args:
            baseline: the instrumented function of the baseline.
            candidate: the instrumented function of the candidate; both are plain or both async.
            key: returns the key from the call's arguments. If None, each call is routed at random.

        Raises:
            ConfigurationError: the functions cannot be used, or no share is set.
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
        Return the baseline's function; a thread repeats each call with the candidate on a copy of the input.

        The candidate's output is compared and never returned. Its monitor counts the errors that it raises. Dicts,
        lists, arrays and frames are copied before the baseline sees them, other arguments are passed as they are.

        Args:
            baseline: the instrumented function of the baseline.
            candidate: the instrumented function of the candidate; both are plain or both async.
            agree: takes both outputs and returns whether they agree, per row for batches. By default labels must be
                equal, probabilities on the same side of 0.5, other numbers within one per cent.
            size: inputs that the queue holds at most. Further ones are not predicted, and counted in
                ``ml.monitor.rows.dropped``.

        Raises:
            ConfigurationError: the functions cannot be used, or *size* is out of range.
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
        Return the feed of a guardrail: ``canary.guardrail("revenue").observe("candidate", 12.5)``.

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
        """Return what both variants have done so far: in this process, and with a path in all that share it."""
        own = self._collector.read()
        if self._store is not None:
            with GuardedBlock(self._owner.caught, "canary"):  # the disk may be full or gone
                return self._store.save_evidence(own)
        return own

    def verdict(self) -> Verdict:
        """
        Decide about the candidate by what both variants have done so far.

        A rollback stands, and a promotion stands until a rollback. This is what the guarantee is about: the probability
        that a harmless candidate is *ever* rolled back. With a `ThresholdPolicy` no decision stands.
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
        """Decide in the background, as often as 2 % of one core allow."""
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
        """Wait at most *seconds* for each shadow to process its queue; return whether all have."""
        return all(shadow.flush(seconds) for shadow in self._shadows)

    def close(self, seconds: float = 10.0) -> None:
        """Process the queues of shadows, end their threads, and decide once more (with a path: save the evidence)."""
        for shadow in self._shadows:
            shadow.close(seconds)
        self.verdict()

    def restart(self) -> None:
        """Reset the counts and the last verdict in the child of a fork, which has made no prediction yet."""
        self._last = None
        if self._store is not None:
            self._store.new_process()
        for shadow in self._shadows:
            shadow.reset()
        self._lock, self._next_refresh = threading.RLock(), 0.0
        self._collector.restart(self._began())
