"""The public `Canary`: it splits the traffic between two monitored variants and decides about the candidate."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from driftline._runtime import validation as check
from driftline._runtime.guard import GuardedBlock
from driftline.canary._arguments import check_functions, check_id, check_variants
from driftline.canary._collector import EvidenceCollector
from driftline.canary._decision import judge_canary
from driftline.canary._evidence import CanaryEvidence
from driftline.canary._export import CanaryExporter, Point
from driftline.canary._guardrails import GuardrailFeed, feed_of
from driftline.canary._history import VerdictHistory
from driftline.canary._pickled import PickledCanary
from driftline.canary._policy import CanaryPolicy
from driftline.canary._routing import Side, choose_side, route_calls, split_at_random
from driftline.canary._shadows.agreement import Agree
from driftline.canary._shadows.assembly import in_thread, shadow_of
from driftline.canary._shadows.calls import Limits
from driftline.canary._shadows.ending import flush_all
from driftline.canary._shadows.shadow import Copy, Shadow
from driftline.canary._standing import StandingVerdict
from driftline.canary._store import CanaryStore
from driftline.canary._thresholds import ThresholdPolicy
from driftline.canary._variant import Variant, clock_of, count_evidence
from driftline.canary._verdict import Verdict
from driftline.errors import ConfigurationError
from driftline.results import CanaryState
from driftline.semconv import Metric

__all__ = ["Canary"]

PAUSE_FACTOR = 50.0
"""Pause after a background decision, as a multiple of its duration. Such decisions thus take 2 % of one core."""


class Canary(PickledCanary):
    """
    Compares two monitored variants of a model, and decides about the candidate.

    Calls that the monitors recorded before the canary was created do not count.

    Args:
        baseline: the monitor of the trusted variant. None if another process serves it; this needs *path* or *export*.
        candidate: the monitor of the variant on trial. None if another process serves it; this needs *path* or
            *export*. The telemetry of this monitor carries the canary's state.
        policy: the harm that the candidate may do: a `CanaryPolicy` (the default), or a `ThresholdPolicy`.
        share: the candidate's share of the calls, in [0, 1]. `route` and `split` send it this share, and the verdict
            checks that it gets this share. If None, driftline does not split the calls.
        salt: string that is hashed together with each key, so that another canary sends other keys to its candidate.
        flag: ``feature_flag.key`` on the spans and events of both variants, if a feature flag chooses the variant.
        flag_provider: ``feature_flag.provider.name``.
        on_verdict: called with (previous state, `Verdict`) when the state changes; not within a prediction.
        path: a file that keeps the state over restarts, and sums up the evidence of all processes of a host. If None,
            the state is kept in memory.
        id: the id of the canary, which all processes of one release share, such as the hash of a rollout. If None, the
            environment variable ``DRIFTLINE_CANARY_ID``, or the time at which the canary began in this process.
        export: whether to export the evidence as metrics, from which ``driftline canary --prometheus`` computes one
            verdict of all processes. It takes at most `MAX_SERIES` series in each process and of each side.

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
        id: str | None = None,  # noqa: A002 - the public name
        export: bool = False,
    ) -> None:
        self._let_travel(locals())
        check.boolean("export", export)
        check_variants(baseline, candidate, path, export=export)
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
        self._clock = clock_of(self._owner)
        self._candidate, self._policy = candidate, policy or CanaryPolicy()
        self._salt, self._on_verdict = salt, on_verdict
        self._store = None
        attributes = {str(side): variant.variant_attributes for side, variant in variants.items()}
        if path is not None:
            self._store = CanaryStore(path, attributes, self._clock())
        self._standing = StandingVerdict(self._store, self._owner.caught)
        began = self._began()
        seconds = max(0.0, self._clock() - began)
        counted = {side: count_evidence(variant, self._policy, seconds) for side, variant in variants.items()}
        self._buckets = tuple(bucket for _, bucket in counted.values() if bucket is not None)
        readers = {side: read for side, (read, _) in counted.items()}
        guardrails = self._policy.guardrails if isinstance(self._policy, CanaryPolicy) else ()
        self._collector = EvidenceCollector(
            readers.get("baseline"), readers.get("candidate"), checked_share, guardrails, began, self._clock
        )
        self._id, self._is_named = check_id(id, began)
        self._exporter = CanaryExporter(self._id, attributes, began) if export else None
        # Without the other side nothing can be decided in this process.
        self._decides = len(variants) == len(sides) or path is not None
        self._shadows: tuple[Shadow, ...] = ()
        self._history = VerdictHistory()
        self._state: CanaryState = self._standing.state
        self._lock, self._next_refresh = threading.RLock(), 0.0
        if flag is not None:
            for side, variant in variants.items():
                variant.flagged(flag, side, flag_provider)
        self._owner.attach(self)

    def _began(self) -> float:
        return self._clock() if self._store is None else self._store.began

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

        The calls that follow in this thread or task have this key, until the next `route`. Only its hash is counted.
        """
        collector, bucket = self._collector, None
        side: Side = "baseline"
        with GuardedBlock(self._owner.caught, "route"):
            if collector.share is not None:
                if key is not None:
                    collector.sticky = True
                side, bucket = choose_side(collector.share, key, self._salt)
        # After an error too, so that no call has the key of an earlier one.
        for variable in self._buckets:
            variable.set(bucket)
        return side

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
        if key is None:
            return split_at_random(lambda: self._collector.share, baseline, candidate, self._buckets)
        return route_calls(self.route, baseline, candidate, key, self._buckets, self._owner.caught)

    def shadow(
        self,
        baseline: Callable[..., Any],
        candidate: Callable[..., Any],
        *,
        agree: Agree | None = None,
        size: int = 1_000,
        share: float = 1.0,
        concurrency: int = 1,
        timeout: str | float = 30.0,
        max_bytes: int = 64 * 2**20,
        max_load: float | None = 0.25,
        copy: Copy = "deep",
    ) -> Callable[..., Any]:
        """
        Return a function that calls *baseline*, and repeats each call with *candidate* in the background.

        The candidate's output is compared and never returned. A plain candidate runs in threads. An async one runs in
        tasks on the event loop of the caller, and ends with that loop. Its failures count, whether or not its monitor
        instruments it. What is skipped counts in ``ml.monitor.rows.dropped``, with the reason. If the monitor is not
        enabled, the result is *baseline* itself.

        Args:
            baseline: the instrumented predict function of the baseline.
            candidate: the instrumented predict function of the candidate. Either both are plain or both async.
            agree: an `Agreement` with other settings, or a user function. It is called with (baseline's output,
                candidate's output), and returns whether they agree; for a batch, one such value per row.
            size: inputs that may be pending.
            share: the share of the calls that is repeated, chosen at random, in (0, 1].
            concurrency: calls of the candidate that run at the same time: threads, or tasks of each event loop.
            timeout: how long an async call of the candidate may take, in seconds or as in ``"30s"``. Then it is
                cancelled, and counts as failed. Python cannot end a thread, so plain functions have none.
            max_bytes: bytes of all inputs and outputs that are pending, as an estimate.
            max_load: cores that the candidate may take on average: processor time of its threads, or time in which it
                holds the event loop. It pauses if it takes more. None for no limit.
            copy: ``"deep"`` copies dicts, lists, tuples, sets, arrays, frames, dataclasses and models of pydantic
                before the baseline runs, and passes on other objects. A user function copies each argument and the
                output. If None, the candidate gets the same objects, which must not change.

        Raises:
            ConfigurationError: an argument is not a function, only one predict function is async, or a value is out of
                bounds.
        """
        check_functions(baseline, candidate)
        if copy is not None and not (isinstance(copy, str) and copy == "deep"):
            check.function("copy", copy, "'deep', a function or None")
        limits = Limits(size, max_bytes, share, concurrency, check.duration("timeout", timeout), max_load)
        on_compared = self._collector.add_comparisons
        shadow = shadow_of(self._owner, self._candidate, candidate, agree, limits, copy, on_compared)
        if not self._owner.shadow_recorder().enabled:
            return baseline
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
        return feed_of(name, guardrails, self._salt, self._collector.add_observation, self._owner.caught)

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
        evidence = self.evidence()
        verdict = judge_canary(evidence, self._policy)
        with self._lock:
            if not isinstance(self._policy, ThresholdPolicy):
                verdict = self._standing.apply(verdict)
            previous, self._state = self._state, verdict.state
            self._history.add(evidence.seconds, verdict)
        if previous != verdict.state:
            self._owner.canary_changed(previous, verdict)
            if self._on_verdict is not None:
                with GuardedBlock(self._owner.caught, "on_verdict"):
                    self._on_verdict(previous, verdict)
        return verdict

    def refresh(self) -> None:
        """Save the evidence to *path*, and call `verdict` if the pause after it is over (`PAUSE_FACTOR`)."""
        if self._store is not None:
            with GuardedBlock(self._owner.caught, "canary"):  # the disk may be full or gone
                self._store.save_if_due(self._collector.read)
        now = time.monotonic()
        if self._decides and now >= self._next_refresh:
            self.verdict()
            self._next_refresh = now + PAUSE_FACTOR * (time.monotonic() - now)

    @property
    def state(self) -> CanaryState | None:
        """The state of the last verdict; None before the first."""
        return None if self.last is None else self.last.state

    @property
    def last(self) -> Verdict | None:
        """The last verdict; None before the first."""
        return self._history.last

    @property
    def history(self) -> tuple[tuple[float, Verdict], ...]:
        """Verdicts of this process, the earliest first, each after the seconds since the start. At most 128."""
        return self._history.verdicts

    # --- exporting ---------------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The id of the canary."""
        return self._id

    @property
    def exported_id(self) -> str | None:
        """The id that ``ml.canary.status`` carries: None if it is only the time of the start."""
        return self._id if self._is_named else None

    @property
    def ended(self) -> bool:
        """Whether the canary has ended in this process: its states are 0 from then on, and its counts stay."""
        return self._ended

    def points(self) -> Mapping[Metric, Sequence[Point]]:
        """Return the evidence as points of metrics, without pending calls; empty without *export*."""
        settled = None if self._exporter is None or self._ended else self._collector.read_settled()
        return {} if self._exporter is None else self._exporter.points(settled)

    def end(self) -> None:
        """End the canary in this process, so that its states do not outlive it. A second call does nothing."""
        if not self._ended:
            self._ended = True
            if self._exporter is not None:
                self._exporter.end(self._collector.read_settled(), self._clock())

    # --- life --------------------------------------------------------------------------------------------------------

    def flush(self, seconds: float = 10.0) -> bool:
        """
        Wait at most *seconds* until all shadows have processed their calls. Return whether they have.

        It cannot wait for the tasks of the event loop in whose thread it runs: there, await `aflush`.
        """
        return flush_all(self._shadows, seconds)

    async def aflush(self, seconds: float = 10.0) -> bool:
        """Do as `flush`, and let the event loop of asyncio run meanwhile."""
        return await in_thread(self.flush, seconds)

    def close(self, seconds: float = 10.0) -> None:
        """
        End all shadows, and call `verdict` a last time, which also saves the evidence to *path*.

        The exported states become 0, because a canary that has ended decides about no later release.

        Args:
            seconds: longest time that the shadows may take to process their calls. Later ones are dropped.
        """
        flush_all(self._shadows, seconds)
        for shadow in self._shadows:
            shadow.close()
        self.verdict()
        self.end()

    async def aclose(self, seconds: float = 10.0) -> None:
        """Do as `close`, and let the event loop of asyncio run meanwhile."""
        await in_thread(self.close, seconds)

    def restart(self) -> None:
        """Reset counts, queues and locks in the child of a fork; a promotion or rollback decided before is kept."""
        self._history = VerdictHistory()
        if self._store is not None:
            self._store.new_process()
        for shadow in self._shadows:
            shadow.reset()
        self._lock, self._next_refresh = threading.RLock(), 0.0
        self._collector.restart(self._began())
        self._ended = False
        if self._exporter is not None:
            self._exporter.restart(self._collector.began)
