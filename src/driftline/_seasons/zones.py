"""`TimeZone`: converts Unix times to local times and back, by the name of a time zone."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

import numpy as np

from driftline._seasons.calendar import EARLIEST, LATEST
from driftline.errors import ConfigurationError
from driftline.typing import Floats

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

__all__ = ["UTC", "TimeZone", "is_zone_name"]

UTC = "UTC"
"""Name of the time zone without local time. It needs no data of time zones."""

QUARTER = 900.0
"""
Seconds within which a time zone keeps its offset. All offsets and changes of the clock since 1972 are whole quarters of
an hour (IANA time zone database 2025b). Within a quarter in which an older change falls, the offset is the first one.
"""

_NAME = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+){0,3}")

OF_THIS_MACHINE = frozenset({"localtime", "posixrules"})
"""Names that mean something else on each machine."""

MAX_NAME = 64
"""Most characters of a name. The longest of the IANA database has 32."""

DAY = dt.timedelta(days=1)


def is_zone_name(name: str) -> bool:
    """Return whether a string has the form of a name of the IANA time zone database, such as "Europe/Berlin"."""
    return len(name) <= MAX_NAME and _NAME.fullmatch(name) is not None and name not in OF_THIS_MACHINE


class TimeZone:
    """
    Converts Unix times to local times and back. A local time is written as the Unix time that UTC would give it.

    Args:
        name: a name of the IANA time zone database, such as ``"Europe/Berlin"``, or ``"UTC"``.

    Attributes:
        name: the name.

    Raises:
        ConfigurationError: the name is unknown, or this machine has no data of time zones.
    """

    __slots__ = ("_zone", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._zone = None if name == UTC else _load(name)

    def to_local(self, seconds: Floats) -> Floats:
        """Return the local time of Unix times in seconds, same shape."""
        if self._zone is None:
            return seconds
        quarters, of_row = np.unique(np.floor(seconds / QUARTER), return_inverse=True)
        offsets = np.array([self.offset(quarter * QUARTER) for quarter in quarters.tolist()], dtype=np.float64)
        local: Floats = seconds + offsets[of_row]
        return local

    def to_unix(self, local: Floats) -> Floats:
        """
        Return the Unix times of local times in seconds, same shape.

        A time in a repeated hour is the first of two. A time in a missing hour counts on from the hour before (PEP
        495).
        """
        zone = self._zone
        if zone is None:
            return local
        quarters, of_row = np.unique(np.floor(local / QUARTER), return_inverse=True)
        naive = [_datetime(quarter * QUARTER).replace(tzinfo=zone) for quarter in quarters.tolist()]
        offsets = np.array([_seconds(when.utcoffset()) for when in naive], dtype=np.float64)
        seconds: Floats = local - offsets[of_row]
        return seconds

    def offset(self, seconds: float) -> float:
        """Return local time less UTC at a Unix time, in seconds. Before the year 1 and after 9999 it stays the same."""
        if self._zone is None:
            return 0.0
        utc = _datetime(seconds).replace(tzinfo=dt.timezone.utc)
        return _seconds(utc.astimezone(self._zone).utcoffset())

    def localise(self, when: dt.datetime) -> float:
        """Return the Unix time of a datetime, which is local in this zone if it is naive."""
        if when.tzinfo is not None:
            return when.timestamp()
        # Subclasses, such as those of pandas, have their own rules for missing hours.
        parts = (when.year, when.month, when.day, when.hour, when.minute, when.second, when.microsecond)
        return dt.datetime(*parts, tzinfo=self._zone or dt.timezone.utc, fold=when.fold).timestamp()


def _seconds(offset: dt.timedelta | None) -> float:
    return 0.0 if offset is None else offset.total_seconds()


_FIRST = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - naive, because the caller adds the zone

_MARGIN = 2 * DAY.total_seconds()


def _datetime(seconds: float) -> dt.datetime:
    """Return the naive datetime of Unix seconds, at least two days within the years that a datetime can hold."""
    return _FIRST + dt.timedelta(seconds=min(max(seconds, EARLIEST + _MARGIN), LATEST - _MARGIN))


def _load(name: str) -> ZoneInfo:
    """Return the time zone of a name from the data of this machine; raise ConfigurationError if it has none."""
    # Only references with a time zone need this module.
    from zoneinfo import ZoneInfo, available_timezones  # noqa: PLC0415

    if is_zone_name(name):
        try:
            return ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            pass
    if not available_timezones():
        msg = f"timezone={name!r}: this machine has no data of time zones, expected them: pip install tzdata"
        raise ConfigurationError(msg)
    msg = f"timezone={name[:MAX_NAME]!r}: no such time zone, expected a name such as 'Europe/Berlin' or 'UTC'"
    raise ConfigurationError(msg)
