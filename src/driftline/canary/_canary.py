"""A canary in a process: the variants it compares, the traffic it splits, the verdict that stands."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from driftline._binning.bins import Feature
from driftline._binning.prediction_kind import default_correct
from driftline.canary._decision import judge_canary
from driftline.canary._evidence import CanaryEvidence, Stratum
from driftline.canary._guardrails import GuardrailFeed, Guardrails
from driftline.canary._margins import number
from driftline.canary._policy import CanaryPolicy
from driftline.canary._routing import Side, check_functions, chosen, split_function
from driftline.canary._shadow import Agree, Shadow, agreement
from driftline.canary._store import CanaryStore
from driftline.canary._thresholds import ThresholdPolicy
from driftline.canary._variant_evidence import VariantEvidence
from driftline.canary._verdict import Verdict
from driftline.errors import ConfigurationError
from driftline.results import CanaryState

__all__ = ["Canary", "Variant"]

COST = 50.0
"""A verdict in the background comes after so many times what the last one took: two per cent of one processor."""

MOST_WAITING = 100_000
"""Inputs that may wait for a shadow."""


class Variant(Protocol):
    """What a canary needs of a monitor."""

    @property
    def variant_attributes(self) -> Mapping[str, str]:
        """Model, version and variant."""
        ...

    @property
    def prediction_bins(self) -> str | None:
        """The fingerprint of the bins of the prediction; None where it is not watched."""
        ...

    @property
    def prediction_feature(self) -> Feature | None:
        """The prediction as the reference has it; None where it is not watched."""
        ...

    def evidence(self) -> VariantEvidence:
        """Counts since the start of the process."""
        ...

    def attach(self, canary: Canary) -> None:
        """Judge this canary along with the features, and export its state."""
        ...

    def canary_changed(self, previous: CanaryState, verdict: Verdict) -> None:
        """Tell of a verdict that differs from the one before."""
        ...

    def flagged(self, key: str, variant: str, provider: str | None) -> None:
        """Put the feature flag that chose this variant on spans and events."""
        ...

    def caught(self, place: str, error: Exception) -> None:
        """Count an error, and never let the host see it."""
        ...

    def dropped(self, reason: str, rows: int) -> None:
        """Count rows that were not predicted."""
        ...


class Canary:
    """
    Compares two monitored variants of a model from the moment it is made.

    Args:
        baseline: the monitor of the variant that is trusted; None where another process serves it.
        candidate: the monitor of the variant on trial, or None likewise. Its telemetry carries the state.
        policy: what the candidate may do worse: a `CanaryPolicy`, or a `ThresholdPolicy`.
        share: the candidate's share of the calls: what `route` and `split` send it, and what is expected of it.
        salt: makes the keys of this canary fall elsewhere than those of the one before.
        flag: ``feature_flag.key`` on the spans and events of both, where a flag chooses the variant.
        flag_provider: ``feature_flag.provider.name``.
        on_verdict: called with (state before, `Verdict`) when the state changes; not within a prediction.
        path: a file that keeps the state over restarts and adds up the processes of a host. None: memory.

    Raises:
        ConfigurationError: no two different monitors, predictions over different bins, no policy, one variant without
            a path, a share that is none, a path that holds another canary.
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
        variants = _checked_variants(baseline, candidate, path)
        if policy is not None and not isinstance(policy, (CanaryPolicy, ThresholdPolicy)):
            msg = f"policy={policy!r}: expected a CanaryPolicy or a ThresholdPolicy"
            raise ConfigurationError(msg)
        for what, text in (("salt", salt), ("flag", flag), ("flag_provider", flag_provider)):
            if text is not None and not isinstance(text, str):
                msg = f"{what}={text!r}: expected a text"
                raise ConfigurationError(msg)
        if on_verdict is not None and not callable(on_verdict):
            msg = f"on_verdict={on_verdict!r}: expected a function"
            raise ConfigurationError(msg)
        self._share = None if share is None else number("share", share, 0.0, 1.0)
        self._baseline, self._candidate = baseline, candidate
        self._owner: Variant = candidate or baseline  # type: ignore[assignment] # one of the two is there
        self._policy = policy or CanaryPolicy()
        self._salt, self._on_verdict = salt, on_verdict
        self._store = None
        if path is not None:
            self._store = CanaryStore(path, {side: variant.variant_attributes for side, variant in variants.items()})
        self._guardrails = Guardrails(self._policy.guardrails if isinstance(self._policy, CanaryPolicy) else {})
        self._shadows: tuple[Shadow, ...] = ()
        self._decided = None if self._store is None else self._store.decided()
        self._last: Verdict | None = None
        self._state: CanaryState = "inconclusive" if self._decided is None else self._decided[0]
        mark = self._read()
        self._nothing = mark[0].empty(), mark[1].empty()
        self._begin(mark)
        if flag is not None:
            for side, variant in variants.items():
                variant.flagged(flag, side, flag_provider)
        self._owner.attach(self)

    def _begin(self, mark: tuple[VariantEvidence, VariantEvidence]) -> None:
        self._lock = threading.RLock()
        self._began = time.time() if self._store is None else self._store.began
        self._next = 0.0
        self._sticky = False
        self._compared = self._agreed = 0
        self._earlier = CanaryEvidence()
        self._mark = mark

    # --- splitting ---------------------------------------------------------------------------------------------------

    @property
    def share(self) -> float | None:
        """The candidate's share of the calls; setting it begins a new stratum of the evidence."""
        return self._share

    @share.setter
    def share(self, share: float) -> None:
        checked = number("share", share, 0.0, 1.0)
        with self._lock:
            # Read once: calls that come between two readings would be in no stratum.
            now = self._read()
            self._earlier, self._mark, self._share = self._own(now), now, checked
            self._guardrails.clear()

    def route(self, key: object = None) -> Side:
        """
        Which variant serves a call: the candidate with the probability *share*, the same one always for one key.

        Without a share, and for a key that is no text, bytes, whole number or UUID, the baseline. Once the verdict is a
        rollback this goes on as before: what is to be done is the caller's (`on_verdict` may set the share to 0).
        """
        if self._share is None:
            return "baseline"
        if key is not None:
            self._sticky = True
        try:
            return chosen(self._share, key, self._salt)
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
        One predict function that routes each call to one of two.

        Args:
            baseline: the instrumented function of the baseline.
            candidate: that of the candidate; both plain or both async.
            key: takes the call's arguments and returns the key that decides; without it chance does.

        Raises:
            ConfigurationError: no such functions, no share.
        """
        check_functions(baseline, candidate)
        if key is not None and not callable(key):
            msg = f"key={key!r}: expected a function"
            raise ConfigurationError(msg)
        if self._share is None:
            msg = "share=None: expected the candidate's share of the calls, to split them"
            raise ConfigurationError(msg)
        return split_function(self.route, baseline, candidate, key, self._owner.caught)

    def shadow(
        self,
        baseline: Callable[..., Any],
        candidate: Callable[..., Any],
        *,
        agree: Agree | None = None,
        size: int = 1_000,
    ) -> Callable[..., Any]:
        """
        The baseline's function, whose calls the candidate repeats on a copy of the input in a thread of its own.

        The candidate's answer is compared and never returned; what it raises its monitor counts. Dicts, lists, arrays
        and frames are copied before the baseline sees them, other arguments are passed as they are.

        Args:
            baseline: the instrumented function of the baseline.
            candidate: that of the candidate; both plain or both async.
            agree: takes both outputs and says whether they agree, per row for batches. By default labels must be equal,
                probabilities on the same side of 0.5, other numbers within one per cent.
            size: inputs that may wait; what comes beyond is counted in ``ml.monitor.rows.dropped`` and not predicted.

        Raises:
            ConfigurationError: no such functions, a size out of range.
        """
        check_functions(baseline, candidate)
        if agree is not None and not callable(agree):
            msg = f"agree={agree!r}: expected a function"
            raise ConfigurationError(msg)
        if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= MOST_WAITING:
            msg = f"size={size!r}: expected a whole number from 1 to {MOST_WAITING}"
            raise ConfigurationError(msg)
        feature = self._owner.prediction_feature
        made = Shadow(
            candidate,
            agree or agreement(None if feature is None else default_correct(feature)),
            size,
            self._has_compared,
            lambda rows: self._owner.dropped("shadow", rows),
            self._owner.caught,
        )
        self._shadows = (*self._shadows, made)
        return made.around(baseline)

    def _has_compared(self, rows: int, agreed: int) -> None:
        with self._lock:
            self._compared += rows
            self._agreed += agreed

    def guardrail(self, name: str) -> GuardrailFeed:
        """
        Where the user's own number is fed: ``canary.guardrail("revenue").observe("candidate", 12.5)``.

        Raises:
            ConfigurationError: the policy has no guardrail of this name.
        """
        return self._guardrails.feed(name, self._lock, self._owner.caught)

    # --- judging -----------------------------------------------------------------------------------------------------

    def evidence(self) -> CanaryEvidence:
        """What both variants have done so far: in this process, and with a path in all that share it."""
        with self._lock:
            own = self._own(self._read())
        if self._store is not None:
            try:
                return self._store.exchange(own)
            except Exception as error:  # noqa: BLE001 - a disk that is full or gone
                self._owner.caught("canary", error)
        return own

    def verdict(self) -> Verdict:
        """
        Judge what both variants have done so far.

        A rollback stands; a promotion stands until a rollback. That is what the guarantee is about: the probability
        that a harmless candidate is *ever* rolled back. With a `ThresholdPolicy` nothing stands.
        """
        verdict = judge_canary(self.evidence(), self._policy)
        with self._lock:
            verdict = self._standing(verdict)
            previous, self._last, self._state = self._state, verdict, verdict.state
        if previous != verdict.state:
            self._owner.canary_changed(previous, verdict)
            if self._on_verdict is not None:
                try:
                    self._on_verdict(previous, verdict)
                except Exception as error:  # noqa: BLE001 - the user's function
                    self._owner.caught("on_verdict", error)
        return verdict

    def refresh(self) -> None:
        """Judge in the background, as often as two per cent of a processor allow."""
        now = time.monotonic()
        if now >= self._next:
            self.verdict()
            self._next = now + COST * (time.monotonic() - now)

    def _standing(self, verdict: Verdict) -> Verdict:
        if isinstance(self._policy, ThresholdPolicy):
            return verdict
        if self._store is not None:
            try:
                self._decided = self._store.decided() or self._decided
            except Exception as error:  # noqa: BLE001 - a disk that is full or gone
                self._owner.caught("canary", error)
        stands = self._decided
        if stands is not None and (stands[0] == "rollback" or verdict.state != "rollback"):
            return Verdict(stands[0], stands[1], verdict.criteria)
        if verdict.state != "inconclusive":
            self._decided = verdict.state, verdict.reason
            if self._store is not None:
                try:
                    self._store.decide(verdict.state, verdict.reason)
                except Exception as error:  # noqa: BLE001 - a disk that is full or gone
                    self._owner.caught("canary", error)
        return verdict

    @property
    def state(self) -> CanaryState | None:
        """The state of the last verdict; None before the first."""
        return None if self._last is None else self._last.state

    @property
    def last(self) -> Verdict | None:
        """The last verdict, without judging; None before the first."""
        return self._last

    def flush(self, seconds: float = 10.0) -> bool:
        """Wait until the shadows have worked off what waits, at most so long; whether they have."""
        return all(shadow.flush(seconds) for shadow in self._shadows)

    def close(self, seconds: float = 10.0) -> None:
        """Work off what waits for shadows, end their threads, and judge (and with a path keep) what there is."""
        for shadow in self._shadows:
            shadow.close(seconds)
        self.verdict()

    def restart(self) -> None:
        """Begin anew from here: the child of a fork has made no prediction yet."""
        self._last = None
        if self._store is not None:
            self._store.new_process()
        self._guardrails.clear()
        for shadow in self._shadows:
            shadow.after_fork()
        # Not read here: a monitor that has not been told of the fork yet would tell of the parent.
        self._begin(self._nothing)

    def _read(self) -> tuple[VariantEvidence, VariantEvidence]:
        """Counts of both since the start of the process; of one that another process serves, none."""
        sides = [None if variant is None else variant.evidence() for variant in (self._baseline, self._candidate)]
        there = next(side for side in sides if side is not None)
        baseline, candidate = (there.empty() if side is None else side for side in sides)
        return baseline, candidate

    def _own(self, counted: tuple[VariantEvidence, VariantEvidence]) -> CanaryEvidence:
        """What was counted in this process; where a reference was replaced, over the bins of the present one."""
        baseline, candidate = (now - then.over(now) for now, then in zip(counted, self._mark, strict=True))
        stratum = Stratum(self._share, self._sticky, baseline, candidate, self._guardrails.read())
        earlier = self._earlier
        since = CanaryEvidence(
            (stratum,), self._compared - earlier.compared, self._agreed - earlier.agreed, time.time() - self._began
        )
        return earlier.over(since) + since


def _checked_variants(baseline: Any, candidate: Any, path: object) -> dict[Side, Variant]:
    given: dict[Side, Any] = {"baseline": baseline, "candidate": candidate}
    for what, variant in given.items():
        if variant is None and path is not None and any(one is not None for one in given.values()):
            continue
        if not hasattr(variant, "evidence") or not hasattr(variant, "attach"):
            alone = ", or None and a path= for the processes to share" if variant is None else ""
            msg = f"{what}={variant!r}: expected a Monitor{alone}"
            raise ConfigurationError(msg)
    variants = {side: variant for side, variant in given.items() if variant is not None}
    if len(variants) > 1:
        if baseline is candidate:
            msg = "baseline and candidate are one monitor: expected two, with different version= or variant="
            raise ConfigurationError(msg)
        if dict(baseline.variant_attributes) == dict(candidate.variant_attributes):
            msg = f"both monitors are {dict(candidate.variant_attributes)}: expected different version= or variant="
            raise ConfigurationError(msg)
        if baseline.prediction_bins != candidate.prediction_bins:
            msg = "the monitors watch their predictions over different bins: expected one reference for both"
            raise ConfigurationError(msg)
    return variants
