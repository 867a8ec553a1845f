"""Programs that get SIGTERM: with `flush_at_stop` everything has arrived, and the signal ends them as before."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, sys, threading, time
import driftline as dl
dl.configure_otlp()
monitor = dl.Monitor("m", reference=os.environ["HOST_REFERENCE"], export_bins=True)
predict = monitor.instrument(lambda features: 0.5)
{before}
for turn in range(50):
    predict({{"x": 1.0, "channel": "web"}})
{after}
print("ready", flush=True)
while True:
    time.sleep(0.01)
"""


def run(environment, before, after="", number=signal.SIGTERM):
    """Run the program until it is ready, send a signal, and return its exit code."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(before=before, after=after)],
        env={**environment, "OTEL_METRIC_EXPORT_INTERVAL": "3600000"},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        try:
            return process.wait(40)
        finally:
            process.kill()


def test_without_it_the_time_since_the_last_export_is_lost(receiver, environment):
    """This is what it is for."""
    assert run(environment, "") == -signal.SIGTERM
    assert receiver.served() == 0


@pytest.mark.parametrize(
    ("before", "code"),
    [
        ("dl.flush_at_stop()", -signal.SIGTERM),
        ("signal.signal(signal.SIGTERM, lambda *_: os._exit(7)); dl.flush_at_stop()", 7),
        ("signal.signal(signal.SIGTERM, lambda *_: sys.exit(5)); dl.flush_at_stop()", 5),
    ],
    ids=["default", "leaves without atexit", "exits"],
)
def test_what_was_served_arrives(receiver, environment, before, code):
    """Except where the host's handler ends the process itself, without ``atexit``."""
    assert run(environment, before) == code
    assert receiver.served() == receiver.observations("x") == (0 if code == 7 else 50)
    assert receiver.decreases == []


def test_in_the_middle_of_calls_and_in_the_child_of_a_fork(receiver, environment):
    """The parent has ended by then. Its child gets the signal, and has the handler."""
    after = (
        "if os.fork():\n    os._exit(0) if dl.flush() else os._exit(1)\n"
        "for turn in range(20):\n    predict({'x': 1.0, 'channel': 'web'})\n"
        "os.kill(os.getpid(), signal.SIGTERM)"
    )
    program = PROGRAM.format(before="dl.flush_at_stop()", after=after)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**environment, "OTEL_METRIC_EXPORT_INTERVAL": "3600000"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert receiver.served() == 70
    assert receiver.decreases == []
