"""What goes wrong within driftline while serving: counted, logged once per place, and never the host's business."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["OTHER", "Guard", "guarded_clock"]

_log = logging.getLogger("driftline")

MAX_ERROR_TYPES = 50
"""Different values of ``error.type``: a host that makes exception classes as it goes would make series without end."""

OTHER = "_OTHER"
"""All further ones; the name is that of https://opentelemetry.io/docs/specs/semconv/registry/attributes/error/"""

LATEST = 1e12
"""Seconds that a clock may show: 31,000 years."""


class Guard:
    """
    Counts errors per place and logs the first of each.

    Args:
        model: whose errors these are.
        on_error: ``"log"``, or ``"raise"`` for tests.
    """

    __slots__ = ("_error_types", "_lock", "_model", "_raises", "counts")

    def __init__(self, model: str, on_error: str) -> None:
        self._model = model
        self._raises = on_error == "raise"
        self.reset()

    def reset(self) -> None:
        """Forget what was counted: the child of a fork starts here."""
        # Re-entrant: a finalizer of the host may run meanwhile, and predict.
        self._lock = threading.RLock()
        self.counts: dict[str, int] = {}
        self._error_types: set[str] = set()

    def note(self, place: str, message: str) -> None:
        """Count something at *place* that is not as it should be; log the first."""
        with self._lock:
            count = self.counts.get(place, 0) + 1
            self.counts[place] = count
        if count == 1:
            _log.warning(
                "model %s, %s: %s. The model serves on; what follows of this kind is counted in ml.monitor.errors.",
                self._model,
                place,
                message,
            )

    def caught(self, place: str, error: Exception) -> None:
        """
        Count an exception at *place*.

        Its message is logged at DEBUG alone: it may quote a feature's value, and logs leave the process.

        Raises:
            Exception: the same one, with ``on_error="raise"``.
        """
        if self._raises:
            raise error
        self.note(place, f"{type(error).__name__}{_origin(error)}")
        _log.debug("model %s, %s: %r", self._model, place, error)

    def error_type(self, name: str) -> str:
        """The name, or ``_OTHER`` once there are too many different ones to be series of a metric."""
        if name not in self._error_types:
            with self._lock:
                if len(self._error_types) >= MAX_ERROR_TYPES:
                    return OTHER
                self._error_types.add(name)
        return name


def guarded_clock(clock: Callable[[], float], guard: Guard) -> Callable[[], float]:
    """A clock that stands still where the user's raises or shows no time; those of `time` can do neither."""
    if clock in {time.monotonic, time.time}:
        return clock
    last = [0.0]

    def now() -> float:
        try:
            seconds = float(clock())
        except Exception as error:  # noqa: BLE001 - the user's function
            guard.caught("clock", error)
            return last[0]
        if not math.isfinite(seconds) or abs(seconds) > LATEST:
            guard.note("clock", f"the clock shows {seconds}")
            return last[0]
        last[0] = seconds
        return seconds

    return now


def _origin(error: Exception) -> str:
    """Where an exception was raised, as far as it is known."""
    trace = error.__traceback__
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    return f" in {code.co_name} ({Path(code.co_filename).name}:{trace.tb_lineno})"
