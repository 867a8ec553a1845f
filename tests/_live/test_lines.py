"""Lines for a log: each event once and in order, and the state now and then."""

from __future__ import annotations

from views import KEY, view

from driftline._live.lines import HOLD_SECONDS, Lines
from driftline._live.values import Event


def drift(seconds, name, state="drifting"):
    return Event(seconds, "drift", KEY, name, state, "stable" if state == "drifting" else "drifting")


def printed(capsys):
    return [line.split("  ", 1)[1] for line in capsys.readouterr().out.splitlines()]


def test_events_are_printed_once_in_order_although_they_arrive_late(capsys):
    early, late = drift(1_000.0, "a"), drift(1_001.0, "b")
    with Lines(3_600.0) as lines:
        lines.show(view(time=1_001.0, events=(late,)))
        assert printed(capsys) == ["12,350 predictions; drifting: age"]
        lines.show(view(time=1_002.0, events=(early, late)))
        assert printed(capsys) == []
        for _ in range(2):
            lines.show(view(time=1_002.0 + HOLD_SECONDS, events=(early, late)))
        assert printed(capsys) == ["a drifts (baseline)", "b drifts (baseline)"]
        lines.show(view(time=2_000.0, events=(early, late, drift(2_000.0, "a", "stable"))))
    assert printed(capsys) == ["a no longer drifts (baseline)"]


def test_the_state_is_printed_now_and_then(capsys):
    lines = Lines(60.0)
    for seconds in range(0, 130, 10):
        lines.show(view(time=1_000.0 + seconds, events=()))
    assert printed(capsys) == ["12,350 predictions; drifting: age"] * 3


def test_trouble_is_printed_when_it_comes(capsys):
    lines = Lines(60.0)
    for trouble in ("refused\x1b[31m", "refused\x1b[31m", ""):
        lines.show(view(time=1_000.0, events=(), models=(), trouble=trouble))
    (line,) = printed(capsys)
    assert line == "OTLP/HTTP at 127.0.0.1:4318 cannot be read: refused\\x1b[31m"
