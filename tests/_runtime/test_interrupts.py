"""Tests that tell interrupts from errors."""

from __future__ import annotations

import ctypes
import functools
import signal
import sys
import threading
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from driftline._runtime.guard import Guard, is_contained, returning_on_error
from driftline._runtime.interrupts import interrupt_in

posix = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no SIGALRM")


class TimedOut(Exception):  # noqa: N818 - as hosts name it
    """A time-out of the host."""


class TimedOutWithMessage(Exception):  # noqa: N818
    """A time-out that makes its own message, as that of rq."""

    def __init__(self):
        super().__init__("took too long")


class PanicException(BaseException):
    """A panic as pyo3 makes it."""


PanicException.__module__ = "pyo3_runtime"


class Handler:
    """Signal handlers of each form."""

    def function(signum, frame):  # noqa: N805 - not a method
        raise TimedOut

    def any_arguments(*_):
        raise TimedOut(1)

    def through_another(signum, frame):  # noqa: N805
        Handler.raise_value_error(signum)

    @staticmethod
    def raise_value_error(signum):
        msg = f"signal {signum}"
        raise ValueError(msg)

    def __call__(self, signum, frame):
        raise TimedOut

    def bound(self, signum, frame):
        raise TimeoutError

    def with_reason(reason, signum, frame):  # noqa: N805
        raise TimedOut(reason)


HANDLERS = {
    "function": Handler.function,
    "any_arguments": Handler.any_arguments,
    "through_another": Handler.through_another,
    "callable": Handler(),
    "bound": Handler().bound,
    "partial": functools.partial(Handler.with_reason, "reason"),
}


@pytest.fixture
def alarm():
    """Return a function that installs a handler, and sets it off after a few milliseconds."""
    before = signal.getsignal(signal.SIGALRM)

    def start(handler, seconds=0.005):
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, seconds)

    yield start
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def spin():
    """Run Python code, with calls, until an interrupt."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        float("1")


class Spinning:
    """A value whose method runs until an interrupt."""

    def __float__(self):
        spin()
        return 1.0


WAITS = {
    "python": spin,
    "c": functools.partial(time.sleep, 10),
    "value": lambda: float(Spinning()),
    "numpy": lambda: np.asarray([Spinning()], dtype=np.float64),
    "lock": lambda: _held().acquire(timeout=10),
}


def _held():
    lock = threading.Lock()
    lock.acquire()
    return lock


@posix
@pytest.mark.parametrize("handler", HANDLERS.values(), ids=HANDLERS)
@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_what_a_signal_handler_raises_passes_the_guard(alarm, handler, wait):
    guard = Guard("flights", "log")
    alarm(handler)
    with pytest.raises((TimedOut, ValueError, TimeoutError)), guard("output"):
        wait()
    assert guard.counts == {}


@posix
def test_what_a_signal_handler_raises_passes_returning_on_error(alarm):
    alarm(HANDLERS["function"])
    with pytest.raises(TimedOut):
        returning_on_error(None)(spin)()


@posix
def test_an_interrupt_that_was_replaced_arrives_itself(alarm):
    """A library may turn it into another error."""

    def replace():
        try:
            spin()
        except TimedOut as error:
            msg = "cannot convert"
            raise ValueError(msg) from error

    guard = Guard("flights", "log")
    alarm(HANDLERS["function"])
    with pytest.raises(TimedOut), guard("output"):
        replace()


@posix
def test_errors_while_the_host_handles_an_interrupt_are_contained(alarm):
    """The context of the error is the interrupt, which the host has received already."""
    guard = Guard("flights", "log")
    alarm(HANDLERS["function"])
    try:
        spin()
    except TimedOut:
        guard("output")(float)("x")
    assert guard.counts == {"output": 1}


@pytest.mark.slow
@pytest.mark.parametrize("kind", [TimedOut, TimedOutWithMessage, TimeoutError, ValueError, KeyboardInterrupt])
def test_what_another_thread_raises_passes_the_guard(kind):
    """Repeated, so that it hits calls of Python and C, jumps, and the starts of functions."""
    guard, me, hits = Guard("flights", "log"), threading.get_ident(), 0
    go, done = threading.Semaphore(0), threading.Event()

    def interrupt():
        while go.acquire() and not done.is_set():
            time.sleep(0.0002)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(me), ctypes.py_object(kind))

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        for _ in range(100):
            with pytest.raises(kind), guard("output"):  # noqa: PT012 - an interrupt may come in any of them
                go.release()
                spin()
            hits += 1
    finally:
        done.set()
        go.release()
        thread.join()
    assert (hits, guard.counts) == (100, {})


class Raising:
    """A value whose methods raise."""

    def __init__(self, error):
        self.error = error

    def __float__(self):
        raise self.error

    def __len__(self):
        raise self.error

    def fill(self, frame):
        """Take an argument called as in a handler."""
        raise self.error


@pytest.mark.parametrize(
    "fails",
    [
        lambda: float(Raising(TimedOut())),
        lambda: len(Raising(TimedOutWithMessage())),
        lambda: np.asarray([Raising(TimeoutError())], dtype=float),
        lambda: float("x"),
        lambda: list(range(2))[2],
        lambda: {}["x"],
        lambda: next(iter(())),
        lambda: np.zeros(2) + np.zeros(3),
        lambda: bool(np.zeros(2)),
        lambda: int("1" * 10_000),
        lambda: Raising(TimedOut()).fill(None),
        lambda: sorted(["x", 1]),
        lambda: spin(2),
        lambda: getattr(1, "x"),  # noqa: B009 - raised in C
        lambda: pd.Timestamp("x"),  # raised in Cython
        lambda: np.array([1.0]) + pd.NaT,
        lambda: pa.array([1, "x"]),
        lambda: np.random.default_rng(0).choice(-1),
    ],
)
def test_errors_are_contained(fails):
    guard = Guard("flights", "log")
    with guard("output"):
        fails()
        pytest.fail("raises")
    assert guard.counts == {"output": 1}


def test_recursion_errors_are_contained():
    def deeper():
        return deeper()

    guard = Guard("flights", "log")
    with guard("output"):
        deeper()
    assert guard.counts == {"output": 1}


def test_panics_are_contained():
    """In polars for example, a date beyond the year 9999."""
    guard = Guard("flights", "log")
    with guard("output"):
        raise PanicException
    assert guard.counts == {"output": 1}


@pytest.mark.skipif(sys.version_info < (3, 10), reason="polars")
def test_a_panic_of_polars_is_contained():
    polars = pytest.importorskip("polars")
    column = polars.Series([2**31 - 1], dtype=polars.Int32).cast(polars.Date)
    guard = Guard("flights", "log")
    with guard("capture"):
        column.to_list()
        pytest.skip("this polars does not panic")
    assert guard.counts == {"capture": 1}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), BaseException()])
def test_other_base_exceptions_go_on(error):
    assert not is_contained(error)


def test_an_exception_without_a_traceback_is_no_interrupt():
    assert interrupt_in(TimedOut()) is None
