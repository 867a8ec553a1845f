"""The user's own numbers, fed one by one and kept as moments."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping

from driftline.canary._evalues.means import Moments
from driftline.canary._margins import Guardrail
from driftline.errors import ConfigurationError

__all__ = ["GuardrailFeed", "Guardrails"]

SIDES = ("baseline", "candidate")


class Guardrails:
    """
    Moments of each guardrail of a policy, for both variants.

    Args:
        asked: the guardrails by name.
    """

    def __init__(self, asked: Mapping[str, Guardrail]) -> None:
        self._asked = dict(asked)
        self.clear()

    def clear(self) -> None:
        """Forget what was observed."""
        self._moments = {name: [Moments(), Moments()] for name in self._asked}

    def read(self) -> dict[str, tuple[Moments, Moments]]:
        """What was observed, of baseline and candidate."""
        return {name: (pair[0], pair[1]) for name, pair in self._moments.items()}

    def add(self, name: str, side: int, one: Moments) -> None:
        """Take an observation in."""
        self._moments[name][side] += one

    def feed(self, name: str, lock: threading.RLock, caught: Callable[[str, Exception], None]) -> GuardrailFeed:
        """
        Where a guardrail is fed.

        Raises:
            ConfigurationError: there is none of this name.
        """
        if name not in self._asked:
            msg = f"guardrail({name!r}): expected one of the policy's: {', '.join(self._asked) or 'it has none'}"
            raise ConfigurationError(msg)
        return GuardrailFeed(self, name, self._asked[name].kind == "rate", lock, caught)


class GuardrailFeed:
    """Takes the observations of one guardrail; made by `Canary.guardrail`."""

    __slots__ = ("_caught", "_guardrails", "_lock", "_name", "_rate")

    def __init__(
        self,
        guardrails: Guardrails,
        name: str,
        rate: bool,  # noqa: FBT001 - made in this module only
        lock: threading.RLock,
        caught: Callable[[str, Exception], None],
    ) -> None:
        self._guardrails, self._name, self._rate, self._lock, self._caught = guardrails, name, rate, lock, caught

    def observe(self, variant: str, value: float) -> None:
        """
        Take one observation of ``"baseline"`` or ``"candidate"``: a finite number, true or false for a rate.

        What is no such thing is counted as an error of the monitor, and left out.
        """
        try:
            side, number = SIDES.index(variant), float(value)
            if not math.isfinite(number) or (self._rate and number not in {0.0, 1.0}):
                msg = f"{self._name}={value!r}: expected {'true or false' if self._rate else 'a finite number'}"
                raise ValueError(msg)  # noqa: TRY301 - counted below like what float() raises
            with self._lock:
                self._guardrails.add(self._name, side, Moments(1, number))
        except Exception as error:  # noqa: BLE001 - the guard
            self._caught("guardrail", error)
