"""The demo as users run it: in a separate process, with and without a terminal."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time

import pytest

from driftline._live.values import Event, LiveView, ModelKey, ModelView
from driftline.demo.command import parse_options
from driftline.demo.summary import Spell, spells, summary

pty = pytest.importorskip("pty", reason="a terminal of POSIX")

DEMO = [sys.executable, "-m", "driftline.demo", "--quick"]
SECONDS = 300.0
"""Seconds until a run counts as stuck. A run takes about six."""


def run(*arguments):
    process = subprocess.run([*DEMO, *arguments], capture_output=True, text=True, timeout=SECONDS, check=False)
    assert process.returncode == 0, process.stderr
    return process


def test_without_a_terminal_it_prints_lines_and_a_summary():
    """Every prediction has arrived. The summary has states, canary and accuracy."""
    process = run()
    line = re.search(r"^([\d,]+) predictions were made, all of them arrived through OTLP", process.stdout, re.MULTILINE)
    assert line, process.stdout
    assert int(line[1].replace(",", "")) > 20_000
    assert "\x1b" not in process.stdout
    # The snow storm of 8 February grounded one flight in ten: their delay is missing.
    assert re.search(r"^dep_delay drifted from 2013-02-09 until .*more missing", process.stdout, re.MULTILINE)
    assert re.search(r"^Never drifted: .*distance", process.stdout, re.MULTILINE)
    promoted = r"^The canary went from inconclusive to promote on 2013-02-\d\d: canary healthy on [\d,]+ predictions: "
    assert re.search(promoted, process.stdout, re.MULTILINE)
    assert "rollback" not in process.stdout
    estimate = r"^Accuracy of the baseline on 2013-01-22, before any outcome was known: estimated [89]\d\.\d%"
    assert re.search(estimate, process.stdout, re.MULTILINE)
    assert re.search(r"^Accuracy of the candidate: [89]\d\.\d% on \d,\d{3} outcomes", process.stdout, re.MULTILINE)
    assert process.stderr == ""
    # Events are printed in the order of their days.
    days = re.findall(r"^(2013-\d\d-\d\d)  (?!.*predictions;)", process.stdout, re.MULTILINE)
    assert len(days) > 3
    assert days == sorted(days)


@pytest.mark.slow
def test_a_broken_candidate_is_rolled_back():
    """It happens within days, and the reason is its predictions or their accuracy, not latency or errors."""
    stdout = run("--candidate", "broken").stdout
    when = r"^The canary went from inconclusive to rollback on 2013-01-\d\d: "
    reasons = r"(accuracy|wrong so far) [\d.]+% against [\d.]+%|shares of the predictions differ by up to \d+ points"
    assert re.search(when + f"({reasons})", stdout, re.MULTILINE), stdout
    assert "promote" not in stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("incident", "line"),
    [
        ("missing", r"^dep_delay drifted from 2013-02-2[0-3] and still does: .*missing from [\d.]+% to \d\d"),
        ("unit", r"^distance drifted from 2013-02-2[0-3] and still does"),
    ],
)
def test_an_incident_shows_in_the_summary(incident, line):
    """A feature that breaks on 19 February drifts from then on."""
    stdout = run("--incident", incident, "--incident-at", "2013-02-19").stdout
    assert re.search(line, stdout, re.MULTILINE), stdout


def all_end(group):
    """Return whether all processes of a group end, including the helper of multiprocessing, which ends last."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.slow
def test_ctrl_c_leaves_the_terminal_clean():
    """The picture stops, the cursor is visible, the summary is printed, and no process stays."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm-256color"
        os.execv(sys.executable, [sys.executable, "-m", "driftline.demo"])
    shown, interrupted, end = b"", False, time.monotonic() + SECONDS
    while time.monotonic() < end:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                more = os.read(terminal, 65_536)
            except OSError:  # every process with the terminal has ended
                break
            if not more:
                break
            shown += more
        if not interrupted and b"drifting" in shown:
            interrupted = True
            os.write(terminal, b"\x03")
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert interrupted
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGINT
    # The terminal echoes ^C at any byte, even within a character.
    text = shown.decode(errors="replace")
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    plain = " ".join(re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", text).split())
    assert re.search(r"Stopped on 2013-\d\d-\d\d\.", plain)
    assert re.search(r"predictions were made, all of them arrived", plain), plain[-2000:]
    assert "Traceback" not in plain
    assert all_end(child)


@pytest.mark.slow
def test_ctrl_c_is_quiet_from_the_start():
    """Even while the models are fitted: no traceback, the exit code of an interrupt, and no process stays."""
    child = subprocess.Popen(DEMO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert child.stdout.readline() == "reading the flights and fitting the models ...\n"
    os.killpg(child.pid, signal.SIGINT)
    _, stderr = child.communicate(timeout=SECONDS)
    assert (child.returncode, stderr) == (128 + signal.SIGINT, "")
    assert all_end(child.pid)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--incident-at", "soon"], "--incident-at soon: expected a date such as 2013-09-01"),
        (["--weeks", "3"], "--weeks 3: expected more than 6"),
        (["--weeks", "53"], "and at most 52"),
        (["--seconds", "-1"], "--seconds -1: expected a positive number"),
        (["--otlp", "localhost"], "--otlp localhost: expected a URL such as http://localhost:4318"),
        (["--otlp", "http://localhost:4318", "--web"], "--otlp and --web: expected one of them"),
        (["--web", "a:b:c"], "expected an address such as 127.0.0.1:8322"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message, capsys):
    """The message has the value and what was expected."""
    with pytest.raises(SystemExit) as caught:
        parse_options(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


BASELINE = ModelKey("flight-delay", "1", "baseline")


def test_spells_join_the_events_of_a_feature():
    """A spell ends at the next state other than drifting, or it is open. The candidate has its own."""
    events = [
        Event(24, "drift", BASELINE, "a", "drifting", "stable", "a: up; psi"),
        Event(24, "drift", BASELINE, "b", "stable", "insufficient_data"),
        Event(30, "drift", ModelKey("flight-delay", "2", "candidate"), "b", "drifting", "stable"),
        Event(48, "drift", BASELINE, "a", "stable", "drifting"),
        Event(72, "drift", BASELINE, "a", "drifting", "stable", "a: down"),
    ]
    assert spells(events) == {"a": [Spell(24, 48, "a: up; psi"), Spell(72, None, "a: down")]}


def test_the_summary_counts_lost_predictions():
    """Fewer predictions arrived than were made."""
    view = LiveView("", "", 0.0, models=(ModelView(BASELINE, served=90),))
    first = next(summary(view, [], {}, exports=3, predictions=100, interrupted=False))
    assert first == "100 predictions were made, 90 of them arrived through OTLP, in 3 exports."
