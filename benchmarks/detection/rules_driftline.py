"""driftline as a user runs it: a reference, a monitor and batches. Only this file depends on its interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import driftline as dl
from driftline.testing import ManualClock, in_memory_monitor

__all__ = ["DEFAULT", "DEFAULT_EFFECT", "RULES", "SECONDS", "ZERO", "Watch", "fit"]

SECONDS = {"1min": 60.0, "1h": 3_600.0, "1d": 86_400.0, "3d": 259_200.0, "7d": 604_800.0}
"""Seconds of each cadence at which windows end."""

DEFAULT_EFFECT = dl.FalseAlarms().min_effect
"""The smallest corrected PSI that the default rule calls a drift."""

ZERO, DEFAULT = "least effect 0", "default least effect"
"""Names of the two rules that evaluate every stream: the test alone, and the default of users."""

RULES: Mapping[str, float | None] = {ZERO: 0.0, DEFAULT: None}
"""``min_effect`` of each rule. If None, the default."""


def fit(
    columns: Mapping[str, Any],
    categorical: Sequence[str] = (),
    *,
    joint: bool = False,
    time: Any = None,
    seasons: Sequence[str] = (),
    cluster: str | None = None,
) -> dl.Reference:
    """
    Fit a reference.

    With *joint* it has projections, with *seasons* profiles of the rows at *time*, with *cluster* the variance between
    the values of that column.
    """
    # Versions that are compared with this one have no such argument.
    key = {} if cluster is None else {"cluster": cluster}
    return dl.Reference.fit(
        dict(columns), categorical=list(categorical), projections=joint, time=time, seasons=seasons, **key
    )


@dataclass(frozen=True, slots=True)
class Result:
    """The states after one window."""

    started: tuple[str, ...]
    """Features that started to drift."""
    drifting: frozenset[str]
    """Features that drift."""
    undecided: frozenset[str]
    """Features with the state insufficient_data."""
    evaluated: bool
    """Whether any feature had another state than that."""


class Watch:
    """
    A monitor with a budget of one false alarm in thirty days, fed window by window.

    Args:
        reference: the reference to compare with.
        window: rows of a window, or a stretch of time such as "1d".
        min_effect: the smallest corrected PSI that counts. If None, the default.
        every: the cadence of windows of rows, a key of `SECONDS`.
        distances: distances to score as well.
        began: UNIX seconds at which the first window begins. A reference with seasons needs the hours of its rows.
    """

    def __init__(
        self,
        reference: dl.Reference,
        window: int | str,
        min_effect: float | None,
        every: str = "1h",
        distances: Sequence[str] = (),
        began: float = 0.0,
    ) -> None:
        effect = DEFAULT_EFFECT if min_effect is None else min_effect
        self._clock = ManualClock()
        self._seconds = SECONDS[every]
        self._before: frozenset[str] = frozenset()
        length = dl.Window(rows=window) if isinstance(window, int) else dl.Window(window)
        # Some cases have windows of 100 rows.
        min_rows = min(length.rows or 200, 200)
        self._monitor = in_memory_monitor(
            "evaluation",
            reference=reference,
            window=length,
            rule=dl.FalseAlarms(1, per="30d", every=every, min_effect=effect, min_rows=min_rows),
            distances=distances,
            clock=self._clock,
            # The rows of a window arrive in the time before it ends.
            wall_clock=lambda: began + self._clock() - self._seconds / 2,
        )

    def feed(self, rows: Mapping[str, Any], seconds: float | None = None) -> Result:
        """Serve rows and return the states. If *seconds* since the last rows is None, it is one window."""
        self.serve(rows, seconds)
        return self.evaluate()

    def serve(self, rows: Mapping[str, Any], seconds: float | None = None) -> None:
        """Serve rows without an evaluation."""
        self._clock.advance(self._seconds if seconds is None else seconds)
        self._monitor.observe(rows)

    def evaluate(self) -> Result:
        """Evaluate pending windows, as a collection of metrics does."""
        status = self._monitor.status()
        drifting = frozenset(name for name, entry in status.items() if entry.state == "drifting")
        undecided = frozenset(name for name, entry in status.items() if entry.state == "insufficient_data")
        started = tuple(sorted(drifting - self._before))
        self._before = drifting
        return Result(started, drifting, undecided, len(undecided) < len(status))

    def replace(self, reference: dl.Reference) -> None:
        """Compare with another reference from now on."""
        self._monitor.replace_reference(reference)

    def p_value(self, feature: str) -> float | None:
        """Return the p-value of a feature in the last window."""
        return self._monitor.status()[feature].p_value

    def effect(self, feature: str) -> float:
        """Return the corrected PSI of a feature in the last window; 0 if it has none."""
        return self._monitor.status()[feature].effect or 0.0

    def state(self, feature: str) -> str:
        """Return the state of a feature."""
        return self._monitor.status()[feature].state

    def reason(self, feature: str) -> str:
        """Return the reason of the state of a feature."""
        return self._monitor.status()[feature].reason

    def close(self) -> None:
        """Shut the monitor down, so that nothing stays registered."""
        self._monitor.shutdown()
