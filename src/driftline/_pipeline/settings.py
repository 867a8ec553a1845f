"""What a monitor was asked for, checked: every mistake in configuration is found here."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from driftline._derived.spec import Derive, as_functions, check_functions
from driftline._windows.window import Window
from driftline.detection import FalseAlarms, Rule, check_rule
from driftline.detection._scoring import NamedDistance, resolve_distances
from driftline.detection._stream_detectors import NamedDetector, check_streams, resolve_detectors
from driftline.errors import ConfigurationError
from driftline.otel import LoggerProvider, MeterProvider, TracerProvider
from driftline.outcomes._policy import OutcomePolicy
from driftline.reference import Learn, Reference
from driftline.retraining import RetrainingPolicy
from driftline.semconv import ML_MODEL_NAME, ML_MODEL_VARIANT, ML_MODEL_VERSION
from driftline.typing import (
    Correct,
    Detector,
    Distance,
)

__all__ = ["Settings", "checked_reference", "enabled_here", "model_attributes"]

MAX_TEXT = 255
"""Characters of a model's name, version and variant: an attribute of every series."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Settings:
    """The checked arguments of a monitor; `driftline.Monitor` documents them."""

    attributes: dict[str, str]
    reference: Reference | Learn
    window: Window
    distances: tuple[NamedDistance, ...]
    rule: Rule
    correct: Correct | None
    derive: Derive
    detectors: tuple[NamedDetector, ...]
    outcomes: OutcomePolicy
    export_bins: bool
    export_labels: bool
    export_duration: bool
    trace: bool
    retraining: RetrainingPolicy | None
    on_error: str
    synchronous: bool
    enabled: bool
    clock: Callable[[], float]
    wall_clock: Callable[[], float]
    meter_provider: MeterProvider | None
    logger_provider: LoggerProvider | None
    tracer_provider: TracerProvider | None

    @classmethod
    def checked(
        cls,
        *,
        name: str,
        version: str | None,
        variant: str | None,
        reference: Reference | Learn | str | os.PathLike[str],
        window: Window | None,
        distances: Sequence[str | Distance],
        rule: Rule | None,
        correct: Correct | None,
        derive: Derive | None,
        detectors: Mapping[str, Detector | Sequence[Detector]] | None,
        outcomes: OutcomePolicy | str | os.PathLike[str] | None,
        export_bins: bool,
        export_labels: bool,
        export_duration: bool,
        trace: bool,
        retraining: RetrainingPolicy | None,
        on_error: str,
        synchronous: bool,
        enabled: bool | None,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        meter_provider: MeterProvider | None,
        logger_provider: LoggerProvider | None,
        tracer_provider: TracerProvider | None,
    ) -> Settings:
        """
        Check everything.

        Raises:
            ConfigurationError: an argument is of the wrong type or out of range.
            ReferenceError: the file of the reference is damaged.
        """
        attributes = model_attributes(name, version, variant)
        _check_kind("window", window, Window, "Window(rows=...) or Window('10min')")
        _check_kind("retraining", retraining, RetrainingPolicy, "a RetrainingPolicy")
        for what, function in (("correct", correct), ("clock", clock), ("wall_clock", wall_clock)):
            if not callable(function) and (function is not None or what != "correct"):
                msg = f"{what}={function!r}: expected a function"
                raise ConfigurationError(msg)
        for what, flag in (
            ("export_bins", export_bins),
            ("export_labels", export_labels),
            ("export_duration", export_duration),
            ("trace", trace),
            ("synchronous", synchronous),
        ):
            if not isinstance(flag, bool):
                msg = f"{what}={flag!r}: expected True or False"
                raise ConfigurationError(msg)
        if enabled is not None and not isinstance(enabled, bool):
            msg = f"enabled={enabled!r}: expected True, False or None"
            raise ConfigurationError(msg)
        if not isinstance(on_error, str) or on_error not in {"log", "raise"}:
            msg = f"on_error={on_error!r}: expected 'log' or 'raise'"
            raise ConfigurationError(msg)
        for what, provider, method in (
            ("meter_provider", meter_provider, "get_meter"),
            ("logger_provider", logger_provider, "get_logger"),
            ("tracer_provider", tracer_provider, "get_tracer"),
        ):
            if provider is not None and not hasattr(provider, method):
                msg = f"{what}={provider!r}: expected an OpenTelemetry provider with {method}()"
                raise ConfigurationError(msg)
        checked_rule: Rule = FalseAlarms() if rule is None else check_rule(rule)
        resolve_distances([*checked_rule.distances])
        compared = checked_reference(reference)
        watching = resolve_detectors(detectors)
        if isinstance(compared, Reference):
            check_functions(compared.derived, derive)
            check_streams(compared, watching)
        return cls(
            attributes=attributes,
            reference=compared,
            window=window or Window(rows=5_000),
            distances=resolve_distances(distances),
            rule=checked_rule,
            correct=correct,
            derive=as_functions(derive),
            detectors=watching,
            outcomes=_outcomes(outcomes),
            export_bins=export_bins,
            export_labels=export_labels,
            export_duration=export_duration,
            trace=trace,
            retraining=retraining,
            on_error=on_error,
            synchronous=synchronous,
            enabled=enabled_here() if enabled is None else enabled,
            clock=clock,
            wall_clock=wall_clock,
            meter_provider=meter_provider,
            logger_provider=logger_provider,
            tracer_provider=tracer_provider,
        )

    def replacement(self, given: object) -> Reference:
        """
        A reference to take the place of the present one, checked as that was.

        Raises:
            ConfigurationError: it is none, or was fitted with other functions than these settings have, or lacks what a
                detector watches.
            ReferenceError: the file is damaged.
        """
        made = checked_reference(given)
        if isinstance(made, Learn):
            msg = "replace_reference(Reference.learn(...)): expected a Reference or the path of one"
            raise ConfigurationError(msg)
        check_functions(made.derived, self.derive)
        check_streams(made, self.detectors)
        return made


def model_attributes(name: object, version: object, variant: object) -> dict[str, str]:
    """
    The attributes that all telemetry of a model carries.

    Raises:
        ConfigurationError: one of them is no text, empty, or too long.
    """
    attributes = {}
    for what, key, value in (
        ("name", ML_MODEL_NAME, name),
        ("version", ML_MODEL_VERSION, version),
        ("variant", ML_MODEL_VARIANT, variant),
    ):
        if value is None and what != "name":
            continue
        if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT:
            msg = f"{what}={str(value)[:60]!r}: expected a text of 1 to {MAX_TEXT} characters"
            raise ConfigurationError(msg)
        attributes[key] = value
    return attributes


def _check_kind(what: str, value: object, kind: type, expected: str) -> None:
    if value is not None and not isinstance(value, kind):
        msg = f"{what}={value!r}: expected {expected}"
        raise ConfigurationError(msg)


def checked_reference(given: object) -> Reference | Learn:
    """
    The reference that was given, or that stands in a file.

    Raises:
        ConfigurationError: it is neither.
        ReferenceError: the file is damaged.
    """
    if isinstance(given, (Reference, Learn)):
        return given
    if isinstance(given, (str, os.PathLike)):
        return Reference.load(given)
    msg = f"reference={given!r}: expected a Reference, the path of one, or Reference.learn(rows=...)"
    raise ConfigurationError(msg)


def _outcomes(given: object) -> OutcomePolicy:
    if isinstance(given, OutcomePolicy):
        return given
    if given is None or isinstance(given, (str, os.PathLike)):
        return OutcomePolicy(path=given)
    msg = f"outcomes={given!r}: expected an OutcomePolicy, or the path of a file to keep predictions in"
    raise ConfigurationError(msg)


def enabled_here() -> bool:
    """Whether the environment has not turned driftline off."""
    off = os.environ.get("DRIFTLINE_ENABLED", "true").strip().lower() in {"false", "0", "no", "off"}
    return not off and os.environ.get("OTEL_SDK_DISABLED", "false").strip().lower() != "true"
