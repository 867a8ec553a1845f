"""What a candidate may do worse than its baseline, and how sure one wants to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, get_args

from driftline._runtime import json
from driftline._runtime import validation as check
from driftline._runtime.json import DocumentError
from driftline.canary._json import MAX_NAMES
from driftline.canary._margins import Guardrail, Margin, margin_of
from driftline.errors import ConfigurationError
from driftline.results import CanaryState

__all__ = ["CanaryPolicy"]

MOST_CRITERIA = 32
"""Rates, and guardrails, of one policy: each is up to eight series of ``ml.canary.evidence``."""

MOST_TEXT = 100
"""Characters of a criterion's name, which is an attribute."""

_MARGINS = (
    "allowed_error_increase",
    "allowed_accuracy_drop",
    "allowed_latency_delta",
    "allowed_prediction_drift",
    "allowed_disagreement",
)
_SHARES = {"allowed_prediction_drift", "allowed_disagreement"}
"""Margins that are a share and have no baseline's value that they could be relative to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryPolicy:
    """
    The harm that a candidate may do, judged by tests that may be read at any time; None leaves a criterion out.

    Roll back when harm beyond the margin is certain for one criterion; promote when it is excluded for all; else it is
    too early to say. *alpha* bounds the probability, over the whole life of the canary and all criteria together, of
    rolling a harmless candidate back: it is shared by the criteria in proportion to their weights. Promotion needs
    every criterion, so each is tested at *alpha* undivided, and a candidate that is harmful beyond a margin is promoted
    with a probability of at most *alpha* (Berger 1982, the intersection-union test).

    Each margin is a `Margin`, or a number: an absolute margin.

    Args:
        allowed_error_increase: of the share of calls that raise. Any certain increase rolls back by default.
        allowed_accuracy_drop: of the share of outcomes that the prediction got right.
        allowed_latency_delta: seconds that the candidate's latency quantile may lie above the baseline's.
        latency_quantile: which quantile, or several, of the duration of a call.
        allowed_prediction_drift: largest difference of the cumulative shares of the two variants' predictions (of the
            shares, for labels). 0.2 is what a shift of half a standard deviation makes, a PSI of 0.25.
        allowed_feature_drift: the same between their features. More of it says that the two do not see the same
            traffic: then nothing is promoted.
        allowed_disagreement: share of the rows on which a shadow may disagree with the baseline.
        rates: other rates of the outcomes by name, each a `Guardrail` of the kind "rate": ``recall X`` and
            ``precision X`` of the class X, as in ``{"recall True": Guardrail(0.02, kind="rate")}``.
        guardrails: the user's own numbers by name, fed by ``canary.guardrail(name).observe(...)``.
        alpha: probability of a wrong rollback, and of a wrong promotion.
        share: the candidate's share of the calls where something else than driftline splits them, to find a broken
            split.
        design_effect: by how much dependence between calls inflates the variance of their counts (Kish 1965), 1 for
            independent ones: all counts are divided by it. With sticky keys about the calls of one key.
        max_rows: rows of the candidate at which the canary ends.
        max_time: time after which it ends, such as ``"24h"``.
        otherwise: the verdict of a canary that ended undecided.

    Raises:
        ConfigurationError: an argument is of the wrong type or out of range, or there is no criterion.
    """

    allowed_error_increase: Margin | float | None = field(
        default_factory=lambda: Margin(0.005, relative=0.1, any_harm=True, weight=4.0)
    )
    allowed_accuracy_drop: Margin | float | None = 0.02
    allowed_latency_delta: Margin | float | None = 0.05
    latency_quantile: float | tuple[float, ...] = 0.95
    allowed_prediction_drift: Margin | float | None = 0.2
    allowed_feature_drift: float | None = 0.1
    allowed_disagreement: Margin | float | None = None
    rates: Mapping[str, Guardrail] = field(default_factory=dict)
    guardrails: Mapping[str, Guardrail] = field(default_factory=dict)
    alpha: float = 0.05
    share: float | None = None
    design_effect: float = 1.0
    max_rows: int | None = None
    max_time: str | float | None = None
    otherwise: CanaryState = "rollback"

    def __post_init__(self) -> None:
        for name in _MARGINS:
            object.__setattr__(self, name, _margin(name, getattr(self, name)))
        object.__setattr__(self, "latency_quantile", _quantiles(self.latency_quantile))
        check.optional(check.number, "allowed_feature_drift", self.allowed_feature_drift, at_least=0, at_most=0.99)
        for what in ("rates", "guardrails"):
            object.__setattr__(self, what, _guardrails(what, getattr(self, what)))
        check.number("alpha", self.alpha, above=0, at_most=0.5)
        check.optional(check.number, "share", self.share, above=0, below=1)
        check.number("design_effect", self.design_effect, at_least=1, at_most=1e6)
        check.optional(check.integer, "max_rows", self.max_rows, at_least=1)
        object.__setattr__(self, "max_time", check.optional(check.duration, "max_time", self.max_time))
        check.one_of("otherwise", self.otherwise, get_args(CanaryState))
        if all(getattr(self, name) is None for name in _MARGINS) and not self.rates and not self.guardrails:
            msg = "CanaryPolicy: every margin is None, expected at least one criterion"
            raise ConfigurationError(msg)

    @classmethod
    def from_json(cls, text: str) -> CanaryPolicy:
        """
        Read a policy: an object of arguments; a margin is a number or an object of a `Margin`'s arguments.

        Raises:
            ConfigurationError: it is damaged, has an argument that is none, or one of a wrong value.

        >>> CanaryPolicy.from_json('{"allowed_accuracy_drop": {"absolute": 0.01}}').allowed_accuracy_drop
        Margin(absolute=0.01, relative=0.0, any_harm=False, weight=1.0)
        """
        try:
            given = json.read(text, json.mapping(lambda value: value, most=MAX_NAMES))
        except DocumentError as error:
            msg = f"policy: {error}"
            raise ConfigurationError(msg) from error.__cause__
        arguments: dict[str, Any] = {}
        for name, value in given.items():
            if isinstance(value, list):
                arguments[name] = tuple(value)
            elif name in {"rates", "guardrails"}:
                if not isinstance(value, dict):
                    msg = f"{name}={value!r}: expected an object of guardrails by name"
                    raise ConfigurationError(msg)
                arguments[name] = {
                    one: _made(Guardrail, inner, f"{name}.{one}") if isinstance(inner, dict) else inner
                    for one, inner in value.items()
                }
            elif isinstance(value, dict):
                arguments[name] = _made(Margin, value, name)
            else:
                arguments[name] = value
        policy: CanaryPolicy = _made(cls, arguments, "policy")
        return policy


def _made(kind: Any, given: Any, where: str) -> Any:
    arguments = dict(given)
    unknown = set(arguments) - {one.name for one in fields(kind)}
    if unknown:
        msg = f"{where}: unknown {', '.join(sorted(map(repr, unknown)))}"
        raise ConfigurationError(msg)
    if isinstance(arguments.get("margin"), dict):
        arguments["margin"] = _made(Margin, arguments["margin"], f"{where}.margin")
    if kind is Guardrail and "margin" not in arguments:
        msg = f"{where}: expected a margin"
        raise ConfigurationError(msg)
    return kind(**arguments)


def _margin(name: str, given: object) -> Margin | None:
    margin = margin_of(name, given)
    if margin is None or name not in _SHARES:
        return margin
    if margin.relative or margin.absolute >= 1.0:
        msg = f"{name}={given!r}: expected an absolute margin below 1"
        raise ConfigurationError(msg)
    if name == "allowed_disagreement" and margin.absolute == 0.0:
        msg = f"{name}={given!r}: expected a positive share: one disagreement would be too many"
        raise ConfigurationError(msg)
    return margin


def _quantiles(given: object) -> tuple[float, ...]:
    several = given if isinstance(given, (tuple, list)) else (given,)
    quantiles = tuple(float(check.number("latency_quantile", value, above=0, below=1)) for value in several)
    if not quantiles or len(set(quantiles)) != len(quantiles):
        check.reject("latency_quantile", given, "different quantiles, at least one")
    return quantiles


def _guardrails(what: str, given: object) -> dict[str, Guardrail]:
    if not isinstance(given, Mapping) or len(given) > MOST_CRITERIA:
        msg = f"{what}: expected a dict of at most {MOST_CRITERIA} Guardrails by name"
        raise ConfigurationError(msg)
    found: dict[str, Guardrail] = {}
    for name, one in given.items():
        if not isinstance(name, str) or not 0 < len(name) <= MOST_TEXT:
            msg = f"{what}: {name!r}: expected a name of 1 to {MOST_TEXT} characters"
            raise ConfigurationError(msg)
        if not isinstance(one, Guardrail):
            margin = margin_of(f"{what}[{name!r}]", one)
            if margin is None:
                msg = f"{what}[{name!r}]=None: expected a Guardrail, a Margin or a number"
                raise ConfigurationError(msg)
            one = Guardrail(margin)  # noqa: PLW2901 - a plain margin is a guardrail of it
        if what == "rates" and one.kind != "rate":
            one = Guardrail(one.margin, one.better, "rate")  # noqa: PLW2901 - a rate has no other kind
        found[name] = one
    return found
