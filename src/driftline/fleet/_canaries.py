"""Decides about the canary of a fleet from what its processes export, and exports the verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from driftline import semconv as sc
from driftline._backends.counts import CountSource
from driftline.canary import CanaryPolicy, Verdict, judge_canary
from driftline.canary._arguments import START_PREFIX
from driftline.canary._exported import LOOKBACK_SECONDS, Selection, read_exported
from driftline.canary._standing import StandingVerdict
from driftline.fleet._export import FleetExport
from driftline.fleet._processes import FleetModel
from driftline.results import CanaryState

__all__ = ["FleetCanaries"]

MAX_KEPT = 100
"""Most canaries whose verdict is kept. A rollout has one."""


class FleetCanaries:
    """
    The canaries of a model: the newest one is read, and its decision stands.

    Args:
        name: ``ml.model.name``.
        policy: the policy.
        interval: seconds between two exports of a process.
        decisions: the verdicts so far by canary, as `decisions` of an earlier process.
        export: returns the telemetry of a version of the model.
        on_error: called with a place and an error.
    """

    def __init__(
        self,
        name: str,
        policy: CanaryPolicy,
        interval: float,
        decisions: Mapping[str, tuple[CanaryState, str]],
        export: Callable[[FleetModel], FleetExport],
        on_error: Callable[[str, BaseException], None],
    ) -> None:
        self._name, self._policy, self._interval = name, policy, interval
        self._export, self._on_error = export, on_error
        self._verdicts = {key: Verdict(state, reason) for key, (state, reason) in decisions.items()}
        self._shown: tuple[FleetModel, FleetExport] | None = None

    @property
    def decisions(self) -> dict[str, tuple[CanaryState, str]]:
        """The last verdicts by canary: (state, reason)."""
        return {key: (verdict.state, verdict.reason) for key, verdict in self._verdicts.items()}

    def look(self, source: CountSource, now: float) -> Callable[[], None] | None:
        """
        Decide about the newest canary, and export the verdict.

        Args:
            source: the store.
            now: Unix time in seconds.

        Returns:
            A function that emits the event of a verdict that has changed, to be called when the verdict is saved; None
            without a change.

        Raises:
            OSError: the store cannot be reached, is late, or its response is incomplete.
            ValueError: a response cannot be read.
        """
        selection = Selection(model=self._name, interval=self._interval)
        exported = read_exported(source, selection, now)
        canary_id = exported.canary_id
        if canary_id is None:
            return None
        candidate = self._candidate(source, canary_id, now)
        shown_id = None if canary_id.startswith(START_PREFIX) else canary_id
        key = shown_id or str(candidate)
        before = self._verdicts.get(key)
        standing = StandingVerdict(None, self._on_error)
        if before is not None:
            standing.apply(before)
        verdict = standing.apply(judge_canary(exported.evidence, self._policy))
        self._verdicts.pop(key, None)
        self._verdicts[key] = verdict
        while len(self._verdicts) > MAX_KEPT:
            del self._verdicts[next(iter(self._verdicts))]
        if self._shown is None or self._shown[0] != candidate:
            if self._shown is not None:
                self._shown[1].close()
            self._shown = candidate, self._export(candidate)
        export = self._shown[1]
        export.show_verdict(verdict, shown_id)
        previous: CanaryState = "inconclusive" if before is None else before.state
        if verdict.state == previous:
            return None
        return lambda: export.emit_verdict(previous, verdict)

    def _candidate(self, source: CountSource, canary_id: str, now: float) -> FleetModel:
        """Return the version and variant of the candidate."""
        match = {sc.ML_MODEL_NAME: self._name, sc.ML_CANARY_SIDE: "candidate", sc.ML_CANARY_ID: canary_id}
        samples = source.latest(sc.METRIC_CANARY_STARTED, match, at=now, within=LOOKBACK_SECONDS)
        newest = max(samples, key=lambda sample: sample.value, default=None)
        return FleetModel.of(self._name, {} if newest is None else newest.attributes)
