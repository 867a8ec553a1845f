"""One unreachable collector costs one timeout, not one for each signal."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

import driftline as dl
from driftline import otlp
from driftline.otel import _flush
from driftline.otlp import OtlpSetup


class Provider:
    """A provider whose flush does what a test says."""

    def __init__(self, flush):
        self.force_flush = self.shutdown = flush


class Bare:
    """A provider without a flush."""


def test_signals_are_flushed_side_by_side():
    meeting = threading.Barrier(3, timeout=5.0)

    def meet():
        meeting.wait()
        return True

    assert OtlpSetup(*(Provider(meet) for _ in range(3))).force_flush()


def test_metrics_come_first_because_collecting_them_emits_events():
    order = []

    def note(signal):
        return Provider(lambda: order.append(signal) or True)

    assert OtlpSetup(note("metrics"), note("logs"), note("traces")).force_flush()
    assert order[0] == "metrics"


def test_a_flush_that_does_not_return_ends_in_time(monkeypatch):
    monkeypatch.setattr(otlp, "FLUSH_SECONDS", 0.3)
    monkeypatch.setattr(_flush, "COLLECT_SECONDS", 0.1)
    release = threading.Event()
    setup = OtlpSetup(*(Provider(release.wait) for _ in range(3)))
    began = time.monotonic()
    assert not setup.force_flush()
    setup.send_what_is_left()
    setup.shutdown()
    release.set()
    assert time.monotonic() - began < 5.0


def fail():
    """Fail as the SDK does if a collection takes too long."""
    raise RuntimeError


@pytest.mark.parametrize(
    ("provider", "result"),
    [
        (Provider(lambda: True), True),
        (Provider(lambda: None), True),
        (Bare(), True),
        (Provider(lambda: False), False),
        (Provider(fail), False),
    ],
)
@pytest.mark.parametrize("signal", range(3))
def test_every_signal_counts(provider, result, signal):
    providers = [Provider(lambda: True) for _ in range(3)]
    providers[signal] = provider
    setup = OtlpSetup(*providers)
    assert setup.force_flush() is result
    setup.send_what_is_left()
    setup.shutdown()


def test_without_a_thread_the_signals_are_flushed_one_after_the_other(monkeypatch):
    def refuse(_):
        msg = "can't start new thread"
        raise RuntimeError(msg)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert OtlpSetup(*(Provider(lambda: True) for _ in range(3))).force_flush()
    assert not OtlpSetup(Provider(fail), Bare(), Bare()).force_flush()


@pytest.mark.parametrize("name", ["", 3, "a\ud800"])
def test_a_service_name_is_text(name):
    with pytest.raises(dl.ConfigurationError, match="service_name"):
        dl.configure_otlp(name)


NAMES = """
import logging
import driftline as dl
logging.basicConfig(level="WARNING")
dl.configure_otlp(endpoint="http://127.0.0.1:9")
import os
os._exit(0)
"""


@pytest.mark.parametrize(("name", "said"), [("flights.v2", True), ("flights", False)])
def test_a_name_of_the_environment_is_checked_at_the_start(name, said):
    done = subprocess.run(
        [sys.executable, "-c", NAMES],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OTEL_SERVICE_NAME": name},
    )
    assert ("Elastic refuses the service.name 'flights.v2'" in done.stderr) is said


BESIDE = """
import os
import driftline as dl
from driftline.otel import _exporters
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

def opened(chosen, losses):
    print(*chosen, flush=True)
    return original(chosen, losses)

original, _exporters.open_outputs = _exporters.open_outputs, opened
metrics.set_meter_provider(MeterProvider())
trace.set_tracer_provider(TracerProvider())
dl.configure_otlp(endpoint="http://127.0.0.1:9")
os._exit(0)
"""


def test_a_signal_that_the_program_exports_itself_gets_no_exporter():
    """An exporter holds a session, or a channel of grpc, that nothing would close."""
    done = subprocess.run([sys.executable, "-c", BESIDE], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["logs"]
