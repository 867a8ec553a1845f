"""Setup of OpenTelemetry in one call, for programs without their own (extra ``otlp``)."""

from __future__ import annotations

import atexit
import contextlib
import importlib.metadata
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from driftline._runtime import validation as check
from driftline._runtime.process_hooks import at_exit_of_children, hook_forks
from driftline.errors import ConfigurationError
from driftline.otel._flush import flush_of, run_together

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider

    from driftline.otel._sdk import LossCounter

__all__ = ["OtlpSetup", "configure_otlp"]

_log = logging.getLogger("driftline")

OLDEST_SDK = "1.39"
"""The oldest version of opentelemetry-sdk that has all the parts used here, as in ``pyproject.toml``."""

PROVIDERS = {"metrics": "meter_provider", "logs": "logger_provider", "traces": "tracer_provider"}
"""The attribute of `OtlpSetup` for each signal."""

SIGNALS = tuple(PROVIDERS)
"""Metrics come first, because collecting them may emit events."""

FLUSH_SECONDS = 30.0
"""
Seconds that a flush or the shutdown may take. A signal takes 10 s if the collector does not answer, by the default of
OTEL_EXPORTER_OTLP_TIMEOUT. Kubernetes kills a pod after 30 s.
"""


@dataclass(frozen=True, slots=True)
class OtlpSetup:
    """
    The providers that `configure_otlp` has set up or found. Those set up flush and shut down when the process exits.

    Attributes:
        meter_provider: exports metrics.
        logger_provider: exports events.
        tracer_provider: exports spans.
    """

    meter_provider: MeterProvider
    logger_provider: LoggerProvider
    tracer_provider: TracerProvider
    _losses: LossCounter | None = field(default=None, repr=False, compare=False)

    def force_flush(self) -> bool:
        """
        Send all pending telemetry. Return whether everything was sent in time.

        The result is False if the collector refuses, rejects or does not answer the telemetry of any signal: metrics,
        events or spans. A warning names the signal, and ``ml.monitor.telemetry.lost`` counts. It is also False after
        `shutdown`, and if the flush takes longer than `FLUSH_SECONDS`. Of providers that the program has set up itself
        only what they return is known.
        """
        before = self._lost
        flushed = _run_together({signal: flush_of(provider) for signal, provider in self._providers.items()})
        return all(flushed.values()) and self._lost == before

    def send_what_is_left(self) -> None:
        """Flush at the end of a process that skips ``atexit``, such as a child of multiprocessing. Never raise."""
        with contextlib.suppress(Exception):
            self.force_flush()

    def shutdown(self) -> None:
        """Send all pending telemetry, and stop the three providers."""
        _run_together({signal: _shutdown_of(provider) for signal, provider in self._providers.items()})

    @property
    def _providers(self) -> dict[str, Any]:
        """The providers by signal."""
        return {signal: getattr(self, name) for signal, name in PROVIDERS.items()}

    @property
    def _lost(self) -> dict[str, int]:
        """The number of items that were not sent, by signal."""
        return {} if self._losses is None else self._losses.counts


def configure_otlp(
    service_name: str | None = None, *, protocol: str | None = None, endpoint: str | None = None
) -> OtlpSetup:
    """
    Create providers that send metrics, events and spans through OTLP, and make them the global ones.

    All ``OTEL_*`` variables apply, such as those of exporters, endpoints, headers, protocols and intervals. An argument
    overrides its variable, and those of single signals. ``OTEL_CONFIG_FILE`` overrides everything else.

    If the program has a global provider of a signal already, that one is used, which a warning says once; the
    arguments and the variables then do not apply to it.

    Each process has its own ``service.instance.id``. One that is set, for example for a pod, gets a suffix:
    ``pod-1/4f3a9c21``.

    Args:
        service_name: the attribute ``service.name``. If None, the resource's default.
        protocol: ``"http/protobuf"`` (the default: it survives a fork) or ``"grpc"``.
        endpoint: the collector's base URL, such as ``"http://localhost:4318"``. If None, the exporter's default.

    Raises:
        ConfigurationError: the protocol is unknown, the endpoint has no scheme, a variable has a wrong value, or the
            extra ``otlp`` is not installed or too old.
    """
    from driftline.otel import _environment as environment  # noqa: PLC0415 - importing driftline imports no OpenTelemetry
    from driftline.otel._config_file import config_file  # noqa: PLC0415 - as above

    if protocol is not None:
        check.one_of("protocol", protocol, environment.PROTOCOLS)
    if endpoint is not None and (not isinstance(endpoint, str) or "://" not in endpoint):
        check.reject("endpoint", endpoint, "a URL such as 'http://localhost:4318'")
    check.optional(check.string, "service_name", service_name, at_least=1)
    present = _global_providers()
    if present:
        _report_present(present)
    earlier = [setup for setup in _setups if _uses(setup, present)]
    if earlier:
        return earlier[0]
    path = config_file()
    try:
        if len(present) == len(SIGNALS):
            setup = OtlpSetup(present["metrics"], present["logs"], present["traces"])
        elif path is not None:
            setup = _apply(path, present)
        else:
            setup = _set_up(service_name, protocol, endpoint, present)
    except ModuleNotFoundError as error:
        msg = f"configure_otlp needs the extra otlp (pip install 'driftline[otlp]'): {error}"
        raise ConfigurationError(msg) from error
    except ImportError as error:  # a part that this version of the SDK or of the exporters lacks
        msg = (
            f"configure_otlp needs opentelemetry-sdk {OLDEST_SDK} or newer and exporters of the same version "
            f"(pip install --upgrade 'driftline[otlp]'), found {_sdk_version()}: {error}"
        )
        raise ConfigurationError(msg) from error
    _setups.append(setup)
    at_exit_of_children(setup.send_what_is_left)
    return setup


def _uses(setup: OtlpSetup, present: Mapping[str, Any]) -> bool:
    """Return whether the global providers that are *present* are those of a setup."""
    return bool(present) and all(getattr(setup, PROVIDERS[signal]) is each for signal, each in present.items())


def _apply(path: str, present: Mapping[str, Any]) -> OtlpSetup:
    """Set up the signals that are not *present* as a declarative configuration file says."""
    from opentelemetry import _logs, metrics, trace  # noqa: PLC0415 - importing driftline imports no OpenTelemetry

    from driftline.otel._config_file import apply_config_file  # noqa: PLC0415 - as above

    hook_forks()
    apply_config_file(path, present)
    # A signal that the file does not have keeps the stand-in of the API.
    return OtlpSetup(metrics.get_meter_provider(), _logs.get_logger_provider(), trace.get_tracer_provider())  # type: ignore[arg-type]


def _sdk_version() -> str:
    try:
        return importlib.metadata.version("opentelemetry-sdk")
    except importlib.metadata.PackageNotFoundError:
        return "one without metadata"


_setups: list[OtlpSetup] = []
"""The setups of this process, of which there is usually one."""

_reported: list[bool] = []


def _global_providers() -> dict[str, Any]:
    """Return the global providers that are set, by signal. Stand-ins of the API are not set."""
    from opentelemetry import _logs, metrics, trace  # noqa: PLC0415 - importing driftline imports no OpenTelemetry
    from opentelemetry._logs import _internal as logs_api  # noqa: PLC0415 - as above

    from driftline.otel._stand_ins import actual_provider  # noqa: PLC0415 - as above

    providers = {
        "metrics": actual_provider(metrics.get_meter_provider()),
        "logs": _logs.get_logger_provider(),
        "traces": trace.get_tracer_provider(),
    }
    stand_ins = (logs_api.ProxyLoggerProvider, trace.ProxyTracerProvider)
    return {
        signal: provider
        for signal, provider in providers.items()
        if provider is not None and not isinstance(provider, stand_ins)
    }


def _report_present(providers: Mapping[str, Any]) -> None:
    """Log once which signals go through providers that the program has set up."""
    if not _reported:
        _reported.append(True)
        kinds = ", ".join(
            f"{signal} through its {type(provider).__module__}.{type(provider).__qualname__}"
            for signal, provider in providers.items()
        )
        _log.warning(
            "configure_otlp: the program has set OpenTelemetry up already. driftline sends %s. The arguments of "
            "configure_otlp do not apply to that.",
            kinds,
        )


def _set_up(
    service_name: str | None, protocol: str | None, endpoint: str | None, present: Mapping[str, Any]
) -> OtlpSetup:
    """
    Create the providers of the signals that are not *present*, and make them the global ones.

    Raises:
        ConfigurationError: a variable has a wrong value.
        ImportError: the extra ``otlp`` is not installed, or too old.
    """
    from opentelemetry import _logs, metrics, trace  # noqa: PLC0415 - the extra otlp
    from opentelemetry.sdk._logs import LoggerProvider  # noqa: PLC0415 - as above
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor  # noqa: PLC0415 - as above
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415 - as above
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - as above
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as above
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - as above

    from driftline.otel._exporters import choose, open_outputs  # noqa: PLC0415 - as above
    from driftline.otel._identity import InstanceId, name_of, report_service_name  # noqa: PLC0415 - as above
    from driftline.otel._sdk import LossCounter, export_losses, survive_forks, wide_views  # noqa: PLC0415 - as above

    chosen = choose([signal for signal in SIGNALS if signal not in present], protocol, endpoint)
    name = service_name or (name_of(present.values()) if present else None)
    resource = Resource.create({} if name is None else {"service.name": name})
    report_service_name(str(resource.attributes.get("service.name", "")))
    instance = InstanceId(resource)
    resource = resource.merge(instance.resource())
    hook_forks()
    losses = LossCounter()
    outputs = open_outputs(chosen, losses)
    mine: dict[str, Any] = {}
    if "logs" in chosen:
        mine["logs"] = LoggerProvider(resource=resource, shutdown_on_exit=False)
        for records in outputs.records:
            mine["logs"].add_log_record_processor(BatchLogRecordProcessor(records))
    if "traces" in chosen:
        mine["traces"] = TracerProvider(resource=resource, shutdown_on_exit=False)
        for spans in outputs.spans:
            mine["traces"].add_span_processor(BatchSpanProcessor(spans))
    if "metrics" in chosen:
        mine["metrics"] = MeterProvider(
            [*outputs.periodic, *outputs.pull], resource=resource, shutdown_on_exit=False, views=wide_views()
        )
    created = [mine[signal] for signal in SIGNALS if signal in mine]
    providers = {**present, **mine}
    export_losses(providers["metrics"], losses)
    survive_forks(created[0], outputs.periodic, outputs.senders, losses, lambda: instance.renew(*created))
    if "metrics" in mine:
        metrics.set_meter_provider(mine["metrics"])
    if "logs" in mine:
        _logs.set_logger_provider(mine["logs"])
    if "traces" in mine:
        trace.set_tracer_provider(mine["traces"])
    # The providers' own hooks would send one signal after the other, and wait for each.
    atexit.register(_run_together, {signal: _shutdown_of(mine[signal]) for signal in SIGNALS if signal in mine})
    return OtlpSetup(providers["metrics"], providers["logs"], providers["traces"], losses)


def _shutdown_of(provider: Any) -> Callable[[], bool]:
    """Return a function that shuts a provider down, unless the program has done so."""

    def shutdown() -> bool:
        # Meter providers of the SDK mark themselves so, and warn of a second shutdown.
        if hasattr(provider, "shutdown") and getattr(provider, "_shutdown", False) is not True:
            provider.shutdown()
        return True

    return shutdown


def _run_together(functions: Mapping[str, Callable[[], bool]]) -> dict[str, bool]:
    """Run one function per signal within `FLUSH_SECONDS`, and return the results: see `run_together`."""
    return dict(zip(functions, run_together(list(functions.items()), FLUSH_SECONDS), strict=True))
