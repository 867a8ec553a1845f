"""`VerdictHistory`: the verdicts of a canary over time, in fixed memory."""

from __future__ import annotations

from driftline.canary._verdict import Verdict

__all__ = ["VerdictHistory"]

MAX_VERDICTS = 128
"""Verdicts that are kept. When there are more, every second one is dropped."""


class VerdictHistory:
    """Keeps verdicts with their time, evenly thinned out: the first and the last are always among them."""

    __slots__ = ("_verdicts",)

    def __init__(self) -> None:
        self._verdicts: tuple[tuple[float, Verdict], ...] = ()

    def add(self, seconds: float, verdict: Verdict) -> None:
        """Add a verdict. *seconds* counts from the start of the canary."""
        kept = self._verdicts
        if len(kept) >= MAX_VERDICTS:
            # The last one stays, until a later one is the last.
            kept = (*kept[:-1:2], kept[-1])
        # A new tuple, so that a reader in another thread never sees a part of it.
        self._verdicts = (*kept, (seconds, verdict))

    @property
    def last(self) -> Verdict | None:
        """The last verdict; None before the first."""
        return self._verdicts[-1][1] if self._verdicts else None

    @property
    def verdicts(self) -> tuple[tuple[float, Verdict], ...]:
        """Seconds since the start of the canary and the verdict, the earliest first."""
        return self._verdicts
