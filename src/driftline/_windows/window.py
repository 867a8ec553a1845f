"""`Window`: how many rows, or how much time, one evaluation covers, and how far it moves to the next."""

from __future__ import annotations

from dataclasses import dataclass

from driftline._runtime import validation as check
from driftline.errors import ConfigurationError

__all__ = ["Window"]

MIN_PANE_SECONDS = 0.001
"""Shortest pane in seconds; clocks and threads are no finer."""

MAX_ROWS = 2**53
"""Most rows of a window, because larger counts are not exact as floats."""

MAX_PANES = 1024
"""Most panes of a window; each takes memory, and a finer resolution is of no use."""


@dataclass(frozen=True, slots=True, init=False)
class Window:
    """
    The rows that one evaluation covers: the last *rows* rows, or the rows of the last *length* of time.

    Args:
        length:
            A duration: ``"10min"``, ``"1h"``, or a number of seconds. Give this or *rows*.
        rows:
            A number of rows.
        every:
            How far the window moves from one evaluation to the next: a duration, or a number of rows. The length must
            be a multiple of it. By default the window tumbles: it moves by its own length.

    Attributes:
        rows: rows of the window; None for a window of time.
        seconds: seconds of the window; None for a window of rows.
        panes: steps of *every* in the window, at most 1024.

    Raises:
        ConfigurationError: there are no or two lengths, the length is not a multiple of *every*, or there are more than
            1024 panes.

    >>> Window(rows=5_000).panes, Window("10min", every="1min").panes
    (1, 10)
    """

    rows: int | None
    seconds: float | None
    panes: int

    def __init__(
        self, length: str | float | None = None, *, rows: int | None = None, every: str | float | None = None
    ) -> None:
        if (length is None) == (rows is None):
            msg = f"Window(length={length!r}, rows={rows!r}): expected exactly one of a length of time and rows="
            raise ConfigurationError(msg)
        whole: float
        if rows is not None:
            whole = check.integer("rows", rows, at_least=1, at_most=MAX_ROWS)
            step: float = whole if every is None else check.integer("every", every, at_least=1, at_most=MAX_ROWS)
        else:
            whole = check.duration("length", length)
            step = whole if every is None else check.duration("every", every)
        if rows is None and step < MIN_PANE_SECONDS:
            msg = f"panes of {step:g} s: expected at least {MIN_PANE_SECONDS} s, clocks and threads are no finer"
            raise ConfigurationError(msg)
        panes = round(whole / step)
        exact = whole % step == 0 if rows is not None else abs(panes * step - whole) <= 1e-9 * whole
        if panes < 1 or not exact:
            msg = f"every={every!r}: expected a length that divides {rows if rows is not None else length!r} evenly"
            raise ConfigurationError(msg)
        if panes > MAX_PANES:
            msg = f"every={every!r}: {panes} panes in a window, expected at most {MAX_PANES}"
            raise ConfigurationError(msg)
        object.__setattr__(self, "rows", None if rows is None else int(whole))
        object.__setattr__(self, "seconds", None if rows is not None else whole)
        object.__setattr__(self, "panes", panes)

    @property
    def pane_rows(self) -> int | None:
        """Rows of one pane; None for a window of time."""
        return None if self.rows is None else self.rows // self.panes

    @property
    def pane_seconds(self) -> float | None:
        """Seconds of one pane; None for a window of rows."""
        return None if self.seconds is None else self.seconds / self.panes

    @property
    def label(self) -> str:
        """The length as a string, as in the attribute ``ml.window.length``: ``"5000 rows"`` or ``"10min"``."""
        return self.label_of(1)

    def label_of(self, windows: int) -> str:
        """Return the length of *windows* windows together as a string, in the form of `label`."""
        if self.rows is not None:
            return f"{self.rows * windows} rows"
        seconds = (self.seconds or 0.0) * windows
        for unit in ("d", "h", "min", "s"):
            if seconds >= check.SECONDS_PER_UNIT[unit] and seconds % check.SECONDS_PER_UNIT[unit] == 0:
                return f"{seconds / check.SECONDS_PER_UNIT[unit]:.0f}{unit}"
        return f"{seconds:g}s"
