"""
Interrupts: exceptions that a signal handler or another thread raises within driftline.

Each reaches the host. It leaves no flag set and no lock locked, and costs no count but that of the call it has hit.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import json
import re
import subprocess
import sys
import threading
from contextlib import closing, suppress
from itertools import count
from pathlib import Path

import numpy as np
import pytest

import driftline as dl
from driftline.testing import Probe

PACKAGE = str(Path(dl.__file__).parent)

SECONDS = 20
"""Longest time that another thread may take for what takes a millisecond, on a machine that is busy."""


class TimedOut(Exception):  # noqa: N818 - as hosts name it
    """A time-out as that of Celery, billiard and rq."""


class Stopped(BaseException):
    """A time-out as that of gevent and dramatiq."""


# --- an exception at each line ---------------------------------------------------------------------------------------

SPARED = {
    r"flag\[0\] = False": "The end of a call. No interrupt comes between it and the end of the model.",
    r"except BaseException as error:.*": "The same, if the model has raised.",
    r"try:": "It is no step: where tables of Python do not cover it, no interrupt comes there either.",
    r"with [\w.]*(lock|_mutex|_replacing):": "The exit of a lock in C. No interrupt comes between it and the block.",
}
"""
Lines at which nothing is raised, with the reason.

A tracing function can raise at any line. Python itself looks for interrupts after a call, at a jump back, and at the
start of a function alone. So no interrupt comes at these lines, and there is no other way to write them.
"""


class Interrupter:
    """
    A tracing function that raises an exception at one line of driftline.

    Args:
        seen: the lines at which an exception was raised before. It is raised at the first further one.
        kind: the class of the exception.

    Attributes:
        raised: the exception, or None.
    """

    def __init__(self, seen, kind):
        self.seen, self.kind, self.raised = seen, kind, None

    def __call__(self, frame, event, argument):
        code = frame.f_code
        # Python discards what is raised in a finalizer.
        if not code.co_filename.startswith(PACKAGE) or code.co_name == "__del__" or self.raised is not None:
            return None
        visited = set()

        def trace(frame, event, argument):
            if event == "line" and self.raised is None:
                line = frame.f_code.co_filename, frame.f_lineno, frame.f_lineno in visited
                visited.add(frame.f_lineno)
                if line not in self.seen and not self.spares(line):
                    self.seen.add(line)
                    self.raised = self.kind(*line)
                    raise self.raised
            return trace

        return trace

    @staticmethod
    def spares(line):
        """Return whether nothing is raised at a line. Python visits a ``with`` again when its block ends."""
        path, number, again = line
        text = source(path)[number - 1].strip()
        matching = [pattern for pattern in SPARED if re.fullmatch(pattern, text)]
        return any(again or not pattern.startswith("with") for pattern in matching)


SOURCES = {}
"""The lines of files, by path."""


def source(path):
    if path not in SOURCES:
        SOURCES[path] = Path(path).read_text(encoding="utf-8").splitlines()
    return SOURCES[path]


@pytest.fixture(scope="module")
def reference():
    rng = np.random.default_rng(0)
    return dl.Reference.fit(
        {"x": rng.random(400), "color": rng.choice(["red", "blue"], 400)}, predictions=rng.random(400)
    )


ROW = {"x": 0.5, "color": "red"}
BATCH = {"x": np.linspace(0, 1, 40), "color": ["red"] * 40}


def step(coroutine):
    """Run a coroutine that waits for nothing, in the context of the caller, as a task runs several in turn."""
    with suppress(StopIteration), closing(coroutine):
        coroutine.send(None)


def calls(monitor):
    """Return functions that call *monitor* in each way that a host does."""
    ids = count()
    done = concurrent.futures.Future()
    done.set_result(0.5)

    async def later():
        return 0.5

    @monitor.instrument
    def predict(features):
        return 0.5

    @monitor.instrument
    def predict_keyword(*, features):
        return 0.5

    @monitor.instrument
    def fail(features):
        raise ZeroDivisionError

    @monitor.instrument
    async def predict_async(features):
        return 0.5

    @monitor.instrument(output=lambda result: result["p"], prediction_id=lambda features: next(ids))
    def predict_output(features):
        return {"p": 0.5}

    @monitor.instrument(output=lambda result: result["p"])
    async def predict_output_async(features):
        return {"p": 0.5}

    @monitor.instrument
    def generate(features):
        yield 0.4
        yield 0.5

    @monitor.instrument
    async def generate_async(features):
        yield 0.4
        yield 0.5

    @monitor.instrument
    def predict_later(features):
        return later()

    @monitor.instrument(output=lambda result: result)
    def predict_output_later(features):
        return later()

    @monitor.instrument
    def generate_later(features):
        return (value for value in (0.4, 0.5))

    @monitor.instrument
    def predict_in_future(features):
        return done

    def block():
        with monitor.prediction(ROW) as call:
            call.output = 0.5

    async def block_async():
        async with monitor.prediction(ROW) as call:
            call.output = 0.5

    async def consume():
        async for _ in generate_async(ROW):
            pass

    def failing():
        with suppress(ZeroDivisionError):
            fail(ROW)

    def full():
        """Complete a window."""
        monitor.observe({"x": np.linspace(0, 1, 300), "color": ["red"] * 300}, np.linspace(0, 1, 300))

    def join():
        """Outcomes of predictions that were made."""
        number = next(ids)
        monitor.observe(ROW, [0.9], prediction_ids=[number])
        monitor.outcome(number, True)
        monitor.flush()

    return {
        "sync": lambda: predict(ROW),
        "keyword": lambda: predict_keyword(features=ROW),
        "failing": failing,
        "async": lambda: asyncio.run(predict_async(ROW)),
        "async_step": lambda: step(predict_async(ROW)),
        "output_async_step": lambda: step(predict_output_async(ROW)),
        "later": lambda: step(predict_later(ROW)),
        "output_later": lambda: step(predict_output_later(ROW)),
        "generator_later": lambda: list(generate_later(ROW)),
        "future": lambda: predict_in_future(ROW),
        "output": lambda: predict_output(ROW),
        "output_async": lambda: asyncio.run(predict_output_async(ROW)),
        "generator": lambda: list(generate(ROW)),
        "generator_async": lambda: asyncio.run(consume()),
        "block": block,
        "block_async": lambda: asyncio.run(block_async()),
        "observe_row": lambda: monitor.observe(ROW, [0.5], seconds=0.1),
        "observe": lambda: monitor.observe(BATCH, np.linspace(0, 1, 40)),
        "outcome": lambda: monitor.outcome(next(ids), True),
        "join": join,
        "flush": lambda: (full(), predict(ROW), monitor.flush()),
        "status": lambda: (predict(ROW), monitor.status(), monitor.snapshot()),
    }


NAMES = tuple(calls(dl.Monitor("m", reference=dl.Reference.fit({"x": [1.0, 2.0]}), enabled=False)))


@pytest.fixture
def without_collector():
    """Without the garbage collector: it calls finalizers at any line, and Python discards what is raised there."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.slow
@pytest.mark.usefixtures("without_collector")
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")  # because of the interrupt
@pytest.mark.parametrize("kind", [TimedOut, Stopped, KeyboardInterrupt])
@pytest.mark.parametrize("name", NAMES)
def test_an_exception_at_any_line_of_a_call_leaves_nothing_behind(reference, name, kind):
    monitor = dl.Monitor("flights", reference=reference, synchronous=True, window=dl.Window(rows=300))
    step, seen, interrupter = calls(monitor)[name], set(), None
    others = [calls(monitor)[other] for other in ("sync", "observe", "outcome", "flush", "status")]
    while interrupter is None or interrupter.raised is not None:
        interrupter = Interrupter(seen, kind)
        before = sys.gettrace()
        caught = None
        sys.settrace(interrupter)
        try:
            step()
        except (TimedOut, Stopped, KeyboardInterrupt) as error:
            caught = error
        finally:
            sys.settrace(before)
        # The exception itself arrives.
        assert caught is interrupter.raised
        moment = f"interrupted at {interrupter.raised}"
        # The next call is counted, so no flag is set.
        served = monitor.evidence().served
        calls(monitor)["sync"]()
        assert monitor.evidence().served == served + 1, moment
        # No lock keeps another thread waiting.
        thread = threading.Thread(target=lambda: [other() for other in others], daemon=True)
        thread.start()
        thread.join(SECONDS)
        assert not thread.is_alive(), moment
    assert len(seen) > 10
    assert Probe(monitor).errors == {}


# --- random moments --------------------------------------------------------------------------------------------------


@pytest.mark.system
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGALRM")
@pytest.mark.parametrize("mode", ["threaded", "synchronous"])
@pytest.mark.parametrize("interrupts", [1_000, pytest.param(50_000, marks=pytest.mark.slow)])
def test_interrupts_at_random_moments_arrive_and_cost_only_their_own_call(interrupts, mode):
    """Half of them are signals, half come from another thread. Together the slow ones are 100,000."""
    program = Path(__file__).with_name("interrupted.py")
    done = subprocess.run(
        [sys.executable, program, str(interrupts), "1", mode], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    report = json.loads(done.stdout)
    # Python itself discards what is raised in a finalizer, and says so.
    assert report["arrived"] + len(report["unraisable"]) >= interrupts, (report, done.stderr[-3_000:])
    assert report["wrong"] == 0
    assert report["errors"] == {}
    assert report["watcher_ended"]
    assert report["slowest"] < SECONDS
    assert report["later"] == 20
    assert report["pending"] == [0, 0]
    assert report["done"] <= report["served"] <= report["begun"]
    assert report["done"] <= report["rows"] <= report["begun"]
    assert report["bins"] == report["rows"]
    assert report["outcomes_done"] <= report["outcomes"] <= report["outcomes_begun"]
