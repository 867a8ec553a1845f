"""`GuardrailFeed`: accepts the observations of one guardrail of a canary."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from driftline._runtime.call_keys import key_bucket, key_digest
from driftline._runtime.guard import GuardedBlock
from driftline.canary._margins import Guardrail
from driftline.canary._value_tables import MAX_VALUE
from driftline.errors import ConfigurationError

__all__ = ["GuardrailFeed", "feed_of"]

SIDES = ("baseline", "candidate")


class GuardrailFeed:
    """
    Accepts observations of one guardrail, and checks them. `Canary.guardrail` returns it.

    Args:
        name: the guardrail's name.
        rate: if True, observations are true or false; if False, they are numbers.
        salt: string that is hashed together with each key.
        add: called with each valid observation as (name, 0 for the baseline or 1 for the candidate, value, bucket of
            the key or None).
        on_error: called with ("guardrail", error) for an invalid observation.
    """

    __slots__ = ("_add", "_guarded", "_name", "_rate", "_salt")

    def __init__(
        self,
        name: str,
        *,
        rate: bool,
        salt: str,
        add: Callable[[str, int, float, int | None], None],
        on_error: Callable[[str, BaseException], None],
    ) -> None:
        self._name, self._rate, self._salt, self._add = name, rate, salt, add
        self._guarded = GuardedBlock(on_error, "guardrail")

    def observe(self, variant: str, value: float, key: object = None) -> None:
        """
        Add one observation of ``"baseline"`` or ``"candidate"``.

        Observations of one customer depend on each other. Their key says so, and the verdict then takes account of it.
        The key itself is not kept. An invalid observation is dropped and counted in ``ml.monitor.errors``; nothing is
        raised.

        Args:
            variant: ``"baseline"`` or ``"candidate"``.
            value: a finite number of at most 2e90 in size; true or false for a guardrail of the kind "rate".
            key: a string, bytes, an integer or a UUID, such as the id of the customer. None for independent ones.
        """
        with self._guarded:
            side, number = SIDES.index(variant), float(value)
            if not abs(number) <= MAX_VALUE or (self._rate and number not in {0.0, 1.0}):
                expected = "true or false" if self._rate else f"a number of at most {MAX_VALUE:.0e} in size"
                msg = f"{self._name}={value!r}: expected {expected}"
                raise ValueError(msg)
            bucket = None if key is None else key_bucket(key_digest(key, self._salt))
            self._add(self._name, side, number, bucket)


def feed_of(
    name: str,
    guardrails: Mapping[str, Guardrail],
    salt: str,
    add: Callable[[str, int, float, int | None], None],
    on_error: Callable[[str, BaseException], None],
) -> GuardrailFeed:
    """
    Return what accepts the observations of one of a policy's *guardrails*. For the other arguments see the class.

    Raises:
        ConfigurationError: the policy has no guardrail of this name.
    """
    if name not in guardrails:
        msg = f"guardrail({name!r}): expected one of the policy's: {', '.join(guardrails) or 'it has none'}"
        raise ConfigurationError(msg)
    return GuardrailFeed(name, rate=guardrails[name].kind == "rate", salt=salt, add=add, on_error=on_error)
