"""The demo's OpenTelemetry set-up: `configure_otlp`, and metrics and events with the simulated time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from opentelemetry._logs import Logger
from opentelemetry.metrics import Observation

from driftline import configure_otlp
from driftline.demo.clock import DAY_BEGAN, SIMULATED_HOUR
from driftline.otlp import OtlpSetup

__all__ = ["Telemetry", "set_up"]


@dataclass(frozen=True, slots=True)
class Telemetry:
    """The providers of `configure_otlp`, and the logger of the demo."""

    setup: OtlpSetup
    logger: Logger

    def emit_day(self, hour: float) -> None:
        """Emit the event `DAY_BEGAN`; *hour* counts from `START`. Later events belong to the day of that hour."""
        self.logger.emit(timestamp=time.time_ns(), event_name=DAY_BEGAN, attributes={SIMULATED_HOUR: float(hour)})


def set_up(endpoint: str | None, protocol: str | None, hour: Callable[[], float]) -> Telemetry:
    """
    Set up OpenTelemetry with a gauge of the simulated time, and return the providers.

    Args:
        endpoint: the URL of a collector or receiver. If None, the default of `configure_otlp`.
        protocol: the OTLP protocol. If None, the default of `configure_otlp`.
        hour: returns the simulated time in hours since `START`.
    """
    setup = configure_otlp("flights", endpoint=endpoint, protocol=protocol)
    meter = setup.meter_provider.get_meter("driftline.demo")
    meter.create_observable_gauge(SIMULATED_HOUR, [lambda _: [Observation(hour())]], unit="h")
    return Telemetry(setup, setup.logger_provider.get_logger("driftline.demo"))
