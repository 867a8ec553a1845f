"""Tests of the checks of arguments."""

from __future__ import annotations

import math
import re
from contextlib import contextmanager
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline._runtime import validation as check
from driftline.errors import ConfigurationError


class Color(IntEnum):
    """A number with a name."""

    RED = 3


class Unprintable:
    """A value whose repr() raises."""

    def __repr__(self):
        raise RuntimeError


class BytesPath:
    """A path-like object of bytes, which `pathlib` rejects."""

    def __fspath__(self):
        return b"file"


NO_NUMBERS = [
    True,
    False,
    np.True_,
    None,
    "1",
    b"1",
    1j,
    Fraction(1, 2),
    Decimal("0.5"),
    [1],
    (1,),
    {},
    np.array([1, 2]),
    np.array(1),
    np.datetime64(1, "s"),
    math.nan,
    math.inf,
    -math.inf,
    np.float32("nan"),
    10**400,
    -(10**400),
    np.longdouble("1e400") if np.finfo(np.longdouble).max > 1e308 else math.inf,
    object(),
    Unprintable(),
]
"""Values that no check of a number accepts."""


@contextmanager
def suppress_rejection():
    """Collect the message of a rejected value."""
    messages = []
    try:
        yield messages
    except ConfigurationError as rejected:
        messages.append(str(rejected))


def named(check_function):
    return check_function.__name__


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("check_function", [check.number, check.probability, check.duration], ids=named)
def test_number_checks_reject_the_same_values(check_function, value):
    """Each message has one form and names the argument."""
    with pytest.raises(ConfigurationError, match=r"^limit=.*: expected a "):
        check_function("limit", value)


@pytest.mark.parametrize(
    "value",
    [value for value in NO_NUMBERS if type(value) is not int] + [1.0, 0.5, np.float64(1)],
    ids=lambda value: type(value).__name__,
)
def test_integer_check_rejects_everything_else(value):
    """A float with an integer value is rejected too."""
    with pytest.raises(ConfigurationError, match=r"^rows=.*: expected an integer of at least 1$"):
        check.integer("rows", value, at_least=1)


@given(st.one_of(st.integers(-(10**320), 10**320), st.floats(), st.fractions(), st.decimals(), st.text(), st.none()))
def test_checks_return_or_raise_configuration_error(value):
    """Whatever the value, a check returns it or rejects it with the one error; number and integer agree on integers."""
    results = {}
    for check_function in (check.integer, check.number, check.probability, check.duration, check.boolean):
        with suppress_rejection() as rejected:
            results[check_function.__name__] = check_function("argument", value)
        message = "".join(rejected)
        assert not message or re.match(r"(?s)argument=.*: expected ", message)
    if isinstance(value, int):
        assert results["integer"] == value
        assert ("number" in results) == (abs(value) <= 2**1024)
    if "number" in results:
        assert results["number"] == value
        assert type(results["number"]) in {int, float}
        assert ("probability" in results) == (0 <= value <= 1)
        assert ("duration" in results) == (0 < value < check.MAX_SECONDS)


@given(
    st.floats(-5, 5),
    st.sampled_from(
        [
            ({"at_least": 0}, lambda x: x >= 0, "a number of at least 0"),
            ({"above": 0}, lambda x: x > 0, "a number above 0"),
            ({"at_most": 1.5}, lambda x: x <= 1.5, "a number of at most 1.5"),
            ({"below": 1}, lambda x: x < 1, "a number below 1"),
            ({"at_least": 0, "at_most": 1}, lambda x: 0 <= x <= 1, "a number from 0 to 1"),
            ({"above": 0, "below": 1}, lambda x: 0 < x < 1, "a number above 0 and below 1"),
            ({"above": 0, "at_most": 0.5}, lambda x: 0 < x <= 0.5, "a number above 0 and at most 0.5"),
        ]
    ),
)
def test_number_check_keeps_its_bounds(value, case):
    bounds, inside, expected = case
    if inside(value):
        assert check.number("x", value, **bounds) == value
    else:
        with pytest.raises(ConfigurationError, match=re.escape(f"expected {expected}")):
            check.number("x", value, **bounds)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(3, 3), (np.int8(3), 3), (np.uint64(3), 3), (Color.RED, 3), (10**400, 10**400)],
)
def test_integer_check_returns_plain_integers(value, expected):
    """A type of NumPy, or an enumeration, would not go through JSON."""
    result = check.integer("rows", value)
    assert result == expected
    assert type(result) is int


@pytest.mark.parametrize("value", [0.5, np.float64(0.5), np.float32(0.5), np.float16(0.5), np.longdouble(0.5)])
def test_number_check_returns_plain_floats(value):
    result = check.number("limit", value)
    assert result == 0.5
    assert type(result) is float


def test_integer_check_keeps_its_bounds():
    assert check.integer("rows", 5, at_least=5, at_most=5) == 5
    with pytest.raises(ConfigurationError, match=r"rows=6: expected an integer from 1 to 5$"):
        check.integer("rows", 6, at_least=1, at_most=5)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30s", 30.0),
        ("10min", 600.0),
        ("1h", 3_600.0),
        ("30d", 2_592_000.0),
        ("250ms", 0.25),
        ("1.5h", 5_400.0),
        (" 5 min ", 300.0),
        (90, 90.0),
        (0.5, 0.5),
        (np.float64(2.0), 2.0),
        (np.int64(2), 2.0),
    ],
)
def test_duration_check_returns_seconds(value, seconds):
    """A number with a unit, or a number of seconds."""
    result = check.duration("every", value)
    assert result == seconds
    assert type(result) is float


@given(st.floats(0.001, 9_999.0), st.sampled_from(sorted(check.SECONDS_PER_UNIT)))
def test_duration_is_its_number_times_its_unit(number, unit):
    seconds = float(f"{number:.3f}") * check.SECONDS_PER_UNIT[unit]
    assert check.duration("per", f"{number:.3f}{unit}") == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value",
    [
        *("", "s", "5", "-5s", "0s", "5 parsecs", "1h30min", "5S", "1e3s", "inf", "nan", "9" * 400 + "d"),
        *(0, -1, 0.0, math.nan, math.inf, 10**400, 101 * 365.25 * 86_400),
        *(True, None, [5], b"5s", {"s": 5}, "٣s", "1s\n1s"),
    ],
)
def test_duration_check_rejects_everything_else(value):
    """The message names the argument and the value."""
    with pytest.raises(ConfigurationError, match=r"every=.*: expected a positive duration such as '30s'"):
        check.duration("every", value)


@pytest.mark.parametrize("value", [0, 1, None, "true", np.True_])
def test_boolean_check_rejects_what_is_merely_true(value):
    with pytest.raises(ConfigurationError, match="expected True or False"):
        check.boolean("trace", value)


def test_string_check_keeps_its_bounds():
    assert check.string("salt", "") == ""
    for value, bounds, expected in [
        (b"x", {}, "a string"),
        ("", {"at_least": 1}, "a string that is not empty"),
        ("abc", {"at_least": 1, "at_most": 2}, "a string of 1 to 2 characters"),
    ]:
        with pytest.raises(ConfigurationError, match=f"expected {expected}$"):
            check.string("salt", value, **bounds)


@pytest.mark.parametrize("value", ["rais", None, 1, ["log"], np.array(["log", "raise"])])
def test_one_of_names_the_choices(value):
    assert check.one_of("on_error", "log", ("log", "raise")) == "log"
    with pytest.raises(ConfigurationError, match=r"(?s)^on_error=.*: expected 'log' or 'raise'$"):
        check.one_of("on_error", value, ("log", "raise"))


def test_instance_and_function_checks_name_what_was_expected():
    assert check.instance("queue", 5, int, "a queue") == 5
    assert check.function("clock", len) is len
    with pytest.raises(ConfigurationError, match="queue='x': expected a queue"):
        check.instance("queue", "x", int, "a queue")
    with pytest.raises(ConfigurationError, match="clock=5: expected a function"):
        check.function("clock", 5)


def test_path_check_returns_paths():
    assert check.path("path", "a/b") == Path("a/b")
    assert check.path("path", PurePosixPath("a/b")) == Path("a/b")
    for value in (b"a", 5, None, BytesPath(), ""):
        with pytest.raises(ConfigurationError, match=r"path=.*: expected the path of a file"):
            check.path("path", value)


def test_file_path_check_rejects_folders(tmp_path):
    assert check.file_path("path", tmp_path / "absent" / "file") == tmp_path / "absent" / "file"
    assert check.file_path("path", "a" * 5_000) == Path("a" * 5_000)
    with pytest.raises(ConfigurationError, match=r"path='a\\x00b': expected the path of a file"):
        check.file_path("path", "a\0b")
    for value in (tmp_path, str(tmp_path), ".", PurePosixPath("")):
        with pytest.raises(ConfigurationError, match=r"path=.*: expected the path of a file, not of a folder"):
            check.file_path("path", value)


def test_optional_check_allows_none():
    assert check.optional(check.integer, "rows", None, at_least=1) is None
    assert check.optional(check.integer, "rows", 3, at_least=1) == 3
    with pytest.raises(ConfigurationError, match=r"rows=0: expected an integer of at least 1, or None$"):
        check.optional(check.integer, "rows", 0, at_least=1)


def test_message_shortens_long_values():
    """It ends with what was expected, however long the value is."""
    message = str(check.error("columns", ["column"] * 10_000, "names"))
    assert len(message) < 250
    assert message.endswith("…: expected names")
    assert "expected names" in str(check.error("columns", Unprintable(), "names"))
    assert "expected names" in str(check.error("columns", 10**5_000, "names"))


def test_reject_raises_the_error_of_a_check():
    with pytest.raises(ConfigurationError, match=r"^policy=5: expected a policy$"):
        check.reject("policy", 5, "a policy")


def test_trial_turns_exceptions_into_configuration_errors():
    """The original exception is the cause, and interrupts pass."""
    with (
        pytest.raises(ConfigurationError, match=r"^distance raised Zero") as raised,
        check.trial(describe),
    ):
        _ = 1 / 0
    assert isinstance(raised.value.__cause__, ZeroDivisionError)
    with pytest.raises(KeyboardInterrupt), check.trial(describe):
        raise KeyboardInterrupt


def describe(error):
    return f"distance raised {error!r}"
