"""`EvidenceCollector`: the counts of a canary in one process, one stratum per share of the candidate."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import replace

from driftline.canary._evalues.means import Moments
from driftline.canary._evidence import CanaryEvidence, Stratum
from driftline.canary._value_tables import ValueRecorder
from driftline.canary._variant import ReadCounts
from driftline.canary._variant_evidence import VariantEvidence

__all__ = ["EvidenceCollector"]

LOCK_SECONDS = 0.5
"""Seconds that a metric collection waits for another thread that reads the counts. A reading takes milliseconds."""


class EvidenceCollector:
    """
    Computes the counts of two variants in this process since the canary began.

    Args:
        baseline: returns the counts of the baseline. If None, another process serves the baseline.
        candidate: returns the counts of the candidate. If None, another process serves the candidate.
        share: the candidate's share of the calls. If None, driftline does not split them.
        guardrails: names of the guardrails of the policy.
        began: Unix time at which the canary began, in seconds.
        clock: returns Unix seconds.

    Attributes:
        share: the present share; `change_share` sets it.
        sticky: whether `Canary.route` got a key for any call of the present share (see `Stratum`). The canary sets it.
        began: Unix time at which the canary began.
    """

    def __init__(
        self,
        baseline: ReadCounts | None,
        candidate: ReadCounts | None,
        share: float | None,
        guardrails: Iterable[str],
        began: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._readers, self._guardrail_names = (baseline, candidate), tuple(guardrails)
        self.share = share
        start = self._read_variants()
        self._empty = start[0].empty(), start[1].empty()
        self._begin(start, began)

    def _begin(self, start: tuple[VariantEvidence, VariantEvidence], began: float) -> None:
        self._lock = threading.RLock()
        # Another id for the child of a fork, whose calls are others.
        self._sources = frozenset({uuid.uuid4().hex})
        self.began = began
        self.sticky = False
        self._compared = self._agreed = 0
        self._earlier = CanaryEvidence()
        self._stratum_start = start
        self._reset_guardrails()

    def restart(self, began: float) -> None:
        """Reset all counts to zero in the child of a fork; *began* is the canary's start as a Unix time in seconds."""
        # The counts are not read, because a monitor that has not handled the fork yet still reports its parent's.
        self._begin(self._empty, began)

    def read(self) -> CanaryEvidence:
        """Return the evidence of this process since the canary began, over all shares."""
        with self._lock:
            return self._evidence(self._read_variants())

    def read_settled(self) -> CanaryEvidence | None:
        """
        Return the evidence as `read` does, but without pending calls. None if another thread reads for too long.

        A metric collection calls this: it must neither run user functions nor wait for a thread that runs them.
        """
        if not self._lock.acquire(timeout=LOCK_SECONDS):
            return None
        try:
            return self._evidence(self._read_variants(settle=False))
        finally:
            self._lock.release()

    def change_share(self, share: float) -> None:
        """Set the candidate's share of the calls; later calls are counted in a new stratum."""
        with self._lock:
            # Both strata use one reading, because calls between two readings would be in no stratum.
            now = self._read_variants()
            self._earlier, self._stratum_start, self.share = _without_delays(self._evidence(now)), now, share
            self.sticky = False
            self._reset_guardrails()

    def add_comparisons(self, rows: int, agreed: int) -> None:
        """Add the number of *rows* that baseline and shadow predicted, and of those whose outputs *agreed*."""
        with self._lock:
            self._compared += rows
            self._agreed += agreed

    def add_observation(self, guardrail: str, side: int, value: float, bucket: int | None) -> None:
        """
        Add one observation of a guardrail.

        Args:
            guardrail: its name.
            side: 0 for the baseline, 1 for the candidate.
            value: a finite number of at most `MAX_VALUE`.
            bucket: bucket of the key; None without a key.
        """
        now = self._clock()
        with self._lock:
            self._moments[guardrail][side] += Moments(1, value)
            self._values[guardrail][side].add(value, now, bucket)

    def _reset_guardrails(self) -> None:
        self._moments = {name: [Moments(), Moments()] for name in self._guardrail_names}
        self._values = {name: (ValueRecorder(), ValueRecorder()) for name in self._guardrail_names}

    def _read_variants(self, *, settle: bool = True) -> tuple[VariantEvidence, VariantEvidence]:
        """Return (baseline's counts, candidate's counts) since this process started; zero for an absent variant."""
        counts = [None if read is None else read(settle=settle) for read in self._readers]
        known = next(side for side in counts if side is not None)
        baseline, candidate = (known.empty() if side is None else side for side in counts)
        return baseline, candidate

    def _evidence(self, now: tuple[VariantEvidence, VariantEvidence]) -> CanaryEvidence:
        """
        Return the evidence of the earlier strata and of the present one.

        If a reference was replaced, counts over bins of the old reference are dropped.

        Args:
            now: (baseline's counts, candidate's counts) at the end of the present stratum.
        """
        baseline, candidate = (end - start.over(end) for end, start in zip(now, self._stratum_start, strict=True))
        guardrails = {name: (pair[0], pair[1]) for name, pair in self._moments.items()}
        values = {name: (pair[0].read(), pair[1].read()) for name, pair in self._values.items()}
        stratum = Stratum(self.share, self.sticky, baseline, candidate, guardrails, values)
        earlier = self._earlier
        at = self._clock()
        present = CanaryEvidence(
            (stratum,),
            self._compared - earlier.compared,
            self._agreed - earlier.agreed,
            at - self.began,
            at,
            self._sources,
        )
        return earlier.over(present) + present


def _without_delays(evidence: CanaryEvidence) -> CanaryEvidence:
    """Return the evidence of shares that have ended without their delays, which the present share has too."""
    strata = tuple(
        replace(each, baseline=each.baseline.without_delays(), candidate=each.candidate.without_delays())
        for each in evidence.strata
    )
    return replace(evidence, strata=strata)
