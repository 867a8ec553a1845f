"""`GuardrailFeed`: accepts the observations of one guardrail of a canary."""

from __future__ import annotations

import math
from collections.abc import Callable

from driftline._runtime.guard import GuardedBlock

__all__ = ["GuardrailFeed"]

SIDES = ("baseline", "candidate")


class GuardrailFeed:
    """
    Accepts observations of one guardrail, and checks them. `Canary.guardrail` returns it.

    Args:
        name: the guardrail's name.
        rate: if True, observations are true or false; if False, they are numbers.
        add: called with each valid observation as (name, 0 for the baseline or 1 for the candidate, value).
        on_error: called with ("guardrail", error) for an invalid observation.
    """

    __slots__ = ("_add", "_guarded", "_name", "_rate")

    def __init__(
        self,
        name: str,
        *,
        rate: bool,
        add: Callable[[str, int, float], None],
        on_error: Callable[[str, BaseException], None],
    ) -> None:
        self._name, self._rate, self._add = name, rate, add
        self._guarded = GuardedBlock(on_error, "guardrail")

    def observe(self, variant: str, value: float) -> None:
        """
        Add one observation of ``"baseline"`` or ``"candidate"``.

        An invalid observation is dropped and counted in ``ml.monitor.errors``; nothing is raised.

        Args:
            variant: ``"baseline"`` or ``"candidate"``.
            value: a finite number; true or false for a guardrail of the kind "rate".
        """
        with self._guarded:
            side, number = SIDES.index(variant), float(value)
            if not math.isfinite(number) or (self._rate and number not in {0.0, 1.0}):
                msg = f"{self._name}={value!r}: expected {'true or false' if self._rate else 'a finite number'}"
                raise ValueError(msg)
            self._add(self._name, side, number)
