"""The guard keeps errors within driftline away from the host, counts them, and logs the first of each place."""

from __future__ import annotations

import functools
import logging
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import ParamSpec, Protocol, TypeAlias, TypeVar

from driftline._runtime.interrupts import interrupt_in
from driftline.errors import ConfigurationError

__all__ = [
    "OTHER",
    "Guard",
    "GuardedBlock",
    "Report",
    "UnreadableError",
    "every",
    "guarded_clock",
    "is_contained",
    "is_no_interrupt",
    "public_message",
    "returning_on_error",
]

_log = logging.getLogger("driftline")

MAX_ERROR_TYPES = 50
"""
Largest number of distinct values of ``error.type``. Otherwise a host that creates exception classes while it runs would
create series without end.
"""

OTHER = "_OTHER"
"""
The ``error.type`` of all further classes, from
https://opentelemetry.io/docs/specs/semconv/registry/attributes/error/
"""

MAX_SUBJECTS = 50
"""Largest number of places and features whose first problem is logged, so that the log stays short."""

MAX_CLOCK_SECONDS = 1e12
"""Largest number of seconds that a clock may show, about 31,000 years. A larger one overflows the panes."""

Report: TypeAlias = Callable[[str, str], None]
"""A function such as `Guard.report`: it gets a place, as in the attribute ``ml.monitor.place``, and a message."""

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Default = TypeVar("_Default")
_Default_co = TypeVar("_Default_co", covariant=True)


PANIC = ("pyo3_runtime", "PanicException")
"""
Module and name of the exception that a panic in Rust raises, from https://docs.rs/pyo3/latest/pyo3/panic/. It derives
from ``BaseException``. Each extension, such as polars, has its own class, so it cannot be imported.
"""


def is_contained(error: BaseException) -> bool:
    """
    Return whether an exception that reached a guard in a caller's thread stays within driftline.

    An ``Exception`` does, and so does the ``PanicException`` of a library in Rust, which is a ``BaseException``. All
    others go on to the host: ``KeyboardInterrupt``, ``SystemExit``, and exceptions of any class that a signal handler
    or another thread raises. Call this first in ``except BaseException as error``, and raise if it returns False.

    Raises:
        BaseException: the interrupt that *error* has replaced, as when a library turns it into a ``ValueError``.
    """
    if not isinstance(error, Exception) and not _is_panic(error):
        return False
    if type(error) is RecursionError:
        # It is raised at a limit. No frames are left for a look at it, and no interrupt is of this class.
        return True
    return is_no_interrupt(error)


def is_no_interrupt(error: BaseException) -> bool:
    """
    Return whether neither a signal handler nor another thread has raised an exception.

    Raises:
        BaseException: the interrupt that *error* has replaced.
    """
    interrupt = interrupt_in(error)
    if interrupt is None:
        return True
    if interrupt is error:
        return False
    raise interrupt


def every(error: BaseException) -> bool:  # noqa: ARG001 - a `GuardedBlock` calls it
    """Return True: no caller waits for an exception in a thread of driftline."""
    return True


def _is_panic(error: BaseException) -> bool:
    return any((kind.__module__, kind.__name__) == PANIC for kind in type(error).__mro__)


class UnreadableError(TypeError, ValueError):
    """
    Features, outputs or outcomes that cannot be read.

    The message names types, shapes, columns and arguments. It never quotes a value, so that it may be logged.
    """


def public_message(error: BaseException) -> str:
    """
    Return the text of an exception that may leave the process.

    It is the message of an error of driftline. For any other exception it is its class and origin, because the message
    may quote a value. An error of SQLite has the name of its code too, such as ``SQLITE_FULL`` (Python 3.11).
    """
    if isinstance(error, (UnreadableError, ConfigurationError)) and error.__cause__ is None:
        return str(error)
    kind = type(error)
    code = getattr(error, "sqlite_errorname", "") if kind.__module__ == "sqlite3" else ""
    return f"{kind.__name__}{f' {code}' if code else ''}{_origin(error)}"


class Guard:
    """
    Catches exceptions, counts them by place, and logs the first of each place.

    ``with guard("output"): ...`` guards a block, ``guard("on_verdict")(function)`` a function. A place is a value of
    the attribute ``ml.monitor.place``. Only those of `is_contained` are caught, so ``KeyboardInterrupt`` is not.

    Args:
        model: the model's name, for the log.
        on_error: ``"log"``, or ``"raise"`` so that guarded blocks raise, for tests.

    Attributes:
        counts: number of errors of this process by place.
    """

    __slots__ = ("_error_types", "_lock", "_logged", "_model", "_raises", "counts")

    def __init__(self, model: str, on_error: str) -> None:
        self._model = model
        self._raises = on_error == "raise"
        self.reset()

    def reset(self) -> None:
        """Delete all counts, as the child of a fork must."""
        # Re-entrant, because the garbage collector may run a finalizer of the host here, which may call the model.
        self._lock = threading.RLock()
        self.counts: dict[str, int] = {}
        self._logged: set[tuple[str, str]] = set()
        self._error_types: set[str] = set()

    def __call__(self, where: str) -> GuardedBlock:
        """Return a context manager, or decorator, that reports exceptions under the place *where*."""
        return GuardedBlock(self.report_error, where)

    def in_thread(self, where: str) -> GuardedBlock:
        """Return the same for a thread of driftline, which no exception may end: every ``BaseException`` is caught."""
        return GuardedBlock(self.report_error, where, every)

    def in_callback(self, where: str) -> GuardedBlock:
        """
        Return the same for a callback of an SDK, whose thread no value may end.

        Every ``BaseException`` is caught, but for interrupts, because a host may collect in its main thread.
        """
        return GuardedBlock(self.report_error, where, is_no_interrupt)

    def report(self, where: str, message: str, count: int = 1, subject: str = "") -> None:
        """
        Count problems under the place *where*. Log *message* if they are the first of that place and subject.

        Args:
            where: a value of the attribute ``ml.monitor.place``.
            message: the problem, and how to mend it.
            count: number of problems.
            subject: the feature that has the problem. At most `MAX_SUBJECTS` of them are logged.
        """
        with self._lock:
            self.counts[where] = self.counts.get(where, 0) + count
            known = (where, subject) in self._logged or (subject != "" and len(self._logged) >= MAX_SUBJECTS)
            if not known:
                self._logged.add((where, subject))
        if not known:
            _log.warning(
                "model %s, %s: %s. The model still serves; ml.monitor.errors counts further problems of this place.",
                self._model,
                where,
                message,
            )

    def report_error(self, where: str, error: BaseException) -> None:
        """
        Count an exception under the place *where*. Log its `public_message` if it is the first of that place.

        Any other message is logged at DEBUG only, because it may quote a feature's value, and logs leave the process.

        Raises:
            BaseException: *error* itself, with ``on_error="raise"``.
        """
        if self._raises:
            raise error
        self.report(where, public_message(error))
        _log.debug("model %s, %s: %r", self._model, where, error)

    def error_type(self, name: str) -> str:
        """Return the name of an exception class for ``error.type``; ``_OTHER`` after `MAX_ERROR_TYPES` other names."""
        if name not in self._error_types:
            with self._lock:
                if len(self._error_types) >= MAX_ERROR_TYPES:
                    return OTHER
                self._error_types.add(name)
        return name


class GuardedBlock:
    """
    A context manager and decorator that reports exceptions instead of raising them.

    It holds no state. So threads may share it, and it may be used within itself.

    Args:
        report: called with *where* and the exception: `Guard.report_error`, or a callback that calls it.
        where: a value of the attribute ``ml.monitor.place``.
        contains: returns whether an exception is reported. If not, it goes on.
    """

    __slots__ = ("_contains", "_report", "_where")

    def __init__(
        self,
        report: Callable[[str, BaseException], None],
        where: str,
        contains: Callable[[BaseException], bool] = is_contained,
    ) -> None:
        self._report = report
        self._where = where
        self._contains = contains

    def __enter__(self) -> None:
        """Do nothing, because only the exit of the block matters."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None or not self._contains(error):
            return False
        self._report(self._where, error)
        return True

    def __call__(self, function: Callable[_P, _T]) -> Callable[_P, _T | None]:
        """Return a function that calls *function*. If that raises, it reports the exception and returns None."""

        @functools.wraps(function)
        def guarded(*args: _P.args, **kwargs: _P.kwargs) -> _T | None:
            with self:
                return function(*args, **kwargs)
            return None

        return guarded


class _Decorator(Protocol[_Default_co]):
    def __call__(self, function: Callable[_P, _T], /) -> Callable[_P, _T | _Default_co]: ...


def returning_on_error(default: _Default) -> _Decorator[_Default]:
    """
    Return a decorator for functions that read values of the host. If such a function raises, it returns *default*.

    The exception is not reported. Methods of those values, such as ``__float__`` or ``__lt__``, may raise any
    exception, which is no error of driftline. Exceptions that are not `is_contained` go on.
    """

    def decorate(function: Callable[_P, _T], /) -> Callable[_P, _T | _Default]:
        @functools.wraps(function)
        def guarded(*args: _P.args, **kwargs: _P.kwargs) -> _T | _Default:
            try:
                return function(*args, **kwargs)
            except BaseException as error:
                if not is_contained(error):
                    raise
                return default

        return guarded

    return decorate


def guarded_clock(clock: Callable[[], float], guard: Guard) -> Callable[[], float]:
    """Return a clock that returns its last value again if the user's clock raises or does not return seconds."""
    if clock in {time.monotonic, time.time}:
        return clock
    last, reporting = [0.0], guard("clock")

    def now() -> float:
        with reporting:
            seconds = float(clock())
            if math.isfinite(seconds) and abs(seconds) <= MAX_CLOCK_SECONDS:
                last[0] = seconds
            else:
                guard.report("clock", f"the clock shows {seconds}")
        return last[0]

    return now


def _origin(error: BaseException) -> str:
    """Return a string with the function, file and line that raised an exception; empty if unknown."""
    trace = error.__traceback__
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    return f" in {code.co_name} ({Path(code.co_filename).name}:{trace.tb_lineno})"
