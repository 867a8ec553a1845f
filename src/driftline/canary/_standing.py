"""`StandingVerdict`: keeps a canary's decision, in memory or in the canary's file."""

from __future__ import annotations

from collections.abc import Callable

from driftline._runtime.guard import GuardedBlock
from driftline.canary._store import CanaryStore
from driftline.canary._verdict import Verdict
from driftline.results import CanaryState

__all__ = ["StandingVerdict"]


class StandingVerdict:
    """
    Keeps the decision of a canary: a rollback for ever, a promotion until a rollback.

    It is kept because *alpha* bounds the probability that a harmless candidate is *ever* rolled back.

    Args:
        store: the canary's file, shared with other processes. If None, the decision is kept in memory.
        on_error: called with ("canary", error) when the file cannot be read or written.
    """

    def __init__(self, store: CanaryStore | None, on_error: Callable[[str, BaseException], None]) -> None:
        self._store, self._guarded = store, GuardedBlock(on_error, "canary")
        self._decision = None if store is None else store.read_verdict()

    @property
    def state(self) -> CanaryState:
        """The state of the kept decision; "inconclusive" before the first one."""
        return "inconclusive" if self._decision is None else self._decision[0]

    def apply(self, verdict: Verdict) -> Verdict:
        """
        Return *verdict*, or a verdict with the kept decision and the criteria of *verdict*.

        Without a kept decision, *verdict* is returned. A rollback is also returned if a promotion is kept. In all other
        cases the kept decision is returned. A returned *verdict* is kept, unless it is inconclusive.
        """
        if self._store is not None:
            with self._guarded:  # the disk may be full or gone
                self._decision = self._store.read_verdict() or self._decision
        decision = self._decision
        if decision is not None and (decision[0] == "rollback" or verdict.state != "rollback"):
            return Verdict(decision[0], decision[1], verdict.criteria)
        if verdict.state != "inconclusive":
            self._decision = verdict.state, verdict.reason
            if self._store is not None:
                with self._guarded:
                    self._store.save_verdict(verdict.state, verdict.reason)
        return verdict
