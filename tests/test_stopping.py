"""`flush`, and the handlers of `flush_at_stop`."""

from __future__ import annotations

import logging
import signal
import threading
import time

import pytest
from opentelemetry.sdk.metrics import MeterProvider

import driftline as dl
from driftline import stopping


class Provider:
    """A provider whose flush does what a test needs."""

    def __init__(self, flush):
        self.force_flush = flush

    def get_logger(self, *_, **__):
        """Return a logger that drops events."""


@pytest.fixture
def handlers():
    """Restore the handlers of signals after the test."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    stopping._earlier.clear()
    stopping._requested.clear()


def test_it_flushes_every_monitor_and_its_providers(make_monitor, telemetry, row):
    """The backlog is binned, the first window is evaluated before its end, and providers flush."""
    monitor = make_monitor()
    flushed = []
    telemetry.meter_provider.force_flush = lambda *_, **__: flushed.append("metrics")
    telemetry.logger_provider.force_flush = lambda *_, **__: flushed.append("logs")
    for _ in range(40):
        monitor.observe(row, 0.5)
    assert dl.flush() is True
    assert {"metrics", "logs"} <= set(flushed)
    assert monitor.scores()


@pytest.mark.parametrize("flush", [lambda: False, lambda: 1 / 0], ids=["refuses", "raises"])
def test_it_says_whether_everything_was_sent(make_monitor, caplog, flush):
    """It never raises."""
    make_monitor(logger_provider=Provider(flush))
    with caplog.at_level(logging.WARNING, "driftline"):
        assert dl.flush() is False
    make_monitor("n", logger_provider=Provider(lambda: None))


def test_it_waits_no_longer_than_it_may(make_monitor):
    """A provider that hangs costs the seconds of the argument."""
    release = threading.Event()
    make_monitor(logger_provider=Provider(lambda: release.wait(20)))
    began = time.monotonic()
    assert dl.flush(0.3) is False
    assert time.monotonic() - began < 10
    release.set()


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan"), "1", None])
def test_the_seconds_are_checked(seconds):
    """They are a number above 0."""
    with pytest.raises(dl.ConfigurationError, match=r"^seconds="):
        dl.flush(seconds)


def test_another_provider_of_the_sdk_is_flushed_once_for_two_monitors(make_monitor):
    """Monitors share it."""
    provider = MeterProvider()
    flushed = []
    provider.force_flush = lambda *_, **__: flushed.append(1)
    for name in ("a", "b"):
        make_monitor(name, meter_provider=provider)
    dl.flush()
    assert len(flushed) == 1
    provider.shutdown()


def test_a_handler_that_is_there_is_called_first(handlers, monkeypatch):
    """Then the flush runs. A second call of `flush_at_stop` adds nothing."""
    order = []
    signal.signal(signal.SIGTERM, lambda *_: order.append("host"))
    monkeypatch.setattr(stopping, "flush", lambda: order.append("flush"))
    assert dl.flush_at_stop()
    assert dl.flush_at_stop()
    assert not dl.stop_requested()
    signal.raise_signal(signal.SIGTERM)
    assert order == ["host", "flush"]
    assert dl.stop_requested()


def test_an_exception_of_the_handler_reaches_the_host(handlers, monkeypatch):
    """Such as SystemExit: the program then ends by ``atexit``, which flushes."""
    monkeypatch.setattr(stopping, "flush", lambda: pytest.fail("flushed twice"))

    def leave(*_):
        raise SystemExit(3)

    signal.signal(signal.SIGTERM, leave)
    dl.flush_at_stop()
    with pytest.raises(SystemExit):
        signal.raise_signal(signal.SIGTERM)


def test_an_ignored_signal_stays_ignored(handlers):
    """As under nohup."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    assert dl.flush_at_stop()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


def test_other_threads_cannot_install_it(handlers):
    """Python allows handlers in the main thread only."""
    results = []
    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=lambda: results.append(dl.flush_at_stop()))
    thread.start()
    thread.join()
    assert results == [False]
    assert signal.getsignal(signal.SIGTERM) is before
