"""The variables of OpenTelemetry that choose exporters, protocols and endpoints, and their checks."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from functools import partial
from urllib.parse import urlsplit

from driftline._runtime import validation as check

__all__ = ["OTLP", "PROTOCOLS", "check_endpoint", "check_otlp", "exporters", "is_disabled", "protocol_of"]

OTLP = "otlp"
"""The name of the exporters of OTLP, which are the default."""

PROTOCOLS = ("http/protobuf", "grpc")
"""The protocols of OTLP, the default first."""

NONE = "none"
"""The name that stands for no exporter."""

KNOWN = (OTLP, "console", "prometheus", NONE)
"""Names that the specification has. They are compared without regard to case."""

COMPRESSIONS = {"http/protobuf": ("none", "gzip", "deflate"), "grpc": ("gzip",)}
"""What the exporters of each protocol take. The one of gRPC refuses ``none``, which is its default."""

METRIC_CHOICES = {
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": ("cumulative", "delta", "lowmemory"),
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": (
        "explicit_bucket_histogram",
        "base2_exponential_bucket_histogram",
    ),
}
"""Variables of metrics, and their values."""


def is_disabled() -> bool:
    """Return whether ``OTEL_SDK_DISABLED`` turns the SDK off."""
    return (_read("OTEL_SDK_DISABLED") or "").lower() == "true"


def exporters(signal: str, *, installed: Callable[[str], bool]) -> tuple[str, ...]:
    """
    Return the names of the exporters of a signal: those of ``OTEL_METRICS_EXPORTER`` and the like, else `OTLP`.

    Args:
        signal: metrics, logs or traces.
        installed: returns whether there is an exporter of a name for this signal.

    Raises:
        ConfigurationError: an exporter is unknown, or not installed. The message names the variable.
    """
    variable = f"OTEL_{signal.upper()}_EXPORTER"
    value = _read(variable)
    if value is None:
        return (OTLP,)
    names = tuple(dict.fromkeys(_known(name.strip()) for name in value.split(",")))
    if names == (NONE,):
        return ()
    for name in names:
        if name == NONE:
            check.reject(variable, value, "'none' alone, or names of exporters")
        if name == "prometheus" and signal == "metrics" and not installed(name):
            check.reject(variable, value, "an installed exporter (pip install opentelemetry-exporter-prometheus)")
        if name != OTLP and not installed(name):
            known = (each for each in KNOWN if each != "prometheus" or signal == "metrics")
            check.reject(variable, value, f"{', '.join(map(repr, known))}, or the name of an installed exporter")
    return names


def protocol_of(signal: str, protocol: str | None) -> str:
    """
    Return the protocol of a signal: *protocol*, else the one of its variable, else of all signals, else the default.

    Raises:
        ConfigurationError: the protocol is unknown. The message names the variable.
    """
    if protocol is not None:
        return protocol
    for variable in _variables(signal, "PROTOCOL"):
        value = _read(variable)
        if value is not None:
            return check.one_of(variable, value.lower(), PROTOCOLS)
    return PROTOCOLS[0]


def check_otlp(signal: str, protocol: str, *, endpoint: bool) -> None:
    """
    Check the variables of an exporter of OTLP.

    Args:
        signal: metrics, logs or traces.
        protocol: one of `PROTOCOLS`.
        endpoint: whether the variables say where to send. An argument overrides them.

    Raises:
        ConfigurationError: a value is wrong. The message names the variable.
    """
    if endpoint:
        _check_first(_variables(signal, "ENDPOINT"), lambda name, value: check_endpoint(name, value, protocol))
    _check_first(_variables(signal, "TIMEOUT"), _check_number)
    _check_first(_variables(signal, "COMPRESSION"), partial(_check_choice, COMPRESSIONS[protocol]))
    if signal == "metrics":
        for variable, choices in METRIC_CHOICES.items():
            _check_first([variable], partial(_check_choice, choices))
        for variable in ("OTEL_METRIC_EXPORT_INTERVAL", "OTEL_METRIC_EXPORT_TIMEOUT"):
            _check_first([variable], _check_number)


def check_endpoint(name: str, value: str, protocol: str) -> None:
    """
    Check the URL of a collector. gRPC takes a host and a port without a scheme too.

    Raises:
        ConfigurationError: the value is no such URL.
    """
    expected = "a URL such as 'http://localhost:4318'"
    try:
        parts = urlsplit(value)
        valid = parts.port != 0 and not any(character.isspace() for character in value)
    except ValueError:  # a port above 65535, or brackets without an address
        valid = False
    if protocol == "grpc":
        expected = "a URL such as 'http://localhost:4317', or a host and a port"
    elif valid:
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname)
    if not valid:
        check.reject(name, value, expected)


def _known(name: str) -> str:
    return name.lower() if name.lower() in KNOWN else name


def _variables(signal: str, suffix: str) -> list[str]:
    """Return the variable of a signal, and the one of all signals, which the former overrides."""
    return ["_".join(("OTEL", "EXPORTER", "OTLP", *scope, suffix)) for scope in ((signal.upper(),), ())]


def _check_first(variables: list[str], check_value: Callable[[str, str], object]) -> None:
    """Check the first of some variables that is set, which overrides the others."""
    for variable in variables:
        value = _read(variable)
        if value is not None:
            check_value(variable, value)
            return


def _check_choice(choices: Collection[str], name: str, value: str) -> None:
    check.one_of(name, value.lower(), choices)


def _check_number(name: str, value: str) -> None:
    try:
        valid = float(value) > 0.0  # also infinity, which turns the periodic export off; not nan
    except ValueError:
        valid = False
    if not valid:
        check.reject(name, value, "a number above 0")


def _read(variable: str) -> str | None:
    """Return the value of a variable without blanks around it; None if it is unset or empty, as the specification."""
    return os.environ.get(variable, "").strip() or None
