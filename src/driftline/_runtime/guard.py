"""The guard: it keeps errors within driftline away from the host, counts them, and logs the first of each place."""

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

__all__ = ["OTHER", "Guard", "GuardedBlock", "Report", "guarded_clock", "returning_on_error"]

_log = logging.getLogger("driftline")

MAX_ERROR_TYPES = 50
"""
Distinct values of ``error.type``. A host that creates exception classes while it runs would create endless series.
"""

OTHER = "_OTHER"
"""
The ``error.type`` of all further classes, from
https://opentelemetry.io/docs/specs/semconv/registry/attributes/error/
"""

LATEST = 1e12
"""Seconds that a clock may show, about 31,000 years. Larger values overflow the arithmetic of panes."""

Report: TypeAlias = Callable[[str, str], None]
"""A function such as `Guard.report`: it gets a place, as in the attribute ``ml.monitor.place``, and a message."""

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Default = TypeVar("_Default")
_Default_co = TypeVar("_Default_co", covariant=True)


class Guard:
    """
    Swallow exceptions, count them per place, and log the first of each place.

    ``with guard("output"): ...`` guards a block, ``guard("on_verdict")(function)`` a function. A place is a value of
    the attribute ``ml.monitor.place``. ``KeyboardInterrupt`` and the like pass.

    Args:
        model: the model's name, for the log.
        on_error: ``"log"``, or ``"raise"`` for tests: guarded blocks then raise.

    Attributes:
        counts: errors of this process by place.
    """

    __slots__ = ("_error_types", "_lock", "_model", "_raises", "counts")

    def __init__(self, model: str, on_error: str) -> None:
        self._model = model
        self._raises = on_error == "raise"
        self.reset()

    def reset(self) -> None:
        """Set all counts to zero, as the child of a fork must."""
        # Re-entrant: the garbage collector may run a finalizer of the host here, and that may predict.
        self._lock = threading.RLock()
        self.counts: dict[str, int] = {}
        self._error_types: set[str] = set()

    def __call__(self, where: str) -> GuardedBlock:
        """Return a context manager, or decorator, that reports exceptions under the place *where*."""
        return GuardedBlock(self.report_error, where)

    def report(self, where: str, message: str) -> None:
        """Count a problem under the place *where*. Log the first."""
        with self._lock:
            count = self.counts.get(where, 0) + 1
            self.counts[where] = count
        if count == 1:
            _log.warning(
                "model %s, %s: %s. The model still serves; ml.monitor.errors counts further problems of this place.",
                self._model,
                where,
                message,
            )

    def report_error(self, where: str, error: Exception) -> None:
        """
        Count an exception under the place *where*. Log its class and origin, and its message at DEBUG only.

        The message may quote a feature's value, and logs leave the process.

        Raises:
            Exception: *error* itself, with ``on_error="raise"``.
        """
        if self._raises:
            raise error
        self.report(where, f"{type(error).__name__}{_origin(error)}")
        _log.debug("model %s, %s: %r", self._model, where, error)

    def error_type(self, name: str) -> str:
        """Return the name, or ``_OTHER`` after `MAX_ERROR_TYPES` distinct names."""
        if name not in self._error_types:
            with self._lock:
                if len(self._error_types) >= MAX_ERROR_TYPES:
                    return OTHER
                self._error_types.add(name)
        return name


class GuardedBlock:
    """
    A context manager and decorator that reports exceptions instead of raising them.

    It holds no state: threads may share it, and it may nest.

    Args:
        report: `Guard.report_error`, or a callback that ends there.
        where: the place.
    """

    __slots__ = ("_report", "_where")

    def __init__(self, report: Callable[[str, Exception], None], where: str) -> None:
        self._report = report
        self._where = where

    def __enter__(self) -> None:
        """Nothing is prepared: only the exit matters."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self._report(self._where, error)
        return True

    def __call__(self, function: Callable[_P, _T]) -> Callable[_P, _T | None]:
        """Return the function with its exceptions reported; it then returns None."""

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
    Return a decorator for functions that read the host's values: *default* replaces whatever they raise.

    Methods such as ``__float__`` or ``__lt__`` of such values may raise any exception. That is no error of driftline.
    """

    def decorate(function: Callable[_P, _T], /) -> Callable[_P, _T | _Default]:
        @functools.wraps(function)
        def guarded(*args: _P.args, **kwargs: _P.kwargs) -> _T | _Default:
            try:
                return function(*args, **kwargs)
            except Exception:  # noqa: BLE001 - the values are the host's and may raise anything
                return default

        return guarded

    return decorate


def guarded_clock(clock: Callable[[], float], guard: Guard) -> Callable[[], float]:
    """Return a clock that repeats its last value where the user's clock raises or shows no time."""
    if clock in {time.monotonic, time.time}:
        return clock
    last, reporting = [0.0], guard("clock")

    def now() -> float:
        with reporting:
            seconds = float(clock())
            if math.isfinite(seconds) and abs(seconds) <= LATEST:
                last[0] = seconds
            else:
                guard.report("clock", f"the clock shows {seconds}")
        return last[0]

    return now


def _origin(error: Exception) -> str:
    """Return the function, file and line that raised an exception, or an empty string if unknown."""
    trace = error.__traceback__
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    return f" in {code.co_name} ({Path(code.co_filename).name}:{trace.tb_lineno})"
