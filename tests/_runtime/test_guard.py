"""Tests of the guard."""

from __future__ import annotations

import logging
import sqlite3
import sys
import threading
from contextlib import closing

import polars as pl
import pytest

from driftline._runtime.guard import MAX_ERROR_TYPES, OTHER, Guard, guarded_clock, is_contained, returning_on_error


@pytest.fixture
def guard():
    """A guard as it serves: it logs and counts."""
    return Guard("flights", "log")


def fail(error):
    """Raise an exception."""
    raise error


def test_guarded_block_swallows_and_counts_exceptions(guard):
    """The code after the block runs."""
    for _ in range(3):
        with guard("output"):
            fail(ValueError("x"))
    with guard("capture"):
        fail(KeyError("y"))
    assert guard.counts == {"output": 3, "capture": 1}


def test_guarded_block_without_exception_counts_nothing(guard):
    with guard("output"):
        pass
    assert guard.counts == {}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), GeneratorExit()])
def test_guarded_block_lets_interrupts_pass(guard, error):
    with pytest.raises(type(error)), guard("output"):
        fail(error)
    assert guard.counts == {}


def test_a_panic_of_a_rust_extension_is_contained_like_an_exception(guard):
    """It derives from BaseException. polars raises one for a date beyond the year 9999."""
    far = pl.Series([2**31 - 1], dtype=pl.Int32).cast(pl.Date)
    with pytest.raises(BaseException, match="out-of-range") as raised:
        far.to_list()
    assert not isinstance(raised.value, Exception)
    assert is_contained(raised.value)
    with guard("capture"):
        far.to_list()
    assert guard.counts == {"capture": 1}
    assert returning_on_error(None)(far.to_list)() is None


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), SystemExit(1), GeneratorExit(), type("Own", (BaseException,), {})()]
)
def test_an_exception_that_ends_a_program_is_not_contained(error):
    """It belongs to the host, although a value may have raised it."""
    assert not is_contained(error)
    with pytest.raises(type(error)):
        returning_on_error(None)(fail)(error)


def test_guarded_block_raises_the_original_exception_with_on_error_raise():
    """The traceback ends where the exception was raised, for tests that look at it."""
    guard, error = Guard("flights", "raise"), ValueError("x")
    with pytest.raises(ValueError, match="x") as raised, guard("output"):
        fail(error)
    assert raised.value is error
    assert raised.traceback[-1].name == "fail"
    assert guard.counts == {}


def test_guarded_block_nests_and_is_shared_by_threads(guard):
    """One block object, eight threads: no count is lost."""
    block = guard("output")

    def work():
        for _ in range(200):
            with block, block:
                fail(ValueError("x"))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert guard.counts == {"output": 1_600}


def test_guarded_function_returns_its_result_or_none(guard):
    @guard("on_verdict")
    def half(value):
        """Divide by two."""
        return value / 2

    assert half(3) == 1.5
    assert half("three") is None
    assert guard.counts == {"on_verdict": 1}
    assert (half.__name__, half.__doc__) == ("half", "Divide by two.")


def test_guard_logs_the_first_problem_of_each_place(guard, caplog):
    """The warning names the class and the origin of the exception, and never quotes its message."""
    with caplog.at_level(logging.WARNING, "driftline"):
        for _ in range(3):
            with guard("output"):
                fail(ValueError("secret value"))
        guard.report("clock", "the clock shows nan")
    first, second = caplog.messages
    assert "flights" in first
    assert "output" in first
    assert "ValueError in fail (test_guard.py:" in first
    assert "secret" not in first
    assert "the clock shows nan" in second


def test_guard_logs_the_code_of_an_error_of_sqlite(guard, caplog):
    """Such as SQLITE_FULL: a code quotes no value. Python has it from 3.11 on."""
    with guard("outcomes"), closing(sqlite3.connect("file:?mode=ro", uri=True)) as connection:
        connection.execute("SELECT secret FROM nowhere")
    name = "OperationalError SQLITE_ERROR in" if sys.version_info >= (3, 11) else "OperationalError in"
    assert name in caplog.text
    assert "nowhere" not in caplog.text


def test_guard_logs_the_message_at_debug(guard, caplog):
    with caplog.at_level(logging.DEBUG, "driftline"), guard("output"):
        fail(ValueError("secret value"))
    assert [record.levelname for record in caplog.records if "secret" in record.getMessage()] == ["DEBUG"]


def test_guard_counts_from_zero_after_reset(guard):
    guard.report("output", "x")
    guard.reset()
    assert guard.counts == {}


def test_guard_limits_error_types(guard):
    """Further types share one name. Known types keep their names."""
    names = [guard.error_type(f"Error{number}") for number in range(MAX_ERROR_TYPES + 5)]
    assert names[MAX_ERROR_TYPES - 1] == f"Error{MAX_ERROR_TYPES - 1}"
    assert set(names[MAX_ERROR_TYPES:]) == {OTHER}
    assert guard.error_type("Error0") == "Error0"


def test_returning_on_error_replaces_what_a_host_value_raises():
    @returning_on_error(-1)
    def length(value):
        return len(value)

    assert length("abc") == 3
    assert length(5) == -1


def test_returning_on_error_lets_interrupts_pass():
    with pytest.raises(KeyboardInterrupt):
        returning_on_error(None)(fail)(KeyboardInterrupt())


def test_guarded_clock_repeats_its_last_value(guard):
    """Where the user's clock raises, or shows no time, it stands still."""
    shown = iter([5.0, float("nan"), 1e13, "noon", 7])
    clock = guarded_clock(lambda: next(shown), guard)
    assert [clock() for _ in range(6)] == [5.0, 5.0, 5.0, 5.0, 7.0, 7.0]
    assert guard.counts == {"clock": 4}
