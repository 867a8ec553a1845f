"""Panes of counts in a ring, and the windows that are cut from it."""

from __future__ import annotations

from dataclasses import dataclass

from driftline._runtime import validation as check
from driftline.errors import ConfigurationError

__all__ = [
    "Window",
]

LEAST_PANE = 0.001
"""Seconds of a pane."""

MOST_ROWS = 2**53
"""Rows of a window: counts beyond it are not exact as floats."""

MAX_PANES = 1024
"""Panes in one ring: beyond this a window costs more memory than its resolution can be worth."""


@dataclass(frozen=True, slots=True, init=False)
class Window:
    """
    What is judged at once: a number of rows or a stretch of time, anew every so many rows or seconds.

    Args:
        length:
            A stretch of time: ``"10min"``, ``"1h"``, or seconds. Give this or *rows*.
        rows:
            A number of rows.
        every:
            How far the window moves from one judgement to the next (a duration, or rows). The length must be a multiple
            of it. Without it the window tumbles: it moves by its own length.

    Raises:
        ConfigurationError: neither or both lengths, a length that is no multiple of *every*, more than 1024 panes.

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
            whole = check.integer("rows", rows, at_least=1, at_most=MOST_ROWS)
            step: float = whole if every is None else check.integer("every", every, at_least=1, at_most=MOST_ROWS)
        else:
            whole = check.duration("length", length)
            step = whole if every is None else check.duration("every", every)
        if rows is None and step < LEAST_PANE:
            msg = f"panes of {step:g} s: expected at least {LEAST_PANE} s, clocks and threads are no finer"
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
        """The length in words, as in the attribute ``ml.window.length``."""
        return self.label_of(1)

    def label_of(self, windows: int) -> str:
        """The length of so many windows together, in words."""
        if self.rows is not None:
            return f"{self.rows * windows} rows"
        seconds = (self.seconds or 0.0) * windows
        for unit in ("d", "h", "min", "s"):
            if seconds >= check.SECONDS_PER_UNIT[unit] and seconds % check.SECONDS_PER_UNIT[unit] == 0:
                return f"{seconds / check.SECONDS_PER_UNIT[unit]:.0f}{unit}"
        return f"{seconds:g}s"
