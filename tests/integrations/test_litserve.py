"""LitServe: what was answered has arrived after the server was asked to stop."""

from __future__ import annotations

import signal
import sys

import pytest
from libraries import require
from processes import free_port
from servers import APPS, post_all, row, running

import driftline as dl
from driftline.integrations.litserve import flushing

REQUESTS = 50


@pytest.mark.system
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_every_answer_has_arrived_after_the_stop(receiver, environment, tmp_path, number):
    """The export interval is an hour, so only the flush of a process of the model sends."""
    require("litserve")
    port = free_port()
    command = [sys.executable, APPS / "litserve_app.py", str(port)]
    with running(command, environment, tmp_path / "log", port) as server:
        answers = post_all(f"{server.url}/predict", [row(turn) for turn in range(REQUESTS)])
        assert answers == [turn % 100 / 100.0 for turn in range(REQUESTS)]
        assert receiver.served() == 0
        server.stop(number)
    log = (tmp_path / "log").read_text()
    assert receiver.served() == REQUESTS, log
    assert receiver.observations("x") == receiver.observations("prediction") == REQUESTS
    assert receiver.decreases == []


def test_a_class_without_a_setup_is_refused():
    """The message names the value."""
    for value in (3, int, lambda: 3):
        with pytest.raises(dl.ConfigurationError, match=r"^flushing\(.*: expected a subclass of LitAPI"):
            flushing(value)
