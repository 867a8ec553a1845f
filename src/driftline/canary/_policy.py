"""`CanaryPolicy`: the harm that a candidate may do, and the probability of a wrong decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, get_args

from driftline._runtime import json
from driftline._runtime import validation as check
from driftline._runtime.json import DocumentError
from driftline.canary._json import MAX_NAMES
from driftline.canary._margins import Guardrail, Margin, as_margin
from driftline.errors import ConfigurationError
from driftline.results import CanaryState

__all__ = ["CanaryPolicy"]

MAX_CRITERIA = 32
"""Most rates that a policy may have, and most guardrails: each makes up to eight series of ``ml.canary.evidence``."""

MAX_NAME_LENGTH = 100
"""Most characters that a name of a rate or guardrail may have, because the name is the value of an attribute."""

_MARGINS = (
    "allowed_error_increase",
    "allowed_accuracy_drop",
    "allowed_latency_delta",
    "allowed_prediction_drift",
    "allowed_disagreement",
)
_SHARES = {"allowed_prediction_drift", "allowed_disagreement"}
"""Margins that must be absolute: they limit a difference between the variants, so the baseline has no such value."""

_RATES = {"allowed_error_increase", "allowed_accuracy_drop"}
"""Margins of rates, which are a sum: the rates beyond the larger of two limits are no convex set, as the test needs."""

MAX_WARM_UP = 1_000_000
"""Most calls of a warm-up; more are a mistake in the unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryPolicy:
    """
    The harm that a candidate may do, and the probability of a wrong decision; verdicts may be read at any time.

    The verdict is a rollback when harm beyond the margin is certain for any criterion. It is a promotion when such harm
    is excluded for all criteria. Until then it is inconclusive.

    *alpha* bounds the probability that a harmless candidate is ever rolled back, over the whole life of the canary and
    all criteria together. It is divided among the criteria in proportion to the weights of their margins. A promotion
    needs every criterion, so each is tested at the whole *alpha*. A candidate that is harmful beyond a margin is thus
    promoted with a probability of at most *alpha* (the intersection-union test, Berger 1982).

    Each margin is a `Margin`, or a number, which is an absolute margin. None switches the criterion off.

    Args:
        allowed_error_increase: allowed increase of the share of calls that raise. The default has *any_harm*: any
            certain increase is a rollback.
        allowed_accuracy_drop: allowed drop of the share of outcomes that the prediction got right.
        allowed_latency_delta: seconds by which the candidate's latency quantile may exceed the baseline's. The default
            is the larger of 5 ms and a tenth of the baseline's quantile.
        latency_quantile: the tested quantile of the duration of a call, in (0, 1), or a tuple of several.
        warm_up: calls that a new process of a variant may serve slowly: their durations are reported and not compared.
            An integer is a number of calls. A string such as ``"2min"`` is the time since the variant's first call in
            the process. 0 or None: all calls are compared.
        allowed_prediction_drift: largest allowed difference between the cumulative distributions of the variants'
            predictions; for labels, between their shares. A shift by half a standard deviation is a difference of 0.2,
            and a PSI of 0.25.
        allowed_feature_drift: largest allowed difference between the variants' distributions of a feature, computed
            as for predictions. A larger difference means that the variants get different traffic. It prevents a
            promotion.
        allowed_disagreement: share of the rows on which a shadow may disagree with the baseline.
        rates: other rates of the outcomes by name: ``recall X`` and ``precision X`` of the class X. Each value is a
            `Guardrail` of the kind "rate", as in ``{"recall True": Guardrail(0.02, kind="rate")}``.
        guardrails: limits on numbers that the application reports, by name. ``canary.guardrail(name).observe(...)``
            reports one.
        alpha: probability of a wrong rollback, and of a wrong promotion, in (0, 0.5].
        share: the candidate's intended share of the calls, in (0, 1), if driftline does not split them. It is needed to
            detect a broken split.
        design_effect: factor by which dependence between calls inflates the variance of their counts (Kish 1965); 1 for
            independent calls. All counts are divided by it, or by the estimate from keys and time if that is larger.
        outcomes_after: age of a prediction by which its outcome has come, such as ``"7d"``, or a number of seconds.
            Only older predictions then count for accuracy and *rates*. If None, predictions of the same age are
            compared for a rollback, and a promotion waits for the age by which 98 % of the outcomes come.
        max_rows: rows of the candidate at which the canary ends; None for no limit.
        max_time: time after which the canary ends, such as ``"24h"``, or a number of seconds; None for no limit.
        otherwise: the verdict of a canary that ends undecided.

    Raises:
        ConfigurationError: an argument is of the wrong type or out of range, or there is no criterion.
    """

    allowed_error_increase: Margin | float | None = field(
        default_factory=lambda: Margin(0.005, relative=0.1, any_harm=True, weight=4.0)
    )
    allowed_accuracy_drop: Margin | float | None = 0.02
    allowed_latency_delta: Margin | float | None = field(
        default_factory=lambda: Margin(0.005, relative=0.1, combine="larger")
    )
    latency_quantile: float | tuple[float, ...] = (0.95, 0.99)
    warm_up: int | str | None = 30
    allowed_prediction_drift: Margin | float | None = 0.2
    allowed_feature_drift: float | None = 0.1
    allowed_disagreement: Margin | float | None = None
    rates: Mapping[str, Guardrail] = field(default_factory=dict)
    guardrails: Mapping[str, Guardrail] = field(default_factory=dict)
    alpha: float = 0.05
    share: float | None = None
    design_effect: float = 1.0
    outcomes_after: str | float | None = None
    max_rows: int | None = None
    max_time: str | float | None = None
    otherwise: CanaryState = "rollback"

    def __post_init__(self) -> None:
        for name in _MARGINS:
            object.__setattr__(self, name, _check_margin(name, getattr(self, name)))
        object.__setattr__(self, "latency_quantile", _check_quantiles(self.latency_quantile))
        object.__setattr__(self, "warm_up", _check_warm_up(self.warm_up))
        check.optional(check.number, "allowed_feature_drift", self.allowed_feature_drift, at_least=0, at_most=0.99)
        for name in ("rates", "guardrails"):
            object.__setattr__(self, name, _check_guardrails(name, getattr(self, name)))
        check.number("alpha", self.alpha, above=0, at_most=0.5)
        check.optional(check.number, "share", self.share, above=0, below=1)
        check.number("design_effect", self.design_effect, at_least=1, at_most=1e6)
        object.__setattr__(
            self, "outcomes_after", check.optional(check.duration, "outcomes_after", self.outcomes_after)
        )
        check.optional(check.integer, "max_rows", self.max_rows, at_least=1)
        object.__setattr__(self, "max_time", check.optional(check.duration, "max_time", self.max_time))
        check.one_of("otherwise", self.otherwise, get_args(CanaryState))
        if all(getattr(self, name) is None for name in _MARGINS) and not self.rates and not self.guardrails:
            msg = "CanaryPolicy: every margin is None, expected at least one criterion"
            raise ConfigurationError(msg)

    @property
    def warm_up_calls(self) -> int:
        """Calls of a process and variant that belong to the warm-up; 0 if `warm_up` is a time or off."""
        return self.warm_up if isinstance(self.warm_up, int) else 0

    @property
    def warm_up_seconds(self) -> float:
        """Seconds since the first call of a process and variant that are its warm-up; 0 if `warm_up` is no time."""
        return check.duration("warm_up", self.warm_up) if isinstance(self.warm_up, str) else 0.0

    @classmethod
    def from_json(cls, text: str) -> CanaryPolicy:
        """
        Return the policy whose arguments are the members of a JSON object.

        A margin is a number, or an object with the arguments of `Margin`. A guardrail is a number, or an object with
        the arguments of `Guardrail`.

        Raises:
            ConfigurationError: the document is damaged, or an argument is unknown or has a wrong value.

        >>> CanaryPolicy.from_json('{"allowed_accuracy_drop": {"absolute": 0.01}}').allowed_accuracy_drop
        Margin(absolute=0.01, relative=0.0, any_harm=False, weight=1.0, combine='sum')
        """
        try:
            document = json.read(text, json.mapping(lambda value: value, most=MAX_NAMES))
        except DocumentError as error:
            msg = f"policy: {error}"
            raise ConfigurationError(msg) from error.__cause__
        arguments: dict[str, Any] = {}
        for name, value in document.items():
            if isinstance(value, list):
                arguments[name] = tuple(value)
            elif name in {"rates", "guardrails"}:
                if not isinstance(value, dict):
                    msg = f"{name}={value!r}: expected an object of guardrails by name"
                    raise ConfigurationError(msg)
                arguments[name] = {
                    inner_name: _construct(Guardrail, inner, f"{name}.{inner_name}")
                    if isinstance(inner, dict)
                    else inner
                    for inner_name, inner in value.items()
                }
            elif isinstance(value, dict):
                arguments[name] = _construct(Margin, value, name)
            else:
                arguments[name] = value
        policy: CanaryPolicy = _construct(cls, arguments, "policy")
        return policy


def _construct(kind: Any, values: Any, where: str) -> Any:
    """
    Return an instance of a dataclass, made from a JSON object with its arguments.

    Args:
        kind: the dataclass: `CanaryPolicy`, `Guardrail` or `Margin`.
        values: the object; its ``margin`` may be an object with the arguments of `Margin`.
        where: path of the object in its document, for the message of an error.

    Raises:
        ConfigurationError: an argument is unknown, missing or has a wrong value.
    """
    arguments = dict(values)
    unknown = set(arguments) - {field.name for field in fields(kind)}
    if unknown:
        msg = f"{where}: unknown {', '.join(sorted(map(repr, unknown)))}"
        raise ConfigurationError(msg)
    if isinstance(arguments.get("margin"), dict):
        arguments["margin"] = _construct(Margin, arguments["margin"], f"{where}.margin")
    if kind is Guardrail and "margin" not in arguments:
        msg = f"{where}: expected a margin"
        raise ConfigurationError(msg)
    return kind(**arguments)


def _check_margin(name: str, value: object) -> Margin | None:
    margin = as_margin(name, value)
    if margin is None:
        return None
    if name in _RATES:
        _check_sum(name, margin)
    if name not in _SHARES:
        return margin
    if margin.relative or margin.absolute >= 1.0:
        check.reject(name, value, "an absolute margin below 1")
    if name == "allowed_disagreement" and margin.absolute == 0.0:
        check.reject(name, value, "a positive share, because 0 rolls back at the first disagreement")
    return margin


def _check_sum(name: str, margin: Margin) -> None:
    """Reject a margin of a rate that is the larger of its two parts, or allows more than there is."""
    if margin.combine != "sum":
        check.reject(name, margin, "combine='sum', because the margin of a rate is a sum")
    if margin.absolute > 1.0:
        check.reject(name, margin.absolute, "a share of at most 1, such as 0.02 for 2 points")


def _check_warm_up(value: object) -> int | str | None:
    """Return a warm-up that is a number of calls, a duration or None."""
    if isinstance(value, str):
        check.duration("warm_up", value)
        return value
    try:
        return check.optional(check.integer, "warm_up", value, at_least=0, at_most=MAX_WARM_UP)
    except ConfigurationError:
        check.reject("warm_up", value, f"an integer from 0 to {MAX_WARM_UP} calls, a duration such as '2min', or None")


def _check_quantiles(value: object) -> tuple[float, ...]:
    values = value if isinstance(value, (tuple, list)) else (value,)
    quantiles = tuple(float(check.number("latency_quantile", number, above=0, below=1)) for number in values)
    if not quantiles or len(set(quantiles)) != len(quantiles):
        check.reject("latency_quantile", value, "different quantiles, at least one")
    return quantiles


def _check_guardrails(name: str, value: object) -> dict[str, Guardrail]:
    """
    Return the *rates* or *guardrails* of a policy as `Guardrail` objects by name.

    A number or a `Margin` becomes a `Guardrail` with this margin.

    Args:
        name: ``"rates"``, whose guardrails all get the kind "rate", or ``"guardrails"``.
        value: the argument's value.

    Raises:
        ConfigurationError: the value is not a dict, or has too many entries, a wrong name or a wrong guardrail.
    """
    if not isinstance(value, Mapping) or len(value) > MAX_CRITERIA:
        msg = f"{name}: expected a dict of at most {MAX_CRITERIA} Guardrails by name"
        raise ConfigurationError(msg)
    guardrails: dict[str, Guardrail] = {}
    for key, inner in value.items():
        if not isinstance(key, str) or not 0 < len(key) <= MAX_NAME_LENGTH:
            msg = f"{name}: {key!r}: expected a name of 1 to {MAX_NAME_LENGTH} characters"
            raise ConfigurationError(msg)
        check.encodable(name, (key,))
        guardrail = inner
        if not isinstance(guardrail, Guardrail):
            margin = as_margin(f"{name}[{key!r}]", inner)
            if margin is None:
                msg = f"{name}[{key!r}]=None: expected a Guardrail, a Margin or a number"
                raise ConfigurationError(msg)
            guardrail = Guardrail(margin)
        if name == "rates" and guardrail.kind != "rate":
            guardrail = Guardrail(guardrail.margin, guardrail.better, "rate")
        if guardrail.kind == "rate":
            _check_sum(f"{name}[{key!r}]", guardrail.margin)
        guardrails[key] = guardrail
    return guardrails
