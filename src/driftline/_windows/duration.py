"""Stretches of time as people write them, in seconds."""

from __future__ import annotations

import re

import numpy as np

from driftline.errors import ConfigurationError

__all__ = ["UNITS", "parse_duration"]

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|h|d)")

UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
"""Seconds in each unit."""

MOST_SECONDS = 100 * 365.25 * 86400.0
"""A century: a longer stretch of time is a mistake in the unit."""


def parse_duration(value: object, what: str) -> float:
    """
    The seconds in ``"30s"``, ``"10min"``, ``"1h"``, ``"30d"`` or a positive number of seconds.

    >>> seconds_of("10min", "every")
    600.0
    """
    if isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        seconds = float(match[1]) * UNITS[match[2]]
    elif isinstance(value, (int, float, np.integer)) and not isinstance(value, bool):
        seconds = float(value) if value < MOST_SECONDS else float("inf")
    else:
        seconds = float("nan")
    if not 0.0 < seconds < MOST_SECONDS:
        msg = f"{what}={value!r}: expected a positive duration such as '30s', '10min', '1h' or '30d'"
        raise ConfigurationError(msg)
    return seconds
