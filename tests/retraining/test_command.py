"""The sink that runs a command."""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from receivers import request

from driftline import ConfigurationError
from driftline.retraining import CommandSink, DeliveryError

OPEN_FILES = Path("/proc/self/fd")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="commands of a POSIX shell")


def program(text):
    return [sys.executable, "-c", text]


def test_the_request_is_json_on_standard_input(tmp_path):
    """As a list of arguments, and as a line of the shell."""
    file = tmp_path / "it's.json"
    CommandSink(program(f"import sys; open({str(file)!r}, 'w').write(sys.stdin.read())")).deliver(request())
    assert json.loads(file.read_text()) == json.loads(request().to_json())
    CommandSink(f"cat > '{tmp_path}/shell.json' && test -s '{tmp_path}/shell.json'").deliver(request())
    assert (tmp_path / "shell.json").read_text() == request().to_json() + "\n"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("echo no space left; exit 7", "exit code 7: no space left"),
        ("kill -9 $$", "exit code -9"),
        (["/nowhere/train"], "cannot be started: .*nowhere"),
        ("exit 3", "exit code 3$"),
    ],
)
def test_a_failure_asks_for_another_attempt(command, message):
    """The message has the exit code and the end of the output."""
    with pytest.raises(DeliveryError, match=message):
        CommandSink(command).deliver(request())


def test_a_command_that_does_not_read_or_end_its_output():
    """It need not read its input, may write any amount, and only the end is kept."""
    big = request(detail="x" * 300_000)
    CommandSink("exit 0").deliver(big)
    text = "import sys\nsys.stdout.write('x' * 5_000_000 + 'the end'); sys.exit(1)"
    with pytest.raises(DeliveryError, match=r"exit code 1: x{900,}the end$") as caught:
        CommandSink(program(text)).deliver(big)
    assert len(str(caught.value)) < 1_100


def test_the_time_limit_kills_the_command_and_its_children(tmp_path):
    """A child that would have written a file later is gone."""
    late = tmp_path / "late"
    began = time.monotonic()
    with pytest.raises(DeliveryError, match=r"did not end within 0\.3 seconds: begun"):
        CommandSink(f"echo begun; (sleep 1; touch {late}) & sleep 60", timeout=0.3).deliver(request())
    assert time.monotonic() - began < 30
    time.sleep(1.0)
    assert not late.exists()


def test_a_child_that_keeps_the_output_open_delays_nothing():
    """The command has ended, and what it has started in the background goes on."""
    began = time.monotonic()
    CommandSink("sleep 20 & echo $! >&2").deliver(request())
    assert time.monotonic() - began < 15


@pytest.mark.skipif(not OPEN_FILES.is_dir(), reason="needs /proc")
def test_no_file_stays_open():
    """After commands that end well, fail, or are killed."""
    before = len(list(OPEN_FILES.iterdir()))
    for command in ("exit 0", "exit 1", "sleep 9"):
        for _ in range(3):
            with suppress(DeliveryError):
                CommandSink(command, timeout=0.2).deliver(request())
    assert len(list(OPEN_FILES.iterdir())) <= before


@pytest.mark.parametrize("command", ["", " ", [], [""], [1], 1, None, "a\0b", {"a": 1}])
def test_wrong_commands_are_errors(command):
    """They name the value."""
    with pytest.raises(ConfigurationError, match="command="):
        CommandSink(command)
