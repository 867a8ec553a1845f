"""The checked arguments of a monitor: every mistake in its configuration is found here."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

from driftline._capture.clusters import Cluster, check_cluster
from driftline._derived.spec import Derive, as_functions, check_functions
from driftline._runtime import validation as check
from driftline._windows.window import Window
from driftline.detection import FalseAlarms, Rule, check_rule
from driftline.detection._least_effects import LeastEffects
from driftline.detection._scoring import NamedDistance, resolve_distances
from driftline.detection._stream_detectors import NamedDetector, check_streams, resolve_detectors
from driftline.errors import ConfigurationError
from driftline.otel import LoggerProvider, MeterProvider, TracerProvider
from driftline.outcomes import OutcomePolicy
from driftline.reference import Learn, Reference
from driftline.retraining import RetrainingPolicy
from driftline.semconv import ML_MODEL_NAME, ML_MODEL_VARIANT, ML_MODEL_VERSION
from driftline.typing import Correct

__all__ = ["Settings", "as_reference", "enabled_by_environment", "model_attributes"]

MAX_NAME = 255
"""Characters of a model's name, version and variant. Each is an attribute of every series."""

DEFAULT_WINDOW_ROWS = 5_000
"""Rows of a window when none is given."""


# --- checks: each takes the name of an argument and its value, and returns the checked value -------------------------


def as_reference(name: str, value: object) -> Reference | Learn:
    """
    Return a reference or `Learn` as it is, and load the reference at a path.

    Raises:
        ConfigurationError: the value is no reference, no `Learn` and no path.
        ReferenceError: the file cannot be read or is damaged.
    """
    if isinstance(value, (Reference, Learn)):
        return value
    return Reference.load(check.path(name, value, "a Reference, the path of one, or Reference.learn(rows=...)"))


def enabled_by_environment() -> bool:
    """Return False if ``DRIFTLINE_ENABLED`` or ``OTEL_SDK_DISABLED`` turns driftline off."""
    off = os.environ.get("DRIFTLINE_ENABLED", "true").strip().lower() in {"false", "0", "no", "off"}
    return not off and os.environ.get("OTEL_SDK_DISABLED", "false").strip().lower() != "true"


def _window(name: str, value: object) -> Window:
    if value is None:
        return Window(rows=DEFAULT_WINDOW_ROWS)
    return check.instance(name, value, Window, "Window(rows=...) or Window('10min')")


def _distances(_: str, value: Any) -> tuple[NamedDistance, ...]:
    return resolve_distances(value)


def _rule(_: str, value: object) -> Rule:
    rule = FalseAlarms() if value is None else check_rule(value)
    resolve_distances([*rule.distances])
    return rule


def _derive(_: str, value: object) -> Derive:
    return as_functions(value)


def _detectors(_: str, value: object) -> tuple[NamedDetector, ...]:
    return resolve_detectors(value)


def _outcomes(name: str, value: object) -> OutcomePolicy:
    if isinstance(value, OutcomePolicy):
        return value
    expected = "an OutcomePolicy, or the path of a file to keep predictions in"
    return OutcomePolicy(path=None if value is None else check.path(name, value, expected))


def _enabled(name: str, value: object) -> bool:
    switch = check.optional(check.boolean, name, value)
    return enabled_by_environment() if switch is None else switch


def _provider(name: str, value: object) -> Any:
    method = "get_" + name.removesuffix("_provider")
    # A class has the method too, if the parentheses of the call are missing.
    if value is not None and (issubclass(type(value), type) or not hasattr(value, method)):
        raise check.error(name, value, f"an OpenTelemetry provider with {method}()")
    return value


def _by(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """
    Return a dataclass field whose argument is checked by *function*. The field holds the result of the check.

    Args:
        function: a check of a name and a value.
        args: arguments of *function* before the name, such as the check that `check.optional` calls.
        kwargs: keyword arguments of *function*.
    """
    return field(metadata={"check": partial(function, *args, **kwargs)})


_NAME: dict[str, Any] = {"at_least": 1, "at_most": MAX_NAME}
"""The lengths of a model's name, version and variant."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Settings:
    """The checked arguments of a monitor, one field for each; `driftline.Monitor` documents them."""

    name: str = _by(check.string, **_NAME)
    version: str | None = _by(check.optional, check.string, **_NAME)
    variant: str | None = _by(check.optional, check.string, **_NAME)
    reference: Reference | Learn = _by(as_reference)
    window: Window = _by(_window)
    distances: tuple[NamedDistance, ...] = _by(_distances)
    rule: Rule = _by(_rule)
    correct: Correct | None = _by(check.optional, check.function)
    derive: Derive = _by(_derive)
    cluster: Cluster | None = _by(check.optional, check_cluster)
    detectors: tuple[NamedDetector, ...] = _by(_detectors)
    outcomes: OutcomePolicy = _by(_outcomes)
    learned_path: Path | None = _by(check.optional, check.file_path)
    export_bins: bool | None = _by(check.optional, check.boolean)
    export_labels: bool = _by(check.boolean)
    export_duration: bool = _by(check.boolean)
    trace: bool = _by(check.boolean)
    retraining: RetrainingPolicy | None = _by(
        check.optional, check.instance, kind=RetrainingPolicy, expected="a RetrainingPolicy"
    )
    on_error: str = _by(check.one_of, choices=("log", "raise"))
    synchronous: bool = _by(check.boolean)
    enabled: bool = _by(_enabled)
    clock: Callable[[], float] = _by(check.function)
    wall_clock: Callable[[], float] = _by(check.function)
    meter_provider: MeterProvider | None = _by(_provider)
    logger_provider: LoggerProvider | None = _by(_provider)
    tracer_provider: TracerProvider | None = _by(_provider)

    @classmethod
    def check(cls, **arguments: Any) -> Settings:
        """
        Check the arguments of a monitor, each by its field and then those that must fit together.

        Raises:
            ConfigurationError: an argument is of the wrong type or out of range, or two arguments do not fit together.
            ReferenceError: the file of the reference cannot be read or is damaged.
        """
        settings = cls(**{each.name: each.metadata["check"](each.name, arguments[each.name]) for each in fields(cls)})
        if settings.fleet:
            settings._check_fleet()
        if isinstance(settings.reference, Reference):
            settings._check_fit(settings.reference)
        return settings

    @property
    def fleet(self) -> bool:
        """Whether the counts of all processes are evaluated together, so that this one has no states of features."""
        return isinstance(self.rule, FalseAlarms) and self.rule.scope == "fleet"

    @property
    def exports_bins(self) -> bool:
        """Whether counts per bin are exported. By default they are if a fleet is evaluated from them."""
        return self.fleet if self.export_bins is None else self.export_bins

    @property
    def providers(self) -> tuple[object, ...]:
        """The providers of OpenTelemetry that are not the global ones."""
        providers = (self.meter_provider, self.logger_provider, self.tracer_provider)
        return tuple(provider for provider in providers if provider is not None)

    @property
    def attributes(self) -> dict[str, str]:
        """The attributes that all telemetry of the model carries."""
        return _attributes(self.name, self.version, self.variant)

    def replacement(self, reference: object, version: object = None) -> Reference:
        """
        Return the checked reference that replaces the present one.

        Raises:
            ConfigurationError: the value is no reference, the reference was fitted with functions other than *derive*,
                or it lacks a stream that a detector watches.
            ReferenceError: the file of the reference cannot be read or is damaged.
        """
        check.optional(check.string, "version", version, **_NAME)
        checked = as_reference("reference", reference)
        if isinstance(checked, Learn):
            msg = "replace_reference(Reference.learn(...)): expected a Reference or the path of one"
            raise ConfigurationError(msg)
        self._check_fit(checked)
        return checked

    def _check_fleet(self) -> None:
        """
        Check the arguments that a rule with ``scope="fleet"`` needs, or makes useless.

        Raises:
            ConfigurationError: one of them does not fit.
        """
        scope = "a rule with scope='fleet'"
        if self.export_bins is False:
            msg = (
                f"export_bins=False with {scope}: expected True, because the fleet is evaluated from the counts per bin"
            )
            raise ConfigurationError(msg)
        if isinstance(self.reference, Learn):
            msg = (
                f"reference=Reference.learn(...) with {scope}: expected a Reference that all processes share, because "
                f"counts over different bins do not add up"
            )
            raise ConfigurationError(msg)
        if self.learned_path is not None:
            msg = (
                f"learned_path={str(self.learned_path)!r} with {scope}: expected None, because the dependence of rows "
                f"is learned where the fleet is evaluated"
            )
            raise ConfigurationError(msg)

    def _check_fit(self, reference: Reference) -> None:
        check_functions(reference.derived, self.derive)
        check_streams(reference, self.detectors)
        if isinstance(self.rule, FalseAlarms):
            LeastEffects(self.rule.min_effect).check_fit(reference.watched)
        check.encodable("reference: feature", (feature.name for feature in reference.watched))


def model_attributes(name: object, version: object, variant: object) -> dict[str, str]:
    """
    Return the attributes that all telemetry of a model carries.

    Raises:
        ConfigurationError: a value is no string, is empty or is too long. Only version and variant may be None.
    """
    return _attributes(
        check.string("name", name, **_NAME),
        check.optional(check.string, "version", version, **_NAME),
        check.optional(check.string, "variant", variant, **_NAME),
    )


def _attributes(name: str, version: str | None, variant: str | None) -> dict[str, str]:
    attributes = {ML_MODEL_NAME: name, ML_MODEL_VERSION: version, ML_MODEL_VARIANT: variant}
    return {key: value for key, value in attributes.items() if value is not None}
