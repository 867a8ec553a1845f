"""Streams: one for each combination of values, made once."""

from __future__ import annotations

import os
import threading

import pytest

import driftline as dl
from driftline.genai import SpanGroup
from driftline.genai._streams import Streams

GROUP = SpanGroup(name="http", where="http.route", by=["http.route"])


def make(name, reference):
    return dl.Monitor(name, reference=dl.Reference.learn(rows=100), synchronous=True)


def test_values_without_a_label_of_themselves_are_not_kept():
    """Any number of long texts share one stream, so the memory for their keys would have no bound."""
    streams = Streams(make, {}, 10)
    streams_of_texts = {id(streams.of(GROUP, {"http.route": "x" * 200 + str(turn)})) for turn in range(100)}
    assert len(streams_of_texts) == 1
    assert len(streams._by_key) == 0
    assert streams.of(GROUP, {"http.route": [1, {}]}) is streams.of(GROUP, {})


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_while_another_thread_makes_a_stream():
    streams = Streams(make, {}, 10)
    held, release = threading.Event(), threading.Event()

    def hold():
        with streams._lock:
            held.set()
            release.wait(30.0)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        os._exit(0 if streams.of(GROUP, {"http.route": "/"}) is not None else 1)
    _, status = os.waitpid(child, 0)
    release.set()
    thread.join()
    assert status == 0
